"""Vectors of texts, from an OpenAI-compatible endpoint."""

import math
from collections.abc import Sequence
from typing import Any, cast

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.models.messages import encode
from vivavoce.models.pace import Tally, patiently, settled
from vivavoce.models.resolve import Models
from vivavoce.models.transport import Transport

AT_ONCE = 64
"""How many texts go into one request."""


class Embedder:
    """A model that makes vectors. ``name`` is the name by which it was asked for."""

    def __init__(self, transport: Transport, model: str, name: str) -> None:
        self.name = name
        self._transport, self._model = transport, model

    async def embed(self, texts: Sequence[str], *, max_attempts: int | None = None) -> list[list[float]]:
        """One vector for each text, all of one size. Raises ``ModelFailure``."""
        most = min(max_attempts or self._transport.provider.max_attempts, self._transport.provider.max_attempts)
        found: list[list[float]] = []
        for first in range(0, len(texts), AT_ONCE):
            some = list(texts[first : first + AT_ONCE])
            found += await settled(lambda tally, some=some: self._embed(some, tally, most))
        return found

    async def _embed(self, texts: list[str], tally: Tally, most: int) -> list[list[float]]:
        body = encode({"model": self._model, "input": texts, "encoding_format": "float"})

        async def attempt() -> list[list[float]]:
            vectors = _read(await self._transport.embed(body), len(texts))
            if vectors is None:
                raise self._transport.garbled("there is not one vector for each text in it")
            return vectors

        return await patiently(attempt, tally, self._transport.pace, most)


def embedder(models: Models, name: str) -> Embedder:
    """The model of that name. Raises ``ModelFailure`` with ``UNRESOLVED`` where nobody serves it."""
    # A chat model that stands in would make no vectors.
    found = models.relay(name, stand_in=False)
    if found is None:
        raise ModelFailure(Trouble.UNRESOLVED, f"model {name!r} makes no vectors; see VIVA_EMBEDDING_MODEL")
    transport, model = found
    return Embedder(transport, model, name)


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
