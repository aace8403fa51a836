"""The shape of ``conversation_flow`` and its rules at write time (contract, section 4)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from vivavoce.api.shape import Flag, Number, fault, omitted, refuse, sent
from vivavoce.api.telnyx.wire.settings import ExternalLLM, Transcription, VoiceSettings

MAX_EXPRESSION_DEPTH = 32
"""How many operators may stand inside each other."""


class NodePosition(BaseModel, frozen=True, extra="allow"):
    """Where an editor draws it."""

    x: Number
    y: Number


class PromptNode(BaseModel, frozen=True, extra="allow"):
    """A node in which the model talks."""

    type: Literal["prompt"] = omitted()
    id: str
    instructions: str
    name: str = omitted()
    instructions_mode: Literal["replace", "append"] = omitted()
    model: str = omitted()
    llm_api_key_ref: str = omitted()
    external_llm: ExternalLLM = omitted()
    shared_tool_ids: list[str] | None = omitted()
    tools_mode: Literal["replace", "append"] = omitted()
    transcription: Transcription = omitted()
    voice_settings: VoiceSettings = omitted()
    position: NodePosition = omitted()


class SpeakNode(BaseModel, frozen=True, extra="allow"):
    """A node that says its message."""

    type: Literal["speak"]
    id: str
    message: str
    name: str = omitted()
    position: NodePosition = omitted()


class ToolNode(BaseModel, frozen=True, extra="allow"):
    """A node that runs a shared tool."""

    type: Literal["tool"]
    id: str
    shared_tool_id: str
    name: str = omitted()
    message: Annotated[str, Field(min_length=1, pattern=r"\S")] = omitted()
    position: NodePosition = omitted()


class ComparisonExpression(BaseModel, frozen=True, extra="allow"):
    """Compares two values; ``contains`` is a substring or a member of an array."""

    type: Literal["comparison"]
    op: Literal["==", "!=", "<", "<=", ">", ">=", "contains", "not_contains"]
    left: "Expression"
    right: "Expression"


class BoolOpExpression(BaseModel, frozen=True, extra="allow"):
    """Joins conditions: *and* and *or* need two or more, *not* exactly one."""

    type: Literal["bool_op"]
    op: Literal["and", "or", "not"]
    operands: Annotated[list["Expression"], Field(min_length=1)]

    @model_validator(mode="after")
    def _number_of_operands(self) -> Self:
        if (len(self.operands) == 1) != (self.op == "not"):
            message = "'not' takes exactly one operand, 'and' and 'or' at least two"
            raise refuse(fault("value_error", message, None, ("operands",)))
        return self


class ArithmeticExpression(BaseModel, frozen=True, extra="allow"):
    """Calculates with numbers."""

    type: Literal["arithmetic"]
    op: Literal["+", "-", "*", "/", "%"]
    left: "Expression"
    right: "Expression"


class VariableExpression(BaseModel, frozen=True, extra="allow"):
    """A dynamic variable."""

    type: Literal["variable"]
    name: str


class StringLiteral(BaseModel, frozen=True, extra="allow"):
    """Text."""

    type: Literal["string_literal"]
    value: str


class NumberLiteral(BaseModel, frozen=True, extra="allow"):
    """A number; 18 is kept as 18.0."""

    type: Literal["number_literal"]
    value: Number


class BoolLiteral(BaseModel, frozen=True, extra="allow"):
    """true or false."""

    type: Literal["bool_literal"]
    value: Flag


Expression = Annotated[
    ComparisonExpression
    | BoolOpExpression
    | ArithmeticExpression
    | VariableExpression
    | StringLiteral
    | NumberLiteral
    | BoolLiteral,
    Field(discriminator="type"),
]


class LLMCondition(BaseModel, frozen=True, extra="allow"):
    """The model decides."""

    type: Literal["llm"]
    prompt: str


class ExpressionCondition(BaseModel, frozen=True, extra="allow"):
    """The variables decide."""

    type: Literal["expression"]
    expression: Expression


class DefaultCondition(BaseModel, frozen=True, extra="allow"):
    """When nothing else does."""

    type: Literal["default"]


class NodeTarget(BaseModel, frozen=True, extra="allow"):
    """Another node of this flow."""

    type: Literal["node"]
    node_id: str


class AssistantTarget(BaseModel, frozen=True, extra="allow"):
    """Another assistant."""

    type: Literal["assistant"]
    assistant_id: str
    voice_mode: Literal["unified", "distinct"] = omitted()
    position: NodePosition = omitted()


class FlowEdge(BaseModel, frozen=True, extra="allow"):
    """A way from a node to a node or to an assistant."""

    id: str
    start_node_id: str
    condition: Annotated[LLMCondition | ExpressionCondition | DefaultCondition, Field(discriminator="type")]
    target: Annotated[NodeTarget | AssistantTarget, Field(discriminator="type")]


def _node_kind(node: object) -> Any:
    # A node that says nothing of its type is a prompt; one that says something unknown matches no tag.
    kind = cast("dict[str, object]", node).get("type", "prompt") if isinstance(node, dict) else _type(node)
    return kind if isinstance(kind, str) else None


def _type(node: object) -> object:
    return getattr(node, "type", None) or "prompt"


FlowNode = Annotated[
    Annotated[PromptNode, Tag("prompt")] | Annotated[SpeakNode, Tag("speak")] | Annotated[ToolNode, Tag("tool")],
    Discriminator(
        _node_kind,
        custom_error_type="node_type",
        custom_error_message="The type of a node should be 'prompt', 'speak' or 'tool'",
    ),
]


class ConversationFlow(BaseModel, frozen=True, extra="allow"):
    """A graph of nodes, sent whole."""

    start_node_id: str
    nodes: list[FlowNode]
    edges: list[FlowEdge] = omitted()

    @model_validator(mode="after")
    def _rules(self) -> Self:
        problems = flow_problems(sent(self))
        if problems:
            raise refuse(*(fault("conversation_flow", problem, None) for problem in problems[:20]))
        return self


def flow_problems(flow: Mapping[str, Any], tool_kinds: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with a flow of the right shape, one sentence each.

    Without ``tool_kinds`` (the type of every shared tool by its id) the rules about particular tools are not
    looked at: that they exist, that nothing follows a hangup, that only a default follows a transfer.
    """
    nodes: Sequence[Mapping[str, Any]] = flow["nodes"]
    edges: Sequence[Mapping[str, Any]] = flow.get("edges") or ()
    by_id = {node["id"]: node for node in nodes}
    found = [f"node id {id_!r} is used more than once" for id_ in _repeated(node["id"] for node in nodes)]
    found += [f"edge id {id_!r} is used more than once" for id_ in _repeated(edge["id"] for edge in edges)]
    if flow["start_node_id"] not in by_id:
        found.append(f"start_node_id {flow['start_node_id']!r} is not a node")
    for edge in edges:
        found += _edge_problems(edge, by_id)
    leaving_of: dict[str, list[Mapping[str, Any]]] = {}
    for edge in edges:
        leaving_of.setdefault(edge["start_node_id"], []).append(edge)
    for node in by_id.values():
        leaving = leaving_of.get(node["id"], [])
        found += _node_problems(node, leaving)
        if tool_kinds is not None:
            found += _tool_problems(node, leaving, tool_kinds)
    return found


def _repeated(ids: Iterator[str]) -> list[str]:
    return [id_ for id_, count in Counter(ids).items() if count > 1]


def _kind(node: Mapping[str, Any]) -> str:
    return node.get("type") or "prompt"


def _edge_problems(edge: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    name = f"edge {edge['id']!r}"
    start = nodes.get(edge["start_node_id"])
    if start is None:
        yield f"{name} leaves {edge['start_node_id']!r}, which is not a node"
    target, condition = edge["target"], edge["condition"]
    if target["type"] == "node" and target["node_id"] not in nodes:
        yield f"{name} leads to {target['node_id']!r}, which is not a node"
    if condition["type"] == "default" and start is not None and _kind(start) == "prompt":
        yield f"{name} has a default condition, which is only for edges that leave a speak or tool node"
    if condition["type"] == "expression":
        root = condition["expression"]
        if root["type"] in ("arithmetic", "string_literal", "number_literal"):
            yield f"{name}: the expression must yield a boolean, and a {root['type']} does not"
        if _depth(root) > MAX_EXPRESSION_DEPTH:
            yield f"{name}: the expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels"


def _depth(root: Mapping[str, Any]) -> int:
    level, depth = [root], 0
    while level:
        depth += 1
        level = [part for one in level for part in _parts(one)]
    return depth


def _parts(expression: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    match expression["type"]:
        case "bool_op":
            return list(expression["operands"])
        case "comparison" | "arithmetic":
            return [expression["left"], expression["right"]]
        case _:
            return []


def _node_problems(node: Mapping[str, Any], leaving: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    name = f"node {node['id']!r}"
    if _kind(node) == "prompt":
        if "model" in node and "external_llm" in node:
            yield f"{name} has both model and external_llm"
    elif leaving:
        defaults = sum(edge["condition"]["type"] == "default" for edge in leaving)
        if defaults != 1:
            yield f"{name} needs exactly one default edge among those that leave it, and has {defaults}"


def _tool_problems(
    node: Mapping[str, Any], leaving: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]
) -> Iterator[str]:
    name = f"node {node['id']!r}"
    wanted = [node["shared_tool_id"]] if _kind(node) == "tool" else node.get("shared_tool_ids") or []
    for tool in wanted:
        if tool not in kinds:
            yield f"{name} names the shared tool {tool!r}, which does not exist"
    if _kind(node) == "tool":
        kind = kinds.get(node["shared_tool_id"])
        if kind == "hangup" and leaving:
            yield f"{name} hangs up, so that no edge can leave it"
        if kind == "transfer" and (len(leaving) > 1 or any(edge["condition"]["type"] != "default" for edge in leaving)):
            yield f"{name} transfers, so that only one default edge can leave it"
