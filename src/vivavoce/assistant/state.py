"""Where a conversation stands, and who speaks in it. All of it is read off the record."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vivavoce.core.assistant import MODEL_OPENS, Cast, Version
from vivavoce.core.event import Event, HandedOver, Message, Speaker, ToolReturned
from vivavoce.core.transcript import Transcript

MAX_ROUNDS = 8
"""Rounds of tool calls after one message of the caller; then the assistant must speak without tools."""

Listener = Callable[[str], Awaitable[None]]
"""Hears the assistant's words while they come."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a conversation stands. ``variables`` are those it started with; tools may have set more since.

    ``key`` begins the idempotency keys of its tool calls, for example ``run:attempt``. ``spoken``: it is a call, to
    which other rules of a flow apply (contract, section 4.2, rules 3 and 4). ``memory`` is what the assistant is told
    of earlier conversations.
    """

    transcript: Transcript
    variables: Mapping[str, Any]
    key: str
    spoken: bool = False
    memory: str = ""

    def plus(self, events: Sequence[Event]) -> "State":
        """The state after more events."""
        return replace(self, transcript=self.transcript.plus(events)) if events else self

    def current(self) -> Mapping[str, Any]:
        """The variables as they are now: those of the start, overwritten by what tools set, in order."""
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


def active(cast: Cast, transcript: Transcript) -> Version:
    """The version that speaks now: that of the assistant to whom the conversation was handed over last.

    Where that assistant is not in the cast any more (it was deleted since), the one that it began with speaks again.
    """
    if cast.others:
        for event in reversed(transcript.events):
            if isinstance(event, HandedOver):
                return in_cast(cast, event.assistant_id) or cast.first
    return cast.first


def in_cast(cast: Cast, assistant_id: str) -> Version | None:
    """The version that speaks for this assistant, or None where it cannot be reached."""
    return cast.first if assistant_id == cast.first.assistant_id else cast.others.get(assistant_id)


def said_anything(transcript: Transcript) -> bool:
    """Whether anybody has said anything yet."""
    return any(isinstance(event, Message) and not event.fills for event in transcript.events)


def owes_words(version: Version, transcript: Transcript) -> bool:
    """Whether it is the assistant's turn to speak: it was spoken to, or a tool answered it, and it has not spoken
    since. Before anybody has said anything, only an assistant whose model opens does."""
    last = transcript.last_act
    if isinstance(last, Message):
        return last.speaker is Speaker.CALLER
    return version.greeting == MODEL_OPENS or (last is not None and said_anything(transcript))


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
