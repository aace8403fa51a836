"""Writing down what cannot be had again: it was paid for, or done to somebody."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from vivavoce.storage.database import Database, DatabaseAway, T, Tx, away_because

WAITS_S = (0.1, 0.5, 2.0, 4.0, 6.0)
"""How long to wait each time before it is written again when the database is away."""
WITHIN_S = 15.0
"""After so long no other try is begun."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Tried:
    """The last try: the number of its transaction on a server, and what the work returned."""

    number: int | None = None
    value: Any = None


async def insist(
    database: Database,
    work: Callable[[Tx], T],
    *,
    within_s: float = WITHIN_S,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Write, again and again for a few seconds while the database is away, and once only: whoever loses the connection
    at the end of a transaction does not know whether it was kept, and so asks before the next try. Raises what the last
    try raises."""
    loop, tried = asyncio.get_running_loop(), _Tried()
    until = loop.time() + within_s
    for wait_s in WAITS_S:
        try:
            return await _once(database, work, tried)
        except DatabaseAway as failure:
            if loop.time() + wait_s > until:
                raise
            log.warning("the database is away, and it is written again", reason=away_because(failure))
            await sleep(wait_s)
    return await _once(database, work, tried)


async def _once(database: Database, work: Callable[[Tx], T], tried: _Tried) -> T:
    if await was_kept(database, tried.number):
        return tried.value
    tried.number = None
    return await database.write(partial(_numbered, work=work, tried=tried))


def _numbered(tx: Tx, work: Callable[[Tx], T], tried: _Tried) -> T:
    tried.value = work(tx)
    # Only over a network can a commit get lost on its way: SQLite has no number to ask for.
    tried.number = tx.execute(_number).scalar_one() if tx.dialect.name == "postgresql" else None
    return tried.value


async def was_kept(database: Database, number: int | None) -> bool:
    """Whether the transaction with this number was committed; where there is none, nothing was. Raises ``DatabaseAway``
    also while that is open."""
    return number is not None and await database.read(partial(_is_committed, number=number))


def _is_committed(tx: Tx, number: int) -> bool:
    status = tx.execute(_fate, {"number": number}).scalar_one()
    if status == "in progress":  # its connection is gone, which the server has not noticed yet
        raise OperationalError("COMMIT", {}, TimeoutError("the end of a transaction is open"))
    return status == "committed"


_number = text("SELECT txid_current()")
# Of a number that it has not given out yet, a server that took over from another one cannot say anything.
_fate = text("SELECT CASE WHEN :number < txid_current() THEN txid_status(:number) END")
