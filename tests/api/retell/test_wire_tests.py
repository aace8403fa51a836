"""Definitions, batches and runs on the wire, without a server."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from retell.types import BatchTestResponse, TestCaseDefinitionResponse, TestCaseJobResponse
from tests.support.store import NOW, a_run, a_scenario, a_version

from vivavoce.api.retell.wire.batches import MOST, BatchCreate, dump_batch, dump_standing
from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.retell.wire.runs import LOOPED, dump_run
from vivavoce.api.retell.wire.scenarios import (
    MAX_NAME,
    DefinitionCreate,
    DefinitionUpdate,
    change_scenario,
    dump_definition,
    engine_of,
    kept_engine,
    to_criteria,
    to_scenario,
    wanted_number,
)
from vivavoce.core.assistant import Form
from vivavoce.core.batch import Batch
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.flow import Flow, PromptNode
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.status import Status
from vivavoce.core.tool import ToolMock
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.services.batches import Standing
from vivavoce.services.runs import Record
from vivavoce.services.scenarios import Aimed
from vivavoce.storage.runs import Frozen
from vivavoce.storage.scenarios import Target

ENGINE_ID = "assistant-01890000-0000-7000-8000-00000000000a"
LLM = shown("llm", ENGINE_ID)
FLOW = shown("conversation_flow", ENGINE_ID)
MOCK = {
    "tool_name": "find",
    "input_match_rule": {"type": "partial_match", "args": {"number": "A-1"}},
    "output": '{"arrives": "Friday"}',
    "result": None,
}
BODY: dict[str, Any] = {
    "name": "late order",
    "response_engine": {"type": "retell-llm", "llm_id": LLM, "version": 0},
    "user_prompt": "Ask for the order.",
    "metrics": ["Is kind", " ", "Is quick"],
}


def created(**given: Any) -> Scenario:
    body = DefinitionCreate.model_validate({**BODY, **given})
    return replace(to_scenario(body, Medium.WEB_CALL, NOW), id="01890000-0000-7000-8000-000000000001")


def changed(scenario: Scenario, **given: Any) -> Scenario:
    return change_scenario(scenario, DefinitionUpdate.model_validate(given))


def dumped(scenario: Scenario, target: Target | None = None) -> dict[str, Any]:
    engine = engine_of(scenario, target)
    assert engine is not None
    answer = dump_definition(scenario, engine)
    TestCaseDefinitionResponse.model_validate(answer)
    return answer


# --- definitions ----------------------------------------------------------------------------------------------------


def test_section_2_2_a_definition_is_a_scenario_with_the_limits_of_section_3_4() -> None:
    scenario = created(dynamic_variables={"shop": "Birch"}, tool_mocks=[MOCK], llm_model="gpt-5")
    assert scenario == Scenario(
        id=scenario.id,
        name="late order",
        target=ENGINE_ID,
        brief="Ask for the order.",
        criteria=(Criterion("Is kind", "Is kind"), Criterion("Is quick", "Is quick")),
        created_at=NOW,
        medium=Medium.WEB_CALL,
        turn_limit=1000,
        utterance_limit=None,
        tester_model="gpt-5",
        mocks=(ToolMock("find", '{"arrives": "Friday"}', {"number": "A-1"}),),
        variables={"shop": "Birch"},
        extra=scenario.extra,
    )


def test_section_2_2_what_was_sent_comes_back() -> None:
    given = {**BODY, "dynamic_variables": {"shop": ""}, "tool_mocks": [MOCK], "llm_model": "gpt-4.1-mini"}
    assert dumped(created(**given)) == {
        **given,
        "test_case_definition_id": "test_case_01890000000070008000000000000001",
        "type": "simulation",
        "creation_timestamp": NOW,
        "user_modified_timestamp": NOW,
    }


def test_section_2_2_defaults_of_what_was_left_out() -> None:
    scenario = created()
    answer = dumped(scenario)
    assert (answer["dynamic_variables"], answer["tool_mocks"], answer["llm_model"]) == ({}, [], "gpt-4.1")
    assert scenario.tester_model is None


@pytest.mark.parametrize("version", [{}, {"version": None}, {"version": 2}])
def test_section_2_2_the_version_is_echoed_as_it_was_sent(version: dict[str, Any]) -> None:
    engine = {"type": "retell-llm", "llm_id": LLM, **version}
    scenario = created(response_engine=engine)
    assert dumped(scenario, Target(ENGINE_ID, Form.PROMPTS, 7))["response_engine"] == engine
    assert wanted_number(Aimed(scenario, None)) == version.get("version")


def test_section_2_2_a_version_may_be_written_as_a_float() -> None:
    engine = dumped(created(response_engine={"type": "retell-llm", "llm_id": LLM, "version": 0.0}))["response_engine"]
    assert repr(engine["version"]) == "0"


@pytest.mark.parametrize(
    "wrong",
    [
        {"response_engine": {"type": "custom-llm", "llm_websocket_url": "wss://x"}},
        {"response_engine": {"type": "retell-llm"}},
        {"response_engine": {"type": "retell-llm", "llm_id": ""}},
        {"response_engine": {"type": "conversation-flow", "llm_id": LLM}},
        {"response_engine": {"type": "retell-llm", "llm_id": LLM, "version": -1}},
        {"response_engine": {"type": "retell-llm", "llm_id": LLM, "version": 0.5}},
        {"response_engine": {"type": "retell-llm", "llm_id": LLM, "version": 2**40}},
        {"response_engine": None},
        {"name": None},
        {"user_prompt": 5},
        {"metrics": None},
        {"metrics": ["a", None]},
        {"metrics": "a"},
        {"dynamic_variables": {"a": 1}},
        {"dynamic_variables": {"a": None}},
        {"tool_mocks": [{"tool_name": "find", "output": "x"}]},
        {"tool_mocks": [{**MOCK, "input_match_rule": {"type": "partial_match"}}]},
        {"tool_mocks": [{**MOCK, "output": "x" * 15_001}]},
        {"llm_model": ""},
        {"user_prompt": "\x00"},
    ],
)
def test_section_2_2_what_makes_no_sense_is_refused_on_create_and_on_update(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DefinitionCreate.model_validate({**BODY, **wrong})
    with pytest.raises(ValidationError):
        DefinitionUpdate.model_validate(wrong)


@pytest.mark.parametrize("name", ["name", "response_engine", "user_prompt", "metrics"])
def test_section_2_2_what_is_required_may_be_left_out_of_an_update_only(name: str) -> None:
    with pytest.raises(ValidationError):
        DefinitionCreate.model_validate({key: value for key, value in BODY.items() if key != name})


def test_section_2_2_an_update_changes_what_was_sent_and_nothing_else() -> None:
    before = created(dynamic_variables={"a": "1", "b": "2"}, tool_mocks=[MOCK], llm_model="gpt-5")
    assert changed(before) == before
    assert changed(before, name="new") == replace(before, name="new")
    assert dumped(changed(before, dynamic_variables={"c": "3"}))["dynamic_variables"] == {"c": "3"}
    other = {**MOCK, "tool_name": "other"}
    assert dumped(changed(before, tool_mocks=[other]))["tool_mocks"] == [other]
    assert dumped(changed(before, metrics=["x"]))["metrics"] == ["x"]
    moved = changed(before, response_engine={"type": "conversation-flow", "conversation_flow_id": FLOW})
    assert moved.target == ENGINE_ID
    assert dumped(moved)["response_engine"] == {"type": "conversation-flow", "conversation_flow_id": FLOW}


def test_section_15_null_gives_an_optional_field_its_default() -> None:
    before = created(dynamic_variables={"a": "1"}, tool_mocks=[MOCK], llm_model="gpt-5")
    after = changed(before, dynamic_variables=None, tool_mocks=None, llm_model=None)
    assert (after.variables, after.mocks, after.tester_model) == ({}, (), None)
    answer = dumped(after)
    assert (answer["dynamic_variables"], answer["tool_mocks"], answer["llm_model"]) == ({}, [], "gpt-4.1")


def test_section_2_2_keys_of_a_mock_that_nobody_knows_are_ignored() -> None:
    assert dumped(created(tool_mocks=[{**MOCK, "type": "custom"}]))["tool_mocks"] == [MOCK]


def test_what_another_api_wrote_since_wins_over_what_was_kept() -> None:
    before = created(tool_mocks=[MOCK])
    rubric = (Criterion("kind", "is kind"),)
    after = replace(before, criteria=rubric, target="assistant-other", mocks=(ToolMock("find", "{}", ok=False),))
    answer = dumped(after, Target("assistant-other", Form.ASSISTANT, 3))
    assert answer["metrics"] == ["is kind"]
    assert answer["response_engine"] == {"type": "retell-llm", "llm_id": "llm_other", "version": 3}
    assert answer["tool_mocks"] == [
        {"tool_name": "find", "input_match_rule": {"type": "any"}, "output": "{}", "result": False}
    ]
    assert kept_engine(after) is None


@pytest.mark.parametrize("extra", [{}, {"metrics": 5, "tool_mocks": "x", "response_engine": ["a"]}])
def test_a_scenario_of_another_api_is_shown(extra: dict[str, Any]) -> None:
    scenario = a_scenario(target=ENGINE_ID, variables={"n": 5}, extra=extra)
    answer = dumped(scenario, Target(ENGINE_ID, Form.ASSISTANT, 4))
    assert answer["response_engine"] == {"type": "retell-llm", "llm_id": LLM, "version": 4}
    assert (answer["metrics"], answer["user_prompt"]) == (["is kind"], "Ask for the order.")
    assert (answer["dynamic_variables"], answer["tool_mocks"]) == ({"n": "5"}, [])
    flow = engine_of(scenario, Target(ENGINE_ID, Form.FLOW, 4))
    assert flow == {"type": "conversation-flow", "conversation_flow_id": FLOW, "version": 4}
    assert engine_of(scenario, None) is None


# --- metrics --------------------------------------------------------------------------------------------------------


def test_section_3_5_blank_metrics_are_echoed_and_not_judged() -> None:
    scenario = created(metrics=["", "  \n", "Is kind"])
    assert scenario.criteria == (Criterion("Is kind", "Is kind"),)
    assert dumped(scenario)["metrics"] == ["", "  \n", "Is kind"]
    assert created(metrics=[]).criteria == created(metrics=[" "]).criteria == ()


def test_section_3_5_a_long_metric_is_named_by_its_beginning_and_judged_whole() -> None:
    text = "- asks for the number\n- " + "x" * 300
    [criterion] = to_criteria([text])
    assert criterion.text == text
    assert criterion.name.startswith("- asks for the number - xxx")
    assert criterion.name.endswith("…")
    assert len(criterion.name) == MAX_NAME


@given(st.lists(st.text("ab \n", max_size=3) | st.sampled_from(["x" * 200, "x" * 201, "a (2)", "a"]), max_size=12))
def test_section_3_5_every_metric_that_says_something_has_a_name_of_its_own(metrics: Sequence[str]) -> None:
    criteria = to_criteria(metrics)
    assert [one.text for one in criteria] == [metric.strip() for metric in metrics if metric.strip()]
    names = [one.name for one in criteria]
    assert len(set(names)) == len(names)
    assert all(0 < len(name) <= MAX_NAME for name in names)


# --- batches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [0, MOST + 1])
def test_section_2_4_a_batch_of_0_or_1001_is_refused(many: int) -> None:
    with pytest.raises(ValidationError):
        BatchCreate.model_validate(
            {"test_case_definition_ids": ["test_case_1"] * many, "response_engine": BODY["response_engine"]}
        )


def test_section_2_4_a_batch_of_1000_is_not() -> None:
    ids = [f"test_case_{place}" for place in range(MOST)]
    body = BatchCreate.model_validate(
        {"test_case_definition_ids": ids, "response_engine": BODY["response_engine"], "unknown": 1}
    )
    assert body.test_case_definition_ids == ids


@pytest.mark.parametrize("engine", [None, {"type": "custom-llm", "llm_websocket_url": "wss://x"}])
def test_section_2_4_custom_llm_is_refused(engine: object) -> None:
    with pytest.raises(ValidationError):
        BatchCreate.model_validate({"test_case_definition_ids": ["a"], "response_engine": engine})


def a_batch(**given: int) -> Batch:
    return Batch("01890000-0000-7000-8000-000000000002", ENGINE_ID, "v", 3, 4, NOW, NOW + 5, **given)


def test_section_2_4_a_batch_is_complete_when_every_run_is_over() -> None:
    answer = dump_batch(a_batch(passed=1, failed=1, errors=1), "retell-llm")
    assert BatchTestResponse.model_validate(answer).status == "in_progress"
    assert answer == {
        "test_case_batch_job_id": "test_batch_01890000000070008000000000000002",
        "status": "in_progress",
        "response_engine": {"type": "retell-llm", "llm_id": LLM, "version": 3},
        "pass_count": 1,
        "fail_count": 1,
        "error_count": 1,
        "total_count": 4,
        "creation_timestamp": NOW,
        "user_modified_timestamp": NOW + 5,
    }
    assert dump_batch(a_batch(errors=4), "retell-llm")["status"] == "complete"


def test_the_type_of_a_batchs_engine_is_known_after_its_deletion() -> None:
    flow = {"type": "conversation-flow", "conversation_flow_id": FLOW}
    for standing, type_ in (
        (Standing(a_batch(), Target(ENGINE_ID, Form.FLOW, 0)), "conversation-flow"),
        (Standing(a_batch(), Target(ENGINE_ID, Form.ASSISTANT, 0)), "retell-llm"),
        (Standing(a_batch(), None, created(response_engine=flow)), "conversation-flow"),
        (Standing(a_batch(), None, created()), "retell-llm"),
        (Standing(a_batch(), None), "retell-llm"),
    ):
        assert dump_standing(standing)["response_engine"]["type"] == type_
    assert dump_standing(Standing(a_batch(), None), "conversation-flow")["response_engine"] == {**flow, "version": 3}


# --- runs -----------------------------------------------------------------------------------------------------------

SCENARIO = created(metrics=["Is kind", "Is quick", "Is warm"])
MET = Verdict("Is kind", Decision.MET, "It greeted.", "judge", Quote(0, "hello"))
UNMET = Verdict("Is quick", Decision.UNMET, "It took long.", "judge")
OPEN = Verdict("Is warm", Decision.INCONCLUSIVE, "Nobody can tell.", "judge")
TALK: tuple[Event, ...] = (
    Message(Speaker.CALLER, "hi", NOW),
    ToolCalled(ToolCall("c", "find", {"n": 1}), NOW),
    ToolReturned("c", "find", "{}", True, NOW, variables={"arrives": 5}),
    Message(Speaker.ASSISTANT, "hello", NOW),
)


def over(ending: Ending) -> Left:
    return Left(ending, NOW, Speaker.CALLER)


def record(*events: Event, scenario: Scenario = SCENARIO, flow: Flow | None = None, **given: Any) -> Record:
    version = a_version(assistant_id=ENGINE_ID, flow=flow, number=2)
    run = a_run(scenario, **{"status": Status.PASSED, **given})
    target = Target(ENGINE_ID, Form.PROMPTS, 2)
    return Record(Frozen("org", run, scenario, version), target, Transcript(events), {"shop": "Birch", "n": 1})


def told(found: Record) -> dict[str, Any]:
    answer = dump_run(found)
    TestCaseJobResponse.model_validate(answer)
    return answer


@pytest.mark.parametrize(
    ("status", "shown_as"),
    [
        (Status.PENDING, "pending"),
        (Status.STARTING, "in_progress"),
        (Status.RUNNING, "in_progress"),
        (Status.PASSED, "pass"),
        (Status.FAILED, "fail"),
        (Status.ERROR, "error"),
    ],
)
def test_section_18_statuses(status: Status, shown_as: str) -> None:
    answer = told(record(*TALK, over(Ending.GOODBYE), status=status))
    assert answer["status"] == shown_as
    assert (answer["transcript_snapshot"] is not None) is status.final
    assert (answer["result_explanation"] is not None) is status.final


def test_section_2_5_a_run_carries_the_definition_as_it_was() -> None:
    answer = told(record(batch_id="b"))
    assert answer["test_case_definition_id"] == shown("test_case", SCENARIO.id)
    assert answer["test_case_definition_snapshot"] == dumped(SCENARIO)
    assert answer["test_case_batch_job_id"] == "test_batch_b"
    assert told(record())["test_case_batch_job_id"] is None


def test_section_2_5_a_pass_is_confirmed_with_reasons() -> None:
    answer = told(record(verdicts=(MET,)))
    assert answer["result_explanation"] == "All success criteria are met.\nMet: Is kind — It greeted."
    assert answer["metric_results"] == [{"metric": "Is kind", "met": True, "reason": "It greeted.", "quote": "hello"}]


def test_section_3_5_a_failure_tells_what_is_not_met_first() -> None:
    answer = told(record(status=Status.FAILED, verdicts=(MET, UNMET, OPEN)))
    assert answer["result_explanation"].splitlines() == [
        "1 of 3 success criteria is not met.",
        "Not met: Is quick — It took long.",
        "Cannot be decided: Is warm — Nobody can tell.",
        "Met: Is kind — It greeted.",
    ]
    assert [one["met"] for one in answer["metric_results"]] == [True, False, None]
    assert answer["metric_results"][1]["quote"] is None


def test_section_3_4_an_error_is_told_by_its_text() -> None:
    unexamined = tuple(Verdict(one.name, Decision.INCONCLUSIVE, "not examined", "nobody") for one in SCENARIO.criteria)
    silent = record(status=Status.ERROR, ending=Ending.SILENCE, reason="it stayed silent", verdicts=unexamined)
    assert told(silent)["result_explanation"] == "it stayed silent"
    undecided = record(
        status=Status.ERROR, ending=Ending.GOODBYE, reason="inconclusive: Is warm", verdicts=(MET, UNMET, OPEN)
    )
    assert told(undecided)["result_explanation"] == (
        "inconclusive: Is warm\nCannot be decided: Is warm — Nobody can tell."
    )
    assert told(record(status=Status.ERROR))["result_explanation"] == "The run failed."


def test_section_3_4_a_loop_is_told_as_the_service_tells_it() -> None:
    looped = record(*TALK, over(Ending.LOOP), status=Status.ERROR, ending=Ending.LOOP, reason="said it thrice")
    answer = told(looped)
    assert answer["result_explanation"] == f"{LOOPED} (said it thrice)"
    assert answer["transcript_snapshot"]["endReason"] == "loop"


def test_a_cancelled_run_is_an_error_with_its_reason() -> None:
    unexamined = tuple(Verdict(one.name, Decision.INCONCLUSIVE, "not examined", "nobody") for one in SCENARIO.criteria)
    given: dict[str, Any] = {"status": Status.ERROR, "ending": Ending.CANCELLED, "verdicts": unexamined}
    stopped = told(record(*TALK, over(Ending.CANCELLED), **given, reason="cancelled: wrong version"))
    assert (stopped["status"], stopped["result_explanation"]) == ("error", "cancelled: wrong version")
    assert stopped["transcript_snapshot"]["endReason"] == "cancelled"
    assert told(record(**given, reason="cancelled: late"))["transcript_snapshot"] is None


def test_verdicts_that_are_of_other_criteria_are_left_out() -> None:
    assert told(record(verdicts=(UNMET, MET)))["metric_results"] == []


def test_section_2_6_the_conversation_as_it_was() -> None:
    snapshot = told(record(*TALK, over(Ending.HANGUP)))["transcript_snapshot"]
    assert [one["role"] for one in snapshot["transcript"]] == [
        "user",
        "tool_call_invocation",
        "tool_call_result",
        "agent",
    ]
    assert {name: value for name, value in snapshot.items() if name != "transcript"} == {
        "type": "retell-llm",
        "dynamicVariables": {"shop": "Birch", "n": "1", "arrives": "5"},
        "currentNodeId": None,
        "currentState": None,
        "callEnded": True,
        "endReason": "agent_end_call",
    }


def test_section_2_6_nothing_was_produced() -> None:
    assert told(record(status=Status.ERROR))["transcript_snapshot"] is None
    assert told(record(over(Ending.INFRASTRUCTURE_FAULT), status=Status.ERROR))["transcript_snapshot"] is None


def test_section_2_6_where_it_ended() -> None:
    nodes = (PromptNode("a", "", "Start"), PromptNode("b", "", "Ask"))
    moves = (Moved("a", NOW), Moved("b", NOW, "e"), *TALK)
    states = told(record(*moves, flow=Flow("a", nodes, (), routes="after")))["transcript_snapshot"]
    assert (states["currentState"], states["currentNodeId"]) == ("Ask", None)
    flow = created(response_engine={"type": "conversation-flow", "conversation_flow_id": FLOW})
    found = told(record(*moves, scenario=flow, flow=Flow("a", nodes, (), routes="before")))["transcript_snapshot"]
    assert (found["type"], found["currentState"], found["currentNodeId"]) == ("conversation-flow", None, "b")
    assert (found["callEnded"], found["endReason"]) == (False, None)
    handed = (*moves, HandedOver("assistant-gone", "v", "gone", NOW))
    assert told(record(*handed, flow=Flow("a", nodes, ())))["transcript_snapshot"]["currentNodeId"] is None
    assert told(record(*moves))["transcript_snapshot"]["currentNodeId"] is None


def test_a_run_of_what_is_no_assistant_here_is_shown_too() -> None:
    scenario = a_scenario(target="https://example.com/bot")
    run = a_run(scenario, status=Status.PASSED)
    answer = told(Record(Frozen("org", run, scenario, None), None, Transcript(TALK), {}))
    assert answer["test_case_definition_snapshot"]["response_engine"] == {
        "type": "retell-llm",
        "llm_id": "https://example.com/bot",
    }
    assert len(answer["transcript_snapshot"]["transcript"]) == 4


def test_section_18_a_run_of_another_apis_assistant_names_the_version_that_ran() -> None:
    scenario = a_scenario(target=ENGINE_ID)
    found = record(*TALK, scenario=scenario)
    engine = told(found)["test_case_definition_snapshot"]["response_engine"]
    assert engine == {"type": "retell-llm", "llm_id": LLM, "version": 2}
    assert read("llm", engine["llm_id"]) == ENGINE_ID
