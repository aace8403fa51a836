"""The port to whatever is being examined."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from vivavoce.core.event import Event, Message
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault


@dataclass(frozen=True, slots=True)
class Heard:
    """What it did next. ``rests`` is true when it will do nothing more until it is spoken to.

    A line hands out what happened piece by piece, one model or tool call at a time, so that each piece can be
    written down before the next is asked for.
    """

    events: tuple[Event, ...]
    rests: bool


class LineBroken(Exception):
    """The line cannot go on. ``fault`` says whose failure it was; ``passing``, that it may well go on a little later;
    the message is for a person."""

    def __init__(self, fault: Fault, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.fault = fault
        self.passing = passing


class Line(Protocol):
    """An open connection to an assistant. Every method may raise ``LineBroken``."""

    async def listen(self) -> Heard:
        """The next thing it does. An assistant that was spoken to and stays silent says the empty string."""
        ...

    async def say(self, message: Message) -> None:
        """Say this to it. Returns when it was delivered, not when it was answered."""
        ...


class Channel(Protocol):
    """A way to reach one assistant.

    ``resumable`` channels reopen with the recorded transcript and go on from there; on the others a broken
    conversation starts again. ``notes`` are lines for the run's story, such as how a call was carried.
    """

    @property
    def resumable(self) -> bool:
        """Whether it reopens with the recorded transcript."""
        ...

    @property
    def shows_tools(self) -> bool:
        """Whether every tool call of the assistant is heard on the line; otherwise their absence proves nothing."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Lines for the run's story."""
        ...

    def open(self, transcript: Transcript) -> AbstractAsyncContextManager[Line]:
        """Connect, going on from what was recorded. Entering it may raise ``LineBroken``."""
        ...
