"""In-process conversation with an assistant of this server."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.ports import Models, Tools
from vivavoce.assistant.step import State, step
from vivavoce.core.assistant import Cast
from vivavoce.core.clock import Clock
from vivavoce.core.event import Message
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault
from vivavoce.examination.channel import Heard, LineBroken


class ChatLine:
    """An open conversation with an assistant, and with those that it hands over to."""

    def __init__(self, channel: "ChatChannel", state: State) -> None:
        self._channel, self._state = channel, state
        self._heard: tuple[Message, ...] = ()

    async def listen(self) -> Heard:
        """One step of the assistant: one model call, or the tool calls that the last one asked for."""
        channel = self._channel
        try:
            done = await step(
                channel.cast,
                self._state,
                self._heard,
                models=channel.models,
                tools=channel.tools,
                clock=channel.clock,
            )
        except ModelFailure as failure:
            fault = Fault.ASSISTANT if failure.trouble is Trouble.GARBLED else Fault.INFRASTRUCTURE
            passing = failure.trouble is Trouble.UNAVAILABLE
            raise LineBroken(fault, f"the assistant's model: {failure}", passing=passing) from failure
        self._state, self._heard = done.state, ()
        return Heard(done.events, done.rests)

    async def say(self, message: Message) -> None:
        """Heard at the next step."""
        self._heard = (*self._heard, message)


@dataclass(frozen=True)
class ChatChannel:
    """Reaches an assistant of this server. ``key`` begins the idempotency keys of its tool calls; ``spoken`` and
    ``memory`` are those of ``State``."""

    cast: Cast
    variables: Mapping[str, Any]
    key: str
    models: Models
    tools: Tools
    clock: Clock
    notes: Sequence[str] = ()
    spoken: bool = False
    memory: str = ""
    resumable: bool = True
    shows_tools: bool = True

    def open(self, transcript: Transcript) -> AbstractAsyncContextManager[ChatLine]:
        """A line that goes on from the transcript."""
        return nullcontext(ChatLine(self, State(transcript, self.variables, self.key, self.spoken, self.memory)))
