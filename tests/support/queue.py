"""Runs that wait and are taken, without a worker."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from tests.support.store import (
    a_scenario,
    pending_run,
    row_of,
    set_row,
)
from vivavoce.core.run import Priority, Run
from vivavoce.engine import leases
from vivavoce.storage.database import Database, connect
from vivavoce.storage.tables import runs as rows
from vivavoce.storage.times import database_now

LEASE_COLUMNS = ("status", "dispatch", "lease_token", "lease_until", "worker_id", "stalls", "progress")
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def database_time(database: Database) -> int:
    return await database.read(lambda tx: tx.execute(select(database_now(tx))).scalar_one())


async def waiting(database: Database, target: str = "https://example.com/bot", **columns: Any) -> Run:
    """A run of a batch that waits, with these columns."""
    run = await pending_run(database, scenario=a_scenario(target=target))
    await database.write(lambda tx: set_row(tx, run.id, **{"priority": Priority.BATCH, **columns}))
    return run


async def take(database: Database, room: int = 1, token: str = "t", **more: Any) -> list[str]:
    """The ids of the runs that were taken, in the order of their ids."""
    taken = await database.write(lambda tx: leases.take(tx, "worker", token, room, **more))
    assert {lease.token for lease in taken} <= {token}
    return sorted(lease.run_id for lease in taken)


async def take_back(database: Database, *, everything: bool = False) -> int:
    return await database.write(lambda tx: leases.take_back(tx, everything=everything))


async def expire(database: Database, run: Run) -> None:
    """Its worker has been silent for too long."""
    await database.write(lambda tx: set_row(tx, run.id, lease_until=1))


async def columns(database: Database, run: Run) -> dict[str, Any]:
    row = await row_of(database, run.id)
    return {name: getattr(row, name) for name in LEASE_COLUMNS}


async def in_line(database: Database) -> list[str]:
    """Which runs wait, in the order of their ids."""
    query = select(rows.c.id).where(rows.c.status == "pending").order_by(rows.c.id)
    return list(await database.read(lambda tx: tx.execute(query).scalars().all()))


@asynccontextmanager
async def several(url: str, count: int) -> AsyncGenerator[Sequence[Database]]:
    """The same database opened several times, as several servers do."""
    opened = [connect(url) for _ in range(count)]
    try:
        yield opened
    finally:
        for one in opened:
            one.close()
