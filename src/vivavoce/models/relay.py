"""Chat completions that are handed on as they are: one attempt, in a given time, the provider's answer unchanged."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from vivavoce.core.event import Usage
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.telemetry import NOBODY, Telemetry
from vivavoce.models.messages import decode, encode, tokens
from vivavoce.models.observed import Observing
from vivavoce.models.pace import Setback
from vivavoce.models.transport import Transport


async def relayed(
    transport: Transport, body: Mapping[str, Any], *, within_s: float, telemetry: Telemetry = NOBODY
) -> bytes:
    """The answer: one JSON object, as the provider wrote it. Raises ``ModelFailure``."""
    model = str(body.get("model", ""))
    with Observing(telemetry, transport.provider.name, model, "assistant") as observing:
        try:
            async with asyncio.timeout(within_s):
                answer = await transport.whole(encode(body))
        except Setback as setback:
            raise setback.failure(1) from None
        except TimeoutError:
            raise _late(transport, within_s) from None
        observing.answered(Usage(model) if telemetry is NOBODY else Usage(model, *tokens(decode(answer))))
        return answer


async def relayed_stream(
    transport: Transport, body: Mapping[str, Any], *, within_s: float, telemetry: Telemetry = NOBODY
) -> AsyncGenerator[bytes]:
    """The answer in pieces, as the provider sent it. It must begin within the time, and ends when the provider's own
    time is up. Raises ``ModelFailure``, also after some pieces."""
    model = str(body.get("model", ""))
    with Observing(telemetry, transport.provider.name, model, "assistant") as observing:
        async with aclosing(_pieces(transport, body, within_s)) as pieces:
            async for piece in pieces:
                yield piece
        # The pieces are not read, so nobody here knows what they cost.
        observing.answered(Usage(model))


async def _pieces(transport: Transport, body: Mapping[str, Any], within_s: float) -> AsyncGenerator[bytes]:
    async with aclosing(transport.pieces(encode(body))) as pieces:
        try:
            # The first alone: a time limit cannot hold over what whoever listens does between two pieces.
            async with asyncio.timeout(within_s):
                first = await anext(pieces, b"")
            if not first:
                raise transport.broken()
            yield first
            async for piece in pieces:
                yield piece
        except Setback as setback:
            raise setback.failure(1) from None
        except TimeoutError:
            raise _late(transport, within_s) from None


def _late(transport: Transport, within_s: float) -> ModelFailure:
    message = f"provider {transport.provider.name} gave no answer within {within_s:g} s"
    return ModelFailure(Trouble.UNAVAILABLE, message)
