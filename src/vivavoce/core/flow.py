"""A conversation flow: a graph of nodes that says what the assistant does next.

The rules of its evaluation are section 4.2 of the assistants contract; ``vivavoce.assistant.flow`` applies them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vivavoce.core.expression import Expression
from vivavoce.core.mind import Mind


def _nothing() -> dict[str, Any]:
    return {}


Mode = Literal["replace", "append"]
"""Whether a node's own instructions or tools take the place of the assistant's, or come behind them."""


@dataclass(frozen=True, slots=True)
class PromptNode:
    """The model talks. ``tools`` are ids of shared tools; None leaves the assistant's tools as they are. ``mind`` None
    leaves its model."""

    id: str
    instructions: str
    name: str = ""
    instructions_mode: Mode = "replace"
    tools: tuple[str, ...] | None = None
    tools_mode: Mode = "replace"
    mind: Mind | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["prompt"] = "prompt"


@dataclass(frozen=True, slots=True)
class SpeakNode:
    """Says its message, a template, word for word, and goes on."""

    id: str
    message: str
    name: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["speak"] = "speak"


@dataclass(frozen=True, slots=True)
class ToolNode:
    """Says its message, if it has one, runs a shared tool with variables as its arguments, and goes on."""

    id: str
    tool: str
    message: str = ""
    name: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["tool"] = "tool"


Node = PromptNode | SpeakNode | ToolNode


@dataclass(frozen=True, slots=True)
class AskCondition:
    """A model decides whether this holds of the conversation."""

    prompt: str
    kind: Literal["ask"] = "ask"


@dataclass(frozen=True, slots=True)
class ExpressionCondition:
    """The variables decide."""

    expression: Expression
    kind: Literal["expression"] = "expression"


@dataclass(frozen=True, slots=True)
class DefaultCondition:
    """Holds when nothing else does."""

    kind: Literal["default"] = "default"


Condition = AskCondition | ExpressionCondition | DefaultCondition


@dataclass(frozen=True, slots=True)
class NodeTarget:
    """Another node of the flow."""

    node: str
    kind: Literal["node"] = "node"


@dataclass(frozen=True, slots=True)
class AssistantTarget:
    """Another assistant of this server, which begins at the start of its own flow."""

    assistant_id: str
    kind: Literal["assistant"] = "assistant"


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from a node to a node or to an assistant."""

    id: str
    start: str
    condition: Condition
    target: NodeTarget | AssistantTarget


@dataclass(frozen=True, slots=True)
class Flow:
    """The graph. Ids of nodes and of edges are unique, and every end of an edge exists (checked when it is written)."""

    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()

    def node(self, id_: str) -> Node:
        """The node with this id. Raises ``KeyError``."""
        for node in self.nodes:
            if node.id == id_:
                return node
        raise KeyError(id_)

    def leaving(self, node: str) -> tuple[Edge, ...]:
        """The edges that leave the node, in the order in which they were declared."""
        return tuple(edge for edge in self.edges if edge.start == node)
