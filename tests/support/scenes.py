"""Conversations with an assistant as they are played in tests, and told in a few words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.players import HandClock, ListModel, OneModel, TableTools
from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.state import State, Step
from vivavoce.assistant.step import step
from vivavoce.core.assistant import Cast, Templating, Version
from vivavoce.core.event import Event, HandedOver, Left, Message, Moved, Speaker, ToolCalled, ToolReturned
from vivavoce.core.expression import Comparison, Expression, Literally, Variable
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


def edge(start: str, end: str, condition: Condition | str | Expression = DEFAULT, id_: str = "") -> Edge:
    """``end`` is a node, or an assistant where it begins with ``@``. A text asks, an expression computes."""
    if isinstance(condition, str):
        condition = AskCondition(condition)
    elif not isinstance(condition, AskCondition | ExpressionCondition | DefaultCondition):
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
