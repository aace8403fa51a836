"""What an assistant is made of, in plain words: its tools and its flow."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from vivavoce.core.assistant import Version
from vivavoce.core.expression import Arithmetic, Comparison, Expression, Junction, Literally, Variable
from vivavoce.core.flow import (
    AskCondition,
    AssistantTarget,
    BranchNode,
    CallCondition,
    ComponentNode,
    Condition,
    Edge,
    EndNode,
    EquationCondition,
    ExpressionCondition,
    Flow,
    HeardCondition,
    Node,
    NodeTarget,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.tool import Tool
from vivavoce.files.plain import plain

_KINDS: Mapping[str, str] = {
    "webhook": "calls a web address",
    "function": "a function that the client runs",
    "code": "code",
    "hangup": "hangs up",
    "handoff": "hands over",
    "line": "does something to the call",
    "message": "sends a text message",
    "skip": "stays silent",
    "variables": "sets variables",
    "retrieval": "searches documents",
    "remote": "of an MCP server",
    "other": "is kept, and does nothing here",
}
_HIDDEN = "(hidden)"
_HEADERS = "headers"
_SECRETS = frozenset({"api_key", "apikey", "authorization", "password", "secret", "token", "access_token"})
_LEFT_OUT = frozenset({"kind", "name", "description", "extra"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A tool: what it does in a few words, and its settings as JSON without what may be secret."""

    name: str
    kind: str
    description: str
    settings: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """A way out of a node. ``node`` or ``assistant`` is the id of where it leads; neither is back to where it came
    from."""

    when: str
    to: str
    node: str = ""
    assistant: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A node of a flow. ``anchor`` is its place on the page."""

    anchor: str
    id: str
    title: str
    kind: str
    text: str
    ways: tuple[Way, ...]
    start: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A flow: its nodes in their order, and ways that lead to a node from everywhere."""

    steps: tuple[Step, ...]
    everywhere: tuple[Way, ...]
    components: tuple[tuple[str, int], ...]


def tools(version: Version) -> tuple[Shown, ...]:
    """All tools of a version that was completed with its shared ones."""
    own = [_shown(tool) for tool in version.tools]
    flows = [_shown(tool) for tool in version.flow.own_tools()] if version.flow else []
    shared = [_shown(tool, shared=True) for tool in version.library.values()]
    return (*own, *flows, *shared)


def _shown(tool: Tool, *, shared: bool = False) -> Shown:
    settings = {name: value for name, value in plain(tool).items() if name not in _LEFT_OUT}
    told = json.dumps(masked(settings), indent=2, ensure_ascii=False, default=str) if settings else ""
    return Shown(tool.name or tool.kind, _KINDS[tool.kind], getattr(tool, "description", ""), told, shared=shared)


def masked(value: Any, *, secret: bool = False) -> Any:
    """Plain data without what may be a secret: values of headers, and what is called a key or a password. A template
    only names its secrets, and stays."""
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        names = {"value"} if secret and given.keys() >= {"name", "value"} else given.keys() if secret else set[str]()
        return {
            name: masked(one, secret=name in names or name.lower() in _SECRETS or name == _HEADERS)
            for name, one in given.items()
        }
    if isinstance(value, list | tuple):
        return [masked(one, secret=secret) for one in cast("list[Any]", value)]
    return _HIDDEN if secret and isinstance(value, str) and value and "{{" not in value else value


def is_secret(path: str) -> bool:
    """Whether a field with this path, such as ``tools[look].headers[x-key].value``, may be a secret."""
    names = re.split(r"[.\[\]]+", path.lower())
    return (_HEADERS in names and names[-1] != "name") or names[-1] in _SECRETS


def flow(made: Flow) -> Path:
    """The flow, node by node."""
    titles = {node.id: title(node) for node in made.nodes}
    anchors = {node.id: f"node-{place}" for place, node in enumerate(made.nodes)}

    def way(edge: Edge) -> Way:
        match edge.target:
            case NodeTarget(node=node):
                return Way(when(edge.condition), titles.get(node, node), node=anchors.get(node, ""))
            case AssistantTarget(assistant_id=id_):
                return Way(when(edge.condition), id_, assistant=id_)
            case _:
                return Way(when(edge.condition), "back to where it came from")

    steps = tuple(
        Step(
            anchors[node.id],
            node.id,
            titles[node.id],
            node.kind,
            _text(node),
            tuple(way(edge) for edge in made.leaving(node.id)),
            node.id == made.start,
            _notes(node),
        )
        for node in made.nodes
    )
    everywhere = tuple(
        Way(when(one.condition), titles.get(one.node, one.node), node=anchors.get(one.node, "")) for one in made.globals
    )
    return Path(steps, everywhere, tuple((name, len(one.nodes)) for name, one in made.components.items()))


def title(node: Node) -> str:
    """What people call a node."""
    return node.name or node.id


def _text(node: Node) -> str:
    match node:
        case PromptNode(instructions=instructions, says=says):
            return "\n\n".join(dict.fromkeys(part for part in (says, instructions) if part))
        case SpeakNode(message=message) | ToolNode(message=message) | EndNode(message=message):
            return message
        case _:
            return ""


def _notes(node: Node) -> tuple[str, ...]:
    notes: list[str] = []
    match node:
        case PromptNode():
            if node.tools is not None:
                notes.append(f"tools: {', '.join(node.tools) or 'none'}")
            if node.inline:
                notes.append(f"own tools: {', '.join(tool.name for tool in node.inline)}")
            if node.silent:
                notes.append("says nothing")
        case ToolNode(tool=tool):
            notes.append(f"runs {tool}")
        case ComponentNode(component=component):
            notes.append(f"goes through {component}")
        case SpeakNode() | EndNode() | BranchNode():
            pass
    if not isinstance(node, ComponentNode) and node.mind is not None and node.mind.model:
        notes.append(f"model {node.mind.model}")
    return tuple(notes)


def when(condition: Condition) -> str:
    """When a way is taken, in words."""
    match condition:
        case AskCondition(prompt=prompt):
            return prompt
        case ExpressionCondition(expression=expression):
            return written(expression)
        case EquationCondition():
            told = f" {condition.joined} ".join(
                f"{one.left} {one.relation} {one.right}".strip() for one in condition.equations
            )
            return f"{told} and {condition.prompt}" if condition.prompt and told else told or condition.prompt
        case CallCondition(name=name, description=description):
            return f"the model takes “{name}”{f': {description}' if description else ''}"
        case SpokenCondition():
            return "when it has spoken"
        case HeardCondition():
            return "when the caller has answered"
        case ResultCondition(ok=ok):
            return "when the tool worked" if ok else "when the tool failed"
        case _:
            return "otherwise"


def written(expression: Expression) -> str:
    """An expression as people write it."""
    match expression:
        case Literally(value=value):
            return json.dumps(value, ensure_ascii=False, default=str)
        case Variable(name=name):
            return name
        case Comparison(op=op, left=left, right=right) | Arithmetic(op=op, left=left, right=right):
            return f"{_inner(left)} {op.replace('_', ' ')} {_inner(right)}"
        case Junction(op="not", operands=operands):
            return " and ".join(f"not {_inner(one)}" for one in operands)
        case Junction(op=op, operands=operands):
            return f" {op} ".join(_inner(one) for one in operands)


def _inner(expression: Expression) -> str:
    told = written(expression)
    return told if isinstance(expression, Literally | Variable) else f"({told})"
