import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.desk import MOST, Desk, Faulty, away, expire, forever, of_a_batch, status, until, working
from tests.support.store import ORG, pending_run, row_of

from vivavoce.core.run import Run
from vivavoce.engine import leases, worker
from vivavoce.engine.leases import Ceilings
from vivavoce.engine.worker import Halting, Places, TryAgain
from vivavoce.storage import scenarios, workers
from vivavoce.storage.database import Database, connect
from vivavoce.storage.journal import Journal, Lease
from vivavoce.storage.tables import runs as rows


async def test_what_waits_is_driven_after_the_start(database: Database, desk: Desk) -> None:
    made = [await pending_run(database) for _ in range(MOST + 2)]
    async with working(database, desk):
        await desk.finished(*made)
    assert sorted(lease.run_id for lease in desk.asked) == [run.id for run in made]
    assert {await status(database, run) for run in made} == {"passed"}


async def test_who_is_woken_looks_at_once(database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LOOK_S", 3600.0)
    async with working(database, desk) as opened:
        await until(lambda: database.read(lambda tx: workers.get_all(tx) != ()))
        for _ in range(5):
            run = await pending_run(database)
            opened.wake()
            await desk.finished(run)
    assert len(desk.asked) == 5


async def test_a_place_that_becomes_free_is_filled_at_once(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that becomes free while the worker looks."""
    monkeypatch.setattr(worker, "LOOK_S", 3600.0)
    made = await of_a_batch(database, 40)
    async with working(database, desk):
        await desk.finished(*made)
    assert len(desk.asked) == len(made)


@pytest.mark.parametrize("ceilings", [Ceilings(), Ceilings(2), Ceilings(None, 2)])
async def test_no_more_are_driven_than_there_are_places(database: Database, desk: Desk, ceilings: Ceilings) -> None:
    made = await of_a_batch(database, MOST + 4)
    go_on = asyncio.Event()
    most = 0

    async def count(_lease: Lease, _halting: Halting) -> None:
        nonlocal most
        most = max(most, len(desk.asked) - len(desk.done))
        await go_on.wait()

    desk.before = count
    limit = MOST if not ceilings.any else 2
    async with working(database, desk, Places(MOST, 0.0, ceilings)) as opened:
        await desk.asked_for(limit)
        # Several looks later there are no more.
        for _ in range(3):
            await opened._take()
        assert len(desk.asked) == limit
        go_on.set()
        await desk.finished(*made)
    assert most == limit
    assert len(desk.asked) == len(made)


async def test_somebody_who_waits_overtakes_a_full_batch(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "URGENT_PLACES", 2)
    await of_a_batch(database, MOST + 3)
    desk.before = forever
    async with working(database, desk) as opened:
        await desk.asked_for(MOST)
        single = [await pending_run(database) for _ in range(3)]
        await desk.asked_for(MOST + 2)
        await opened._take()
        assert [lease.run_id for lease in desk.asked[MOST:]] == [run.id for run in single[:2]]


async def test_two_workers_share_what_waits(database: Database, database_url: str, desk: Desk) -> None:
    made = await of_a_batch(database, 30)
    other = connect(database_url)
    second = Desk(Journal(other))
    try:
        async with working(database, desk), working(other, second):
            await until(lambda: _all_done(database))
            for one in (desk, second):  # who wrote hears a moment later that it is durable
                await one.until(lambda one=one: len(one.done) == len(one.asked))
    finally:
        other.close()
    assert sorted(desk.done + second.done) == [run.id for run in made]


async def _all_done(database: Database) -> bool:
    open_ones = select(func.count()).select_from(rows).where(rows.c.status != "passed")
    return not await database.read(lambda tx: tx.execute(open_ones).scalar_one())


async def test_a_deleted_run_ends_quietly_and_the_worker_goes_on(database: Database, desk: Desk) -> None:
    gone, left = await pending_run(database), await pending_run(database)

    async def delete(lease: Lease, _halting: Halting) -> None:
        if lease.run_id == gone.id:
            await database.write(lambda tx: scenarios.drop(tx, ORG, gone.scenario_id))

    desk.before = delete
    async with working(database, desk):
        await desk.finished(left)
        await desk.gone(gone)
    assert desk.done == [left.id]


async def test_an_attempt_that_broke_off_is_made_again(database: Database, desk: Desk) -> None:
    run = await pending_run(database)

    async def break_off(_lease: Lease, _halting: Halting) -> None:
        if len(desk.asked) < 3:
            raise TryAgain(f"setback {len(desk.asked)}", 0)

    desk.before = break_off
    async with working(database, desk):
        await desk.finished(run)
    row = await row_of(database, run.id)
    assert (row.attempts, row.setbacks, row.stalls) == (3, ["setback 1", "setback 2"], 0)


async def test_a_run_whose_attempt_is_put_off_leaves_its_place_to_others(database: Database, desk: Desk) -> None:
    put_off, other = await pending_run(database), await pending_run(database)

    async def break_off(lease: Lease, _halting: Halting) -> None:
        if lease.run_id == put_off.id:
            raise TryAgain("later", 3_600_000)

    desk.before = break_off
    async with working(database, desk, Places(1, 0.0)):
        await desk.finished(other)
    assert await status(database, put_off) == "pending"


async def test_a_run_in_whose_middle_the_database_was_away_is_given_back(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "AWAY_MS", 0)
    run = await pending_run(database)

    async def once(_lease: Lease, _halting: Halting) -> None:
        if len(desk.asked) == 1:
            raise away()

    desk.before = once
    async with working(database, desk):
        await desk.finished(run)
    row = await row_of(database, run.id)
    assert (row.attempts, row.stalls, row.setbacks) == (1, 0, [])


async def test_a_run_whose_driving_failed_is_taken_again_when_its_lease_is_over(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", 0.05)
    run = await pending_run(database)

    async def fail_once(_lease: Lease, _halting: Halting) -> None:
        if len(desk.asked) == 1:
            raise ValueError("a defect of ours")

    desk.before = fail_once
    async with working(database, desk):
        await desk.gone(run)
        await until(lambda: _is(database, run, "starting"))
        await expire(database, run)
        await desk.finished(run)
    assert [lease.run_id for lease in desk.asked] == [run.id, run.id]
    assert (await row_of(database, run.id)).stalls == 1


async def _is(database: Database, run: Run, expected: str) -> bool:
    return await status(database, run) == expected


async def test_a_look_that_fails_is_made_again(database: Database, desk: Desk) -> None:
    failures = 0

    async def fail(work: Any) -> None:
        nonlocal failures
        if getattr(work, "func", None) is leases.take and failures < 3:
            failures += 1
            raise away()

    run = await pending_run(database)
    async with working(Faulty(database, before=fail), desk):
        await desk.finished(run)
    assert failures == 3
