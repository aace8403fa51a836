"""Nodes and edges of flows (contract, sections 7.3 and 7.4)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.support.retell_flows import LEAST, PROMPT, STATIC, node, way

from vivavoce.api.retell.wire.edges import MOST_EQUATIONS, edges_of, globals_of
from vivavoce.api.retell.wire.nodes import NEEDS, FlowNode, Scope, local_components, node_of, own_key
from vivavoce.api.retell.wire.tools import to_tool
from vivavoce.api.shape import sent
from vivavoce.core.flow import (
    BranchNode,
    ComponentNode,
    Condition,
    EndNode,
    Node,
    PromptNode,
    ToolNode,
)
from vivavoce.core.mind import Mind
from vivavoce.core.passage import Recall
from vivavoce.core.tool import (
    Act,
    CodeTool,
    Filler,
    HandoffTool,
    HangupTool,
    LineTool,
    MessageTool,
    RemoteTool,
    Tool,
    VariablesTool,
    WebhookTool,
)

NODE: TypeAdapter[FlowNode] = TypeAdapter(FlowNode)
MIND = Mind("gpt-4.1", temperature=0.5)
SHARED = "01234567-89ab-4def-8123-456789abcdef"
HOOK: dict[str, Any] = {
    "type": "custom",
    "tool_id": "t",
    "name": "find",
    "url": "https://a.example",
    "parameters": {"type": "object", "properties": {"n": {"type": "string"}}},
    "speak_during_execution": True,
    "execution_message_type": "static_text",
    "execution_message_description": "Let me see.",
}
CODE: dict[str, Any] = {
    "type": "code",
    "tool_id": "c",
    "name": "count",
    "code": "return 1",
    "speak_after_execution": False,
}
KNOWN: dict[str, Tool] = {one["tool_id"]: to_tool(one) for one in (HOOK, CODE)}


def made(kind: str, **more: Any) -> tuple[Node, Tool | None]:
    servers = ({"name": "Shop", "url": "https://s.example", "mcp_id": "shop"},)
    return node_of(sent(NODE.validate_python(node(kind, **more))), Scope(MIND, KNOWN, servers))


def conditions(**edges: Any) -> list[Condition]:
    return [edge.condition for edge in edges_of(sent(NODE.validate_python(node("conversation", **edges))))]


def refused(written: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        NODE.validate_python(written)
    return str(caught.value)


# --- shapes ---------------------------------------------------------------------------------------------------------


def test_section_7_3_has_15_types_of_nodes_and_each_is_taken_with_what_it_needs() -> None:
    assert len(NEEDS) == 15
    assert set(LEAST) == set(NEEDS)
    for kind in NEEDS:
        assert sent(NODE.validate_python(node(kind))) == node(kind)


@pytest.mark.parametrize(("kind", "needed"), [(kind, name) for kind, names in NEEDS.items() for name in names])
def test_section_7_3_a_node_without_what_its_type_needs_is_refused(kind: str, needed: str) -> None:
    written = node(kind)
    del written[needed]
    assert f"A node of type {kind!r} needs this" in refused(written)
    assert f"A node of type {kind!r} needs this" in refused(node(kind, **{needed: None}))


def test_section_7_3_an_unknown_type_is_refused_and_named() -> None:
    assert "Node 'n' is of the unknown type 'dance'" in refused({"id": "n", "type": "dance"})


@pytest.mark.parametrize(
    ("kind", "instruction"),
    [
        ("subagent", STATIC),
        ("press_digit", STATIC),
        ("conversation", {"type": "template", "template": "info_collection"}),
        ("conversation", {"type": "prompt"}),
        ("sms", {"type": "template"}),
        ("conversation", {"type": "song", "text": "la"}),
    ],
)
def test_section_7_3_an_instruction_fits_its_node(kind: str, instruction: dict[str, Any]) -> None:
    assert "instruction" in refused(node(kind, instruction=instruction))


def test_section_1_what_is_not_known_is_kept_as_it_was_sent() -> None:
    written = node(
        "conversation",
        display_position={"x": 1, "y": 2.5},
        finetune_conversation_examples=[{"id": "f", "transcript": []}],
        model_choice={"type": "cascading", "model": "gpt-5", "high_priority": True},
        model_config={"type": "cascading", "primary": {"model": "gpt-5", "tier": "fast"}},
        edges=[{**way(), "color": "red"}],
        global_node_setting={"condition": "c", "cool_down": 3, "positive_finetune_examples": []},
        else_edge=None,
    )
    kept = sent(NODE.validate_python(written))
    assert kept == written
    assert isinstance(kept["global_node_setting"]["cool_down"], int)


def test_section_7_4_more_than_50_equations_are_refused() -> None:
    equation = {"left": "{{a}}", "operator": "==", "right": "1"}
    condition = {"type": "equation", "operator": "&&", "equations": [equation] * MOST_EQUATIONS}
    edge = {"id": "e", "transition_condition": condition}
    NODE.validate_python(node("conversation", edges=[edge]))
    condition["equations"] = [equation] * (MOST_EQUATIONS + 1)
    assert "at most 50 items" in refused(node("conversation", edges=[edge]))


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "equation", "operator": "and", "equations": []},
        {"type": "equation", "operator": "&&", "equations": [{"left": "a", "operator": "=~", "right": "b"}]},
        {"type": "equation", "operator": "&&"},
        {"type": "equation_prompt", "operator": "&&", "equations": []},
        {"type": "prompt"},
        {"type": "mood"},
        "the caller agrees",
    ],
)
def test_section_7_4_conditions_of_edges_have_one_of_two_shapes(condition: Any) -> None:
    assert "transition_condition" in refused(
        node("conversation", edges=[{"id": "e", "transition_condition": condition}])
    )


@pytest.mark.parametrize(
    "setting", [{}, {"condition": {"type": "mood"}}, {"condition": 3}, {"condition": "c", "cool_down": 0}]
)
def test_section_7_4_a_global_setting_has_a_condition(setting: dict[str, Any]) -> None:
    assert "global_node_setting" in refused(node("conversation", global_node_setting=setting))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    kind=st.sampled_from(sorted(NEEDS)),
    fields=st.dictionaries(st.sampled_from(sorted({*FlowNode.model_fields, "model_config"})), json, max_size=5),
)
def test_a_node_is_refused_or_can_be_compiled(kind: str, fields: dict[str, Any]) -> None:
    written = {**node(kind), **fields, "id": "n", "type": kind}
    try:
        kept = sent(NODE.validate_python(written))
    except ValidationError:
        return
    built, own = node_of(kept, Scope(MIND, KNOWN))
    assert built.id == "n"
    assert own is None or (isinstance(built, ToolNode) and built.tool == own_key(kept))
    assert all(edge.start == "n" for edge in edges_of(kept))
    assert all(one.node == "n" for one in globals_of(kept))


# --- nodes that talk ------------------------------------------------------------------------------------------------


def test_section_7_3_a_conversation_node_prompts_behind_the_global_prompt_and_has_no_tools() -> None:
    assert made("conversation", name="Hello") == (PromptNode("n", "Ask {{who}}.", "Hello", "append", ()), None)


def test_section_7_3_fixed_words_are_said_first_and_guide_what_is_said_later() -> None:
    built, _ = made("conversation", instruction=STATIC)
    assert isinstance(built, PromptNode)
    assert (built.says, built.instructions) == ("One moment.", "One moment.")


def test_section_7_3_a_node_has_its_own_model_and_documents() -> None:
    built, _ = made(
        "conversation",
        model_choice={"type": "cascading", "model": "gpt-5"},
        knowledge_base_ids=[f"knowledge_base_{SHARED.replace('-', '')}"],
        kb_config={"top_k": 5},
    )
    assert isinstance(built, PromptNode)
    assert built.mind == Mind("gpt-5", temperature=0.5)
    assert built.recall == Recall((SHARED,), 5)
    built, _ = made("conversation", model_config={"primary": {"model": "gpt-5"}, "temperature": 0.1})
    assert isinstance(built, PromptNode)
    assert built.mind == Mind("gpt-5", temperature=0.1)


def test_section_7_3_a_subagent_has_tools_of_the_flow_and_its_own() -> None:
    inline = [{"type": "end_call", "name": "bye"}, {"type": "mcp", "name": "look", "mcp_id": "shop", "description": ""}]
    built, _ = made("subagent", tool_ids=["c", "t"], tools=inline)
    assert isinstance(built, PromptNode)
    assert (built.tools, built.tools_mode) == (("c", "t"), "replace")
    ending, remote = built.inline
    assert ending == HangupTool(name="bye")
    assert isinstance(remote, RemoteTool)
    assert remote.server_id == "Shop"


def test_section_7_3_press_digit_is_silent_and_presses() -> None:
    built, _ = made("press_digit", delay_ms=500)
    assert isinstance(built, PromptNode)
    assert (built.silent, built.inline, built.tools) == (True, (LineTool(Act.TONES, "press_digit"),), ())


# --- nodes that do something ----------------------------------------------------------------------------------------


def test_section_7_3_a_function_node_calls_a_tool_of_the_flow_that_the_model_fills_in() -> None:
    assert made("function", name="Find") == (ToolNode("n", "t", "", "Find", filled_by="model"), None)


def test_section_7_3_a_function_that_is_not_waited_for_works_on_its_own() -> None:
    built, own = made("function", wait_for_result=False)
    assert isinstance(built, ToolNode)
    assert built.tool == "node:n"
    assert isinstance(own, WebhookTool)
    assert (own.name, own.waits_ms) == ("find", 0)
    _, own = made("function", tool_id="c", wait_for_result=False)
    assert isinstance(own, CodeTool)
    assert not own.waits


def test_section_7_3_what_a_function_node_says_takes_the_place_of_what_its_tool_says() -> None:
    built, own = made("function", speak_during_execution=True, instruction=PROMPT)
    assert isinstance(built, ToolNode)
    assert (built.message, built.generated) == ("Ask {{who}}.", True)
    assert isinstance(own, WebhookTool)
    assert own.fillers == ()
    built, own = made("function", speak_during_execution=False, instruction=PROMPT)
    assert isinstance(built, ToolNode)
    assert built.message == ""
    assert isinstance(own, WebhookTool)
    assert own.fillers == ()
    tool = KNOWN["t"]
    assert isinstance(tool, WebhookTool)
    assert tool.fillers == (Filler("Let me see."),)


def test_a_function_of_the_vendors_library_is_a_tool_that_is_not_there() -> None:
    built, own = made("function", tool_id="theirs", tool_type="shared")
    assert isinstance(built, ToolNode)
    assert (built.tool, own) == ("theirs", None)


@pytest.mark.parametrize(
    ("name", "id_", "called"),
    [
        ("Look it up!", "n", "Look_it_up"),
        (None, "node-1", "node-1"),
        ("", "n 1", "n_1"),
        ("¿?", "¡!", "code"),
        ("a" * 80, "n", "a" * 64),
    ],
)
def test_section_3_6_code_is_mocked_by_the_name_of_its_node(name: str | None, id_: str, called: str) -> None:
    built, own = made("code", id=id_, name=name, timeout_ms=5000, response_variables={"n": "data.n"})
    assert isinstance(own, CodeTool)
    assert (own.name, own.timeout_ms, own.waits) == (called, 5000, True)
    assert [(one.name, one.path) for one in own.stored] == [("n", "data.n")]
    assert isinstance(built, ToolNode)
    assert built.tool == f"node:{id_}"


def test_section_7_3_variables_are_found_out_silently() -> None:
    built, own = made("extract_dynamic_variables")
    assert isinstance(own, VariablesTool)
    assert [one.name for one in own.variables] == ["who"]
    assert isinstance(built, ToolNode)
    assert (built.message, built.filled_by) == ("", "model")


def test_section_7_3_mcp_is_called_really_under_its_own_name() -> None:
    _, own = made("mcp", wait_for_result=False, response_variables={"n": "n"})
    assert isinstance(own, RemoteTool)
    assert (own.name, own.tool, own.server_id) == ("look_up", "look up", "Shop")
    assert (own.own, own.mockable, own.waits) == (True, False, False)


def test_section_7_3_a_transfer_is_known_by_its_kind() -> None:
    built, own = made("transfer_call", speak_during_execution=True, instruction=STATIC)
    assert isinstance(own, LineTool)
    assert (own.act, own.name, own.targets[0].address, own.fillers) == (Act.TRANSFER, "transfer_call", "+15550100", ())
    assert isinstance(built, ToolNode)
    assert (built.message, built.generated, built.filled_by) == ("One moment.", False, "model")


def test_section_7_3_an_agent_takes_over() -> None:
    built, own = made("agent_swap", agent_version=2)
    assert isinstance(own, HandoffTool)
    assert (own.targets[0].assistant_id, own.targets[0].number) == ("assistant-1", 2)
    assert isinstance(built, ToolNode)
    assert built.tool == "node:n"


@pytest.mark.parametrize(
    ("instruction", "template", "description"),
    [
        (STATIC, "One moment.", ""),
        (PROMPT, "", "What to write: Ask {{who}}."),
    ],
)
def test_section_7_3_a_text_message_is_fixed_or_written(
    instruction: dict[str, Any], template: str, description: str
) -> None:
    _, own = made("sms", instruction=instruction)
    assert own == MessageTool(template, description, name="send_sms")


def test_section_7_3_a_text_message_can_have_a_template() -> None:
    _, own = made("sms", instruction={"type": "template", "template": "info_collection"})
    assert isinstance(own, MessageTool)
    assert own.template


@pytest.mark.parametrize("kind", ["bridge_transfer", "cancel_transfer"])
def test_section_7_3_both_ends_of_a_transfer_are_tools(kind: str) -> None:
    built, own = made(kind)
    assert own is not None
    assert own.name == kind
    assert isinstance(built, ToolNode)
    assert built.tool == "node:n"


# --- other nodes ----------------------------------------------------------------------------------------------------


def test_section_7_3_an_end_says_what_it_is_told_to() -> None:
    assert made("end", instruction=STATIC) == (EndNode("n"), None)
    assert made("end", instruction=STATIC, speak_during_execution=True) == (EndNode("n", "One moment."), None)
    assert made("end", instruction=PROMPT, speak_during_execution=True) == (
        EndNode("n", "Ask {{who}}.", generated=True),
        None,
    )


def test_section_7_3_a_branch_only_decides() -> None:
    assert made("branch", name="Which?") == (BranchNode("n", "Which?"), None)


def test_section_7_3_a_component_is_the_flows_own_or_shared() -> None:
    assert made("component") == (ComponentNode("n", "part"), None)
    shared = f"conversation_flow_component_{SHARED.replace('-', '')}"
    assert made("component", component_id=shared, component_type="shared") == (ComponentNode("n", SHARED), None)


def test_a_component_of_the_flows_own_is_found_by_its_id_or_its_name() -> None:
    named: dict[str, Any] = {"name": "part", "nodes": []}
    numbered: dict[str, Any] = {"name": "other", "id": "part", "nodes": []}
    assert local_components({"components": [named]}) == {"part": named}
    assert local_components({"components": [named, numbered]})["part"] is numbered
    assert local_components({"components": [{**named, "id": 7}]}) == {"part": {**named, "id": 7}}
    assert local_components({"components": None}) == {}
