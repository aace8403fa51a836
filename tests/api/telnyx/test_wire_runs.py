from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from telnyx.types.ai.assistants.tests import TestRunResponse
from tests.api.telnyx.bodies import lacks

from vivavoce.api.telnyx.errors import Refused
from vivavoce.api.telnyx.wire.runs import RunTrigger, dump_run, status_filter, wanted_version
from vivavoce.core.event import Ending
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.verdict import Decision, Fault, Quote, Verdict, unexamined

RUN = Run(
    id="run",
    scenario_id="test",
    status=Status.FAILED,
    trigger="manual",
    created_at=0,
    updated_at=61_001,
    conversation_id="conversation",
    batch_id="batch",
    completed_at=61_001,
    ending=Ending.GOODBYE,
    fault=Fault.ASSISTANT,
    reason="unmet: b",
    criteria=("a", "b", "c", "d"),
    verdicts=(
        Verdict("a", Decision.MET, "It did.", "scripted", Quote(3, "Hello")),
        Verdict("b", Decision.UNMET, "It did not.", "computed"),
        Verdict("c", Decision.INCONCLUSIVE, "Who knows.", "scripted"),
    ),
    story="00:00 began",
)


def test_a_cancelled_run_is_an_error_with_its_reason():
    verdicts = unexamined(RUN.criteria, Ending.CANCELLED)
    reason = "cancelled: wrong version"
    run = replace(
        RUN, status=Status.ERROR, ending=Ending.CANCELLED, fault=Fault.NOBODY, reason=reason, verdicts=verdicts
    )
    wire = dump_run(run)
    assert (wire["status"], wire["reason"], wire["ending"], wire["fault"]) == ("error", reason, "cancelled", "nobody")
    assert {(one["status"], one["reason"]) for one in wire["detail_status"]} == {("error", "not examined: cancelled")}


def test_a_finished_run():
    wire = dump_run(RUN)
    expected: dict[str, Any] = {
        "run_id": "run",
        "test_id": "test",
        "status": "failed",
        "triggered_by": "manual",
        "created_at": "1970-01-01T00:00:00.000Z",
        "updated_at": "1970-01-01T00:01:01.001Z",
        "completed_at": "1970-01-01T00:01:01.001Z",
        "logs": "00:00 began",
        "conversation_id": "conversation",
        "conversation_insights_id": None,
        "test_suite_run_id": "batch",
        "detail_status": [
            {
                "name": "a",
                "status": "passed",
                "reason": "It did.",
                "quote": "Hello",
                "turn": 3,
                "decided_by": "scripted",
            },
            {
                "name": "b",
                "status": "failed",
                "reason": "It did not.",
                "quote": None,
                "turn": None,
                "decided_by": "computed",
            },
            {
                "name": "c",
                "status": "error",
                "reason": "Who knows.",
                "quote": None,
                "turn": None,
                "decided_by": "scripted",
            },
            {"name": "d", "status": "error", "reason": None, "quote": None, "turn": None, "decided_by": None},
        ],
        "fault": "assistant",
        "ending": "goodbye",
        "reason": "unmet: b",
    }
    assert lacks(expected, wire) == []
    parsed = TestRunResponse.model_validate(wire)
    assert [item.status for item in parsed.detail_status or ()] == ["passed", "failed", "error", "error"]


@pytest.mark.parametrize("status", [Status.PENDING, Status.STARTING, Status.RUNNING])
def test_an_unfinished_run(status: Status):
    run = replace(
        RUN, status=status, completed_at=None, ending=None, fault=None, reason="", verdicts=(), story="", batch_id=None
    )
    wire = dump_run(run)
    assert [item["status"] for item in wire["detail_status"]] == [status.value] * 4
    absent = ("completed_at", "logs", "test_suite_run_id", "fault", "ending", "reason")
    assert [wire[key] for key in absent] == [None] * len(absent)
    assert TestRunResponse.model_validate(wire).status == status.value


def test_a_verdict_on_another_criterion_is_none():
    run = replace(RUN, criteria=("b", "b"))
    assert [item["status"] for item in dump_run(run)["detail_status"]] == ["error", "failed"]


def test_the_status_filter():
    for status in Status:
        assert status_filter(status.value) == {status}
    assert status_filter("completed") == {Status.PASSED, Status.FAILED}
    assert status_filter("timeout") == {Status.ERROR}
    assert status_filter(None) is None
    assert status_filter("") is None
    with pytest.raises(Refused, match="'green'") as caught:
        status_filter("green")
    assert (caught.value.problem.status, caught.value.problem.code) == (400, "10015")


def test_the_trigger():
    assert wanted_version(None) is None
    assert wanted_version(RunTrigger.model_validate({})) is None
    assert wanted_version(RunTrigger.model_validate({"destination_version_id": "v", "more": 1})) == "v"
    for wrong in ({"destination_version_id": None}, {"destination_version_id": "\x00"}):
        with pytest.raises(ValidationError):
            RunTrigger.model_validate(wrong)


def test_it_says_who_triggered_it():
    assert dump_run(replace(RUN, trigger="cron"))["triggered_by"] == "cron"
