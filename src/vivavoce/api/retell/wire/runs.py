"""Test runs on the wire (contract, sections 2.5, 2.6 and 18)."""

from collections.abc import Mapping
from typing import Any

from vivavoce.api.retell.wire.ids import shown
from vivavoce.api.retell.wire.messages import collected, dump_messages, dump_place, texts
from vivavoce.api.retell.wire.scenarios import EngineType, dump_definition, dump_engine, engine_of
from vivavoce.assistant.state import active
from vivavoce.core.event import Ending, HandedOver, Moved
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Verdict
from vivavoce.services.runs import Record

LOOPED = "Ending the conversation early as there might be a loop."
"""How the error of a run begins whose conversation went in circles (contract, section 3.4)."""

STATUSES: Mapping[Status, str] = {
    Status.PENDING: "pending",
    Status.STARTING: "in_progress",
    Status.RUNNING: "in_progress",
    Status.PASSED: "pass",
    Status.FAILED: "fail",
    Status.ERROR: "error",
}

_REASONS: Mapping[Ending, str] = {
    Ending.GOODBYE: "user_end_call",
    Ending.HANGUP: "agent_end_call",
    Ending.TRANSFER: "transfer_call",
}
_MET: Mapping[Decision, bool | None] = {Decision.MET: True, Decision.UNMET: False, Decision.INCONCLUSIVE: None}


def dump_run(record: Record) -> dict[str, Any]:
    """The answer object of a run. The batch's id and ``metric_results`` are additions of this server."""
    run, scenario = record.frozen.run, record.frozen.scenario
    number = record.frozen.version.number if record.frozen.version else None
    engine = engine_of(scenario, record.target, number) or dump_engine("retell-llm", scenario.target, number)
    decided = _decided(record) if run.status.final else []
    return {
        "test_case_job_id": shown("test_job", run.id),
        "status": STATUSES[run.status],
        "test_case_definition_id": shown("test_case", scenario.id),
        "test_case_definition_snapshot": dump_definition(scenario, engine),
        "transcript_snapshot": _snapshot(record, engine["type"]) if run.status.final else None,
        "result_explanation": explain(run, decided),
        "creation_timestamp": run.created_at,
        "user_modified_timestamp": run.updated_at,
        "test_case_batch_job_id": shown("test_batch", run.batch_id) if run.batch_id else None,
        "metric_results": [_result(criterion, verdict) for criterion, verdict in decided],
    }


# --- the verdict ----------------------------------------------------------------------------------------------------


def _decided(record: Record) -> list[tuple[Criterion, Verdict]]:
    """Verdicts answer by position, and must carry the criterion's name."""
    pairs = zip(record.frozen.scenario.criteria, record.frozen.run.verdicts, strict=False)
    return [(criterion, verdict) for criterion, verdict in pairs if verdict.criterion == criterion.name]


def _result(criterion: Criterion, verdict: Verdict) -> dict[str, Any]:
    return {
        "metric": criterion.text,
        "met": _MET[verdict.decision],
        "reason": verdict.reason,
        "quote": verdict.quote.text if verdict.quote else None,
    }


def explain(run: Run, decided: list[tuple[Criterion, Verdict]]) -> str | None:
    """The verdict in words, or the error; None while the run goes on. What is not met comes first."""
    match run.status:
        case Status.PASSED:
            return _lines("All success criteria are met.", decided, Decision.MET)
        case Status.FAILED:
            many = sum(verdict.decision is Decision.UNMET for _, verdict in decided)
            title = f"{many} of {len(decided)} success criteria {'is' if many == 1 else 'are'} not met."
            return _lines(title, decided, Decision.UNMET, Decision.INCONCLUSIVE, Decision.MET)
        case Status.ERROR if run.ending is Ending.LOOP:
            return f"{LOOPED} ({run.reason})"
        case Status.ERROR:
            examined = [pair for pair in decided if pair[1].decided_by != "nobody"]
            return _lines(run.reason or "The run failed.", examined, Decision.INCONCLUSIVE)
        case _:
            return None


_WORDS: Mapping[Decision, str] = {
    Decision.MET: "Met",
    Decision.UNMET: "Not met",
    Decision.INCONCLUSIVE: "Cannot be decided",
}


def _lines(title: str, decided: list[tuple[Criterion, Verdict]], *order: Decision) -> str:
    told = [
        f"{_WORDS[verdict.decision]}: {criterion.text} — {verdict.reason}"
        for decision in order
        for criterion, verdict in decided
        if verdict.decision is decision
    ]
    return "\n".join([title, *told])


# --- the conversation -----------------------------------------------------------------------------------------------


def _snapshot(record: Record, type_: EngineType) -> dict[str, Any] | None:
    """The conversation as it was recorded, or None where nothing was said or done."""
    transcript, run = record.transcript, record.frozen.run
    messages = dump_messages(transcript, record.frozen.cast, key=run.conversation_id)
    if not messages:
        return None
    place = _place(record)
    ending = transcript.ending
    return {
        "type": type_,
        "transcript": messages,
        "dynamicVariables": {**texts(record.variables), **collected(transcript)},
        "currentNodeId": place.get("current_node_id"),
        "currentState": place.get("current_state"),
        "callEnded": ending is not None,
        "endReason": _REASONS.get(ending, ending.value) if ending else None,
    }


def _place(record: Record) -> Mapping[str, str]:
    cast = record.frozen.cast
    flow = active(cast, record.transcript).flow if cast else None
    node = _node(record.transcript)
    return dump_place(flow, node) if flow is not None and node is not None else {}


def _node(transcript: Transcript) -> str | None:
    """Where the flow of whoever speaks stands."""
    for event in reversed(transcript.events):
        if isinstance(event, Moved):
            return event.node
        if isinstance(event, HandedOver):
            return None
    return None
