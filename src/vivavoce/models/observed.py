"""Model calls, observed: how long they took, what they cost, and how they ended."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar, cast

from vivavoce.core.event import Usage
from vivavoce.core.model import Answer, Model, ModelFailure, Prompt, Reply
from vivavoce.core.telemetry import DEFECT, GIVEN_UP, OK, ModelCall, Telemetry

T = TypeVar("T")
Ticks = Callable[[], float]
"""Seconds on a monotonic clock."""


class Observing:
    """The block is one call of a model; ``answered`` says at what cost it succeeded.

    A class, because this is around every call of every examination: a generator takes several times as long.
    """

    __slots__ = ("_began", "_model", "_operation", "_provider", "_role", "_telemetry", "_ticks", "_usage")

    def __init__(
        self,
        telemetry: Telemetry,
        provider: str,
        model: str,
        role: str,
        *,
        operation: str = "chat",
        ticks: Ticks = time.perf_counter,
    ) -> None:
        self._telemetry, self._provider, self._model, self._role = telemetry, provider, model, role
        self._operation, self._ticks = operation, ticks
        self._usage: Usage | None = None
        self._began = 0.0

    def answered(self, usage: Usage) -> None:
        """The model answered."""
        self._usage = usage

    def __enter__(self) -> "Observing":
        self._began = self._ticks()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        given = taken = 0
        attempts = 1
        if isinstance(failure, ModelFailure):
            outcome, attempts = failure.trouble.value, failure.attempts
        elif isinstance(failure, Exception):
            outcome = DEFECT
        elif self._usage is None:
            outcome = GIVEN_UP
        else:
            outcome, given, taken = OK, self._usage.input_tokens, self._usage.output_tokens
            attempts = self._usage.attempts
        seconds = self._ticks() - self._began
        self._telemetry.model_called(
            ModelCall(
                self._provider, self._model, self._role, seconds, outcome, given, taken, attempts, self._operation
            )
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """Implements ``vivavoce.core.model.Model``. ``provider`` is told instead of the one in the model's name where it is
    not empty."""

    model: Model
    role: str
    telemetry: Telemetry
    provider: str = ""

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    async def reply(self, prompt: Prompt) -> Reply:
        """The next thing an assistant says or calls. Raises ``ModelFailure``."""
        with self._observing() as observing:
            reply = await self.model.reply(prompt)
            observing.answered(reply.usage)
        return reply

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        """One answer of the given dataclass. Raises ``ModelFailure``."""
        with self._observing() as observing:
            answer = await self.model.decide(prompt, shape)
            observing.answered(answer.usage)
        return answer

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        """Pieces of text, then the whole ``Reply``. Raises ``ModelFailure``."""
        # Every stream of ours is a generator, and left to itself would end when it is collected.
        items = cast("AsyncGenerator[str | Reply]", self.model.stream(prompt))
        with self._observing() as observing:
            async with aclosing(items):
                async for item in items:
                    if isinstance(item, Reply):
                        observing.answered(item.usage)
                    yield item

    def _observing(self) -> Observing:
        provider, slash, model = self.model.name.partition("/")
        return Observing(self.telemetry, self.provider or provider, model if slash else provider, self.role)


def observed(model: Model, role: str, telemetry: Telemetry, provider: str = "") -> Model:
    """The model, seen by whoever watches."""
    return Observed(model, role, telemetry, provider)
