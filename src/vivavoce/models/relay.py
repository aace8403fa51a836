"""Chat completions that are handed on as they are: one attempt, in a given time, the provider's answer unchanged."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.models.messages import encode
from vivavoce.models.pace import Setback
from vivavoce.models.transport import Transport


async def relayed(transport: Transport, body: Mapping[str, Any], *, within_s: float) -> bytes:
    """The answer: one JSON object, as the provider wrote it. Raises ``ModelFailure``."""
    try:
        async with asyncio.timeout(within_s):
            return await transport.whole(encode(body))
    except Setback as setback:
        raise setback.failure(1) from None
    except TimeoutError:
        raise _late(transport, within_s) from None


async def relayed_stream(transport: Transport, body: Mapping[str, Any], *, within_s: float) -> AsyncGenerator[bytes]:
    """The answer in pieces, as the provider sent it. It must begin within the time, and ends when the provider's own
    time is up. Raises ``ModelFailure``, also after some pieces."""
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
