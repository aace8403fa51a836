"""A model with another one behind it, which answers where the first one's provider is down."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from vivavoce.core.model import Answer, Model, ModelFailure, Prompt, Reply, Trouble

R = TypeVar("R")
T = TypeVar("T")

DOWN = frozenset({Trouble.UNAVAILABLE, Trouble.UNRESOLVED})
"""When somebody else answers: there is nobody to ask, or who is there cannot answer now. A request that is refused, and
an answer that cannot be read, would be no better elsewhere and have to be seen."""
PATIENCE = 2
"""Attempts at a model that has another one behind it: one more than none covers a hiccup, and somebody is waiting."""

Spare = Callable[[], Awaitable[Model]]
"""Finds the model behind, when it is needed. Raises ``ModelFailure``."""


@dataclass(frozen=True, slots=True)
class Backed:
    """Implements ``vivavoce.core.model.Model``. Who answered is in the usage; where nobody did, the failure is the
    first one's trouble and tells of both."""

    first: Model
    spare: Spare

    @property
    def name(self) -> str:
        """The first one's."""
        return self.first.name

    async def reply(self, prompt: Prompt) -> Reply:
        """The next thing an assistant says or calls. Raises ``ModelFailure``."""
        return await self._either(lambda model: model.reply(prompt))

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        """One answer of the given dataclass. Raises ``ModelFailure``."""
        return await self._either(lambda model: model.decide(prompt, shape))

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        """Pieces of text, then the whole ``Reply``. Raises ``ModelFailure``.

        Once text was handed out, nobody else takes over: the listener would hear it twice.
        """
        begun = False
        try:
            async for item in self.first.stream(prompt):
                begun = True
                yield item
            return
        except ModelFailure as failure:
            if begun or failure.trouble not in DOWN:
                raise
            down = failure
        model = await spared(self.spare, down)
        try:
            async for item in model.stream(prompt):
                yield item
        except ModelFailure as failure:
            raise _both(down, failure) from None

    async def _either(self, asked: Callable[[Model], Awaitable[R]]) -> R:
        try:
            return await asked(self.first)
        except ModelFailure as failure:
            if failure.trouble not in DOWN:
                raise
            down = failure
        model = await spared(self.spare, down)
        try:
            return await asked(model)
        except ModelFailure as failure:
            raise _both(down, failure) from None


async def spared(spare: Spare, down: ModelFailure) -> Model:
    """The model behind, after this failure of the first. Raises ``ModelFailure`` that tells of both."""
    try:
        return await spare()
    except ModelFailure as failure:
        raise _both(down, failure) from None


def _both(first: ModelFailure, second: ModelFailure) -> ModelFailure:
    return ModelFailure(first.trouble, f"{first}; and its fallback: {second}")
