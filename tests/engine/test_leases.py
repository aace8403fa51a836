import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select
from tests.support.store import NOW, ORG, events_of, leased_run, pending_run, row_of, said, set_row

from vivavoce.core.run import Run
from vivavoce.core.status import FINAL, Status
from vivavoce.engine import leases
from vivavoce.engine.leases import LEASE_MS, MAX_STALLS, Job
from vivavoce.storage import conversations, runs, scenarios
from vivavoce.storage.database import Database, connect
from vivavoce.storage.journal import Entry, Journal, Lease, LeaseLost, running

LEASE_COLUMNS = ("status", "dispatch", "lease_token", "lease_until", "stalls", "progress")


async def database_time(database: Database) -> int:
    return await database.read(lambda tx: tx.execute(select(leases.database_now(tx))).scalar_one())


async def claim(database: Database, run: Run, token: str = "t", dispatch: int = 1) -> Lease | None:
    return await database.write(lambda tx: leases.claim(tx, Job(run.id, dispatch), token))


async def take_back(database: Database, *, everything: bool = False) -> None:
    await database.write(lambda tx: leases.take_back(tx, everything=everything))


async def expire(database: Database, run: Run) -> None:
    """Its worker has been silent for too long."""
    await database.write(lambda tx: set_row(tx, run.id, lease_until=1))


async def columns(database: Database, run: Run) -> dict[str, Any]:
    row = await row_of(database, run.id)
    return {name: getattr(row, name) for name in LEASE_COLUMNS}


async def test_the_databases_clock_is_in_milliseconds_since_the_epoch(database: Database) -> None:
    first = await database_time(database)
    assert NOW - 10 * 365 * 86_400_000 < first < NOW + 100 * 365 * 86_400_000
    assert first <= await database_time(database) < first + 60_000


async def test_who_claims_a_waiting_run_holds_its_lease(database: Database) -> None:
    run = await pending_run(database)
    before = await database_time(database)
    assert await claim(database, run, "mine") == Lease(run.id, "mine")
    after = await database_time(database)
    row = await row_of(database, run.id)
    assert (row.status, row.lease_token) == ("starting", "mine")
    assert before + LEASE_MS <= row.lease_until <= after + LEASE_MS
    assert before <= row.started_at <= after
    assert row.updated_at == row.started_at


async def test_a_run_taken_again_keeps_the_time_it_was_first_started(database: Database) -> None:
    run = await pending_run(database)
    await database.write(lambda tx: set_row(tx, run.id, started_at=5))
    await claim(database, run)
    assert (await row_of(database, run.id)).started_at == 5


async def test_of_many_claims_one_wins(database: Database, database_url: str) -> None:
    run = await pending_run(database)
    other = connect(database_url)
    try:
        both = (database, other)
        done = await asyncio.gather(*(claim(both[n % 2], run, f"t{n}") for n in range(20)))
    finally:
        other.close()
    won = [lease for lease in done if lease is not None]
    assert len(won) == 1
    assert (await row_of(database, run.id)).lease_token == won[0].token


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
async def test_only_a_waiting_run_can_be_claimed(database: Database, status: Status) -> None:
    run = await pending_run(database)
    await database.write(lambda tx: set_row(tx, run.id, status=status.value))
    before = await columns(database, run)
    assert await claim(database, run) is None
    assert await columns(database, run) == before


async def test_an_old_hand_out_a_held_and_an_unknown_run_are_not_claimed(database: Database) -> None:
    run = await pending_run(database)
    assert await claim(database, run, dispatch=0) is None
    assert await claim(database, run, dispatch=2) is None
    assert await claim(database, replace(run, id="none")) is None
    assert await claim(database, run) is not None
    assert await claim(database, run, "other") is None


async def test_renewing_is_for_those_who_still_hold(database: Database) -> None:
    (mine, lease), (lost, lost_lease), (bystander, _) = [await leased_run(database) for _ in range(3)]
    await database.write(lambda tx: set_row(tx, lost.id, lease_token=None, status="pending"))
    for run in (mine, lost, bystander):
        await expire(database, run)
    before = await database_time(database)
    await database.write(lambda tx: leases.renew(tx, [lease, lost_lease]))
    assert before + LEASE_MS <= (await row_of(database, mine.id)).lease_until
    assert (await row_of(database, lost.id)).lease_until == 1
    assert (await columns(database, lost))["lease_token"] is None
    assert (await row_of(database, bystander.id)).lease_until == 1


async def test_renewing_or_giving_back_nothing_is_no_trouble(database: Database) -> None:
    run, _ = await leased_run(database)
    before = await columns(database, run)
    await database.write(lambda tx: leases.renew(tx, []))
    await database.write(lambda tx: leases.give_back(tx, []))
    assert await columns(database, run) == before


async def test_what_is_given_back_waits_for_the_next(database: Database) -> None:
    (mine, lease), (bystander, _), (taken, taken_lease) = [await leased_run(database) for _ in range(3)]
    await database.write(lambda tx: set_row(tx, taken.id, lease_token="another"))
    await database.write(lambda tx: leases.give_back(tx, [lease, taken_lease]))
    given = {"status": "pending", "dispatch": 2, "lease_token": None, "lease_until": None, "stalls": 0, "progress": 0}
    assert await columns(database, mine) == given
    assert (await columns(database, bystander))["status"] == "starting"
    assert (await columns(database, taken))["lease_token"] == "another"
    assert await database.read(leases.waiting) == (Job(mine.id, 2),)
    assert await claim(database, mine) is None
    assert await claim(database, mine, "t", 2) == Lease(mine.id, "t")


async def test_only_runs_whose_worker_is_silent_are_taken_back(database: Database) -> None:
    waiting = await pending_run(database)
    (alive, _), (silent, _) = [await leased_run(database) for _ in range(2)]
    in_time = await database_time(database) + LEASE_MS
    await database.write(lambda tx: set_row(tx, alive.id, lease_until=in_time))
    await expire(database, silent)
    unchanged = [await columns(database, run) for run in (waiting, alive)]
    await take_back(database)
    assert [await columns(database, run) for run in (waiting, alive)] == unchanged
    assert await database.read(leases.waiting) == (Job(waiting.id, 1), Job(silent.id, 2))


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("status", sorted(FINAL))
async def test_what_is_finished_stays_finished(database: Database, status: Status, everything: bool) -> None:
    run = await pending_run(database)
    await database.write(lambda tx: set_row(tx, run.id, status=status.value, lease_until=1))
    before = await columns(database, run)
    await take_back(database, everything=everything)
    assert await columns(database, run) == before
    assert await database.read(leases.waiting) == ()


async def test_a_process_that_is_alone_takes_everything_unfinished(database: Database) -> None:
    waiting = await pending_run(database)
    (starting, _), (talking, _) = [await leased_run(database) for _ in range(2)]
    in_time = await database_time(database) + LEASE_MS
    await database.write(lambda tx: set_row(tx, starting.id, lease_until=in_time))
    await database.write(lambda tx: set_row(tx, talking.id, status="running", lease_until=in_time))
    await take_back(database, everything=True)
    assert await database.read(leases.waiting) == (Job(waiting.id, 2), Job(starting.id, 2), Job(talking.id, 2))
    for run in (waiting, starting, talking):
        row = await row_of(database, run.id)
        assert (row.lease_token, row.lease_until) == (None, None)


async def die(database: Database, run: Run, *, said_before: int = 0) -> None:
    """A worker claims the run, gets so many events further, and is never heard of again."""
    row = await row_of(database, run.id)
    assert await claim(database, run, f"t{row.dispatch}", row.dispatch) is not None
    if said_before:
        words = [said("word")] * said_before
        await database.write(lambda tx: conversations.append(tx, run.conversation_id, words, NOW))
    await expire(database, run)
    await take_back(database)


async def test_a_run_that_never_gets_further_is_given_up_with_a_story(database: Database) -> None:
    run = await pending_run(database)
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
    assert await database.read(leases.waiting) == ()
    row = await row_of(database, run.id)
    assert (row.lease_token, row.lease_until) == (None, None)


async def test_stalls_are_counted_anew_after_every_event(database: Database) -> None:
    run = await pending_run(database)
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
    never_driven = await pending_run(database)
    given_back, lease = await leased_run(database)
    await database.write(lambda tx: leases.give_back(tx, [lease]))
    for _ in range(MAX_STALLS + 2):
        await take_back(database, everything=True)
    for run in (never_driven, given_back):
        row = await row_of(database, run.id)
        assert (row.status, row.stalls) == ("pending", 0)


async def test_a_crash_of_the_only_process_is_a_stall(database: Database) -> None:
    run = await pending_run(database)
    for dispatch in range(1, MAX_STALLS + 2):
        assert await claim(database, run, "t", dispatch) is not None
        await take_back(database, everything=True)
    assert (await row_of(database, run.id)).status == "error"


async def test_a_server_starts_with_any_number_of_unfinished_runs(database: Database) -> None:
    """A statement has a limit of parameters, so none may have one for each run."""
    for _ in range(50):
        await pending_run(database)
    most = 0

    def counted(_c: object, _cursor: object, _statement: str, parameters: Any, _x: object, _many: bool) -> None:
        nonlocal most
        most = max(most, len(parameters))

    event.listen(database._writers, "before_cursor_execute", counted)
    try:
        await take_back(database, everything=True)
    finally:
        event.remove(database._writers, "before_cursor_execute", counted)
    assert len(await database.read(leases.waiting)) == 50
    assert 0 < most < 20


async def test_two_sweeps_at_once_take_a_run_back_once(database: Database, database_url: str) -> None:
    run, _ = await leased_run(database)
    await expire(database, run)
    other = connect(database_url)
    try:
        await asyncio.gather(*(take_back(one) for one in (database, other) * 5))
    finally:
        other.close()
    assert (await columns(database, run))["dispatch"] == 2


async def test_waiting_runs_are_listed_oldest_first(database: Database) -> None:
    made = [await pending_run(database) for _ in range(4)]
    await claim(database, made[1])
    assert await database.read(leases.waiting) == tuple(Job(made[place].id, 1) for place in (0, 2, 3))


async def test_a_lost_hand_out_gets_the_next_number(database: Database) -> None:
    lost, claimed, renewed, gone = [await pending_run(database) for _ in range(4)]
    await claim(database, claimed)
    await database.write(lambda tx: set_row(tx, renewed.id, dispatch=2))
    await database.write(lambda tx: scenarios.drop(tx, ORG, gone.scenario_id))
    jobs = [Job(run.id, 1) for run in (lost, claimed, renewed, gone)]
    assert await database.write(lambda tx: leases.hand_out_anew(tx, jobs)) == (Job(lost.id, 2),)
    assert await database.write(lambda tx: leases.hand_out_anew(tx, jobs)) == ()
    assert await claim(database, lost, dispatch=1) is None
    assert await claim(database, lost, dispatch=2) is not None


async def test_after_a_run_was_taken_back_its_old_worker_can_write_nothing(database: Database) -> None:
    journal = Journal(database)
    run = await pending_run(database)
    old = await claim(database, run, "old")
    assert old is not None
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
        await database.write(lambda tx: leases.renew(tx, [old]))
        await database.write(lambda tx: leases.give_back(tx, [old]))
        row = await row_of(database, run.id)
        expected = {"waiting": ("pending", None, 2), "taken": ("starting", "new", 2)}[when]
        assert (row.status, row.lease_token, row.dispatch) == expected
        assert await events_of(database, run) == (said("first"), said("second"))
        if when == "waiting":
            assert await claim(database, run, "new", 2) is not None
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
