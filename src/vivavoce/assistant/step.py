"""The assistant's runtime: one step is one model call, or the tool calls that the last one asked for.

The step keeps nothing: all it knows is the version, the state and what was heard. Chat, messages, calls and
examinations run on this one function, and whoever runs it writes each step's events down before the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vivavoce.assistant.ports import ToolOutput, Tools
from vivavoce.assistant.prompt import prompt
from vivavoce.assistant.variables import as_text, render
from vivavoce.core.assistant import MODEL_OPENS, Version
from vivavoce.core.clock import Clock
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.model import Model, Prompt, Reply
from vivavoce.core.tool import HangupTool
from vivavoce.core.transcript import Transcript

MAX_ROUNDS = 8
"""Rounds of tool calls after one message of the caller; then the assistant must speak without tools."""

Listener = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class State:
    """Where a conversation stands. ``variables`` are those it started with; tools may have set more since.

    ``key`` begins the idempotency keys of its tool calls, for example ``run:attempt``.
    """

    transcript: Transcript
    variables: Mapping[str, Any]
    key: str

    def current(self) -> Mapping[str, Any]:
        """The variables as they are now: those of the start, overwritten by what tools stored, in order."""
        stored: dict[str, Any] = {}
        for event in self.transcript.events:
            if isinstance(event, ToolReturned):
                stored.update(event.variables)
        return {**self.variables, **stored} if stored else self.variables


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. ``rests``: it does nothing more until it hears something, or it left."""

    events: tuple[Event, ...]
    state: State
    rests: bool


async def step(
    version: Version,
    state: State,
    heard: Sequence[Event],
    *,
    model: Model,
    tools: Tools,
    clock: Clock,
    listener: Listener | None = None,
) -> Step:
    """The next thing the assistant does, having heard this.

    With a ``listener``, words are handed to it in pieces while the model writes them. Raises ``ModelFailure``
    where its model does; a tool that fails is told to the model and raises nothing.
    """
    state = replace(state, transcript=state.transcript.plus(heard))
    transcript = state.transcript
    if transcript.ending is not None:
        return Step((), state, rests=True)
    if transcript.pending_calls():
        events = await _call_tools(version, state, tools, clock)
    elif not transcript.events and version.greeting != MODEL_OPENS:
        events = _greet(version, state, clock)
    else:
        events = await _ask(version, state, model, clock, listener)
    after = replace(state, transcript=transcript.plus(events))
    working = bool(events) and isinstance(events[-1], ToolCalled | ToolReturned)
    return Step(events, after, rests=not working)


def _greet(version: Version, state: State, clock: Clock) -> tuple[Event, ...]:
    """The fixed greeting; an empty or absent one waits for the caller (contract, section 6.4)."""
    words = render(version.greeting or "", state.variables)
    return (Message(Speaker.ASSISTANT, words, clock.now()),) if words.strip() else ()


async def _ask(
    version: Version, state: State, model: Model, clock: Clock, listener: Listener | None
) -> tuple[Event, ...]:
    transcript = state.transcript
    asked = prompt(version, transcript, state.current(), with_tools=rounds(transcript) < MAX_ROUNDS)
    started = clock.ticks()
    reply = await (model.reply(asked) if listener is None else _overheard(model, asked, listener))
    took_ms = round((clock.ticks() - started) * 1000)
    now = clock.now()
    events: list[Event] = []
    calls = reply.calls if asked.tools else ()
    text = reply.text if reply.text.strip() else ""  # white space is silence
    if text or not calls:
        events.append(Message(Speaker.ASSISTANT, text, now, took_ms, reply.usage))
    for call in calls:
        # Providers number their calls anew in every answer; within a conversation an id must be unique.
        own = replace(call, id=f"call_{len(transcript.events) + len(events)}")
        first = not events
        events.append(ToolCalled(own, now, took_ms if first else 0, reply.usage if first else None))
    return tuple(events)


async def _overheard(model: Model, asked: Prompt, listener: Listener) -> Reply:
    reply = Reply("")
    async for piece in model.stream(asked):
        if isinstance(piece, Reply):
            reply = piece
        else:
            await listener(piece)
    return reply


def rounds(transcript: Transcript) -> int:
    """How many rounds of tool calls were answered since the caller last spoke."""
    count, in_round = 0, False
    for event in reversed(transcript.events):
        if isinstance(event, Message) and event.speaker is Speaker.CALLER:
            break
        if isinstance(event, ToolReturned) and not in_round:
            count += 1
        in_round = isinstance(event, ToolReturned)
    return count


async def _call_tools(version: Version, state: State, tools: Tools, clock: Clock) -> tuple[Event, ...]:
    """All pending calls, side by side; a wish to hang up is granted when the others have returned."""
    pending = state.transcript.pending_calls()
    known = {tool.name: tool for tool in version.tools}
    leaving = [call for call in pending if isinstance(known.get(call.name), HangupTool)]
    variables = {name: as_text(value) for name, value in state.current().items()}

    async def one(call: ToolCall) -> ToolReturned:
        started = clock.ticks()
        tool = known.get(call.name)
        if tool is None:
            output = ToolOutput(f"There is no tool named {call.name!r}.", ok=False)
        else:
            output = await tools.call(tool, call.arguments, key=f"{state.key}:{call.id}", variables=variables)
        return ToolReturned(
            call.id,
            call.name,
            output.text,
            output.ok,
            clock.now(),
            round((clock.ticks() - started) * 1000),
            output.status_code,
            output.mocked,
            output.variables,
        )

    returned = await asyncio.gather(*(one(call) for call in pending if call not in leaving))
    # Calls that ran side by side took as long as the slowest of them, not their sum.
    slowest = max((event.took_ms for event in returned), default=0)
    events: list[Event] = [replace(event, took_ms=slowest if place == 0 else 0) for place, event in enumerate(returned)]
    if leaving:
        reason = as_text(leaving[0].arguments.get("reason")) or "the assistant hung up"
        events.append(Left(Ending.HANGUP, clock.now(), Speaker.ASSISTANT, reason))
    return tuple(events)
