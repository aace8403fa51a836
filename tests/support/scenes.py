"""Conversations with an assistant as they are played in tests, and told in a few words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.players import HandClock, ListModel, OneModel, TableTools
from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.state import State, Step
from vivavoce.assistant.step import step
from vivavoce.core.assistant import MODEL_OPENS, Cast, Rules, Templating, Version
from vivavoce.core.equation import Equation, Relation
from vivavoce.core.event import Event, HandedOver, Left, Message, Moved, Recalled, Speaker, ToolCalled, ToolReturned
from vivavoce.core.expression import Comparison, Expression, Literally, Variable
from vivavoce.core.flow import (
    AskCondition,
    AssistantTarget,
    BackTarget,
    Condition,
    DefaultCondition,
    Edge,
    EquationCondition,
    ExpressionCondition,
    Flow,
    Node,
    NodeTarget,
)
from vivavoce.core.transcript import Transcript

PREFIX = "sys_"
DEFAULT = DefaultCondition()


def version(flow: Flow | None = None, **settings: Any) -> Version:
    """An assistant whose system variables begin with ``sys_``."""
    given: dict[str, Any] = {"id": "v", "assistant_id": "a", "name": "Desk", "instructions": "Be kind."}
    given |= {"created_at": 0, "templating": Templating(PREFIX), "flow": flow}
    given |= settings
    return Version(**given)


def flow(*nodes: Node, edges: Sequence[Edge] = ()) -> Flow:
    """A flow that starts at its first node."""
    return Flow(nodes[0].id, nodes, tuple(edges))


def before(*nodes: Node, edges: Sequence[Edge] = (), **more: Any) -> Flow:
    """A flow that looks where to go before the assistant answers; it starts at its first node."""
    return Flow(nodes[0].id, nodes, tuple(edges), "before", **more)


def when(left: str, relation: Relation, right: str = "", prompt: str = "") -> EquationCondition:
    """One equation."""
    return EquationCondition((Equation(left, relation, right),), prompt=prompt)


def back(start: str, condition: Condition | str = DEFAULT) -> Edge:
    """A way back from a global node."""
    return Edge(f"{start}<", start, AskCondition(condition) if isinstance(condition, str) else condition, BackTarget())


def edge(start: str, end: str, condition: Condition | str | Expression = DEFAULT, id_: str = "") -> Edge:
    """``end`` is a node, or an assistant where it begins with ``@``. A text asks, an expression computes."""
    if isinstance(condition, str):
        condition = AskCondition(condition)
    elif not isinstance(condition, Condition):
        condition = ExpressionCondition(condition)
    target = AssistantTarget(end[1:]) if end.startswith("@") else NodeTarget(end)
    return Edge(id_ or f"{start}>{end}", start, condition, target)


def is_(name: str, value: str | float | bool) -> Expression:
    """The variable is this."""
    return Comparison("==", Variable(name), Literally(value))


TRUE = Literally(True)


@dataclass
class Stage:
    """Plays a conversation: the caller's lines one by one, and everything the assistant does in between."""

    cast: Cast
    model: ListModel = field(default_factory=lambda: ListModel([]))
    tools: TableTools = field(default_factory=TableTools)
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    spoken: bool = False
    memory: str = ""
    heard: list[str] = field(default_factory=list[str])
    steps: list[Step] = field(default_factory=list[Step])

    def __post_init__(self) -> None:
        self.models = OneModel(self.model)
        self.state = State(Transcript(), self.variables, "run:1", self.spoken, self.memory)

    @property
    def clock(self) -> HandClock:
        return self.model.clock

    @property
    def events(self) -> tuple[Event, ...]:
        return self.state.transcript.events

    async def listener(self, piece: str) -> None:
        self.heard.append(piece)

    async def settle(self, *heard: Event) -> None:
        """Steps until the assistant rests."""
        for _ in range(100):
            done = await step(self.cast, self.state, heard, models=self.models, tools=self.tools, clock=self.clock)
            heard, self.state = (), done.state
            self.steps.append(done)
            if done.rests:
                return
        raise AssertionError("the assistant never rests")

    async def play(self, *lines: str, opens: bool = True) -> list[str]:
        """All that happens while the caller says these lines, told."""
        if opens and not self.events:
            await self.settle()
        for line in lines:
            await self.settle(Message(Speaker.CALLER, line, self.clock.now()))
        return told(self.events)


NESTED = Templating("", Rules.NESTED, "UTC")


def agent(
    made: Flow,
    *answers: object,
    greeting: str = MODEL_OPENS,
    given: Mapping[str, Any] | None = None,
    table: Mapping[str, ToolOutput] | None = None,
    others: Sequence[Version] = (),
    **settings: Any,
) -> Stage:
    """A conversation with an agent that goes by the testing contract; it speaks first. ``given`` are its variables,
    ``table`` is what tools answer, ``others`` whom it can hand over to."""
    first = version(made, greeting=greeting, templating=NESTED, **settings)
    cast = Cast(first, {one.assistant_id: one for one in others})
    tools = TableTools({"look_up": ok("shipped"), **(table or {})})
    return Stage(cast, ListModel([*answers]), tools, variables=dict(given or {}))


def ok(text: str = "ok", **more: Any) -> ToolOutput:
    return ToolOutput(text, ok=True, **more)


def told(events: Sequence[Event]) -> list[str]:
    """Every event in a few words."""
    return [_told(event) for event in events]


def _told(event: Event) -> str:
    match event:
        case Message(speaker=speaker, text=text, fills=fills):
            return f"{'filler' if fills else speaker.value}: {text}"
        case ToolCalled(call=call):
            return f"call {call.name} {json.dumps(dict(call.arguments))}"
        case ToolReturned(name=name, ok=fine, output=output):
            return f"{name} {'gave' if fine else 'failed'}: {output}"
        case Moved(node=node, edge=over):
            return f"at {node}" + (f" over {over}" if over else "")
        case HandedOver(assistant_id=who, edge=over):
            return f"to {who}" + (f" over {over}" if over else "")
        case Left(ending=ending, reason=reason):
            return f"left {ending.value}: {reason}"
        case Recalled(passages=passages):
            return f"recalled {len(passages)}"
