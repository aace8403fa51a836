"""Flows and components as a whole: their rules, what is kept of them, and how they are played (contract, section 7)."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.support.retell_flows import (
    CREATE,
    EVERY,
    FIND,
    SHARED,
    asks,
    body,
    end,
    part,
    played,
    says,
    through,
    version,
    way,
)
from tests.support.scenes import ok

from vivavoce.api.retell.wire.components import (
    to_component,
)
from vivavoce.api.retell.wire.engine import TEMPLATING
from vivavoce.api.retell.wire.flows import FlowPatch, dump, patched, to_version
from vivavoce.api.retell.wire.nodes import NEEDS
from vivavoce.api.shape import sent
from vivavoce.assistant.ports import Routing, ToolOutput
from vivavoce.assistant.spread import spread
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Form
from vivavoce.core.event import ToolCall
from vivavoce.core.flow import (
    AskCondition,
    BranchNode,
    ComponentNode,
    Edge,
    EndNode,
    Flow,
    NodeTarget,
    PromptNode,
    ToolNode,
)
from vivavoce.core.mind import Mind
from vivavoce.core.model import Reply
from vivavoce.core.tool import WebhookTool
from vivavoce.services.errors import Rejected
from vivavoce.storage.codec import version_codec

# Section 16, without what only answers have.
LEAST: dict[str, Any] = {
    "start_speaker": "agent",
    "model_choice": {"type": "cascading", "model": "gpt-4.1"},
    "start_node_id": "s",
    "nodes": [
        {
            "id": "s",
            "type": "conversation",
            "instruction": {"type": "prompt", "text": "hi"},
            "edges": [
                {"id": "e", "destination_node_id": "x", "transition_condition": {"type": "prompt", "prompt": "done"}}
            ],
        },
        {"id": "x", "type": "end"},
    ],
}


def refused(written: dict[str, Any]) -> str:
    with pytest.raises(Rejected) as caught:
        to_version(sent(CREATE.validate_python(written)))
    return str(caught.value)


# --- bodies ---------------------------------------------------------------------------------------------------------


def test_section_16_the_least_flow_is_kept_and_given_back_as_it_was_sent() -> None:
    draft = to_version(sent(CREATE.validate_python(LEAST)))
    main = replace(draft, id="v", assistant_id="assistant-1", changed_at=1)
    assert version_codec.loads(version_codec.dumps(main)) == main
    assert dump(Assistant("assistant-1", main, 1, form=Form.FLOW), main) == {
        **LEAST,
        "conversation_flow_id": "conversation_flow_1",
        "version": 0,
        "last_modification_timestamp": 1,
    }


def test_section_16_the_least_flow_is_compiled() -> None:
    draft = to_version(LEAST)
    assert draft.flow == Flow(
        "s",
        (PromptNode("s", "hi", "", "append", ()), EndNode("x")),
        (Edge("e", "s", AskCondition("done"), NodeTarget("x")),),
        routes="before",
    )
    assert (draft.mind, draft.greeting, draft.templating) == (Mind("gpt-4.1"), MODEL_OPENS, TEMPLATING)


@pytest.mark.parametrize("missing", ["nodes", "start_speaker"])
def test_section_7_2_a_flow_needs_nodes_and_who_begins(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        CREATE.validate_python({name: value for name, value in LEAST.items() if name != missing})
    with pytest.raises(ValidationError, match=missing):
        TypeAdapter(FlowPatch).validate_python({missing: None})
    assert "model_choice" not in body(says("s", "Hello."))


def test_a_flow_without_a_single_node_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        body()


def test_section_7_2_settings_of_the_flow_are_settings_of_the_version() -> None:
    made = version(
        says("s", "Hello."),
        start_speaker="user",
        global_prompt="You work for {{shop}}.",
        model_temperature=0.3,
        default_dynamic_variables={"shop": "Birch"},
        mcps=[{"name": "shop", "url": "https://s.example"}],
        components=[
            part(mcps=[{"name": "shop", "url": "https://other"}, {"name": "more", "url": "https://m.example"}])
        ],
    )
    assert (made.greeting, made.instructions, made.variables) == ("", "You work for {{shop}}.", {"shop": "Birch"})
    assert made.mind.temperature == 0.3
    assert [(one.name, one.url) for one in made.own_servers] == [
        ("shop", "https://s.example"),
        ("more", "https://m.example"),
    ]


def test_a_patch_replaces_what_it_names_and_ids_that_are_sent_back_change_nothing() -> None:
    before = version(says("s", "Hello."), global_prompt="a", notes=[{"id": "n"}])
    patch = {"global_prompt": None, "conversation_flow_id": "conversation_flow_9", "version": 7}
    after = patched(before, sent(TypeAdapter(FlowPatch).validate_python(patch)))
    assert after.instructions == ""
    assert after.extra["body"] == {**before.extra["body"], "global_prompt": None}


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"nodes": [end(), end()]}, "node id 'x' is used more than once"),
        ({"nodes": [end()], "start_node_id": "y"}, "start_node_id 'y' is not a node"),
        ({"nodes": [asks("s", "a", edges=[way("e", "y")])]}, "edge 'e' of node 's' leads to 'y', which is not a node"),
        ({"nodes": [asks("s", "a", always_edge=way("e", "y"))]}, "edge 'e' of node 's' leads to 'y'"),
        ({"nodes": [end()], "tools": [FIND, FIND]}, "tool_id 't' is used more than once"),
        (
            {"nodes": [{"id": "f", "type": "function", "tool_id": "u", "tool_type": "local", "wait_for_result": True}]},
            "node 'f' names the tool 'u', which is not among the tools",
        ),
        (
            {"nodes": [{**asks("s", "a"), "type": "subagent", "tool_ids": ["u"]}]},
            "node 's' names the tool 'u', which is not among the tools",
        ),
        (
            {"nodes": [through("c", "nowhere", "local", "c")]},
            "node 'c' stands for 'nowhere', which is not among the components",
        ),
        (
            {"nodes": [end()], "components": [{"name": "p", "nodes": [through("c", SHARED, "shared", "c")]}]},
            "component 'p': node 'c' stands for a component, and a component holds no others",
        ),
    ],
)
def test_section_7_the_parts_of_a_flow_fit_together(written: dict[str, Any], problem: str) -> None:
    assert problem in refused({"start_speaker": "agent", **written})


def test_only_the_first_problems_are_named() -> None:
    nodes = [asks(f"n{number}", "a", always_edge=way("e", "y")) for number in range(7)]
    assert refused({"start_speaker": "agent", "nodes": nodes}).endswith("; and 2 more")


def test_section_7_2_a_component_may_name_the_tools_of_its_flow() -> None:
    function = {"id": "f", "type": "function", "tool_id": "t", "tool_type": "local", "wait_for_result": False}
    made = version(
        through("c", "part", "local", "x"),
        end(),
        tools=[FIND],
        components=[{"name": "part", "nodes": [{**function, "else_edge": way("e", "y")}, {"id": "y", "type": "end"}]}],
    )
    assert made.flow is not None
    laid = spread(made.flow, {})
    node = laid.node("c/f")
    assert isinstance(node, ToolNode)
    own = laid.tools[node.tool]
    assert isinstance(own, WebhookTool)
    assert own.waits_ms == 0
    assert "names the tool 't'" in refused({"start_speaker": "agent", "nodes": [function]})
    with pytest.raises(Rejected, match="names the tool 't'"):
        to_component({"name": "part", "nodes": [function]})


# --- every node -----------------------------------------------------------------------------------------------------


def test_every_type_of_node_is_compiled_into_one_flow() -> None:
    made = version(*EVERY, tools=[FIND], components=[part()], mcps=[{"name": "shop", "url": "https://s.example"}])
    flow = made.flow
    assert flow is not None
    assert {wire["type"] for wire in EVERY} == set(NEEDS)
    assert {node.id: type(node) for node in flow.nodes} == {
        "conversation": PromptNode,
        "branch": BranchNode,
        "function": ToolNode,
        "code": ToolNode,
        "extract": ToolNode,
        "sms": ToolNode,
        "mcp": ToolNode,
        "press": PromptNode,
        "component": ComponentNode,
        "subagent": PromptNode,
        "transfer": ToolNode,
        "swap": ToolNode,
        "end": EndNode,
        "bridge": ToolNode,
        "cancel": ToolNode,
    }
    own = ["code", "extract", "sms", "mcp", "transfer", "swap", "bridge", "cancel"]
    assert list(flow.tools) == ["t", *(f"node:{id_}" for id_ in own)]
    assert list(flow.components) == ["part"]
    ids = [edge.id for edge in flow.edges]
    assert len(set(ids)) == len(ids)
    assert ids[:4] == ["go", "eq", "e", "function:e"]
    assert version_codec.loads(version_codec.dumps(made)) == made


async def test_every_type_of_node_is_played() -> None:
    made = version(*EVERY, tools=[FIND], components=[part()], default_dynamic_variables={"a": "1"})
    assert made.flow is not None
    answers: list[object] = [
        Routing((1,)),
        Reply("", (ToolCall("1", "find", {"n": "7"}),)),
        Reply("", (ToolCall("2", "extract_dynamic_variables", {"who": "Ann"}),)),
        Reply("", (ToolCall("3", "press_digit", {"digits": "1"}),)),
        Routing((1,)),
        Reply("How can I help?"),
    ]
    found = await played(
        replace(made, flow=spread(made.flow, {})),
        "Go on.",
        "Thank you.",
        "Yes.",
        "Put me through.",
        answers=answers,
        find=ok("found"),
        code=ok("1"),
        send_sms=ok("sent"),
        look=ok("seen"),
        press_digit=ok("pressed"),
        transfer_call=ToolOutput("busy", ok=False),
    )
    assert [line for line in found if line.startswith(("at ", "assistant", "call ", "left"))] == [
        "at conversation",
        "assistant: Hello.",
        "at branch over go",
        "at function over eq",
        'call find {"n": "7"}',
        "at code over function:e",
        "call code {}",
        "at extract over code:e",
        'call extract_dynamic_variables {"who": "Ann"}',
        "at sms over extract:e",
        "call send_sms {}",
        "at mcp over sms:e",
        "call look {}",
        "at press over mcp:e",
        'call press_digit {"digits": "1"}',
        "assistant: (press_digit 1)",
        "at component over press:e",
        "at component/s over component/",
        "assistant: In the part.",
        "at component/x over component/a",
        "at subagent over component/x/component-else",
        "assistant: How can I help?",
        "at transfer over subagent:e",
        'call transfer_call {"target": "+15550100"}',
        "at swap over transfer:e",
        'call agent_swap {"assistant": "agent_9"}',
        "at end over swap:e",
        "assistant: Bye.",
        "left hangup: the flow came to its end at 'end'",
    ]


async def test_section_3_4_a_transfer_that_works_ends_the_conversation() -> None:
    transfer = next(wire for wire in EVERY if wire["id"] == "transfer")
    made = version({**transfer, "edge": way("e", "x")}, end(), start_speaker="agent")
    found = await played(made, transfer_call=ok("on the line"))
    assert found[-1] == "left transfer: the caller was put through to +15550100"


async def test_section_7_4_skip_response_goes_on_as_soon_as_it_was_said() -> None:
    made = version(says("s", "One moment.", skip_response_edge=way("k", "x")), end())
    assert await played(made) == [
        "at s",
        "assistant: One moment.",
        "at x over k",
        "assistant: Bye.",
        "left hangup: the flow came to its end at 'x'",
    ]


async def test_section_7_4_a_global_node_is_entered_from_everywhere_and_left_again() -> None:
    back = {**way("b", "", "The caller is calm."), "destination_node_id": None}
    setting = {"condition": "The caller is angry.", "go_back_conditions": [back], "cool_down": 1}
    made = version(
        says("s", "Your number?", edges=[way("e", "x", "The number was said.")]),
        says("calm", "I am sorry.", global_node_setting=setting),
        end(),
    )
    found = await played(
        made, "This is bad!", "Fine.", answers=[Routing((2,)), Routing((1,)), Reply("So, your number?")]
    )
    assert [line for line in found if not line.startswith("caller")] == [
        "at s",
        "assistant: Your number?",
        "at calm over global:calm",
        "assistant: I am sorry.",
        "at s over b",
        "assistant: So, your number?",
    ]


async def test_section_3_2_the_user_opens_where_the_flow_says_so() -> None:
    made = version(says("s", "Hello."), start_speaker="user")
    assert await played(made, "Hi.") == ["at s", "caller: Hi.", "assistant: Hello."]
