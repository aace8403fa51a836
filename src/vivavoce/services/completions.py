"""Chat completions for programs of the organisation's own: handed on to whoever serves the model."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import structlog

from vivavoce.core.model import ModelFailure, Prompt, Trouble
from vivavoce.core.telemetry import plainly
from vivavoce.models.catalogue import Listed
from vivavoce.models.messages import Garbage, encode
from vivavoce.models.relay import relayed, relayed_stream
from vivavoce.models.scripted import Scripted, completions
from vivavoce.models.transport import Transport
from vivavoce.services import secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Rejected

log = structlog.get_logger(__name__)

_EVENTS, _JSON = "text/event-stream", "application/json"
WITHIN_S = 50.0
"""How long an answer may take, or a stream may take to begin: clients give up after 60 s (contract, section 1.1)."""


async def listed(ctx: Context) -> tuple[Listed, ...]:
    """Every model that can be named here. Never fails because a provider does."""
    return await ctx.models.listed()


async def complete(
    ctx: Context, org: str, request: Mapping[str, Any], *, model: str | None = None, key_ref: str | None = None
) -> bytes:
    """The answer to a request for chat completions, as the provider wrote it: one JSON object.

    ``request`` is all of it but the model; ``key_ref`` names the stored secret that pays. It is sent once. Raises
    ``Rejected`` where nobody serves the model, there is no such secret or the provider refuses, and ``Broken`` where
    the provider is down, late, or answers nonsense.
    """
    way = await _way(ctx, org, model, key_ref)
    if way is None:
        reply = await Scripted().reply(_read(request))
        return completions.whole(reply, ctx.new_id(), ctx.clock.now() // 1000)
    transport, name = way
    try:
        return await relayed(transport, {**request, "model": name}, within_s=WITHIN_S, telemetry=ctx.telemetry)
    except ModelFailure as failure:
        raise _told(failure) from failure


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in pieces, whose first is known. What fails after it is an event with an ``error``, and no ``[DONE]``
    follows."""

    media_type: str
    pieces: AsyncIterator[bytes]


async def stream(
    ctx: Context, org: str, request: Mapping[str, Any], *, model: str | None = None, key_ref: str | None = None
) -> Stream:
    """As ``complete``, as the provider sends it: server-sent events, or one JSON object of a provider that does not
    stream."""
    way = await _way(ctx, org, model, key_ref)
    if way is None:
        reply = await Scripted().reply(_read(request))
        options = request.get("stream_options")
        with_usage = isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
        events = completions.streamed(reply, ctx.new_id(), ctx.clock.now() // 1000, with_usage=with_usage)
        return Stream(_EVENTS, _each(tuple(events)))
    transport, name = way
    pieces = relayed_stream(transport, {**request, "model": name}, within_s=WITHIN_S, telemetry=ctx.telemetry)
    try:
        # Until the first piece is there, a failure can still be a proper answer.
        first = await anext(pieces)
    except ModelFailure as failure:
        raise _told(failure) from failure
    # No event begins with a brace.
    return Stream(_JSON if first.lstrip()[:1] == b"{" else _EVENTS, _rest(first, pieces))


async def _each(events: Sequence[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event


async def _rest(first: bytes, pieces: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        yield first
        try:
            async for piece in pieces:
                yield piece
        except ModelFailure as failure:
            log.warning("a stream of chat completions broke off", reason=plainly(failure))
            error = {"message": str(failure), "type": "server_error", "code": failure.trouble.value, "param": None}
            yield b"\n\ndata: " + encode({"error": error}) + b"\n\n"


async def _way(ctx: Context, org: str, model: str | None, key_ref: str | None) -> tuple[Transport, str] | None:
    """Where the request goes, and what the model is called there; None is the scripted model."""
    key = ""
    if key_ref is not None:
        key = await secrets.require(ctx, org, key_ref, "api_key_ref")
    try:
        return ctx.models.relay(model, key=key)
    except ModelFailure as failure:
        if model is None:
            raise Broken(str(failure)) from failure
        raise Rejected(str(failure), "model") from failure


def _read(request: Mapping[str, Any]) -> Prompt:
    """The request as the scripted model takes it, if it can."""
    for name, nothing in completions.OTHER_WORDINGS.items():
        if request.get(name, nothing) != nothing:
            raise Rejected(f"The scripted model says what its script says: {name} cannot be asked of it.", name)
    try:
        return completions.read_request(request)
    except Garbage as failure:
        raise Rejected(f"A message cannot be understood: {failure}.", "messages") from failure


def _told(failure: ModelFailure) -> Broken | Rejected:
    return Rejected(str(failure)) if failure.trouble is Trouble.REFUSED else Broken(str(failure))
