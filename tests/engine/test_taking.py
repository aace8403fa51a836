import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from tests.support.queue import columns, database_time, in_line, only_postgresql, several, take, waiting
from tests.support.store import (
    NOW,
    leased_run,
    row_of,
)

from vivavoce.core.run import Priority
from vivavoce.core.status import Status
from vivavoce.engine import leases
from vivavoce.engine.leases import LEASE_MS, Ceilings
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.journal import Lease
from vivavoce.storage.runs import FORMAT
from vivavoce.storage.tables import runs as rows


async def test_the_databases_clock_is_in_milliseconds_since_the_epoch(database: Database) -> None:
    first = await database_time(database)
    assert NOW - 10 * 365 * 86_400_000 < first < NOW + 100 * 365 * 86_400_000
    assert first <= await database_time(database) < first + 60_000


async def test_who_takes_a_waiting_run_holds_its_lease(database: Database) -> None:
    run = await waiting(database)
    assert await database.read(leases.any_waiting)
    before = await database_time(database)
    assert await database.write(lambda tx: leases.take(tx, "worker", "mine", 5)) == (Lease(run.id, "mine"),)
    after = await database_time(database)
    row = await row_of(database, run.id)
    assert (row.status, row.lease_token, row.worker_id) == ("starting", "mine", "worker")
    assert before + LEASE_MS <= row.lease_until <= after + LEASE_MS
    assert before <= row.started_at <= after
    assert row.updated_at == row.started_at
    assert not await database.read(leases.any_waiting)
    assert await take(database) == []


async def test_a_run_taken_again_keeps_the_time_it_was_first_started(database: Database) -> None:
    run = await waiting(database, started_at=5)
    await take(database)
    assert (await row_of(database, run.id)).started_at == 5


@pytest.mark.parametrize("ceilings", [None, Ceilings(100), Ceilings(None, 100)])
async def test_of_many_who_take_one_wins(database_url: str, database: Database, ceilings: Ceilings | None) -> None:
    made = [await waiting(database) for _ in range(24)]
    async with several(database_url, 3) as opened:
        taken: Counter[str] = Counter()
        while len(taken) < len(made):
            looks = [
                asyncio.to_thread(_take_in_thread, one, f"t{number}-{place}", ceilings)
                for place, one in enumerate(opened)
                for number in range(3)
            ]
            for found in await asyncio.gather(*looks):
                taken.update(found)
    assert taken == Counter(run.id for run in made)


def _take_in_thread(database: Database, token: str, ceilings: Ceilings | None) -> list[str]:
    with database._writers.begin() as tx:
        return [lease.run_id for lease in leases.take(tx, "worker", token, 4, 0, ceilings)]


@pytest.mark.parametrize("ceilings", [None, Ceilings(None, 100)])
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
async def test_only_a_waiting_run_can_be_taken(database: Database, status: Status, ceilings: Ceilings | None) -> None:
    run = await waiting(database, status=status.value)
    before = await columns(database, run)
    assert not await database.read(leases.any_waiting)
    assert await take(database, ceilings=ceilings) == []
    assert await columns(database, run) == before


@pytest.mark.parametrize("ceilings", [None, Ceilings(None, 100)])
async def test_what_is_not_due_or_not_understood_is_left(database: Database, ceilings: Ceilings | None) -> None:
    later = await database_time(database) + 60_000
    resting = await waiting(database, due_at=later)
    foreign = await waiting(database, format=FORMAT + 1)
    assert not await database.read(leases.any_waiting)
    assert await take(database, 9, ceilings=ceilings) == []
    ready = await waiting(database, due_at=later - 120_000)
    assert await database.read(leases.any_waiting)
    assert await take(database, 9, ceilings=ceilings) == [ready.id]
    assert await in_line(database) == [resting.id, foreign.id]


@pytest.mark.parametrize("ceilings", [None, Ceilings(100), Ceilings(None, 100)])
async def test_the_most_urgent_come_first_and_of_these_the_oldest(
    database: Database, ceilings: Ceilings | None
) -> None:
    scheduled = [await waiting(database, "a", priority=Priority.SCHEDULED) for _ in range(2)]
    batch = [await waiting(database, target) for target in ("b", "a", "b")]
    single = await waiting(database, "c", priority=Priority.INTERACTIVE)
    order = [single, *batch, *scheduled]
    for expected in (order[:1], order[1:3], order[3:5], order[5:], []):
        assert await take(database, max(len(expected), 1), ceilings=ceilings) == sorted(run.id for run in expected)


@pytest.mark.parametrize("ceilings", [None, Ceilings(100), Ceilings(None, 100)])
async def test_an_interactive_run_overtakes_a_full_batch(database: Database, ceilings: Ceilings | None) -> None:
    batch = [await waiting(database) for _ in range(4)]
    assert await take(database, 2, urgent_room=3, ceilings=ceilings) == [run.id for run in batch[:2]]
    assert await take(database, 0, urgent_room=3, ceilings=ceilings) == []
    single = [await waiting(database, priority=Priority.INTERACTIVE) for _ in range(6)]
    # The place is for the most urgent too; what is beyond it is for nobody else.
    assert await take(database, 1, urgent_room=3, ceilings=ceilings) == [run.id for run in single[:4]]
    assert await take(database, -5, urgent_room=1, ceilings=ceilings) == [single[4].id]
    assert await take(database, 3, urgent_room=1, ceilings=ceilings) == [run.id for run in (*batch[2:], single[5])]


async def test_nothing_is_taken_above_a_ceiling(database: Database) -> None:
    for target in ("a", "b", "c"):
        for _ in range(4):
            await waiting(database, target)
    ceilings = Ceilings(6, 2, {"a": 3, "c": 9})

    async def driven() -> dict[str, int]:
        return dict(await database.read(leases.busy))

    assert len(await take(database, 4, ceilings=ceilings)) == 4
    assert await driven() == {"a": 3, "b": 1}
    assert len(await take(database, 9, ceilings=ceilings)) == 2
    assert await driven() == {"a": 3, "b": 2, "c": 1}
    assert await take(database, 9, urgent_room=9, ceilings=ceilings) == []
    # Whoever has no ceilings knows none.
    assert len(await take(database, 9)) == 6


async def test_a_ceiling_holds_for_interactive_runs_too(database: Database) -> None:
    for _ in range(3):
        await waiting(database, "a", priority=Priority.INTERACTIVE)
    assert len(await take(database, 0, urgent_room=9, ceilings=Ceilings(2))) == 2
    assert await take(database, 5, urgent_room=9, ceilings=Ceilings(2)) == []
    assert await take(database, 5, urgent_room=9, ceilings=Ceilings(None, 2)) == []
    assert len(await take(database, 5, urgent_room=9, ceilings=Ceilings(None, 3))) == 1


async def test_a_full_destination_holds_up_no_other(database: Database) -> None:
    for _ in range(5):
        await waiting(database, "full")
    other = [await waiting(database, target) for target in ("b", "c", "b")]
    ceilings = Ceilings(None, 2)
    assert len(await take(database, 2, ceilings=ceilings)) == 2
    assert await take(database, 2, ceilings=ceilings) == [run.id for run in other[:2]]
    assert await take(database, 2, ceilings=ceilings) == [other[2].id]
    assert await take(database, 2, ceilings=ceilings) == []
    assert await database.read(leases.any_waiting)


@only_postgresql
@pytest.mark.parametrize("ceilings", [Ceilings(7), Ceilings(None, 3), Ceilings(8, 5, {"a": 2, "b": 4})])
async def test_ceilings_hold_with_several_workers_at_once(
    database_url: str, database: Database, ceilings: Ceilings
) -> None:
    for number in range(36):
        await waiting(database, "abc"[number % 3])
    most: Counter[str] = Counter()
    everywhere = 0
    finish = update(rows).where(rows.c.lease_token == text(":token")).values(status="passed", lease_token=None)

    def work(one: Database, worker: int) -> None:
        for turn in range(2000):
            token = f"{worker}-{turn}"
            with one._writers.begin() as tx:
                taken = leases.take(tx, f"{worker}", token, 2, 1, ceilings)
                if not taken and not leases.any_waiting(tx):
                    return
            if taken:
                with one._writers.begin() as tx:
                    tx.execute(finish, {"token": token})

    async with several(database_url, 4) as opened:
        done = asyncio.gather(*(asyncio.to_thread(work, one, place) for place, one in enumerate(opened)))
        while not done.done():
            driven = await database.read(leases.busy)
            everywhere = max(everywhere, sum(driven.values()))
            most |= Counter(driven)
        await done
    assert everywhere > 0
    assert everywhere <= (ceilings.everywhere or everywhere)
    for target, many in most.items():
        assert many <= (ceilings.of(target) or many)
    assert await in_line(database) == []


@only_postgresql
async def test_who_takes_under_a_ceiling_keeps_others_from_it(database_url: str, database: Database) -> None:
    await waiting(database, "a")
    await waiting(database, "a")
    ceilings = Ceilings(1)
    async with several(database_url, 2) as (first, second):
        with first._writers.begin() as tx:
            assert len(leases.take(tx, "w", "t", 5, 0, ceilings)) == 1
            assert await take(second, 5, ceilings=ceilings) == []
            tx.rollback()
        assert len(await take(second, 5, ceilings=ceilings)) == 1
        assert await take(first, 5, ceilings=ceilings) == []


@only_postgresql
@pytest.mark.parametrize("ceilings", [None, Ceilings(None, 5)])
async def test_a_run_that_somebody_holds_is_passed_over(
    database_url: str, database: Database, ceilings: Ceilings | None
) -> None:
    """Whoever changes a run, or stands still in the middle of it, holds up nobody."""
    held, free = await waiting(database), await waiting(database)
    async with several(database_url, 1) as (other,):
        with other._writers.begin() as tx:
            tx.execute(select(rows.c.id).where(rows.c.id == held.id).with_for_update())
            assert await take(database, 2, ceilings=ceilings) == [free.id]
        assert await take(database, 2, ceilings=ceilings) == [held.id]


async def test_how_much_waits_is_counted_by_urgency(database: Database) -> None:
    assert await database.read(leases.depths) == dict.fromkeys(Priority, 0)
    await waiting(database)
    await waiting(database)
    await waiting(database, priority=Priority.SCHEDULED)
    await leased_run(database)
    found = await database.read(leases.depths)
    assert found == {Priority.INTERACTIVE: 0, Priority.BATCH: 2, Priority.SCHEDULED: 1}


def _plans(tx: Tx) -> list[str]:
    """How the database would do each statement of looking and taking."""
    seen: list[tuple[str, Any]] = []

    def noted(_c: object, _cursor: object, statement: str, parameters: Any, _x: object, _many: bool) -> None:
        seen.append((statement, parameters))

    event.listen(tx.engine, "before_cursor_execute", noted)
    try:
        leases.any_waiting(tx)
        leases.any_stale(tx)
        leases.busy(tx)
        leases.take(tx, "w", "t", 3, 1)
        leases.take(tx, "w", "t", 3, 1, Ceilings(50, 3))
    finally:
        event.remove(tx.engine, "before_cursor_execute", noted)
    explain = "EXPLAIN QUERY PLAN " if tx.dialect.name == "sqlite" else "EXPLAIN "
    asked = [(one, given) for one, given in seen if "FROM runs" in one and one.startswith(("SELECT", "WITH"))]
    assert len(asked) > 8
    return ["\n".join(map(str, tx.exec_driver_sql(explain + one, given).all())) for one, given in asked]


@pytest.mark.parametrize("measured", [False, True])
async def test_looking_and_taking_read_indexes_only(database: Database, measured: bool) -> None:
    """A poll that sorted or walked what waits would be slow with a hundred thousand of them."""
    first = await waiting(database, "full")
    await database.write(lambda tx: _multiply(tx, first.id, 600, "'full'", "'pending'"))
    await database.write(lambda tx: _multiply(tx, first.id, 600, "'t' || (number % 7)", "'pending'"))
    await database.write(lambda tx: _multiply(tx, first.id, 600, "'full'", "'passed'"))
    if measured:
        await database.write(lambda tx: tx.exec_driver_sql("ANALYZE runs"))
    plans: list[str] = []

    def work(tx: Tx) -> None:
        plans.extend(_plans(tx))

    await database.write(work)
    for plan in plans:
        assert "ix_runs_" in plan or "pk_runs" in plan or "sqlite_autoindex_runs" in plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan


def _multiply(tx: Tx, run_id: str, many: int, target: str, status: str) -> None:
    """So many more runs like this one."""
    others = [column.name for column in rows.columns if column.name not in {"id", "target", "status"}]
    names = ", ".join(f'"{name}"' for name in others)
    numbers = "numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :many)"
    tx.execute(
        text(
            f"WITH RECURSIVE {numbers} INSERT INTO runs (id, target, status, {names}) "
            f"SELECT {target} || {status} || number, {target}, {status}, {names} FROM runs, numbers WHERE id = :id"
        ),
        {"many": many, "id": run_id},
    )
