"""``Idempotency-Key``: the same request twice does the work once (contract, section 1.5).

The answer is kept in the transaction that did the work, so there is no moment in which one exists without the other.
"""

import json
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from vivavoce.services.context import Context
from vivavoce.storage import answers
from vivavoce.storage.answers import IN_FLIGHT_MS, PREPARED_MS, Kept, KeyTaken
from vivavoce.storage.database import Tx

HEADER = "idempotency-key"
REPLAYED = "Idempotent-Replayed"
MAX_KEYED_BODY = 256 * 1024
_KEY = re.compile(r"[A-Za-z0-9_:-]{1,255}")

Work = Callable[[Tx], Any]
"""Does the work in the transaction and returns the JSON of the answer."""


class KeyMalformed(Exception):
    """The header is empty, repeated or not of the documented form."""


class KeyReused(Exception):
    """The key belongs to another request."""


class KeyInFlight(Exception):
    """The first request with this key is still being answered."""


class BodyTooLarge(Exception):
    """A keyed request's body has a limit of its own."""


async def once(request: Request, ctx: Context, status: int, work: Work) -> Response:
    """Do the work in one transaction and answer with its JSON; with a key that was used, answer as the first time.

    Raises the exceptions above, and what ``work`` raises; a failure is not kept, and the key may be used again.
    """

    async def ready() -> Work:
        return work

    return await _once(request, ctx, status, ready, IN_FLIGHT_MS)


async def once_ready(request: Request, ctx: Context, status: int, ready: Callable[[], Awaitable[Work]]) -> Response:
    """The same for work that has to be prepared outside a transaction, which happens when it is to be done at all."""
    return await _once(request, ctx, status, ready, PREPARED_MS)


async def _once(
    request: Request, ctx: Context, status: int, ready: Callable[[], Awaitable[Work]], running_ms: int
) -> Response:
    key = _key(request)
    if key is None:
        return JSONResponse(await ctx.database.write(await ready()), status)
    mine, begun = _identify(request, key), ctx.clock.now()
    try:
        kept = await ctx.database.write(lambda tx: answers.begin(tx, mine, begun, running_ms))
    except KeyTaken as failure:
        raise KeyInFlight(key) from failure
    if kept is not None:
        return _again(kept, mine)

    try:
        work = await ready()

        def work_and_keep(tx: Tx) -> Any:
            payload = work(tx)
            answers.finish(tx, mine, begun, status, json.dumps(payload))
            return payload

        payload = await ctx.database.write(work_and_keep)
    except KeyTaken as failure:
        raise KeyInFlight(key) from failure
    except Exception:
        await ctx.database.write(lambda tx: answers.forget(tx, mine, begun))
        raise
    return JSONResponse(payload, status)


def _again(kept: Kept, mine: answers.Request) -> Response:
    if kept.digest != mine.digest:
        raise KeyReused(mine.key)
    if kept.status is None:
        raise KeyInFlight(mine.key)
    return JSONResponse(json.loads(kept.body or "null"), kept.status, {REPLAYED: "true"})


def _key(request: Request) -> str | None:
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise KeyMalformed("Idempotency-Key must be sent once, with 1 to 255 of the characters A-Z a-z 0-9 _ - :")
    return values[0]


def _identify(request: Request, key: str) -> answers.Request:
    body: bytes = request.state.body
    if len(body) > MAX_KEYED_BODY:
        raise BodyTooLarge(f"A request with an Idempotency-Key may have at most {MAX_KEYED_BODY} bytes.")
    # The query must match by value, the body byte for byte.
    query = json.dumps(sorted(request.query_params.multi_items())).encode()
    digest = sha256(len(query).to_bytes(8, "big") + query + body).hexdigest()
    return answers.Request(request.state.org, key, request.method, request.url.path[:1024], digest)
