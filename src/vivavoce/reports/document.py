"""The report as JSON, for programs (docs/reference/running.md, the format ``1``)."""

from datetime import datetime
from typing import Any

from vivavoce.client.answers import Run, Turn, Verdict
from vivavoce.reports.results import Examined, Problem, Report, SuiteResult, TestResult, code, counted

VERSION = 1
"""Rises when a field changes its meaning or goes; new ones may come at any time."""


def document(report: Report) -> dict[str, Any]:
    """The report as a JSON object."""
    result = code(report)
    return {
        "format": "vivavoce-report",
        "version": VERSION,
        "result": result.name.lower(),
        "exit_code": int(result),
        "started_at": _time(report.started_at),
        "seconds": round(report.seconds, 3),
        "counts": {state.name.lower(): many for state, many in counted(report.tests).items()},
        "problems": [_problem(one) for one in report.all_problems],
        "suites": [_suite(one) for one in report.suites],
    }


def _suite(suite: SuiteResult) -> dict[str, Any]:
    return {
        "name": suite.name,
        "file": suite.file,
        "batch_id": suite.batch_id,
        "tests": [_test(one) for one in suite.tests],
    }


def _test(test: TestResult) -> dict[str, Any]:
    return {
        "name": test.name,
        "id": test.id,
        "file": test.file,
        "line": test.line,
        "result": test.state.name.lower(),
        "passed": test.passed,
        "total": len(test.runs),
        "pass_rate": round(test.rate, 4),
        "seconds": round(test.seconds, 3),
        "runs": [_examined(one) for one in test.runs],
    }


def _examined(examined: Examined) -> dict[str, Any]:
    return {
        "result": examined.state.name.lower(),
        **run(examined.run),
        "transcript": [turn(one) for one in examined.turns],
    }


def run(one: Run) -> dict[str, Any]:
    """A run as a JSON object."""
    return {
        "run_id": one.id,
        "status": one.status,
        "fault": one.fault,
        "reason": one.reason or None,
        "ending": one.ending,
        "version_id": one.version_id,
        "seconds": one.seconds,
        "talked_seconds": one.talked_seconds,
        "attempts": one.attempts,
        "usage": {"input_tokens": one.usage.input_tokens, "output_tokens": one.usage.output_tokens}
        if one.usage
        else None,
        "verdicts": [_verdict(verdict) for verdict in one.verdicts],
    }


def turn(one: Turn) -> dict[str, Any]:
    """Something that happened in a conversation as a JSON object; what does not belong to its kind is left out."""
    shown: dict[str, Any] = {"turn": one.turn, "kind": one.kind, "took_ms": one.took_ms}
    match one.kind:
        case "message":
            return {**shown, "speaker": one.speaker, "text": one.text}
        case "tool_called":
            return {**shown, "name": one.name, "arguments": dict(one.arguments or {})}
        case "tool_returned":
            return {**shown, "name": one.name, "ok": one.ok, "output": one.output, "mocked": one.mocked}
        case "left":
            return {**shown, "speaker": one.speaker, "ending": one.ending, "reason": one.reason or None}
        case _:
            return {**shown, "name": one.name or None, "node": one.node or None}


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "criterion": one.criterion,
        "decision": one.decision,
        "reason": one.reason,
        "decided_by": one.decided_by,
        "quote": {"turn": one.quote.turn, "text": one.quote.text} if one.quote else None,
    }


def _problem(one: Problem) -> dict[str, Any]:
    return {"message": one.message, "file": one.file, "line": one.line, "column": one.column}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
