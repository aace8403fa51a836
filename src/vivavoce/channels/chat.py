"""In-process conversation with an assistant of this server."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.ports import Tools
from vivavoce.assistant.step import State, step
from vivavoce.core.assistant import Version
from vivavoce.core.clock import Clock
from vivavoce.core.event import Message
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault
from vivavoce.examination.channel import Heard, LineBroken


class ChatLine:
    """An open conversation with one version of an assistant."""

    def __init__(self, version: Version, state: State, model: Model, tools: Tools, clock: Clock) -> None:
        self._version, self._state = version, state
        self._model, self._tools, self._clock = model, tools, clock
        self._heard: tuple[Message, ...] = ()

    async def listen(self) -> Heard:
        """One step of the assistant: one model call, or the tool calls that the last one asked for."""
        try:
            done = await step(
                self._version, self._state, self._heard, model=self._model, tools=self._tools, clock=self._clock
            )
        except ModelFailure as failure:
            fault = Fault.ASSISTANT if failure.trouble is Trouble.GARBLED else Fault.INFRASTRUCTURE
            raise LineBroken(fault, f"the assistant's model: {failure}") from failure
        self._state, self._heard = done.state, ()
        return Heard(done.events, done.rests)

    async def say(self, message: Message) -> None:
        """Heard at the next step."""
        self._heard = (*self._heard, message)


@dataclass(frozen=True)
class ChatChannel:
    """Reaches an assistant of this server. ``key`` begins the idempotency keys of its tool calls."""

    version: Version
    variables: Mapping[str, Any]
    key: str
    model: Model
    tools: Tools
    clock: Clock
    notes: Sequence[str] = ()
    resumable: bool = True
    shows_tools: bool = True

    @asynccontextmanager
    async def open(self, transcript: Transcript) -> AsyncGenerator[ChatLine]:
        """A line that goes on from the transcript."""
        state = State(transcript, self.variables, self.key)
        yield ChatLine(self.version, state, self.model, self.tools, self.clock)
