"""The wire's ``conversation_flow`` → the core's ``Flow`` (contract, section 4). The wire form is kept beside it."""

from collections.abc import Mapping
from typing import Any

from vivavoce.api.telnyx.wire.minds import load_mind
from vivavoce.core.expression import Arithmetic, Comparison, Expression, Junction, Literally, Variable
from vivavoce.core.flow import (
    AskCondition,
    AssistantTarget,
    Condition,
    DefaultCondition,
    Edge,
    ExpressionCondition,
    Flow,
    Node,
    NodeTarget,
    PromptNode,
    SpeakNode,
    ToolNode,
)


def load_flow(wire: Mapping[str, Any]) -> Flow:
    """The core's flow from a validated wire flow."""
    return Flow(
        wire["start_node_id"],
        tuple(_node(node) for node in wire["nodes"]),
        tuple(_edge(edge) for edge in wire.get("edges") or ()),
    )


def _node(wire: Mapping[str, Any]) -> Node:
    id_, name = wire["id"], wire.get("name", "")
    match wire.get("type") or "prompt":
        case "speak":
            return SpeakNode(id_, wire["message"], name)
        case "tool":
            return ToolNode(id_, wire["shared_tool_id"], wire.get("message", ""), name)
        case _:
            tools = wire.get("shared_tool_ids")
            return PromptNode(
                id_,
                wire["instructions"],
                name,
                wire.get("instructions_mode", "replace"),
                None if tools is None else tuple(tools),
                wire.get("tools_mode", "replace"),
                load_mind(wire),
            )


def _edge(wire: Mapping[str, Any]) -> Edge:
    target = wire["target"]
    leads = NodeTarget(target["node_id"]) if target["type"] == "node" else AssistantTarget(target["assistant_id"])
    return Edge(wire["id"], wire["start_node_id"], _condition(wire["condition"]), leads)


def _condition(wire: Mapping[str, Any]) -> Condition:
    match wire["type"]:
        case "llm":
            return AskCondition(wire["prompt"])
        case "expression":
            return ExpressionCondition(load_expression(wire["expression"]))
        case _:
            return DefaultCondition()


def load_expression(wire: Mapping[str, Any]) -> Expression:
    """The core's expression from a validated wire expression; its depth was checked when it was written."""
    match wire["type"]:
        case "comparison":
            return Comparison(wire["op"], load_expression(wire["left"]), load_expression(wire["right"]))
        case "bool_op":
            return Junction(wire["op"], tuple(load_expression(one) for one in wire["operands"]))
        case "arithmetic":
            return Arithmetic(wire["op"], load_expression(wire["left"]), load_expression(wire["right"]))
        case "variable":
            return Variable(wire["name"])
        case "number_literal":
            return Literally(float(wire["value"]))
        case _:
            return Literally(wire["value"])
