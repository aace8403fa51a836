"""Vectors of texts, from an OpenAI-compatible endpoint."""

import math
from collections.abc import Sequence
from typing import Any, cast

from vivavoce.core.event import Usage
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.telemetry import NOBODY, Telemetry
from vivavoce.models.messages import encode, tokens
from vivavoce.models.observed import Observing
from vivavoce.models.pace import Tally, patiently, settled
from vivavoce.models.resolve import Models
from vivavoce.models.transport import Transport

AT_ONCE = 64
"""How many texts go into one request."""


class Embedder:
    """A model that makes vectors. ``name`` is the name by which it was asked for."""

    def __init__(self, transport: Transport, model: str, name: str, telemetry: Telemetry = NOBODY) -> None:
        self.name = name
        self._telemetry = telemetry
        self._transport, self._model = transport, model

    async def embed(self, texts: Sequence[str], *, max_attempts: int | None = None) -> list[list[float]]:
        """One vector for each text, all of one size. Raises ``ModelFailure``."""
        most = min(max_attempts or self._transport.provider.max_attempts, self._transport.provider.max_attempts)
        found: list[list[float]] = []
        for first in range(0, len(texts), AT_ONCE):
            some = list(texts[first : first + AT_ONCE])
            with Observing(self._telemetry, self._provider, self._model, "", operation="embeddings") as observing:
                vectors, usage = await settled(lambda tally, some=some: self._embed(some, tally, most))
                observing.answered(usage)
            found += vectors
        return found

    @property
    def _provider(self) -> str:
        return self._transport.provider.name

    async def _embed(self, texts: list[str], tally: Tally, most: int) -> tuple[list[list[float]], Usage]:
        body = encode({"model": self._model, "input": texts, "encoding_format": "float"})

        async def attempt() -> list[list[float]]:
            answer = await self._transport.embed(body)
            vectors = _read(answer, len(texts))
            tally.input_tokens += tokens(answer)[0]
            if vectors is None:
                raise self._transport.garbled("there is not one vector for each text in it")
            return vectors

        vectors = await patiently(attempt, tally, self._transport.pace, most)
        return vectors, tally.usage(self._model)


def embedder(models: Models, name: str) -> Embedder:
    """The model of that name. Raises ``ModelFailure`` with ``UNRESOLVED`` where nobody serves it."""
    # A chat model that stands in would make no vectors.
    found = models.relay(name, stand_in=False)
    if found is None:
        raise ModelFailure(Trouble.UNRESOLVED, f"model {name!r} makes no vectors; see VIVA_EMBEDDING_MODEL")
    transport, model = found
    return Embedder(transport, model, name, models.telemetry)


def _read(answer: dict[str, Any], wanted: int) -> list[list[float]] | None:
    items = answer.get("data")
    if not isinstance(items, list):
        return None
    found: dict[int, list[float]] = {}
    for place, item in enumerate(cast("list[Any]", items)):
        fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        number, vector = fields.get("index", place), fields.get("embedding")
        if not isinstance(number, int) or not isinstance(vector, list) or not vector:
            return None
        numbers = cast("list[Any]", vector)
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers):
            return None
        found[number] = [float(each) for each in numbers]
    sizes = {len(vector) for vector in found.values()}
    if len(sizes) != 1 or set(found) != set(range(wanted)):
        return None
    return [found[number] for number in range(wanted)]
