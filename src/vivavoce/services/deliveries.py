"""Webhooks that this server sends: signed, and tried again until somebody took them or it is no use."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from vivavoce.core.clock import Clock
from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch, shown, whose
from vivavoce.outbound.guard import Refused
from vivavoce.outbound.signing import Signer
from vivavoce.services.context import Context
from vivavoce.storage import duties
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted

KIND = "delivery"
TIMEOUT_S = 10.0
_ANSWER_BYTES = 64 * 1024
_HOPELESS = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})

log = structlog.get_logger(__name__)


class NotTaken(Exception):
    """Nobody took it; it is worth trying again."""


class Means(Protocol):
    """What sending works with: the services' context has it, and so has the command line."""

    @property
    def outbound(self) -> Session:
        """Guarded requests."""
        ...

    @property
    def signer(self) -> Signer:
        """The server's signature."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...


def want(ctx: Context, tx: Tx, org: str, subject: str, url: str, prefix: str, payload: Mapping[str, Any]) -> None:
    """Have this sent once the transaction is done. ``subject`` names what is delivered where, so that wanting it twice
    sends it once; ``prefix`` is the signature headers'. Whoever calls wakes the duties after the commit."""
    body = json.dumps({"url": url, "prefix": prefix, "payload": payload})
    duties.want(tx, Wanted(ctx.new_id(), org, KIND, subject, ctx.clock.now(), body))


async def send(by: Means, url: str, prefix: str, payload: Mapping[str, Any], key: str) -> Fetched:
    """Send it once, signed; ``key`` is what tells one delivery from another. Raises ``Refused`` and ``Unreachable``."""
    body = json.dumps(payload).encode()
    headers = {"content-type": "application/json", "idempotency-key": key}
    headers |= by.signer.headers(prefix, body, by.clock.now())
    return await fetch(
        by.outbound, "POST", url, headers=headers, body=body, timeout_s=TIMEOUT_S, max_bytes=_ANSWER_BYTES
    )


async def perform(ctx: Context, duty: Duty) -> None:
    """Send it. Raises ``NotTaken`` where it should be tried again."""
    given = json.loads(duty.body)
    url: str = given["url"]
    try:
        answer = await send(ctx, url, given["prefix"], given["payload"], duty.id)
    except Refused as failure:
        log.warning("a webhook may not be sent", url=whose(url), reason=str(failure))
        return
    except Unreachable as failure:
        if failure.kind == "too_large":  # it was taken; what it had to say is of no interest
            return
        raise NotTaken(str(failure)) from failure
    if answer.status in _HOPELESS:
        log.warning("a webhook was not wanted", url=whose(url), status=answer.status)
    elif not 200 <= answer.status < 300:
        raise NotTaken(f"{shown(url)} answered with status {answer.status}")
