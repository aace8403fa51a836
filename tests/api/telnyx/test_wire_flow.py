from typing import Any

import pytest
from pydantic import ValidationError
from tests.api.telnyx.bodies import FLOW, lacks

from vivavoce.api.shape import sent
from vivavoce.api.telnyx.wire.flow import ConversationFlow, flow_problems

DEFAULT = {"type": "default"}
TRUE = {"type": "bool_literal", "value": True}


def prompt(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "instructions": "i", **more}


def speak(id_: str) -> dict[str, Any]:
    return {"id": id_, "type": "speak", "message": "m"}


def tool(id_: str, tool_id: str = "t") -> dict[str, Any]:
    return {"id": id_, "type": "tool", "shared_tool_id": tool_id}


def edge(id_: str, start: str, end: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "id": id_,
        "start_node_id": start,
        "condition": condition or {"type": "llm", "prompt": "p"},
        "target": {"type": "node", "node_id": end},
    }


def when(expression: Any) -> dict[str, Any]:
    return {"type": "expression", "expression": expression}


def flow(*parts: dict[str, Any], start: str = "a") -> dict[str, Any]:
    edges = [part for part in parts if "condition" in part]
    return {"start_node_id": start, "nodes": [part for part in parts if "condition" not in part], "edges": edges}


def test_a_complete_flow_is_accepted_and_kept():
    parsed = ConversationFlow.model_validate(FLOW)
    assert lacks(FLOW, sent(parsed)) == []
    number = sent(parsed)["edges"][1]["condition"]["expression"]["operands"][0]["right"]["left"]["value"]
    assert isinstance(number, float)
    assert flow_problems(FLOW) == []


def test_edges_may_be_left_out():
    assert ConversationFlow.model_validate({"start_node_id": "a", "nodes": [prompt("a")]})


RULES: list[tuple[dict[str, Any], str]] = [
    (flow(prompt("a"), speak("a")), "node id 'a' is used more than once"),
    (flow(prompt("a"), edge("e", "a", "a"), edge("e", "a", "a")), "edge id 'e' is used more than once"),
    (flow(prompt("a"), start="b"), "start_node_id 'b' is not a node"),
    (flow(prompt("a"), edge("e", "x", "a")), "edge 'e' leaves 'x', which is not a node"),
    (flow(prompt("a"), edge("e", "a", "x")), "edge 'e' leads to 'x', which is not a node"),
    (
        flow(prompt("a"), edge("e", "a", "a", DEFAULT)),
        "edge 'e' has a default condition, which is only for edges that leave a speak or tool node",
    ),
    (
        flow(speak("a"), edge("e", "a", "a")),
        "node 'a' needs exactly one default edge among those that leave it, and has 0",
    ),
    (
        flow(tool("a"), edge("e", "a", "a", DEFAULT), edge("f", "a", "a", DEFAULT)),
        "node 'a' needs exactly one default edge among those that leave it, and has 2",
    ),
    (
        flow(prompt("a", model="m", external_llm={"base_url": "b", "model": "m"})),
        "node 'a' has both model and external_llm",
    ),
    (
        flow(prompt("a"), edge("e", "a", "a", when({"type": "string_literal", "value": "x"}))),
        "edge 'e': the expression must yield a boolean, and a string_literal does not",
    ),
]


@pytest.mark.parametrize(("wrong", "problem"), RULES)
def test_rules(wrong: dict[str, Any], problem: str):
    assert flow_problems(wrong) == [problem]
    with pytest.raises(ValidationError) as caught:
        ConversationFlow.model_validate(wrong)
    (error,) = caught.value.errors()
    assert (error["loc"], error["msg"], error["type"]) == ((), problem, "conversation_flow")


def test_what_is_allowed():
    fine = flow(
        speak("a"),
        tool("b"),
        prompt("c"),
        speak("end"),
        edge("1", "a", "b", DEFAULT),
        edge("2", "b", "c", when(TRUE)),
        edge("3", "b", "end", DEFAULT),
        edge("4", "c", "end", when({"type": "variable", "name": "done"})),
    )
    assert flow_problems(fine) == []


def nested(levels: int) -> dict[str, Any]:
    expression: dict[str, Any] = TRUE
    for _ in range(levels - 1):
        expression = {"type": "bool_op", "op": "not", "operands": [expression]}
    return flow(prompt("a"), edge("e", "a", "a", when(expression)))


def test_expressions_have_a_depth():
    assert flow_problems(nested(32)) == []
    assert flow_problems(nested(33)) == ["edge 'e': the expression is nested deeper than 32 levels"]


def test_rules_about_shared_tools():
    kinds = {"t": "webhook", "bye": "hangup", "move": "transfer"}
    after_hangup = flow(tool("a", "bye"), prompt("b"), edge("e", "a", "b", DEFAULT))
    assert flow_problems(after_hangup) == []
    assert flow_problems(after_hangup, kinds) == ["node 'a' hangs up, so that no edge can leave it"]
    moved = flow(tool("a", "move"), prompt("b"), edge("e", "a", "b", DEFAULT))
    assert flow_problems(moved, kinds) == []
    twice = flow(tool("a", "move"), prompt("b"), edge("e", "a", "b", DEFAULT), edge("f", "a", "b"))
    assert flow_problems(twice, kinds) == ["node 'a' transfers, so that only one default edge can leave it"]
    unknown = flow(tool("a", "x"), prompt("b", shared_tool_ids=["t", "y"]), prompt("c", shared_tool_ids=None))
    assert flow_problems(unknown, kinds) == [
        "node 'a' names the shared tool 'x', which does not exist",
        "node 'b' names the shared tool 'y', which does not exist",
    ]


def compare(**more: Any) -> dict[str, Any]:
    return {"type": "comparison", "op": "==", "left": TRUE, "right": TRUE, **more}


SHAPES: list[tuple[dict[str, Any], tuple[int | str, ...]]] = [
    ({"nodes": []}, ("start_node_id",)),
    ({"start_node_id": "a"}, ("nodes",)),
    (flow({"id": "a"}), ("nodes", 0, "prompt", "instructions")),
    (flow({"id": "a", "type": "speak"}), ("nodes", 0, "speak", "message")),
    (flow({"id": "a", "type": "tool"}), ("nodes", 0, "tool", "shared_tool_id")),
    (flow({**tool("a"), "message": "  "}), ("nodes", 0, "tool", "message")),
    (flow({"id": "a", "type": "jump"}), ("nodes", 0)),
    (flow({"id": "a", "type": None}), ("nodes", 0)),
    (flow(prompt("a", position={"x": 1})), ("nodes", 0, "prompt", "position", "y")),
    (flow(prompt("a", instructions_mode="prepend")), ("nodes", 0, "prompt", "instructions_mode")),
    (flow(prompt("a"), edge("e", "a", "a", {"type": "llm"})), ("edges", 0, "condition", "llm", "prompt")),
    (flow(prompt("a"), edge("e", "a", "a", {"type": "magic"})), ("edges", 0, "condition")),
    (
        flow(prompt("a"), {**edge("e", "a", "a"), "target": {"type": "assistant"}}),
        ("edges", 0, "target", "assistant", "assistant_id"),
    ),
    (flow(prompt("a"), edge("e", "a", "a", when(compare(op="~")))), ("edges", 0, "condition", "expression")),
    (flow(prompt("a"), edge("e", "a", "a", when(compare(left=None)))), ("edges", 0, "condition", "expression")),
    (flow(prompt("a"), edge("e", "a", "a", when("true"))), ("edges", 0, "condition", "expression")),
    (
        flow(prompt("a"), edge("e", "a", "a", when(compare(left={"type": "number_literal", "value": True})))),
        ("edges", 0, "condition", "expression"),
    ),
    (
        flow(prompt("a"), edge("e", "a", "a", when({"type": "bool_op", "op": "and", "operands": [TRUE]}))),
        ("edges", 0, "condition", "expression"),
    ),
    (
        flow(prompt("a"), edge("e", "a", "a", when({"type": "bool_op", "op": "not", "operands": [TRUE, TRUE]}))),
        ("edges", 0, "condition", "expression"),
    ),
]


@pytest.mark.parametrize(("wrong", "loc"), SHAPES)
def test_shapes(wrong: dict[str, Any], loc: tuple[int | str, ...]):
    with pytest.raises(ValidationError) as caught:
        ConversationFlow.model_validate(wrong)
    assert [error["loc"][: len(loc)] for error in caught.value.errors()] == [loc]


def test_many_problems_are_cut():
    nodes = [prompt("a"), *(edge(f"e{number}", "a", "nowhere") for number in range(50))]
    with pytest.raises(ValidationError) as caught:
        ConversationFlow.model_validate(flow(*nodes))
    assert caught.value.error_count() == 20
