"""What models there are: what the providers tell of theirs, asked at most once a minute."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from vivavoce.models.messages import mend
from vivavoce.models.pace import Pace, Setback
from vivavoce.models.transport import Transport

KEPT_S = 60.0
"""How long an answer holds, and that there was none."""
_TIMEOUT_S = 3.0
_MAX_MODELS = 1000
_MAX_NAME = 256
_SIZES = ("context_length", "max_model_len", "context_window", "max_context_length")
_LATEST_S = 253402300800  # the year 10000, which no date can be written in


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that can be named. What nobody told is empty: ``created_s`` (seconds since the Unix epoch), ``context``
    (tokens) and ``owner``. ``preferred`` is the default model of assistants."""

    name: str
    owner: str = ""
    created_s: int = 0
    context: int = 0
    note: str = ""
    preferred: bool = False

    def with_facts(self, told: "Listed") -> "Listed":
        """The same, with what its provider told of it."""
        note = self.note or told.note
        return replace(self, owner=told.owner, created_s=told.created_s, context=told.context, note=note)


class Catalogue:
    """The providers' answers, as long as they hold."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._told: dict[str, tuple[float, tuple[Listed, ...]]] = {}
        self._asking = asyncio.Lock()

    async def told(self, providers: Sequence[tuple[str, Transport]]) -> tuple[Listed, ...]:
        """The models of all of these that answer, in their order. Never raises."""
        async with self._asking:
            now = self._pace.now()
            old = [each for each in providers if self._told.get(each[0], (-KEPT_S, ()))[0] + KEPT_S <= now]
            answers = await asyncio.gather(*(_ask(name, transport) for name, transport in old))
            for (name, _), answer in zip(old, answers, strict=True):
                self._told[name] = now, answer
        return tuple(one for name, _ in providers for one in self._told[name][1])


async def _ask(provider: str, transport: Transport) -> tuple[Listed, ...]:
    try:
        items = await transport.models(_TIMEOUT_S)
    except Setback:
        return ()
    listed = (_read(provider, cast("Mapping[str, Any]", item)) for item in items if isinstance(item, dict))
    return tuple(one for one in listed if one is not None)[:_MAX_MODELS]


def _read(provider: str, item: Mapping[str, Any]) -> Listed | None:
    name = item.get("id")
    if not isinstance(name, str) or not name or len(name) > _MAX_NAME:
        return None
    owner, created = item.get("owned_by"), item.get("created")
    sizes = (item.get(word) for word in _SIZES)
    return Listed(
        f"{provider}/{mend(name)}",
        mend(owner)[:_MAX_NAME] if isinstance(owner, str) else "",
        int(created) if isinstance(created, int | float) and 0 < created < _LATEST_S else 0,
        next((size for size in sizes if isinstance(size, int) and size > 0), 0),
    )
