import asyncio
from typing import Any

import pytest
from sqlalchemy import event
from tests.support.queue import columns, database_time, expire, in_line, several, take, take_back, waiting
from tests.support.store import (
    NOW,
    ORG,
    events_of,
    leased_run,
    only_sqlite,
    pending_run,
    row_of,
    said,
    set_row,
)

from vivavoce.core.run import Run
from vivavoce.core.status import FINAL, Status
from vivavoce.engine import leases
from vivavoce.engine.leases import LEASE_MS, MAX_STALLS, Ceilings
from vivavoce.storage import conversations, runs
from vivavoce.storage.database import Database
from vivavoce.storage.journal import Entry, Journal, Lease, LeaseLost, running

# holding


async def test_renewing_is_for_those_who_still_hold(database: Database) -> None:
    (mine, lease), (lost, lost_lease), (bystander, _) = [await leased_run(database) for _ in range(3)]
    await database.write(lambda tx: set_row(tx, lost.id, lease_token=None, status="pending"))
    for run in (mine, lost, bystander):
        await expire(database, run)
    before = await database_time(database)
    assert await database.write(lambda tx: leases.renew(tx, [lease, lost_lease])) == {lease}
    assert before + LEASE_MS <= (await row_of(database, mine.id)).lease_until
    assert (await row_of(database, lost.id)).lease_until == 1
    assert (await columns(database, lost))["lease_token"] is None
    assert (await row_of(database, bystander.id)).lease_until == 1


async def test_who_lost_a_run_and_took_it_anew_holds_it_once(database: Database) -> None:
    run = await waiting(database)
    await take(database, token="old")
    await expire(database, run)
    await take_back(database)
    await take(database, token="new")
    old, new = Lease(run.id, "old"), Lease(run.id, "new")
    assert await database.write(lambda tx: leases.renew(tx, [old, new])) == {new}
    await database.write(lambda tx: leases.give_back(tx, [old]))
    assert (await columns(database, run))["lease_token"] == "new"
    assert not await database.write(lambda tx: leases.try_again(tx, old, "too late", 0))
    assert (await row_of(database, run.id)).attempts == 1


async def test_renewing_or_giving_back_nothing_is_no_trouble(database: Database) -> None:
    run, _ = await leased_run(database)
    before = await columns(database, run)
    assert await database.write(lambda tx: leases.renew(tx, [])) == set()
    await database.write(lambda tx: leases.give_back(tx, []))
    assert await columns(database, run) == before


async def test_what_is_given_back_waits_for_the_next(database: Database) -> None:
    (mine, lease), (bystander, _), (taken, taken_lease) = [await leased_run(database) for _ in range(3)]
    await database.write(lambda tx: set_row(tx, taken.id, lease_token="another"))
    await database.write(lambda tx: leases.give_back(tx, [lease, taken_lease]))
    assert await columns(database, mine) == {
        "status": "pending",
        "dispatch": 2,
        "lease_token": None,
        "lease_until": None,
        "worker_id": None,
        "stalls": 0,
        "progress": 0,
    }
    assert (await columns(database, bystander))["status"] == "starting"
    assert (await columns(database, taken))["lease_token"] == "another"
    assert await take(database, 9) == [mine.id]


async def test_what_is_given_back_with_a_delay_is_not_due_yet(database: Database) -> None:
    run, lease = await leased_run(database)
    before = await database_time(database)
    await database.write(lambda tx: leases.give_back(tx, [lease], delay_ms=60_000))
    assert before + 60_000 <= (await row_of(database, run.id)).due_at <= await database_time(database) + 60_000
    assert await take(database) == []


async def test_an_attempt_that_broke_off_is_told_and_made_again(database: Database) -> None:
    run, lease = await leased_run(database)
    assert await database.write(lambda tx: leases.try_again(tx, lease, "the provider was away", 60_000))
    assert await take(database) == []
    await database.write(lambda tx: set_row(tx, run.id, due_at=0))
    assert await take(database, token="second") == [run.id]
    second = Lease(run.id, "second")
    assert await database.write(lambda tx: leases.try_again(tx, second, "and again", 0))
    found = await database.read(lambda tx: runs.get(tx, ORG, run.id))
    assert found is not None
    assert (found.status, found.attempts) == (Status.PENDING, 3)
    assert found.setbacks == ("the provider was away", "and again")
    assert (await row_of(database, run.id)).stalls == 0


# taking back


async def test_only_runs_whose_worker_is_silent_are_taken_back(database: Database) -> None:
    unstarted = await waiting(database)
    (alive, _), (silent, _) = [await leased_run(database) for _ in range(2)]
    in_time = await database_time(database) + LEASE_MS
    await database.write(lambda tx: set_row(tx, alive.id, lease_until=in_time))
    assert not await database.read(leases.any_stale)
    await expire(database, silent)
    assert await database.read(leases.any_stale)
    unchanged = [await columns(database, run) for run in (unstarted, alive)]
    assert await take_back(database) == 1
    assert not await database.read(leases.any_stale)
    assert [await columns(database, run) for run in (unstarted, alive)] == unchanged
    assert await in_line(database) == [unstarted.id, silent.id]
    assert (await columns(database, silent))["dispatch"] == 2


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("status", sorted(FINAL))
async def test_what_is_finished_stays_finished(database: Database, status: Status, everything: bool) -> None:
    run = await pending_run(database)
    await database.write(lambda tx: set_row(tx, run.id, status=status.value, lease_until=1))
    before = await columns(database, run)
    assert await take_back(database, everything=everything) == 0
    assert await columns(database, run) == before


async def test_a_process_that_is_alone_takes_everything_that_was_driven(database: Database) -> None:
    unstarted = await waiting(database)
    (starting, _), (talking, _) = [await leased_run(database) for _ in range(2)]
    in_time = await database_time(database) + LEASE_MS
    await database.write(lambda tx: set_row(tx, starting.id, lease_until=in_time))
    await database.write(lambda tx: set_row(tx, talking.id, status="running", lease_until=in_time))
    assert await take_back(database, everything=True) == 2
    assert await in_line(database) == [unstarted.id, starting.id, talking.id]
    for run in (unstarted, starting, talking):
        row = await row_of(database, run.id)
        assert (row.lease_token, row.lease_until, row.worker_id) == (None, None, None)


async def die(database: Database, run: Run, *, said_before: int = 0) -> None:
    """A worker takes the run, gets so many events further, and is never heard of again."""
    assert await take(database) == [run.id]
    if said_before:
        words = [said("word")] * said_before
        await database.write(lambda tx: conversations.append(tx, run.conversation_id, words, NOW))
    await expire(database, run)
    await take_back(database)


async def test_a_run_that_never_gets_further_is_given_up_with_a_story(database: Database) -> None:
    run = await waiting(database)
    for stalls in range(1, MAX_STALLS + 1):
        await die(database, run)
        row = await row_of(database, run.id)
        assert (row.status, row.stalls, row.dispatch) == ("pending", stalls, stalls + 1)
    await die(database, run)
    found = await database.read(lambda tx: runs.get(tx, ORG, run.id))
    assert found is not None
    assert (found.status, found.fault) == (Status.ERROR, "infrastructure")
    assert "6 workers in a row" in found.reason
    assert found.story == found.reason
    assert found.completed_at == found.updated_at
    assert found.completed_at is not None
    assert abs(found.completed_at - await database_time(database)) < 60_000
    assert await in_line(database) == []
    row = await row_of(database, run.id)
    assert (row.lease_token, row.lease_until) == (None, None)


async def test_stalls_are_counted_anew_after_every_event(database: Database) -> None:
    run = await waiting(database)
    for _ in range(MAX_STALLS):
        await die(database, run)
    await die(database, run, said_before=2)
    row = await row_of(database, run.id)
    assert (row.status, row.stalls, row.progress) == ("pending", 0, 2)
    await die(database, run)
    row = await row_of(database, run.id)
    assert (row.status, row.stalls, row.progress) == ("pending", 1, 2)


async def test_waiting_for_a_worker_is_no_stall(database: Database) -> None:
    """However often the server starts again: a run that nobody drove, or that was given back, lost no worker."""
    never_driven = await waiting(database)
    given_back, lease = await leased_run(database)
    await database.write(lambda tx: leases.give_back(tx, [lease]))
    for _ in range(MAX_STALLS + 2):
        assert await take_back(database, everything=True) == 0
    for run in (never_driven, given_back):
        row = await row_of(database, run.id)
        assert (row.status, row.stalls) == ("pending", 0)


async def test_a_crash_of_the_only_process_is_a_stall(database: Database) -> None:
    run = await waiting(database)
    for _ in range(MAX_STALLS + 1):
        assert await take(database) == [run.id]
        await take_back(database, everything=True)
    assert (await row_of(database, run.id)).status == "error"


async def test_a_server_starts_with_any_number_of_driven_runs(database: Database) -> None:
    """A statement has a limit of parameters, so none may have one for each run."""
    for _ in range(50):
        await leased_run(database)
    most = 0

    def counted(_c: object, _cursor: object, _statement: str, parameters: Any, _x: object, _many: bool) -> None:
        nonlocal most
        most = max(most, len(parameters))

    event.listen(database._writers, "before_cursor_execute", counted)
    try:
        assert await take_back(database, everything=True) == 50
    finally:
        event.remove(database._writers, "before_cursor_execute", counted)
    assert len(await in_line(database)) == 50
    assert 0 < most < 20


async def test_two_sweeps_at_once_take_a_run_back_once(database: Database, database_url: str) -> None:
    run, _ = await leased_run(database)
    await expire(database, run)
    async with several(database_url, 1) as (other,):
        await asyncio.gather(*(take_back(one) for one in (database, other) * 5))
    assert (await columns(database, run))["dispatch"] == 2


# fencing


async def test_after_a_run_was_taken_back_its_old_worker_can_write_nothing(database: Database) -> None:
    journal = Journal(database)
    run = await waiting(database)
    assert await take(database, token="old") == [run.id]
    old = Lease(run.id, "old")
    await journal.write(Entry(old, NOW, run.conversation_id, 0, (said("first"),)))
    await expire(database, run)
    # Slow, and not dead: until somebody notices it may go on.
    await journal.write(Entry(old, NOW, run.conversation_id, 1, (said("second"),)))
    await take_back(database)
    stale = [
        Entry(old, NOW, run.conversation_id, 2, (said("third"),)),
        running(old, NOW),
        Entry(old, NOW, changes={"status": "passed"}),
    ]
    for when in ("waiting", "taken"):
        for one in stale:
            with pytest.raises(LeaseLost):
                await journal.write(one)
        assert await database.write(lambda tx: leases.renew(tx, [old])) == set()
        await database.write(lambda tx: leases.give_back(tx, [old]))
        assert not await database.write(lambda tx: leases.try_again(tx, old, "no", 0))
        row = await row_of(database, run.id)
        expected = {"waiting": ("pending", None, 2), "taken": ("starting", "new", 2)}[when]
        assert (row.status, row.lease_token, row.dispatch) == expected
        assert await events_of(database, run) == (said("first"), said("second"))
        if when == "waiting":
            assert await take(database, token="new") == [run.id]
    await journal.write(Entry(Lease(run.id, "new"), NOW, run.conversation_id, 2, (said("mine"),)))
    assert len(await events_of(database, run)) == 3


async def test_renewing_and_writing_do_not_wait_for_each_other(database: Database) -> None:
    """Both lock many runs; in different orders they would end in a deadlock on a server."""
    journal = Journal(database)
    made = [await leased_run(database) for _ in range(40)]
    # What was written last stands last in the table, so that it is not in the order of the ids.
    for run, _ in reversed(made):
        await database.write(lambda tx, run=run: set_row(tx, run.id, reason="moved"))

    async def renew() -> None:
        for _ in range(10):
            await database.write(lambda tx: leases.renew(tx, [lease for _, lease in reversed(made)]))

    async def write() -> None:
        for turn in range(10):
            await asyncio.gather(
                *(journal.write(Entry(lease, NOW, run.conversation_id, turn, (said("a"),))) for run, lease in made)
            )

    await asyncio.gather(renew(), renew(), write())
    for run, _ in made:
        assert len(await events_of(database, run)) == 10


@only_sqlite
async def test_one_writer_at_a_time_needs_no_lock_for_ceilings(database: Database) -> None:
    """SQLite knows no advisory locks; its one writer is lock enough."""
    for _ in range(4):
        await waiting(database)
    done = await asyncio.gather(*(take(database, 2, f"t{number}", ceilings=Ceilings(3)) for number in range(4)))
    assert sum(map(len, done)) == 3
