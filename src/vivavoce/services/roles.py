"""Which model serves which role, and why not where none does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from vivavoce.core.model import Model, ModelFailure, Prompt, PromptLine
from vivavoce.models.embeddings import embedder
from vivavoce.models.resolve import SCRIPTED, Models, Role
from vivavoce.services.context import Context

PROBE_S = 20.0
"""How long a model may take for one word."""
_WORD = Prompt((PromptLine("user", "Answer with the single word yes."),))
_RESOLVED: tuple[tuple[str, Role], ...] = (
    ("assistants", "assistant"),
    ("tester", "tester"),
    ("judge", "judge"),
    ("insights", "judge"),
)

Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Served:
    """``model`` is by what name it is asked for, None where none is set. ``ok`` says that it is served here and, where
    it was ``asked``, that it answered: within ``took_ms``. ``reason`` is for a person."""

    role: str
    model: str | None
    ok: bool
    reason: str = ""
    asked: bool = False
    took_ms: int | None = None


async def look(ctx: Context, *, probe: bool = False) -> tuple[Served, ...]:
    """The model of every role where nobody names another; with ``probe`` each is asked for one word."""
    return await look_at(ctx.models, ctx.embedding_model, ctx.clock.ticks, probe=probe)


async def look_at(
    models: Models, embedding_model: str | None, ticks: Callable[[], float], *, probe: bool = False
) -> tuple[Served, ...]:
    """The same for models that no server holds; ``ticks`` as in ``core.clock.Clock``."""
    found = [_resolved(models, role, of) for role, of in _RESOLVED]
    found.append(_embedding(models, embedding_model))
    if not probe:
        return tuple(served for served, _ in found)
    # Roles mostly share a model: each is asked once.
    asks = {served.model: ask for served, ask in found if ask is not None}
    answers = dict(zip(asks, await asyncio.gather(*(_asked(ask, ticks) for ask in asks.values())), strict=True))
    return tuple(served if ask is None else _told(served, *answers[served.model]) for served, ask in found)


def _told(served: Served, why: str | None, took_ms: int) -> Served:
    if why is not None:
        return replace(served, ok=False, reason=why, asked=True)
    return replace(served, asked=True, took_ms=took_ms)


async def _asked(ask: Ask, ticks: Callable[[], float]) -> tuple[str | None, int]:
    """(why it did not answer, milliseconds)."""
    began = ticks()
    why = None
    try:
        async with asyncio.timeout(PROBE_S):
            await ask()
    except ModelFailure as failure:
        why = str(failure)
    except TimeoutError:
        why = f"it did not answer within {PROBE_S:g} s"
    return why, round((ticks() - began) * 1000)


def _resolved(models: Models, role: str, of: Role) -> tuple[Served, Ask | None]:
    name = models.default_name(of)
    try:
        model = models.resolve(None, of, max_attempts=1)
    except ModelFailure as failure:
        return Served(role, name, ok=False, reason=str(failure)), None
    if model.name == SCRIPTED:
        reason = "it follows the script in its instructions and understands nothing; see VIVA_DEFAULT_MODEL"
        return Served(role, name, ok=True, reason=reason), None
    return Served(role, name, ok=True, reason="" if model.name == name else f"served by {model.name}"), _one_word(model)


def _one_word(model: Model) -> Ask:
    return lambda: model.reply(_WORD)


def _embedding(models: Models, name: str | None) -> tuple[Served, Ask | None]:
    role = "embeddings"
    if name is None:
        return Served(role, None, ok=True, reason="none is set: documents are found by their words alone"), None
    try:
        model = embedder(models, name)
    except ModelFailure as failure:
        return Served(role, name, ok=False, reason=str(failure)), None
    return Served(role, name, ok=True), lambda: model.embed(["yes"], max_attempts=1)
