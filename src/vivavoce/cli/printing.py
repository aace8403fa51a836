"""Results on a terminal, in a pipe and in a log. Slow to import (rich)."""

import os
import secrets
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.text import Text

from vivavoce.client.answers import Run, Turn
from vivavoce.reports.annotations import annotations, stopped
from vivavoce.reports.results import Report, State, TestResult
from vivavoce.reports.telling import TONES, Line, clean, explained, rate, reason, seconds, summary, turn

STYLES: Mapping[str, str] = {"good": "green", "bad": "red", "odd": "yellow", "faint": "dim", "strong": "bold"}
MOST_SKIPPED = 10
STATUSES: Mapping[str, str] = {
    "passed": "green",
    "met": "green",
    "failed": "red",
    "unmet": "red",
    "error": "yellow",
    "inconclusive": "yellow",
    "running": "cyan",
}


def console(*, errors: bool = False) -> Console:
    """Where things are told: standard output, or standard error."""
    return Console(file=sys.stderr if errors else sys.stdout, highlight=False, markup=False, emoji=False)


def tell(to: Console, *parts: tuple[str, str] | str) -> None:
    """Print a line of parts, each with its style. What was said somewhere else steers no terminal; lines are wrapped
    for people only."""
    text = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(clean(words), style or None)
    to.print(text, soft_wrap=not to.is_terminal)


def tell_line(to: Console, line: Line, indent: str = "") -> None:
    """Print a line of a report."""
    tell(to, (indent + line.text, STYLES.get(line.tone, "")))


def tell_report(to: Console, report: Report) -> None:
    """Print everything that did not pass, with its evidence, and the sum of it."""
    tests = [(suite.name, test) for suite in report.suites for test in suite.tests]
    for suite, test in tests:
        if test.state not in (State.PASSED, State.SKIPPED):
            _tell_test(to, suite, test)
    skipped = [(suite, test) for suite, test in tests if test.state is State.SKIPPED]
    if skipped:
        to.print()
    for suite, test in skipped[:MOST_SKIPPED]:
        why = f": {reason(test.worst)}" if test.worst else ""
        tell(to, (f"{test.state.value}  {suite} / {test.name}{why}", "dim"))
    if len(skipped) > MOST_SKIPPED:
        tell(to, (f"… {len(skipped) - MOST_SKIPPED} more were not examined", "dim"))
    if tests and report.all_problems:
        to.print()
    for problem in report.all_problems:
        tell(to, (str(problem), "yellow"))
    if tests:
        to.print()
    for suite, test in tests:
        if test.state is State.PASSED and len(test.runs) > 1:
            tell(to, ("passed", "green"), f"  {suite} / {test.name}  {rate(test)}")
    if tests or not report.all_problems:
        tell(to, (summary(report), "bold"))


def _tell_test(to: Console, suite: str, test: TestResult) -> None:
    to.print()
    place = f"{test.file}:{test.line}" if test.line else test.file or ""
    tell(
        to,
        (test.state.value.upper(), f"bold {STYLES[TONES[test.state]]}"),
        (f"  {suite} / {test.name}", "bold"),
        (f"  {place}" if place else "", "dim"),
    )
    if repeated := rate(test):
        tell(to, "  " + repeated)
    for line in explained(test):
        tell_line(to, line, "  ")


def tell_run(to: Console, run: Run, turns: Iterable[Turn], name: str) -> None:
    """Print a run: its verdicts, and its conversation with the words marked that verdicts rest on."""
    tell(to, (run.status, f"bold {STATUSES.get(run.status, '')}".strip()), (f"  {name}", "bold"))
    facts = [
        run.reason,
        f"the fault of {run.fault}" if run.fault not in (None, "nobody") else "",
        f"talked {seconds(run.talked_seconds)}" if run.talked_seconds is not None else "",
        f"ended by {run.ending}" if run.ending else "",
        f"{run.usage.input_tokens} + {run.usage.output_tokens} tokens" if run.usage else "",
        f"{run.attempts} attempts" if run.attempts > 1 else "",
    ]
    tell(to, ("  " + ", ".join(fact for fact in facts if fact), "dim"))
    for verdict in run.verdicts:
        told = f"{verdict.decision:13}"
        tell(to, "  ", (told, STATUSES.get(verdict.decision, "")), (verdict.criterion, "bold"), f": {verdict.reason}")
        if verdict.quote:
            tell(to, (f"               “{verdict.quote.text}” (turn {verdict.quote.turn})", "dim"))
    to.print()
    for one in turns:
        who, what = turn(one)
        style = {"caller": "cyan", "assistant": "magenta"}.get(who, "dim")
        took = f" ({one.took_ms} ms)" if one.took_ms else ""
        line = Text(f"  [{one.turn}] ")
        line.append(clean(f"{who}{took}: "), style)
        words = Text(clean(what), "" if one.kind == "message" else "dim")
        for verdict in run.verdicts:
            if verdict.quote and verdict.quote.turn == one.turn and verdict.quote.text:
                words.highlight_words([clean(verdict.quote.text)], "reverse")
        to.print(line + words, soft_wrap=not to.is_terminal)


@contextmanager
def unheard(to: TextIO, *, wanted: bool) -> Generator[None]:
    """Whatever is printed meanwhile is no command for GitHub's runner, where that is ``wanted``."""
    if not wanted:
        yield
        return
    begin, end = stopped(secrets.token_hex(16))
    print(begin, file=to, flush=True)
    try:
        yield
    finally:
        print(end, file=to, flush=True)


def annotate(to: TextIO, report: Report) -> None:
    """Have GitHub mark the tests in their files, by their paths in the repository."""
    for line in annotations(report, _in_repository):
        print(line, file=to, flush=True)


def _in_repository(file: str) -> str:
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return file
    relative = os.path.relpath(file, workspace)
    return file if relative.startswith("..") else relative
