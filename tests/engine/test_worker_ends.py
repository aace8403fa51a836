"""How a worker stops, dies, comes back, and is seen by others."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from tests.support.desk import (
    MOST,
    Desk,
    Faulty,
    away,
    expire,
    forever,
    of_a_batch,
    renews,
    shown,
    status,
    until,
    waits_for,
    working,
)
from tests.support.store import NOW, PATIENCE_S, events_of, pending_run, row_of, said, set_row

from vivavoce.core.run import Run
from vivavoce.engine import leases, worker
from vivavoce.engine.worker import Halted, Halting, Places
from vivavoce.storage.database import Database, connect
from vivavoce.storage.journal import Entry, Journal, Lease, LeaseLost
from vivavoce.storage.workers import Seen

# stopping


async def test_who_stops_gives_its_runs_back_and_the_next_goes_on(database: Database, desk: Desk) -> None:
    run = await pending_run(database)

    async def first_words(lease: Lease, halting: Halting) -> None:
        await desk.journal.write(Entry(lease, NOW, run.conversation_id, 0, (said("hello"),)))
        await forever(lease, halting)

    desk.before = first_words
    async with working(database, desk):
        await until(lambda: _has_events(database, run))
    row = await row_of(database, run.id)
    assert (row.status, row.lease_token, row.stalls, row.dispatch) == ("pending", None, 0, 2)
    with pytest.raises(LeaseLost):
        await desk.journal.write(Entry(desk.asked[0], NOW, run.conversation_id, 1, (said("late"),)))
    desk.before = None
    async with working(database, desk):
        await desk.finished(run)
    assert [lease.run_id for lease in desk.asked] == [run.id, run.id]
    assert desk.asked[0].token != desk.asked[1].token
    assert await status(database, run) == "passed"


async def _has_events(database: Database, run: Run) -> bool:
    return len(await events_of(database, run)) > 0


async def test_who_stops_waits_for_what_is_about_to_be_recorded(database: Database, desk: Desk) -> None:
    """Within its grace: one lets go when its answer is recorded, one settles, and one is not done in time."""
    halts, settles, hangs = [await pending_run(database) for _ in range(3)]
    stopping = asyncio.Event()

    async def conduct(lease: Lease, halting: Halting) -> None:
        if lease.run_id == hangs.id:
            await forever(lease, halting)
        await stopping.wait()
        if lease.run_id == halts.id:
            await desk.journal.write(Entry(lease, NOW, halts.conversation_id, 0, (said("paid for"),)))
            assert halting()
            raise Halted

    desk.before = conduct
    async with working(database, desk, Places(MOST, 0.5)):
        await desk.asked_for(3)
        # Not before the stop has begun.
        asyncio.get_running_loop().call_later(0.05, stopping.set)
    assert [await status(database, run) for run in (halts, settles, hangs)] == ["pending", "passed", "pending"]
    assert await events_of(database, halts) == (said("paid for"),)
    for run in (halts, hangs):
        row = await row_of(database, run.id)
        assert (row.lease_token, row.worker_id, row.stalls, row.dispatch) == (None, None, 0, 2)


async def test_leases_are_renewed_during_the_grace(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RENEW_S", 0.02)
    run = await pending_run(database)
    go_on = asyncio.Event()
    desk.before = waits_for(go_on)

    async def renewed() -> bool:
        (seen,) = await shown(database)
        return seen.stopping and seen.driving == 1 and (await row_of(database, run.id)).lease_until > 1

    async def watch() -> None:
        await until(lambda: _stops(database))
        await expire(database, run)
        await until(renewed)
        go_on.set()

    async with working(database, desk, Places(MOST, PATIENCE_S)):
        await desk.asked_for(1)
        watching = asyncio.create_task(watch())
    await watching
    assert await status(database, run) == "passed"


async def _stops(database: Database) -> bool:
    return all(seen.stopping for seen in await shown(database))


async def test_who_has_stopped_takes_nothing_more(database: Database, desk: Desk) -> None:
    async with working(database, desk) as opened:
        run = await pending_run(database)
        await desk.finished(run)
    other = await pending_run(database)
    opened.wake()
    assert await status(database, other) == "pending"
    assert len(desk.asked) == 1
    assert await shown(database) == ()


async def test_what_was_being_taken_when_the_stop_came_is_given_back(database: Database, desk: Desk) -> None:
    """A look is durable some time before the worker hears of it."""
    run = await pending_run(database)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def dawdle(done: Any) -> None:
        if isinstance(done, tuple) and done:
            reached.set()
            await go_on.wait()

    async with asyncio.timeout(PATIENCE_S):
        async with working(Faulty(database, after=dawdle), desk):
            await reached.wait()
            assert await status(database, run) == "starting"
            # Heard of as soon as the stop has begun.
            asyncio.get_running_loop().call_soon(go_on.set)
    row = await row_of(database, run.id)
    assert (row.status, row.lease_token) == ("pending", None)
    assert desk.asked == []


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_whenever_the_stop_comes_nothing_is_left_undriven(database: Database, desk: Desk, turns: int) -> None:
    made = await of_a_batch(database, MOST + 1)
    desk.before = forever
    async with working(database, desk):
        for _ in range(turns):
            await asyncio.sleep(0)
    assert {await status(database, run) for run in made} == {"pending"}


async def test_a_worker_that_could_not_start_can_be_stopped(database: Database, desk: Desk) -> None:
    async def fail(_work: Any) -> None:
        raise away()

    with pytest.raises(OperationalError):
        async with working(Faulty(database, before=fail), desk):
            raise AssertionError("it started")
    run = await pending_run(database)
    async with working(database, desk):
        await desk.finished(run)


# dying


async def test_who_is_alone_takes_back_at_its_start_what_it_drove_before(database: Database, desk: Desk) -> None:
    run = await pending_run(database)
    crashed = await database.write(lambda tx: leases.take(tx, "before", "before", 1))
    assert len(crashed) == 1
    async with working(database, desk, alone=True):
        await desk.finished(run)
    assert (await row_of(database, run.id)).stalls == 1


async def test_who_is_not_alone_leaves_the_living_theirs(database: Database, desk: Desk) -> None:
    driven, free = await pending_run(database), await pending_run(database)
    assert len(await database.write(lambda tx: leases.take(tx, "other", "other", 1))) == 1
    async with working(database, desk):
        await desk.finished(free)
    assert (await row_of(database, driven.id)).lease_token == "other"


async def test_runs_of_a_dead_worker_are_taken_over_by_one_that_lives(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", 0.05)
    # Woken, it looks at once.
    monkeypatch.setattr(worker, "LOOK_S", 3600.0)
    made = [await pending_run(database) for _ in range(2)]
    dead = await database.write(lambda tx: leases.take(tx, "dead", "dead", 2))
    async with working(database, desk):
        for run in made:
            await expire(database, run)
        await desk.finished(*made)
    for lease, run in zip(dead, made, strict=True):
        with pytest.raises(LeaseLost):
            await desk.journal.write(Entry(lease, NOW, run.conversation_id, 0, (said("late"),)))
        assert await events_of(database, run) == ()


async def test_a_frozen_worker_that_comes_back_writes_nothing_and_stops_driving(
    database: Database, database_url: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await pending_run(database)
    other = connect(database_url)
    frozen = Desk(Journal(other), before=forever)
    monkeypatch.setattr(worker, "URGENT_PLACES", 0)
    try:
        async with working(other, frozen, Places(1, 0.0)) as thawing:
            await frozen.asked_for(1)
            await expire(database, run)
            monkeypatch.setattr(worker, "SWEEP_S", 0.02)
            go_on = asyncio.Event()
            desk.before = waits_for(go_on)
            async with working(database, desk):
                await desk.asked_for(1)
                with pytest.raises(LeaseLost):
                    await frozen.journal.write(Entry(frozen.asked[0], NOW, run.conversation_id, 0, (said("a"),)))
                # It finds out when it renews its leases.
                await thawing._renew()
                await frozen.gone(run)
                go_on.set()
                await desk.finished(run)
    finally:
        other.close()
    assert frozen.done == []
    assert await events_of(database, run) == ()


async def test_who_stood_still_itself_goes_on_with_what_nobody_took(database: Database, desk: Desk) -> None:
    run = await pending_run(database)
    go_on = asyncio.Event()
    desk.before = waits_for(go_on)
    async with working(database, desk) as opened:
        await desk.asked_for(1)
        await expire(database, run)
        await opened._sweep()
        assert (await row_of(database, run.id)).lease_until > 1
        go_on.set()
        await desk.finished(run)
    assert len(desk.asked) == 1


async def test_a_run_that_was_taken_from_its_worker_is_no_longer_driven(database: Database, desk: Desk) -> None:
    cancelled, kept = await pending_run(database), await pending_run(database)
    desk.before = forever
    async with working(database, desk) as opened:
        await desk.asked_for(2)
        await database.write(lambda tx: set_row(tx, cancelled.id, status="error", lease_token=None))
        await opened._renew()
        await desk.gone(cancelled)
        assert desk.left == [cancelled.id]
    assert await status(database, cancelled) == "error"
    assert await status(database, kept) == "pending"


async def test_leases_are_renewed_while_runs_are_driven(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RENEW_S", 0.02)
    run = await pending_run(database)
    desk.before = forever
    async with working(database, desk):
        await desk.asked_for(1)
        await expire(database, run)
        await until(lambda: _renewed(database, run))
        assert desk.left == []


async def _renewed(database: Database, run: Run) -> bool:
    return (await row_of(database, run.id)).lease_until > 1


async def test_a_renewal_that_fails_is_tried_again(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RENEW_S", 0.02)
    failures = 0

    async def fail(work: Any) -> None:
        nonlocal failures
        if renews(work) and failures < 3:
            failures += 1
            raise away()

    run = await pending_run(database)
    desk.before = forever
    async with working(Faulty(database, before=fail), desk):
        await desk.asked_for(1)
        await expire(database, run)
        await until(lambda: _renewed(database, run))
    assert failures == 3


async def test_who_cannot_renew_its_leases_stops_driving_when_they_run_out(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker drives those runs by then, and an assistant must not be talked to by two."""
    monkeypatch.setattr(leases, "LEASE_MS", 300)
    monkeypatch.setattr(worker, "RENEW_S", 0.02)
    run = await pending_run(database)

    async def fail(work: Any) -> None:
        if renews(work):
            raise away()

    faulty = Faulty(database)
    desk.before = forever
    async with working(faulty, desk):
        await desk.asked_for(1)
        faulty.before = fail
        await desk.gone(run)
    assert desk.left == [run.id]


async def test_after_the_database_was_away_the_living_renew_first(database: Database, desk: Desk) -> None:
    """Nobody could, so that all leases ran out: their workers are not dead for that."""
    run = await pending_run(database)
    assert len(await database.write(lambda tx: leases.take(tx, "other", "other", 1))) == 1

    async def fail(_work: Any) -> None:
        raise away()

    faulty = Faulty(database)
    async with working(faulty, desk) as opened:
        faulty.before = fail
        beating = asyncio.create_task(opened._every(0.0, opened._renew, "renewing leases failed"))
        await until(lambda: asyncio.sleep(0, opened._cut_off))
        beating.cancel()
        faulty.before = None
        await expire(database, run)
        await opened._sweep()
        assert (await row_of(database, run.id)).lease_token == "other"
        await opened._sweep()
        await desk.finished(run)


# being seen


async def test_workers_are_seen_while_they_work(
    database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await pending_run(database)
    go_on = asyncio.Event()
    desk.before = waits_for(go_on)
    async with working(database, desk) as opened:
        await desk.asked_for(1)
        await opened._renew()
        (seen,) = await shown(database)
        assert replace(seen, seen_at=0) == Seen(opened._presence, 1, 0, stopping=False, silent=False)
        go_on.set()
        await desk.finished(run)
    assert await shown(database) == ()


async def test_nothing_of_a_worker_comes_after_its_farewell(database: Database, desk: Desk) -> None:
    """A beat that is on its way when the worker stops would leave a ghost."""
    beating, go_on = asyncio.Event(), asyncio.Event()

    async def dawdle(work: Any) -> None:
        if renews(work):
            beating.set()
            await go_on.wait()

    async with asyncio.timeout(PATIENCE_S):
        async with working(Faulty(database, before=dawdle), desk) as opened:
            beat = asyncio.create_task(opened._renew())
            await beating.wait()
            beat.cancel()
            asyncio.get_running_loop().call_soon(go_on.set)
    assert await shown(database) == ()
