"""Workers of this release and of the one before, side by side on one database."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.queue import database_time, expire, several, take, take_back, waiting
from tests.support.store import (
    NOW,
    ORG,
    said,
)

from vivavoce.core.run import Priority
from vivavoce.engine import leases
from vivavoce.engine.leases import LEASE_MS, Ceilings
from vivavoce.storage import runs
from vivavoce.storage.database import Database
from vivavoce.storage.journal import Entry, Journal, Lease, LeaseLost
from vivavoce.storage.runs import FORMAT
from vivavoce.storage.tables import runs as rows

_CLAIM = text(
    "UPDATE runs SET status = 'starting', lease_token = :token, lease_until = :until "
    "WHERE id = :id AND dispatch = :dispatch AND status = 'pending' AND lease_token IS NULL"
)
"""How workers of the release before take a run: they know nothing of destinations, priorities or times."""
_GIVE_BACK = text(
    "UPDATE runs SET status = 'pending', lease_token = NULL, lease_until = NULL, dispatch = dispatch + 1 "
    "WHERE id = :id AND lease_token = :token"
)


async def test_with_workers_of_the_release_before_no_run_is_driven_twice(database: Database, database_url: str) -> None:
    made = [await waiting(database) for _ in range(30)]
    until = await database_time(database) + LEASE_MS

    def claim_all(one: Database) -> list[str]:
        won: list[str] = []
        for run in made:
            with one._writers.begin() as tx:
                values = {"token": f"old {run.id}", "until": until, "id": run.id, "dispatch": 1}
                if tx.execute(_CLAIM, values).rowcount:
                    won.append(run.id)
        return won

    def take_all(one: Database) -> list[str]:
        won: list[str] = []
        for number in range(30):
            with one._writers.begin() as tx:
                won += [lease.run_id for lease in leases.take(tx, "w", f"new {number}", 2)]
        return won

    async with several(database_url, 4) as opened:
        work = (claim_all, take_all, claim_all, take_all)
        done = await asyncio.gather(*(asyncio.to_thread(one, db) for one, db in zip(work, opened, strict=True)))
    assert Counter(run_id for won in done for run_id in won) == Counter(run.id for run in made)


async def test_a_run_goes_from_release_to_release_and_only_its_driver_writes(database: Database) -> None:
    journal = Journal(database)
    run = await waiting(database)
    until = await database_time(database) + LEASE_MS

    async def old(statement: Any, **values: Any) -> int:
        return await database.write(lambda tx: tx.execute(statement, {"id": run.id, **values}).rowcount)

    assert await old(_CLAIM, token="old", until=until, dispatch=1) == 1
    assert await take(database) == []
    assert not await database.read(leases.any_stale)
    await journal.write(Entry(Lease(run.id, "old"), NOW, run.conversation_id, 0, (said("one"),)))
    assert await old(_GIVE_BACK, token="old") == 1
    assert await take(database, token="new") == [run.id]
    for dispatch in (1, 2, 3):
        assert await old(_CLAIM, token="old", until=until, dispatch=dispatch) == 0
    with pytest.raises(LeaseLost):
        await journal.write(Entry(Lease(run.id, "old"), NOW, run.conversation_id, 1, (said("two"),)))
    await journal.write(Entry(Lease(run.id, "new"), NOW, run.conversation_id, 1, (said("two"),)))
    # A worker of the release before dies: its run is taken over like any other.
    await database.write(lambda tx: leases.give_back(tx, [Lease(run.id, "new")]))
    assert await old(_CLAIM, token="older", until=1, dispatch=3) == 1
    assert await take_back(database) == 1
    assert await take(database) == [run.id]


async def test_what_the_release_before_triggers_is_taken(database: Database) -> None:
    """It leaves the columns out that it does not know."""
    made = await waiting(database)
    new = {"target", "priority", "due_at", "format", "attempts", "setbacks", "tally", "worker_id"}
    names = ", ".join(f'"{column.name}"' for column in rows.columns if column.name not in {*new, "id"})
    copy = text(f"INSERT INTO runs (id, {names}) SELECT 'old', {names} FROM runs WHERE id = :id")
    await database.write(lambda tx: tx.execute(copy, {"id": made.id}))
    assert await take(database, 9, ceilings=Ceilings(5, 2, {})) == sorted([made.id, "old"])
    found = await database.read(lambda tx: runs.get(tx, ORG, "old"))
    assert found is not None
    assert (found.priority, found.attempts, found.setbacks) == (Priority.BATCH, 1, ())


async def test_what_only_the_newer_release_reads_is_left_to_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the older one looks, and whatever it has room for."""
    newer, older = await waiting(database, format=FORMAT + 1), await waiting(database)
    assert await take(database, 9, urgent_room=9) == [older.id]
    assert await take(database, 9, urgent_room=9, ceilings=Ceilings(None, 9)) == []
    assert not await database.read(leases.any_waiting)
    # The newer one dies: the older one may take the run from it, and not for itself.
    monkeypatch.setattr(leases, "FORMAT", FORMAT + 1)
    assert await take(database, 9, token="newer") == [newer.id]
    await expire(database, newer)
    monkeypatch.undo()
    assert await take_back(database) == 1
    assert await take(database, 9) == []
    monkeypatch.setattr(leases, "FORMAT", FORMAT + 1)
    assert await take(database, 9) == [newer.id]
