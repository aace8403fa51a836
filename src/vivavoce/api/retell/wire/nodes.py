"""The nodes of a flow (contract, section 7.3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, Field, model_validator

from vivavoce.api.retell.wire.edges import FlowEdge, GlobalNodeSetting, listed
from vivavoce.api.retell.wire.engine import recall_of, said_mind, with_server
from vivavoce.api.retell.wire.engine_shapes import KnowledgeConfig, ModelConfig, ModelRef
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.tool_shapes import (
    MAX_CODE,
    Destination,
    Text,
    Texts,
    ToolShape,
    TransferOption,
    Variables,
)
from vivavoce.api.retell.wire.tools import to_tool
from vivavoce.api.shape import Flag, Whole, fault, mapping, omitted, refuse
from vivavoce.core.flow import BranchNode, ComponentNode, EndNode, Node, PromptNode, ToolNode
from vivavoce.core.mind import Mind
from vivavoce.core.tool import Act, CodeTool, LineTool, RemoteTool, Tool, WebhookTool

NEEDS: Mapping[str, tuple[str, ...]] = {
    "conversation": ("instruction",),
    "subagent": ("instruction",),
    "function": ("tool_id", "tool_type", "wait_for_result"),
    "code": ("code", "wait_for_result"),
    "extract_dynamic_variables": ("variables",),
    "branch": ("else_edge",),
    "transfer_call": ("transfer_destination", "transfer_option", "edge"),
    "agent_swap": ("agent_id", "post_call_analysis_setting", "edge"),
    "press_digit": ("instruction",),
    "sms": ("instruction", "success_edge", "failed_edge"),
    "mcp": ("mcp_id", "mcp_tool_name", "wait_for_result"),
    "component": ("component_id", "component_type", "else_edge"),
    "end": (),
    "bridge_transfer": (),
    "cancel_transfer": (),
}
"""Every type of node, and the fields that it cannot do without."""

_PROMPTED = ("subagent", "press_digit")
"""These have no fixed words."""

_LONGEST_NAME = 64
_IDS = ("conversation_flow_component_id", "component_id", "id", "name")
"""What nodes can call a component of their own flow by: its id, where it was given one, or its name."""

# --- shapes ---------------------------------------------------------------------------------------------------------


class Instruction(BaseModel, frozen=True, extra="allow"):
    """What to say or to do; only a text message can be written after a template of the server's."""

    type: Literal["prompt", "static_text", "template"]
    text: str | None = omitted()
    template: Literal["info_collection"] | None = omitted()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = "template" if self.type == "template" else "text"
        if getattr(self, wanted) is None:
            raise refuse(fault("missing", "Field required", None, (wanted,)))
        return self


class FlowNode(BaseModel, frozen=True, extra="allow"):
    """A node of any type: what its type does not look at is kept. ``NEEDS`` says what a type cannot do without."""

    id: Text
    type: str
    name: str | None = omitted()
    global_node_setting: GlobalNodeSetting | None = omitted()
    model_choice: ModelRef | None = omitted()
    config: Annotated[ModelConfig | None, Field(alias="model_config")] = omitted()
    instruction: Instruction | None = omitted()
    speak_during_execution: Flag | None = omitted()
    edges: list[FlowEdge] | None = omitted()
    edge: FlowEdge | None = omitted()
    else_edge: FlowEdge | None = omitted()
    always_edge: FlowEdge | None = omitted()
    skip_response_edge: FlowEdge | None = omitted()
    success_edge: FlowEdge | None = omitted()
    failed_edge: FlowEdge | None = omitted()
    knowledge_base_ids: list[str] | None = omitted()
    kb_config: KnowledgeConfig | None = omitted()
    tool_ids: list[str] | None = omitted()
    tools: list[ToolShape] | None = omitted()
    tool_id: str | None = omitted()
    tool_type: Literal["local", "shared"] | None = omitted()
    wait_for_result: Flag | None = omitted()
    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE)] | None = omitted()
    timeout_ms: Annotated[Whole, Field(ge=1000, le=600_000)] | None = omitted()
    response_variables: Texts | None = omitted()
    variables: Variables | None = omitted()
    transfer_destination: Destination | None = omitted()
    transfer_option: TransferOption | None = omitted()
    agent_id: Text | None = omitted()
    agent_version: Annotated[Whole, Field(ge=0)] | str | None = omitted()
    post_call_analysis_setting: Literal["both_agents", "only_destination_agent"] | None = omitted()
    mcp_id: str | None = omitted()
    mcp_tool_name: Text | None = omitted()
    component_id: Text | None = omitted()
    component_type: Literal["local", "shared"] | None = omitted()

    @model_validator(mode="after")
    def _of_its_type(self) -> Self:
        needs = NEEDS.get(self.type)
        if needs is None:
            message = f"Node {self.id!r} is of the unknown type {self.type!r}; there is: {', '.join(NEEDS)}"
            raise refuse(fault("node_type", message, self.type, ("type",)))
        missing = [name for name in needs if getattr(self, name) is None]
        if missing:
            raise refuse(*(fault("missing", f"A node of type {self.type!r} needs this", None, (it,)) for it in missing))
        written = self.instruction.type if self.instruction else "prompt"
        if (written != "prompt" and self.type in _PROMPTED) or (written == "template" and self.type != "sms"):
            message = f"A node of type {self.type!r} has no instruction of type {written!r}"
            raise refuse(fault("instruction_type", message, written, ("instruction", "type")))
        return self


# --- what the core makes of them ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scope:
    """What a node has around it: the model of the flow, tools by their ids, and MCP servers as they were written."""

    mind: Mind
    tools: Mapping[str, Tool]
    servers: Sequence[Mapping[str, Any]] = ()

    def placed(self, tool: Tool) -> Tool:
        """The tool, where it is one of an MCP server, under the name of that server."""
        return with_server(tool, {"mcps": self.servers})


def node_of(wire: Mapping[str, Any], scope: Scope) -> tuple[Node, Tool | None]:
    """A node of the right shape, and the tool that only it has, which belongs into the flow under ``own_key``."""
    id_, name, mind = wire["id"], str(wire.get("name") or ""), _mind(wire, scope.mind)
    match wire["type"]:
        case "conversation" | "subagent" | "press_digit":
            return _prompt(wire, scope, mind), None
        case "branch":
            return BranchNode(id_, name, mind), None
        case "end":
            words, generated = spoken(wire)
            return EndNode(id_, words, name, generated, mind), None
        case "component":
            return ComponentNode(id_, component_of(wire), name), None
        case "function":
            tool = scope.tools.get(wire["tool_id"])
            own = _as_node(tool, wire) if tool is not None else None
            key = own_key(wire) if own is not None and own != tool else wire["tool_id"]
            return _tool(wire, key, mind), own if key != wire["tool_id"] else None
        case _:
            own = scope.placed(_own_tool(wire))
            return _tool(wire, own_key(wire), mind), own


def own_key(wire: Mapping[str, Any]) -> str:
    """The id of the tool that only this node has."""
    return f"node:{wire['id']}"


def spoken(wire: Mapping[str, Any]) -> tuple[str, bool]:
    """What a node that does something says first, and whether that only tells the model what to say."""
    instruction = mapping(wire.get("instruction"))
    if wire.get("speak_during_execution") is not True:
        return "", False
    return str(instruction.get("text") or ""), instruction.get("type") == "prompt"


def component_of(wire: Mapping[str, Any]) -> str:
    """What the core calls the component that a node stands for."""
    id_ = str(wire["component_id"])
    return read("conversation_flow_component", id_) if wire["component_type"] == "shared" else id_


def _inline(wire: Mapping[str, Any], scope: Scope) -> tuple[Tool, ...]:
    """The tools that are written in a node that talks."""
    if wire["type"] == "press_digit":
        return (LineTool(Act.TONES, "press_digit"),)
    tools = listed(wire.get("tools")) if wire["type"] == "subagent" else []
    return tuple(scope.placed(to_tool(one, key=str(one.get("tool_id") or ""))) for one in tools)


def local_components(body: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The components of a flow itself, by all that nodes can call them."""
    named: dict[str, Mapping[str, Any]] = {}
    for key in _IDS:
        for component in listed(body.get("components")):
            if isinstance(component.get(key), str):
                named.setdefault(component[key], component)
    return named


def named_tools(wire: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the flow's tools that a node names."""
    match wire["type"]:
        case "subagent":
            return tuple(cast("list[str]", wire.get("tool_ids") or []))
        case "function" if wire["tool_type"] == "local":
            return (wire["tool_id"],)
        case _:
            return ()


def _prompt(wire: Mapping[str, Any], scope: Scope, mind: Mind | None) -> PromptNode:
    text = str(wire["instruction"]["text"])
    return PromptNode(
        wire["id"],
        text,
        str(wire.get("name") or ""),
        "append",  # behind the global prompt
        tuple(id_ for id_ in named_tools(wire) if id_ in scope.tools),
        "replace",
        mind,
        inline=_inline(wire, scope),
        says=text if wire["instruction"]["type"] == "static_text" else "",
        silent=wire["type"] == "press_digit",
        recall=recall_of(wire),
    )


def _tool(wire: Mapping[str, Any], key: str, mind: Mind | None) -> ToolNode:
    words, generated = spoken(wire)
    name = str(wire.get("name") or "")
    return ToolNode(wire["id"], key, words, name, generated=generated, filled_by="model", mind=mind)


def _as_node(tool: Tool, wire: Mapping[str, Any]) -> Tool:
    """The tool as this node uses it: the node says whether it is waited for, and what is said meanwhile."""
    waits = wire["wait_for_result"] is not False
    speaks = wire.get("speak_during_execution")
    match tool:
        case WebhookTool():
            tool = tool if waits else replace(tool, waits_ms=0)
        case CodeTool() | RemoteTool():
            tool = tool if waits else replace(tool, waits=False)
        case _:
            return tool
    return tool if speaks is None else replace(tool, fillers=())


def _own_tool(wire: Mapping[str, Any]) -> Tool:
    """What a node does that names no tool, as a tool."""
    kind, written = wire["type"], dict(wire)
    # What the node says, it says itself.
    for name in ("description", "speak_during_execution", "speak_after_execution"):
        written.pop(name, None)
    match kind:
        case "code":
            tool = to_tool({**written, "name": _callable(wire)})
        case "mcp":
            tool = to_tool({**written, "name": wire["mcp_tool_name"]})
        case "extract_dynamic_variables":
            told = "Write down what was said about these. Leave out what nobody said."
            return to_tool({**written, "type": "extract_dynamic_variable", "name": kind, "description": told})
        case "sms":
            return to_tool({"type": "send_sms", "name": "send_sms", "sms_content": _content(wire["instruction"])})
        case _:
            # Their kind is the name by which mocks know them (contract, section 3.6).
            return to_tool({**written, "name": kind})
    return _as_node(tool, wire)


def _content(instruction: Mapping[str, Any]) -> dict[str, Any]:
    match instruction["type"]:
        case "template":
            return {"type": "template", "template": instruction["template"]}
        case "static_text":
            return {"type": "predefined", "text": instruction["text"]}
        case _:
            return {"type": "inferred", "prompt": instruction["text"]}


def _callable(wire: Mapping[str, Any]) -> str:
    """The name by which mocks know a node that has no tool: its own, or its id."""
    for text in (wire.get("name"), wire["id"]):
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(text or "")).strip("_")[:_LONGEST_NAME]
        if name:
            return name
    return "code"


def _mind(wire: Mapping[str, Any], flow_mind: Mind) -> Mind | None:
    """The node's model, at the temperature of the flow where it names none."""
    mind = said_mind(wire)
    return replace(mind, temperature=flow_mind.temperature) if mind is not None and mind.temperature is None else mind
