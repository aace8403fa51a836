"""Runs on the wire (contract, sections 5.10, 5.11 and 6.5)."""

from typing import Any

from pydantic import BaseModel, model_validator

from vivavoce.api.shape import omitted, storable
from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.times import iso, maybe_iso
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.verdict import Decision, Verdict

_ITEM_STATUS = {
    Decision.MET: Status.PASSED,
    Decision.UNMET: Status.FAILED,
    Decision.INCONCLUSIVE: Status.ERROR,
}
_FILTERS = {
    **{status.value: frozenset({status}) for status in Status},
    "completed": frozenset({Status.PASSED, Status.FAILED}),
    "timeout": frozenset({Status.ERROR}),
}


class RunTrigger(BaseModel, frozen=True, extra="allow"):
    """Which version of the assistant is examined; main where none is named. The body may be absent."""

    destination_version_id: str = omitted()

    _storable = model_validator(mode="before")(storable)


def wanted_version(body: RunTrigger | None) -> str | None:
    """The version a trigger names, or None for main."""
    return body.destination_version_id if body and "destination_version_id" in body.model_fields_set else None


def status_filter(text: str | None) -> frozenset[Status] | None:
    """The statuses that a list's ``status`` asks for, or None where it asks for nothing (section 6.5).

    The documentation of the filter names *completed* and *timeout*, which no run has: they mean passed or failed, and
    error. Raises ``Refused`` (400/10015) for anything else.
    """
    if not text:
        return None
    if text not in _FILTERS:
        raise bad_request(f"status {text!r} is none of {', '.join(_FILTERS)}", pointer="/query/status")
    return _FILTERS[text]


def dump_run(run: Run) -> dict[str, Any]:
    """The response object of a run. ``fault``, ``ending``, ``reason`` and what ``detail_status`` says beyond name and
    status are additions of this server.
    """
    return {
        "run_id": run.id,
        "test_id": run.scenario_id,
        "status": run.status.value,
        "triggered_by": run.trigger,
        "created_at": iso(run.created_at),
        "updated_at": iso(run.updated_at),
        "completed_at": maybe_iso(run.completed_at),
        "logs": run.story or None,
        "conversation_id": run.conversation_id or None,
        "conversation_insights_id": run.finding_id,
        "test_suite_run_id": run.batch_id,
        "detail_status": [_item(run, place) for place in range(len(run.criteria))],
        "fault": run.fault.value if run.fault else None,
        "ending": run.ending.value if run.ending else None,
        "reason": run.reason or None,
        "talked_seconds": run.talked_ms / 1000 if run.status.final else None,
        "usage": _usage(run) if run.status.final else None,
        # What the calls of a run are carried as; this server does not speak yet.
        "carried_as": "text",
    }


def _usage(run: Run) -> dict[str, int] | None:
    if run.usage is None:
        return None
    return {"input_tokens": run.usage.input_tokens, "output_tokens": run.usage.output_tokens}


def _item(run: Run, place: int) -> dict[str, Any]:
    verdict = _verdict(run, place)
    decided = _ITEM_STATUS[verdict.decision] if verdict else Status.ERROR
    quote = verdict.quote if verdict else None
    return {
        "name": run.criteria[place],
        "status": (decided if run.status.final else run.status).value,
        "verdict": verdict.decision.value if verdict else None,
        "reason": verdict.reason if verdict else None,
        "quote": quote.text if quote else None,
        "turn": quote.turn if quote else None,
        "decided_by": verdict.decided_by if verdict else None,
    }


def _verdict(run: Run, place: int) -> Verdict | None:
    """The verdict on this criterion: verdicts answer by position, and must carry the criterion's name."""
    if place >= len(run.verdicts):
        return None
    verdict = run.verdicts[place]
    return verdict if verdict.criterion == run.criteria[place] else None
