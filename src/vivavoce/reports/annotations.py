"""GitHub's annotations: workflow commands that mark the test in its file."""

import re
from collections.abc import Callable, Iterator

from vivavoce.reports.results import Report, State, TestResult
from vivavoce.reports.telling import open_verdicts, reason, verdict

_LEVELS = {State.FAILED: "error", State.BROKEN: "error", State.UNDECIDED: "warning", State.SKIPPED: "notice"}
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def annotations(report: Report, place: Callable[[str], str] = str) -> Iterator[str]:
    """A line for each problem and each test that did not pass, to be printed as it is. ``place`` tells where in the
    repository a file is."""

    def placed(file: str | None) -> str | None:
        return None if file is None else place(file)

    for problem in report.all_problems:
        yield command("error", problem.message, file=placed(problem.file), line=problem.line, col=problem.column)
    for suite in report.suites:
        for test in suite.tests:
            if test.state is not State.PASSED:
                title = f"{suite.name}: {test.name} ({test.state.value})"
                yield command(_LEVELS[test.state], _message(test), file=placed(test.file), line=test.line, title=title)


def stopped(token: str) -> tuple[str, str]:
    """The lines between which the runner takes nothing for a command, whatever is printed. The token must be one that
    nobody can guess."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is made of letters, digits, underscores and dashes")
    return f"::stop-commands::{token}", f"::{token}::"


def command(level: str, message: str, **properties: str | int | None) -> str:
    """One workflow command."""
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None)
    return f"::{level}{' ' if given else ''}{given}::{_data(message)}"


def _message(test: TestResult) -> str:
    worst = test.worst
    if worst is None:
        return "It was not run."
    told = [verdict(one) for one in open_verdicts(worst)]
    return "\n".join(told or [reason(worst)])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
