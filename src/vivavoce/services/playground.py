"""One turn of an assistant in a conversation that its client keeps: nothing is written down here.

What is spoken, called and moved is what an examination would see at the same place: the same cast, the same tools, the
same step.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.place import place
from vivavoce.assistant.state import State, active
from vivavoce.assistant.step import step
from vivavoce.core.assistant import Cast, Form, Version
from vivavoce.core.event import Event, Message, Millis, Moved, Speaker, ToolReturned
from vivavoce.core.flow import Flow
from vivavoce.core.model import ModelFailure
from vivavoce.core.scenario import Medium
from vivavoce.core.tool import ToolMock
from vivavoce.core.transcript import Transcript
from vivavoce.services import casting, engines
from vivavoce.services.assistants import cast
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Rejected
from vivavoce.services.minds import Minds
from vivavoce.services.tooling import ToolsOf
from vivavoce.services.variables import starting
from vivavoce.storage.database import Tx


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn did. ``transcript`` is everything, the turn included; ``variables`` are those of now, without what
    the session alone tells; ``node`` is
    where the assistant's flow stands, None where it has none or another assistant speaks now."""

    events: tuple[Event, ...]
    transcript: Transcript
    variables: Mapping[str, Any]
    node: str | None
    ended: bool


async def everybody(ctx: Context, org: str, assistant_id: str, number: int | None = None) -> tuple[Cast, Medium]:
    """Who speaks for this agent, and how. Raises ``NotFound``, and ``Rejected`` where the agent plays nothing."""

    def look_up(tx: Tx) -> tuple[Cast, Medium]:
        assistant, version = engines.get(tx, org, assistant_id, engines.AGENTS, number)
        check(tx, org, version)
        medium = Medium.WEB_CALL if assistant.form is Form.VOICE_AGENT else Medium.WEB_CHAT
        return cast(tx, org, version), medium

    return await ctx.database.read(look_up)


def check(tx: Tx, org: str, version: Version) -> None:
    """Raises ``Rejected`` where this version of an agent has nothing to say."""
    if version.plays is None:
        raise Rejected("This agent's words come from a server of its own; this server does not ask for them.")
    if engines.find(tx, org, version.plays.assistant_id, version.plays.number) is None:
        raise Rejected("What this agent speaks as is gone.")


def standing(flow: Flow, transcript: Transcript, node: str, now: Millis) -> Transcript:
    """The transcript in which the flow stands at this node, as somebody says it does.

    Where it does not show that, the node is entered before the assistant last spoke, so that what the caller said last
    is an answer to what was said there.
    """
    here = place(flow, transcript)
    if here is not None and here.node.id == node:
        return transcript
    events = transcript.events
    end = len(events)
    while end and _of_caller(events[end - 1]):
        end -= 1
    earlier = (turn for turn in range(end - 1, -1, -1) if _of_caller(events[turn]) or isinstance(events[turn], Moved))
    turn = next(earlier, -1) + 1
    entered = Moved(node, events[turn].at if turn < len(events) else now, name=flow.node(node).name)
    return Transcript((*events[:turn], entered, *events[turn:]))


def _of_caller(event: Event) -> bool:
    return isinstance(event, Message) and event.speaker is Speaker.CALLER


async def turn(
    ctx: Context,
    org: str,
    who: Cast,
    transcript: Transcript,
    variables: Mapping[str, Any],
    mocks: tuple[ToolMock, ...] = (),
    *,
    medium: Medium = Medium.WEB_CALL,
) -> Turn:
    """Everything the assistant does until it rests. ``variables`` win over those of the version. Raises ``Broken``
    where a model fails."""
    who, _ = await casting.attached(ctx, org, who)
    id_ = ctx.new_id()
    known = starting(who.first, variables, conversation_id=id_, started_at=ctx.clock.now(), medium=medium)
    tools = ToolsOf(ctx, org, who.first.templating.prefix, conversation_id=id_, mocks=mocks, cast=who)
    minds = Minds(ctx, org)
    state = State(transcript, known, id_, medium.spoken)
    events: list[Event] = []
    while True:
        try:
            done = await step(who, state, (), models=minds, tools=tools, clock=ctx.clock)
        except ModelFailure as failure:
            raise Broken(f"The assistant's model: {failure}") from failure
        events += done.events
        state = done.state
        if done.rests:
            break
    # Those of the session alone are nobody's to be told, nor to be given again.
    named = {*who.first.variables, *variables, *_set(events)}
    first = who.first if active(who, state.transcript) is who.first else None
    here = place(first.flow, state.transcript) if first is not None and first.flow is not None else None
    return Turn(
        tuple(events),
        state.transcript,
        {name: value for name, value in state.current().items() if name in named},
        here.node.id if here is not None else None,
        state.transcript.ending is not None,
    )


def _set(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        if isinstance(event, ToolReturned):
            yield from event.variables
