"""JUnit XML, as Jenkins, GitLab and others read it: within Jenkins's schema ``junit-10`` for Surefire's reports."""

from xml.etree import ElementTree as Xml

from vivavoce.reports.results import Report, State, SuiteResult, TestResult
from vivavoce.reports.telling import clean, explained, open_verdicts, rate, reason, verdict

_TAGS = {State.FAILED: "failure", State.BROKEN: "error", State.UNDECIDED: "error", State.SKIPPED: "skipped"}


def junit(report: Report) -> str:
    """The report as XML. A failed test is a ``failure``; one that could not run or is undecided is an ``error``, whose
    ``type`` tells which; one that was not examined is ``skipped``. A suite that could not be run holds one test that
    says so."""
    suites = [_suite(suite) for suite in report.suites]
    if report.problems:
        suites.append(_problems(report))
    root = Xml.Element("testsuites", name="viva run", time=f"{report.seconds:.3f}")
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.extend(suites)
    for suite in suites:
        suite.set("timestamp", report.started_at.strftime("%Y-%m-%dT%H:%M:%S"))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(suite: SuiteResult) -> Xml.Element:
    cases = [_case(suite.name, test) for test in suite.tests]
    if suite.problem:
        cases.append(_problem_case(suite.name, str(suite.problem)))
    element = _element(suite.name, cases, sum(test.seconds for test in suite.tests))
    if suite.file:
        element.set("file", clean(suite.file))
    return element


def _problems(report: Report) -> Xml.Element:
    return _element("viva run", [_problem_case("viva run", str(one)) for one in report.problems], 0.0)


def _element(name: str, cases: list[Xml.Element], seconds: float) -> Xml.Element:
    def many(tag: str) -> str:
        return str(sum(case.find(tag) is not None for case in cases))

    element = Xml.Element(
        "testsuite",
        name=clean(name),
        tests=str(len(cases)),
        failures=many("failure"),
        errors=many("error"),
        skipped=many("skipped"),
        time=f"{seconds:.3f}",
    )
    element.extend(cases)
    return element


def _case(suite: str, test: TestResult) -> Xml.Element:
    case = Xml.Element("testcase", name=clean(test.name), classname=clean(suite), time=f"{test.seconds:.3f}")
    worst = test.worst
    if test.state is not State.PASSED:
        unmet = open_verdicts(worst) if worst else ()
        words = verdict(unmet[0]) if unmet else reason(worst) if worst else "it was not run"
        found = Xml.SubElement(case, _TAGS[test.state], type=test.state.value, message=clean(words))
        found.text = clean("\n".join(line.text for line in explained(test)))
    if repeated := rate(test):
        Xml.SubElement(case, "system-out").text = clean(repeated)
    return case


def _problem_case(suite: str, message: str) -> Xml.Element:
    case = Xml.Element("testcase", name="could not run", classname=clean(suite), time="0.000")
    Xml.SubElement(case, "error", type=State.BROKEN.value, message=clean(message)).text = clean(message)
    return case
