"""What tools answer: as little as says it, because a model reads all of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from vivavoce.client.answers import Batch, Run, Standing, SuiteSummary, Transcript, Turn, Verdict

MOST_TOLD = 50
"""Of so many runs that did not pass all is told; of those beyond them their number."""
LONGEST = 4_000
"""Characters of what a tool answered in a conversation."""


def suite(one: SuiteSummary) -> dict[str, Any]:
    """A suite in a list."""
    return {"name": one.name, "tests": one.tests, "last": None if one.last is None else standing(one.last)}


def standing(one: Standing) -> dict[str, Any]:
    """A batch in a line."""
    return {
        "batch_id": one.batch_id,
        "at": one.at.isoformat(),
        "total": one.total,
        "passed": one.passed,
        "failed": one.failed,
        "errors": one.errors,
        "cancelled": one.cancelled,
        "over": one.over,
    }


def batch(one: Batch, runs: Iterable[Run]) -> dict[str, Any]:
    """How a batch came out: its runs that passed are counted, all others told."""
    others = [run for run in runs if run.over and run.status != "passed"]
    told: dict[str, Any] = {
        "batch_id": one.id,
        "over": one.over,
        "total": one.total,
        "counts": {status: many for status, many in one.counts.items() if many},
        "not_passed": [brief(run) for run in others[:MOST_TOLD]],
    }
    if len(others) > MOST_TOLD:
        told["more_not_passed"] = len(others) - MOST_TOLD
    return told


def brief(run: Run) -> dict[str, Any]:
    """A run that did not pass: why, and what shows it."""
    told: dict[str, Any] = {
        "run_id": run.id,
        "test": run.test.name if run.test else run.test_id,
        "suite": run.suite,
        "status": run.status,
        "fault": run.fault,
        "reason": run.reason,
        "criteria": [verdict(one) for one in run.verdicts if one.decision != "met"],
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def run(one: Run) -> dict[str, Any]:
    """A run with all that was decided."""
    return {
        "run_id": one.id,
        "test": {"id": one.test_id, "name": one.test.name if one.test else ""},
        "assistant": {"id": one.assistant.id, "name": one.assistant.name} if one.assistant else None,
        "version_id": one.version_id,
        "suite": one.suite,
        "batch_id": one.batch_id,
        "status": one.status,
        "fault": one.fault,
        "reason": one.reason,
        "ending": one.ending,
        "verdicts": [verdict(found) for found in one.verdicts],
        "talked_seconds": one.talked_seconds,
        "created_at": one.created_at.isoformat(),
    }


def verdict(one: Verdict) -> dict[str, Any]:
    """What was decided of one criterion, with its evidence."""
    told: dict[str, Any] = {"criterion": one.criterion, "decision": one.decision, "reason": one.reason}
    return {**told, "evidence": {"turn": one.quote.turn, "text": one.quote.text}} if one.quote else told


def transcript(one: Transcript) -> list[str]:
    """A conversation, a line for each thing that happened; the number is that of the turn, which evidence names."""
    return [line(turn) for turn in one.turns]


def line(turn: Turn) -> str:
    """One thing that happened."""
    took = f" ({turn.took_ms / 1000:.1f} s)" if turn.took_ms else ""
    return f"[{turn.turn}] {_said(turn)}{took}"


def _said(turn: Turn) -> str:
    match turn.kind:
        case "message":
            return f"{turn.speaker}: {turn.text}"
        case "tool_called":
            return f"assistant calls {turn.name}({_arguments(turn.arguments or {})})"
        case "tool_returned":
            mocked = ", mocked" if turn.mocked else ""
            return f"{turn.name} {'returned' if turn.ok else 'failed'}{mocked}: {_short(turn.output)}"
        case "moved":
            return f"assistant moves to {turn.name or turn.node}"
        case "handed_over":
            return f"the conversation is handed over to {turn.name}"
        case "recalled":
            return f"assistant is shown {len(turn.passages)} passages of documents"
        case "left":
            return f"the end: {turn.ending}" + (f", {turn.reason}" if turn.reason else "")
        case other:
            return other


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters in all)"
