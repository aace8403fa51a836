"""A conversation flow: a graph of nodes that says what the assistant does next.

``vivavoce.assistant.flow`` applies the rules of its evaluation. There are two sets of them, and a flow names its own:
one looks where to go when the assistant has answered (section 4.2 of the assistants contract), one before it answers
(section 7 of the testing contract).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vivavoce.core.equation import Equation
from vivavoce.core.expression import Expression
from vivavoce.core.mind import Mind
from vivavoce.core.passage import Recall
from vivavoce.core.tool import Tool


def _nothing() -> dict[str, Any]:
    return {}


Mode = Literal["replace", "append"]
"""Whether a node's own instructions or tools take the place of the assistant's, or come behind them."""

# --- nodes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PromptNode:
    """The model talks. ``tools`` are ids of tools of the flow or of the shared library; None leaves the assistant's
    tools as they are. ``inline`` are tools that only this node has. ``mind`` None leaves its model.

    ``says`` is a template that is said word for word on entering, before the model talks. A ``silent`` node says
    nothing: its model can only call tools. ``recall`` None leaves the assistant's.
    """

    id: str
    instructions: str
    name: str = ""
    instructions_mode: Mode = "replace"
    tools: tuple[str, ...] | None = None
    tools_mode: Mode = "replace"
    mind: Mind | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["prompt"] = "prompt"
    inline: tuple[Tool, ...] = ()
    says: str = ""
    silent: bool = False
    recall: Recall | None = None


@dataclass(frozen=True, slots=True)
class SpeakNode:
    """Says its message, a template, word for word, and goes on; ``generated``: the message tells the model what to
    say."""

    id: str
    message: str
    name: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["speak"] = "speak"
    generated: bool = False
    mind: Mind | None = None


@dataclass(frozen=True, slots=True)
class ToolNode:
    """Says its message, if it has one, runs a tool of the flow or of the shared library, and goes on.

    ``generated`` is as in ``SpeakNode``. ``filled_by`` says where the arguments come from: variables of the same name,
    or the model, which is asked for them where the tool has any.
    """

    id: str
    tool: str
    message: str = ""
    name: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["tool"] = "tool"
    generated: bool = False
    filled_by: Literal["variables", "model"] = "variables"
    mind: Mind | None = None


@dataclass(frozen=True, slots=True)
class BranchNode:
    """Says nothing and goes on."""

    id: str
    name: str = ""
    mind: Mind | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["branch"] = "branch"


@dataclass(frozen=True, slots=True)
class EndNode:
    """Says its message, if it has one, and leaves. ``generated`` is as in ``SpeakNode``."""

    id: str
    message: str = ""
    name: str = ""
    generated: bool = False
    mind: Mind | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["end"] = "end"


@dataclass(frozen=True, slots=True)
class ComponentNode:
    """Goes through another flow and on when that one has ended. ``component`` is the name of one of the flow's
    ``components``, or the id of a shared one. No run ever stands at it: ``spread`` puts the component in its place."""

    id: str
    component: str
    name: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["component"] = "component"


Node = PromptNode | SpeakNode | ToolNode | BranchNode | EndNode | ComponentNode

# --- conditions -----------------------------------------------------------------------------------------------------


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
class EquationCondition:
    """The variables decide, written as templates; where there is a ``prompt`` too, a model must say that it holds."""

    equations: tuple[Equation, ...]
    joined: Literal["and", "or"] = "and"
    prompt: str = ""
    kind: Literal["equation"] = "equation"


@dataclass(frozen=True, slots=True)
class CallCondition:
    """The model of the node takes this way by calling it like a tool; what it calls it with become variables."""

    name: str
    description: str
    parameters: Mapping[str, Any] | None = None
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True)
class SpokenCondition:
    """Holds as soon as the assistant has spoken at the node."""

    kind: Literal["spoken"] = "spoken"


@dataclass(frozen=True, slots=True)
class HeardCondition:
    """Holds as soon as the caller has answered what was said at the node."""

    kind: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True)
class ResultCondition:
    """Holds when the tool of the node has done its work (``ok``), or has failed."""

    ok: bool
    kind: Literal["result"] = "result"


@dataclass(frozen=True, slots=True)
class DefaultCondition:
    """Holds when nothing else does."""

    kind: Literal["default"] = "default"


Condition = (
    AskCondition
    | ExpressionCondition
    | EquationCondition
    | CallCondition
    | SpokenCondition
    | HeardCondition
    | ResultCondition
    | DefaultCondition
)

# --- edges ----------------------------------------------------------------------------------------------------------


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
class BackTarget:
    """The node from which this one, a global one, was entered; ``left`` names another than the one the edge starts at,
    where that one ends a component that is entered as a whole."""

    kind: Literal["back"] = "back"
    left: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from a node to a node or to an assistant."""

    id: str
    start: str
    condition: Condition
    target: NodeTarget | AssistantTarget | BackTarget


@dataclass(frozen=True, slots=True)
class Global:
    """A way to a node from every prompt node that has no way of its own to take. It is closed until the flow has moved
    ``cool_down`` times since it was taken last."""

    id: str
    node: str
    condition: Condition
    cool_down: int = 0


@dataclass(frozen=True, slots=True)
class Inner:
    """Where a node was before its component was put in place: the component, and the node's id there."""

    component: str
    node: str


@dataclass(frozen=True, slots=True)
class Flow:
    """The graph. Ids of nodes and of edges are unique, and every end of an edge exists (checked when it is written).

    ``routes`` says when the conditions at a prompt node are looked at: when the assistant has answered, or before it
    answers. ``tools`` are the flow's own, by their ids; ``components`` its own parts, by their names. ``inner`` says of
    the nodes that came from components where they came from.
    """

    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    routes: Literal["after", "before"] = "after"
    globals: tuple[Global, ...] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    components: Mapping[str, "Flow"] = field(default_factory=dict[str, "Flow"])
    inner: Mapping[str, Inner] = field(default_factory=dict[str, Inner])

    def node(self, id_: str) -> Node:
        """The node with this id. Raises ``KeyError``."""
        for node in self.nodes:
            if node.id == id_:
                return node
        raise KeyError(id_)

    def leaving(self, node: str) -> tuple[Edge, ...]:
        """The edges that leave the node, in the order in which they were declared."""
        return tuple(edge for edge in self.edges if edge.start == node)

    def own_tools(self) -> Iterator[Tool]:
        """Every tool that belongs to the flow, its nodes or its components."""
        yield from self.tools.values()
        for node in self.nodes:
            if isinstance(node, PromptNode):
                yield from node.inline
        for component in self.components.values():
            yield from component.own_tools()
