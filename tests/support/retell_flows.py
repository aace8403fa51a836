"""Nodes, flows and components as requests write them, the flows compiled and played."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from tests.support.players import ListModel, TableTools
from tests.support.scenes import Stage
from vivavoce.api.retell.wire.components import to_component
from vivavoce.api.retell.wire.flows import FlowCreate, to_version
from vivavoce.api.shape import sent
from vivavoce.assistant.ports import ToolOutput
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.component import Component

PROMPT = {"type": "prompt", "text": "Ask {{who}}."}
STATIC = {"type": "static_text", "text": "One moment."}
SHARED_ID = "01234567-89ab-4def-8123-456789abcdef"
SHARED = "conversation_flow_component_0123456789ab4def8123456789abcdef"
CREATE: TypeAdapter[FlowCreate] = TypeAdapter(FlowCreate)

FIND: dict[str, Any] = {
    "type": "custom",
    "tool_id": "t",
    "name": "find",
    "description": "Finds.",
    "url": "https://a.example",
    "parameters": {"type": "object", "properties": {"n": {"type": "string"}}},
}


def way(id_: str = "e", to: str | None = "x", prompt: str = "it holds") -> dict[str, Any]:
    edge: dict[str, Any] = {"id": id_, "transition_condition": {"type": "prompt", "prompt": prompt}}
    return edge if to is None else {**edge, "destination_node_id": to}


LEAST: dict[str, dict[str, Any]] = {
    "conversation": {"instruction": PROMPT},
    "subagent": {"instruction": PROMPT},
    "function": {"tool_id": "t", "tool_type": "local", "wait_for_result": True},
    "code": {"code": "return 1", "wait_for_result": True},
    "extract_dynamic_variables": {"variables": [{"type": "string", "name": "who", "description": "The caller."}]},
    "branch": {"else_edge": way()},
    "transfer_call": {
        "transfer_destination": {"type": "predefined", "number": "+15550100"},
        "transfer_option": {"type": "cold_transfer"},
        "edge": way(),
    },
    "agent_swap": {"agent_id": "agent_1", "post_call_analysis_setting": "both_agents", "edge": way()},
    "press_digit": {"instruction": PROMPT},
    "sms": {"instruction": STATIC, "success_edge": way("s"), "failed_edge": way("f")},
    "mcp": {"mcp_id": "shop", "mcp_tool_name": "look up", "wait_for_result": True},
    "component": {"component_id": "part", "component_type": "local", "else_edge": way()},
    "end": {},
    "bridge_transfer": {},
    "cancel_transfer": {},
}


def node(kind: str, **more: Any) -> dict[str, Any]:
    return {"id": "n", "type": kind, **LEAST[kind], **more}


def equals(id_: str, to: str, left: str, right: str) -> dict[str, Any]:
    equation = {"left": left, "operator": "==", "right": right}
    condition = {"type": "equation", "operator": "&&", "equations": [equation]}
    return {"id": id_, "destination_node_id": to, "transition_condition": condition}


def says(id_: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "conversation", "instruction": {"type": "static_text", "text": text}, **more}


def asks(id_: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "conversation", "instruction": {"type": "prompt", "text": text}, **more}


def end(id_: str = "x", text: str = "Bye.") -> dict[str, Any]:
    said = {"speak_during_execution": True, "instruction": {"type": "static_text", "text": text}}
    return {"id": id_, "type": "end", **said}


def part(name: str = "part", **more: Any) -> dict[str, Any]:
    nodes = [says("s", "In the part.", always_edge=way("a", "x")), {"id": "x", "type": "end"}]
    return {"name": name, "nodes": nodes, **more}


def through(id_: str, component: str, kind: str, to: str) -> dict[str, Any]:
    named = {"component_id": component, "component_type": kind}
    return {"id": id_, "type": "component", **named, "else_edge": way(f"{id_}-else", to)}


def body(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return sent(CREATE.validate_python({"start_speaker": "agent", "nodes": list(nodes), **more}))


def version(*nodes: dict[str, Any], **more: Any) -> Version:
    return replace(to_version(body(*nodes, **more)), id="v", assistant_id="assistant-1")


def shared(**more: Any) -> Component:
    return replace(to_component(part(**more)), id=SHARED_ID)


async def played(played: Version, *lines: str, answers: list[object] | None = None, **tools: ToolOutput) -> list[str]:
    table = TableTools(tools)
    stage = Stage(Cast(played), ListModel(list(answers or [])), table, dict(played.variables))
    return await stage.play(*lines)


EVERY: list[dict[str, Any]] = [
    says("conversation", "Hello.", edges=[way("go", "branch", "The caller goes on.")]),
    {"id": "branch", "type": "branch", "edges": [equals("eq", "function", "{{a}}", "1")], "else_edge": way("e", "end")},
    {
        "id": "function",
        "type": "function",
        "tool_id": "t",
        "tool_type": "local",
        "wait_for_result": True,
        "else_edge": way("e", "code"),
    },
    {"id": "code", "type": "code", "code": "return 1", "wait_for_result": True, "else_edge": way("e", "extract")},
    {
        "id": "extract",
        "type": "extract_dynamic_variables",
        "variables": [{"type": "string", "name": "who", "description": "The caller."}],
        "else_edge": way("e", "sms"),
    },
    {
        "id": "sms",
        "type": "sms",
        "instruction": {"type": "static_text", "text": "Hi {{who}}."},
        "success_edge": way("e", "mcp"),
        "failed_edge": way("f", "end"),
    },
    {
        "id": "mcp",
        "type": "mcp",
        "mcp_id": "shop",
        "mcp_tool_name": "look",
        "wait_for_result": True,
        "else_edge": way("e", "press"),
    },
    {
        "id": "press",
        "type": "press_digit",
        "instruction": {"type": "prompt", "text": "Press 1."},
        "edges": [way("e", "component", "They answered.")],
    },
    through("component", "part", "local", "subagent"),
    {
        "id": "subagent",
        "type": "subagent",
        "instruction": {"type": "prompt", "text": "Help."},
        "tool_ids": ["t"],
        "always_edge": way("e", "transfer"),
    },
    {
        "id": "transfer",
        "type": "transfer_call",
        "transfer_destination": {"type": "predefined", "number": "+15550100"},
        "transfer_option": {"type": "cold_transfer"},
        "edge": way("e", "swap"),
    },
    {
        "id": "swap",
        "type": "agent_swap",
        "agent_id": "agent_9",
        "post_call_analysis_setting": "both_agents",
        "edge": way("e", "end"),
    },
    end("end"),
    {"id": "bridge", "type": "bridge_transfer"},
    {"id": "cancel", "type": "cancel_transfer"},
]
