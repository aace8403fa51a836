"""How results are put into words: the same in every report."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vivavoce.client.answers import Turn, Verdict
from vivavoce.reports.results import Examined, Report, State, TestResult, counted

TAIL = 8
"""So many turns at the end of a conversation are shown where there is no room for all of them."""
FAULTS = {
    "assistant": "the assistant",
    "tester": "the simulated caller",
    "judge": "the judge",
    "infrastructure": "the infrastructure",
    "nobody": "nobody",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_MOST = 600

Tone = Literal["", "good", "bad", "odd", "faint", "strong"]
TONES: dict[State, Tone] = {
    State.PASSED: "good",
    State.FAILED: "bad",
    State.BROKEN: "odd",
    State.UNDECIDED: "odd",
    State.SKIPPED: "faint",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line for a person, and how it is meant."""

    text: str
    tone: Tone = ""


def clean(text: str) -> str:
    """The text without what steers terminals and what XML cannot hold: line breaks and tabs stay."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n"))


def one_line(text: str, most: int = _MOST) -> str:
    """The same on one line, cut."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def summary(report: Report) -> str:
    """``3 tests: 1 failed, 2 passed in 4.2 s``."""
    tests = report.tests
    parts = ", ".join(f"{many} {state.value}" for state, many in counted(tests).items())
    return f"{plural(len(tests), 'test')}{': ' if parts else ''}{parts} in {seconds(report.seconds)}"


def rate(test: TestResult) -> str:
    """``2 of 3 runs passed (67 %)``; empty for a test that was run once."""
    if len(test.runs) < 2:
        return ""
    return f"{test.passed} of {len(test.runs)} runs passed ({test.rate:.0%})".replace("%", " %")


def reason(examined: Examined) -> str:
    """Why a run did not pass, on one line."""
    return one_line(examined.run.reason) or examined.state.value


def more_reason(examined: Examined) -> str:
    """The reason where it says more than the verdicts do; else empty."""
    told = reason(examined)
    return "" if open_verdicts(examined) and told.startswith(("unmet: ", "inconclusive: ")) else told


def fault(examined: Examined) -> str:
    """Whose fault it is, in words; empty where it is nobody's."""
    named = examined.run.fault or ""
    return "" if named in ("", "nobody") else FAULTS.get(named, named)


def open_verdicts(examined: Examined) -> tuple[Verdict, ...]:
    """What was decided of the criteria that are not met, unmet ones first."""
    found = [one for one in examined.run.verdicts if one.decision != "met"]
    return tuple(sorted(found, key=lambda one: one.decision != "unmet"))


def verdict(one: Verdict) -> str:
    """A verdict on one line: the criterion, what was decided, why."""
    return f"{one_line(one.criterion)}: {one.decision}. {one_line(one.reason)}".rstrip()


def quote(one: Verdict) -> str:
    """The words that a verdict rests on, with their turn; empty where there are none."""
    return f"“{one_line(one.quote.text)}” (turn {one.quote.turn})" if one.quote else ""


def turn(one: Turn) -> tuple[str, str]:
    """Who, and what they said or did."""
    match one.kind:
        case "message":
            return one.speaker or "somebody", one.text or "(silence)"
        case "tool_called":
            arguments = json.dumps(dict(one.arguments or {}), ensure_ascii=False)
            return "tool", f"{one.name} was called with {arguments}"
        case "tool_returned":
            how = "answered" if one.ok else "failed"
            return "tool", f"{one.name} {how}{' (mocked)' if one.mocked else ''}: {one.output}"
        case "moved":
            return "flow", f"stands at {one.name or one.node}"
        case "handed_over":
            return "flow", f"{one.name} speaks from here on"
        case "recalled":
            return "documents", f"{plural(len(one.passages), 'passage')} shown to the model"
        case "left":
            why = f": {one.reason}" if one.reason else ""
            return "end", f"{one.ending or one.kind}{why}"
        case _:
            return one.kind, one.text


def tail(turns: Sequence[Turn], most: int = TAIL) -> Iterator[str]:
    """The end of a conversation, a line a turn."""
    left_out = len(turns) - most
    if left_out > 0:
        yield f"… {plural(left_out, 'turn')} before"
    for one in turns[-most:]:
        who, what = turn(one)
        yield f"[{one.turn}] {who}: {one_line(what)}"


def explained(test: TestResult) -> Iterator[Line]:
    """Why a test did not pass: what is unmet and why, the evidence, whose fault it is, and how the conversation ended.

    Nothing for a test that passed."""
    worst = test.worst
    if worst is None or worst.state is State.PASSED:
        return
    for one in open_verdicts(worst):
        yield Line(verdict(one), "bad" if one.decision == "unmet" else "odd")
        if words := quote(one):
            yield Line(f"  {words}")
    if told := more_reason(worst):
        yield Line(told, TONES[worst.state])
    if whose := fault(worst):
        yield Line(f"the fault of {whose}", "faint")
    for setback in worst.run.setbacks:
        yield Line(f"an earlier attempt: {one_line(setback)}", "faint")
    for text in tail(worst.turns):
        yield Line(text, "faint")
    yield Line(f"run {worst.run.id}", "faint")


def seconds(many: float) -> str:
    """``4.2 s``, ``2 min 5 s``."""
    if many < 60:
        return f"{many:.1f} s"
    return f"{int(many // 60)} min {int(many % 60)} s"


def plural(many: int, what: str) -> str:
    """``1 test``, ``2 tests``."""
    return f"{many} {what}{'' if many == 1 else 's'}"
