"""Response engines of prompts and states, and what the core makes of them (contract, sections 3.2, 4 and 13)."""

from typing import Any

import pytest
from pydantic import ValidationError

from vivavoce.api.retell.wire import engine
from vivavoce.api.retell.wire.llms import LlmShape, change_version, dump, patched, to_version
from vivavoce.api.shape import sent
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Form, Rules, Version
from vivavoce.core.flow import CallCondition, NodeTarget, PromptNode
from vivavoce.core.mind import Mind
from vivavoce.core.passage import Recall
from vivavoce.core.server import OwnServer
from vivavoce.core.tool import HangupTool, Header, RemoteTool
from vivavoce.services.errors import Rejected

END: dict[str, Any] = {"type": "end_call", "name": "end_call"}
LEAVE: dict[str, Any] = {"type": "end_call", "name": "leave"}
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"what": {"type": "string"}}}
STATES: list[dict[str, Any]] = [
    {
        "name": "greet",
        "state_prompt": "Say hello.",
        "edges": [
            {"destination_state_name": "sell", "description": "Wants to buy.", "parameters": PARAMETERS},
            {"destination_state_name": "greet", "description": "Starts again."},
        ],
        "tools": [LEAVE],
    },
    {"name": "sell", "state_prompt": None, "edges": None, "tools": None},
]
WITH_STATES: dict[str, Any] = {"general_tools": [END], "states": STATES, "starting_state": "greet"}


def made(**body: Any) -> Version:
    """The version of a body that the shape lets in."""
    return to_version(sent(LlmShape.model_validate(body)))


def answer(version: Version) -> dict[str, Any]:
    id_ = "assistant-0199c0de-0000-7000-8000-00000000beef"
    return dump(Assistant(id_, version, 0, form=Form.PROMPTS), version)


# --- shapes ---------------------------------------------------------------------------------------------------------


def test_section_4_every_field_may_be_left_out_and_most_may_be_null() -> None:
    nullable = (
        "model",
        "s2s_model",
        "model_high_priority",
        "tool_call_strict_mode",
        "knowledge_base_ids",
        "kb_config",
        "begin_after_user_silence_ms",
        "begin_message",
        "general_prompt",
        "general_tools",
        "states",
        "starting_state",
        "default_dynamic_variables",
        "mcps",
    )
    body = dict.fromkeys(nullable)
    assert sent(LlmShape.model_validate(body)) == body
    assert made(**body).flow is None
    assert sent(LlmShape.model_validate({})) == {}


MISSHAPEN: list[dict[str, Any]] = [
    {"start_speaker": None},
    {"start_speaker": "caller"},
    {"model": ""},
    {"model_temperature": 1.1},
    {"model_temperature": "0"},
    {"kb_config": {"top_k": 0}},
    {"kb_config": {"top_k": 11}},
    {"kb_config": {"filter_score": 1.5}},
    {"knowledge_base_ids": "one"},
    {"begin_after_user_silence_ms": -1},
    {"begin_message": 3},
    {"general_tools": [{"type": "end_call"}]},
    {"states": [{"name": "two words"}]},
    {"states": [{"name": "a", "edges": [{"destination_state_name": "a"}]}]},
    {"states": [{"name": "a", "edges": [{"destination_state_name": "a", "description": "", "parameters": {}}]}]},
    {"default_dynamic_variables": {"a": 1}},
    {"mcps": [{"name": "a"}]},
    {"mcps": [{"name": "a", "url": "https://a.example"}, {"name": "a", "url": "https://b.example"}]},
    {"model_config": {"type": "other"}},
    {"model_config": {"primary": {}}},
    {"general_prompt": "a\x00b"},
    {"something_new": "a\x00b"},
]


@pytest.mark.parametrize("body", MISSHAPEN, ids=repr)
def test_section_4_what_has_the_wrong_shape_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LlmShape.model_validate(body)


def test_section_13_any_name_of_a_model_is_taken() -> None:
    assert made(model="claude-9-sonata").mind == Mind("claude-9-sonata")


# --- what the core makes of it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "mind"),
    [
        ({}, Mind("gpt-4.1")),
        ({"model": None}, Mind("gpt-4.1")),
        ({"model": "gpt-5", "model_temperature": 0.3}, Mind("gpt-5", temperature=0.3)),
        ({"model_choice": {"type": "cascading", "model": "gpt-5"}}, Mind("gpt-5")),
        ({"s2s_model": "gpt-realtime", "model_temperature": 1}, Mind(temperature=1)),
        (
            {"model": "gpt-5", "model_config": {"primary": {"model": "gpt-6"}, "temperature": 0}},
            Mind("gpt-6", temperature=0),
        ),
        ({"model": "gpt-5", "model_config": {"temperature": 0.5}}, Mind("gpt-4.1", temperature=0.5)),
        ({"model_config": {"type": "s2s", "primary": {"model": "gpt-realtime"}}}, Mind()),
        ({"model": "gpt-5", "model_config": None}, Mind("gpt-5")),
    ],
)
def test_section_13_which_model_speaks(body: dict[str, Any], mind: Mind) -> None:
    assert made(**body).mind == mind


@pytest.mark.parametrize(
    ("body", "mind"),
    [
        ({}, None),
        ({"backup_model": {"backup_model_choice": {"type": "cascading", "model": "gpt-5"}}}, Mind("gpt-5")),
        ({"model_config": {"backup": {"model": "gpt-5"}, "temperature": 0.2}}, Mind("gpt-5", temperature=0.2)),
        ({"model_config": {"primary": {"model": "gpt-6"}, "backup": None}}, None),
        ({"model_config": {"temperature": 1}, "backup_model": {"backup_model_choice": {"model": "gpt-5"}}}, None),
    ],
)
def test_section_13_which_model_speaks_when_that_one_fails(body: dict[str, Any], mind: Mind | None) -> None:
    assert made(**body).fallback == mind


@pytest.mark.parametrize(
    ("body", "greeting"),
    [
        ({"start_speaker": "agent", "begin_message": "Hello {{name}}"}, "Hello {{name}}"),
        ({"start_speaker": "agent", "begin_message": None}, MODEL_OPENS),
        ({"start_speaker": "agent"}, MODEL_OPENS),
        ({}, MODEL_OPENS),
        ({"begin_message": ""}, ""),
        ({"start_speaker": "user", "begin_message": "Hello"}, ""),
    ],
)
def test_section_3_2_who_opens(body: dict[str, Any], greeting: str) -> None:
    assert made(**body).greeting == greeting


def test_section_4_documents_are_searched_by_the_ids_that_the_server_keeps() -> None:
    ids = ["knowledge_base_0199c0de00007000800000000000beef"]
    kept = ("0199c0de-0000-7000-8000-00000000beef",)
    assert made(knowledge_base_ids=ids).recall == Recall(kept)
    assert made(knowledge_base_ids=ids, kb_config={"top_k": 5, "filter_score": 0.2}).recall == Recall(kept, 5)
    assert made(knowledge_base_ids=[], kb_config={"top_k": 5}).recall is None


def test_section_4_templates_have_nested_names_and_the_times_of_los_angeles() -> None:
    version = made(default_dynamic_variables={"shop": "Birch"}, general_prompt="At {{shop}}.")
    assert (version.templating.prefix, version.templating.rules) == ("", Rules.NESTED)
    assert version.templating.zone == "America/Los_Angeles"
    assert version.variables == {"shop": "Birch"}
    assert version.instructions == "At {{shop}}."


def test_section_4_servers_belong_to_the_engine_and_its_tools_find_them() -> None:
    servers = [
        {
            "name": "docs",
            "mcp_id": "mcp_1",
            "url": "https://docs.example",
            "headers": {"A": "b"},
            "query_params": {"c": "d"},
        },
        {"name": "shop", "url": "https://shop.example", "timeout_ms": 5000},
    ]
    tools = [
        {"type": "mcp", "name": name, "description": "", "mcp_id": name} for name in ("docs", "mcp_1", "shop", "lost")
    ]
    version = made(mcps=servers, general_tools=[*tools, {"type": "mcp", "name": "none", "description": ""}, END])
    assert version.own_servers == (
        OwnServer("docs", "https://docs.example", (Header("A", "b"),), {"c": "d"}, 120_000),
        OwnServer("shop", "https://shop.example", timeout_ms=5000),
    )
    named = [tool.server_id for tool in version.tools if isinstance(tool, RemoteTool)]
    assert named == ["docs", "docs", "shop", "lost", ""]
    only = made(mcps=servers[:1], general_tools=[{"type": "mcp", "name": "none", "description": ""}]).tools[0]
    assert isinstance(only, RemoteTool)
    assert only.server_id == "docs"


def test_section_4_states_are_prompts_behind_the_general_one_with_ways_that_are_called() -> None:
    version = made(**WITH_STATES)
    flow = version.flow
    assert flow is not None
    assert (flow.start, flow.routes) == ("greet", "after")
    greet, sell = flow.nodes
    assert greet == PromptNode(
        "greet",
        "Say hello.",
        "greet",
        instructions_mode="append",
        tools=(),
        tools_mode="append",
        inline=(HangupTool(name="leave"),),
    )
    assert isinstance(sell, PromptNode)
    assert (sell.instructions, sell.inline) == ("", ())
    assert [(edge.condition, edge.target) for edge in flow.edges] == [
        (CallCondition("transition_to_sell", "Wants to buy.", PARAMETERS), NodeTarget("sell")),
        (CallCondition("transition_to_greet", "Starts again."), NodeTarget("greet")),
    ]
    assert len({edge.id for edge in flow.edges}) == 2
    assert version.tools == (HangupTool(name="end_call"),)


def changed_state(**changes: Any) -> dict[str, Any]:
    return {**WITH_STATES, "states": [{**STATES[0], **changes}, STATES[1]]}


def to(*names: str) -> list[dict[str, str]]:
    return [{"destination_state_name": name, "description": ""} for name in names]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "gpt-5", "s2s_model": "gpt-realtime"}, "Only one of model and s2s_model"),
        ({**WITH_STATES, "starting_state": None}, "starting_state is required"),
        ({**WITH_STATES, "starting_state": "leave"}, "no state named 'leave'"),
        ({**WITH_STATES, "states": [*STATES, STATES[1]]}, "two states are named 'sell'"),
        (changed_state(edges=to("leave")), "states.greet.edges: there is no state named 'leave'"),
        (changed_state(edges=to("sell", "sell")), "two of them lead to 'sell'"),
        (changed_state(tools=[END]), "states.greet: two tools are named 'end_call'"),
        (changed_state(tools=[{**END, "name": "transition_to_sell"}]), "two tools are named 'transition_to_sell'"),
        ({"general_tools": [END, END]}, "general_tools: two tools are named 'end_call'"),
    ],
)
def test_section_4_what_makes_no_sense_together_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejected, match=message):
        made(**body)


def test_section_4_tools_of_different_states_may_have_one_name() -> None:
    states = [{"name": "a", "tools": [END]}, {"name": "b", "tools": [END]}]
    version = made(states=states, starting_state="a")
    assert version.flow is not None
    assert len(version.flow.nodes) == 2


def test_section_4_without_states_the_first_one_is_not_looked_at() -> None:
    assert made(states=[], starting_state="leave").flow is None


# --- bodies ---------------------------------------------------------------------------------------------------------


def test_section_4_the_answer_is_the_body_and_what_the_server_knows() -> None:
    body = {"general_prompt": "Hi.", "begin_message": None, "something_new": [1], "start_speaker": "user", "model": "x"}
    assert answer(made(**body)) == {
        **body,
        "llm_id": "llm_0199c0de00007000800000000000beef",
        "version": 0,
        "is_published": False,
        "last_modification_timestamp": 0,
    }


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({}, "gpt-4.1"),
        ({"model": None}, "gpt-4.1"),
        ({"model": "gpt-5"}, "gpt-5"),
        ({"s2s_model": "gpt-realtime"}, None),
        ({"model_config": {"primary": {"model": "gpt-5"}}}, None),
    ],
)
def test_section_4_a_model_that_is_not_set_is_answered_as_the_default(body: dict[str, Any], model: str | None) -> None:
    assert answer(made(**body)).get("model") == model


def test_an_answer_that_is_sent_back_changes_nothing() -> None:
    version = made(**WITH_STATES, model="gpt-5", general_prompt="Hi.")
    again = patched(version, sent(LlmShape.model_validate(answer(version))))
    assert answer(again) == answer(version)
    assert engine.body_of(again) == {**engine.body_of(version), "start_speaker": "agent"}


def test_section_13_a_patch_goes_key_by_key_and_null_stays_null() -> None:
    version = made(general_prompt="Old.", begin_message="Hello.", something_new=1)
    changed = patched(version, {"general_prompt": "New.", "begin_message": None, "llm_id": "llm_x", "version": 9})
    assert engine.body_of(changed) == {"general_prompt": "New.", "begin_message": None, "something_new": 1}
    assert (changed.instructions, changed.greeting) == ("New.", MODEL_OPENS)


def test_section_13_what_is_set_at_creation_only_is_not_changed() -> None:
    assert engine.body_of(patched(made(is_transfer_llm=True), {"is_transfer_llm": False})) == {"is_transfer_llm": True}


def test_a_patch_is_checked_with_what_was_there() -> None:
    with pytest.raises(Rejected, match="no state named 'leave'"):
        patched(made(**WITH_STATES), {"starting_state": "leave"})
    with pytest.raises(Rejected, match="two tools"):
        patched(made(**WITH_STATES), {"general_tools": [LEAVE]})


def test_section_4_a_model_of_speech_takes_the_place_of_one_of_text_and_back() -> None:
    heard = patched(made(model="gpt-5"), {"s2s_model": "gpt-realtime"})
    assert engine.body_of(heard) == {"s2s_model": "gpt-realtime"}
    assert engine.body_of(patched(heard, {"model": "gpt-5"})) == {"model": "gpt-5"}
    with pytest.raises(Rejected):
        patched(heard, {"model": "gpt-5", "s2s_model": "gpt-realtime"})


CONFIG: dict[str, Any] = {
    "type": "cascading",
    "primary": {"model": "gpt-5"},
    "backup": {"model": "gpt-5-mini"},
    "temperature": 0.5,
}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"temperature": 1}, {**CONFIG, "temperature": 1}),
        ({"backup": None}, {key: value for key, value in CONFIG.items() if key != "backup"}),
        ({"primary": {"model": "gpt-6"}}, {**CONFIG, "primary": {"model": "gpt-6"}}),
        (
            {"type": "s2s", "primary": {"model": "gpt-realtime"}},
            {"type": "s2s", "primary": {"model": "gpt-realtime"}, "temperature": 0.5},
        ),
        ({"type": "cascading"}, CONFIG),
        ({}, CONFIG),
        (None, None),
    ],
)
def test_section_13_the_settings_of_models_are_merged_by_their_own_keys(patch: Any, expected: Any) -> None:
    assert engine.body_of(patched(made(model_config=CONFIG), {"model_config": patch}))["model_config"] == expected


def test_section_13_another_type_needs_a_model() -> None:
    with pytest.raises(Rejected, match="primary"):
        patched(made(model_config=CONFIG), {"model_config": {"type": "s2s"}})
    fresh = {"type": "s2s", "primary": {"model": "gpt-realtime"}}
    assert engine.body_of(patched(made(), {"model_config": fresh}))["model_config"] == fresh
    both = {**fresh, "backup": {"model": "gpt-5"}}
    assert engine.body_of(patched(made(model_config=CONFIG), {"model_config": both}))["model_config"]["backup"]


def test_what_else_a_version_holds_stays() -> None:
    version = Version("v", "assistant-x", "Name", "", 5, number=3, extra={"notes": 1})
    changed = change_version(version, {"general_prompt": "Hi."})
    assert (changed.id, changed.number, changed.name, changed.created_at) == ("v", 3, "Name", 5)
    assert changed.extra == {"notes": 1, "body": {"general_prompt": "Hi."}}


def test_only_engines_of_prompts_say_whether_they_are_published() -> None:
    version = Version("v", "assistant-x", "Name", "", 5, number=3, changed_at=7)
    assert engine.dump_engine("conversation_flow", Assistant("assistant-x", version, 0), version) == {
        "conversation_flow_id": "conversation_flow_x",
        "version": 3,
        "last_modification_timestamp": 7,
    }
