"""Markdown, as ``GITHUB_STEP_SUMMARY`` and comments on merge requests take it."""

import re
from collections.abc import Iterator

from vivavoce.reports.results import Report, State, SuiteResult, TestResult
from vivavoce.reports.telling import (
    clean,
    fault,
    more_reason,
    one_line,
    open_verdicts,
    plural,
    quote,
    rate,
    reason,
    seconds,
    summary,
    tail,
)

MOST = 900_000
"""Bytes: a step's summary may have 1 MiB, and is refused as a whole beyond that."""
MARKS = {
    State.PASSED: "✅",
    State.FAILED: "❌",
    State.BROKEN: "⚠️",
    State.UNDECIDED: "❔",
    State.SKIPPED: "⏭️",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-!|~&@])")
_CUT = "\n\n… the rest is left out: the report is too long.\n"


def markdown(report: Report) -> str:
    """The report: a table for each suite, then everything that did not pass with its evidence. At most ``MOST``
    bytes."""
    text = "\n".join(_lines(report)) + "\n"
    if len(text.encode()) <= MOST:
        return text
    return text.encode()[: MOST - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _lines(report: Report) -> Iterator[str]:
    yield f"## {escaped(summary(report))}"
    yield ""
    for problem in report.all_problems:
        yield f"- {MARKS[State.BROKEN]} {escaped(str(problem))}"
    if report.all_problems:
        yield ""
    for suite in report.suites:
        yield from _suite(suite)
    for suite in report.suites:
        for test in suite.tests:
            if test.state is not State.PASSED:
                yield from _test(suite, test)


def _suite(suite: SuiteResult) -> Iterator[str]:
    yield f"### {escaped(suite.name)}"
    yield ""
    if not suite.tests:
        return
    yield "| | test | result | time |"
    yield "|---|---|---|---|"
    for test in suite.tests:
        worst = test.worst
        told = "" if worst is None or test.state is State.PASSED else f": {reason(worst)}"
        result = " · ".join(part for part in (f"{test.state.value}{told}", rate(test)) if part)
        yield f"| {MARKS[test.state]} | {escaped(test.name)} | {escaped(result)} | {seconds(test.seconds)} |"
    yield ""


def _test(suite: SuiteResult, test: TestResult) -> Iterator[str]:
    worst = test.worst
    yield f"#### {MARKS[test.state]} {escaped(suite.name)} / {escaped(test.name)}"
    yield ""
    if worst is None:
        yield "It was not run."
        yield ""
        return
    for one in open_verdicts(worst):
        yield f"- **{escaped(one.criterion)}**: {one.decision}. {escaped(one.reason)}"
        if words := quote(one):
            yield f"  > {escaped(words)}"
    if told := more_reason(worst):
        yield f"- {escaped(told)}"
    if whose := fault(worst):
        yield f"- the fault of {whose}"
    yield ""
    if worst.turns:
        told = "\n".join(tail(worst.turns))
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", told)), default=0))
        yield f"<details><summary>How the conversation ended ({plural(len(worst.turns), 'turn')})</summary>"
        yield ""
        yield f"{fence}text"
        yield told
        yield fence
        yield ""
        yield "</details>"
        yield ""


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", one_line(clean(text)))
