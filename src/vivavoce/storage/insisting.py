"""Writing down what cannot be had again: it was paid for, or done to somebody."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from vivavoce.storage.database import Database, DatabaseAway, Tx, away_because

T = TypeVar("T")
log = structlog.get_logger(__name__)

WAITS_S = (0.1, 0.5, 2.0, 4.0, 6.0)
"""How long to wait each time before it is written again when the database is away."""


async def insist(
    database: Database, work: Callable[[Tx], T], *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> T:
    """Write, again and again for a few seconds. The work must do no harm when it was done already: whoever loses the
    connection at the end of a transaction does not know whether it was kept. Raises what the last try raises."""
    for wait_s in WAITS_S:
        try:
            return await database.write(work)
        except DatabaseAway as failure:
            log.warning("the database is away, and it is written again", reason=away_because(failure))
            await sleep(wait_s)
    return await database.write(work)
