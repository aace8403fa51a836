"""The worker on the real queue. The library behind the queue is one for each process, so every test ends it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.store import NOW, ORG, PATIENCE_S, events_of, ids, pending_run, row_of, said, set_row

from vivavoce.core.event import Usage
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome
from vivavoce.engine import leases, queue, worker
from vivavoce.engine.leases import Job
from vivavoce.engine.queue import Queue
from vivavoce.engine.worker import Worker
from vivavoce.storage import scenarios
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.journal import Entry, Journal, Lease, LeaseLost, settled

CONCURRENCY = 3
PASSED = Outcome(Status.PASSED, None, "every criterion is met")
new_id = ids()


@dataclass
class Desk:
    """Conducts runs: notes that it was asked, does what the test wants, settles."""

    journal: Journal
    asked: list[Lease] = field(default_factory=list[Lease])
    done: list[str] = field(default_factory=list[str])
    before: Callable[[Lease], Any] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def conduct(self, lease: Lease) -> None:
        self.asked.append(lease)
        await self._tell()
        if self.before is not None:
            await self.before(lease)
        await self.journal.write(settled(lease, NOW, PASSED, Transcript(), Usage(), "story"))
        self.done.append(lease.run_id)
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(reached)

    async def asked_for(self, count: int) -> None:
        await self.until(lambda: len(self.asked) >= count)

    async def finished(self, *runs: Run) -> None:
        await self.until(lambda: {run.id for run in runs} <= set(self.done))


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is looked at often, and duties that a test has to ask for."""
    monkeypatch.setattr(queue, "POLL_S", 0.02)
    monkeypatch.setattr(worker, "RENEW_S", 3600.0)
    monkeypatch.setattr(worker, "SWEEP_S", 3600.0)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(Journal(database))


@dataclass
class Office:
    """Opens workers on one database and one directory."""

    database: Database
    url: str
    directory: Path

    @asynccontextmanager
    async def open(self, desk: Desk, *, database: Any = None) -> AsyncGenerator[Worker]:
        line = Queue(self.url, self.directory, CONCURRENCY, new_id())
        made = Worker(database or self.database, line, desk.conduct, new_id, alone=self.database.sqlite)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()


@pytest.fixture
def office(database: Database, database_url: str, tmp_path: Path) -> Office:
    return Office(database, database_url, tmp_path)


async def forever(_lease: Lease) -> None:
    await asyncio.Event().wait()


async def expire(database: Database, run: Run) -> None:
    await database.write(lambda tx: set_row(tx, run.id, lease_until=1))


async def status(database: Database, run: Run) -> str:
    return (await row_of(database, run.id)).status


async def test_a_submitted_run_is_conducted_once(database: Database, office: Office, desk: Desk) -> None:
    async with office.open(desk) as opened:
        first, last = await pending_run(database), await pending_run(database)
        for _ in range(3):
            opened.submit([Job(first.id, 1)])
        await desk.finished(first)
        opened.submit([Job(first.id, 1), Job(last.id, 1)])
        await desk.finished(last)
    assert [lease.run_id for lease in desk.asked] == [first.id, last.id]
    assert await status(database, first) == "passed"


async def test_many_runs_are_driven_side_by_side_and_no_more_than_allowed(
    database: Database, office: Office, desk: Desk
) -> None:
    made = [await pending_run(database) for _ in range(CONCURRENCY + 4)]
    go_on = asyncio.Event()
    desk.before = lambda _lease: go_on.wait()
    async with office.open(desk) as opened:
        opened.submit([Job(run.id, 1) for run in made])
        await desk.asked_for(CONCURRENCY)
        # Several looks at the queue later there are no more.
        for _ in range(3):
            await opened._queue.find([Job(run.id, 1) for run in made])
        assert len(desk.asked) == CONCURRENCY
        go_on.set()
        await desk.finished(*made)
    assert len(desk.asked) == len(made)


async def test_what_was_left_waiting_is_driven_after_the_start(database: Database, office: Office, desk: Desk) -> None:
    made = [await pending_run(database) for _ in range(3)]
    async with office.open(desk):
        await desk.finished(*made)
    assert sorted(lease.run_id for lease in desk.asked) == [run.id for run in made]


async def test_who_stops_gives_its_runs_back_and_the_next_goes_on(
    database: Database, office: Office, desk: Desk
) -> None:
    run = await pending_run(database)

    async def first_words(lease: Lease) -> None:
        await desk.journal.write(Entry(lease, NOW, run.conversation_id, 0, (said("hello"),)))
        await forever(lease)

    desk.before = first_words
    async with office.open(desk) as opened:
        opened.submit([Job(run.id, 1)])
        await desk.asked_for(1)
    row = await row_of(database, run.id)
    assert (row.status, row.lease_token, row.stalls) == ("pending", None, 0)
    assert row.dispatch > 1
    with pytest.raises(LeaseLost):
        await desk.journal.write(Entry(desk.asked[0], NOW, run.conversation_id, 1, (said("late"),)))
    desk.before = None
    async with office.open(desk):
        await desk.finished(run)
    assert [lease.run_id for lease in desk.asked] == [run.id, run.id]
    assert desk.asked[0].token != desk.asked[1].token
    assert await status(database, run) == "passed"


async def test_who_has_stopped_takes_nothing_more(database: Database, office: Office, desk: Desk) -> None:
    run = await pending_run(database)
    async with office.open(desk) as opened:
        await desk.finished(run)
    other = await pending_run(database)
    opened.submit([Job(other.id, 1)])
    await opened.drive(Job(other.id, 1))
    assert len(desk.asked) == 1
    assert await status(database, other) == "pending"


@dataclass
class Slow:
    """A database in which a claim is durable some time before whoever claims hears of it."""

    database: Database
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, work: Callable[[Tx], Any]) -> Any:
        done = await self.database.write(work)
        if isinstance(done, Lease):
            self.reached.set()
            await self.go_on.wait()
        return done


async def test_a_run_that_was_being_claimed_is_given_back_too(database: Database, office: Office, desk: Desk) -> None:
    run = await pending_run(database)
    slow = Slow(database)
    async with asyncio.timeout(PATIENCE_S):
        async with office.open(desk, database=slow):
            await slow.reached.wait()
            # Heard of as soon as the stop has begun.
            asyncio.get_running_loop().call_soon(slow.go_on.set)
    row = await row_of(database, run.id)
    assert (row.status, row.lease_token) == ("pending", None)
    assert desk.asked == []


async def test_a_run_whose_driving_failed_is_handed_out_again_when_its_lease_is_over(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", 0.05)
    run = await pending_run(database)

    async def fail_once(lease: Lease) -> None:
        if len(desk.asked) == 1:
            raise ValueError("a defect of ours")

    desk.before = fail_once
    async with office.open(desk) as opened:
        opened.submit([Job(run.id, 1)])
        await desk.asked_for(1)
        assert await status(database, run) == "starting"
        await expire(database, run)
        await desk.finished(run)
    assert [lease.run_id for lease in desk.asked] == [run.id, run.id]
    assert (await row_of(database, run.id)).stalls == 1


async def test_a_run_of_a_dead_worker_is_taken_over(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", 0.05)
    async with office.open(desk):
        run = await pending_run(database)
        dead = await database.write(lambda tx: leases.claim(tx, Job(run.id, 1), "dead"))
        assert dead is not None
        await expire(database, run)
        await desk.finished(run)
    assert await events_of(database, run) == ()
    with pytest.raises(LeaseLost):
        await desk.journal.write(Entry(dead, NOW, run.conversation_id, 0, (said("late"),)))


async def test_a_run_that_never_reached_the_queue_is_found(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", 0.05)
    async with office.open(desk):
        made = [await pending_run(database) for _ in range(3)]
        await desk.finished(*made)
    assert len(desk.asked) == 3


async def test_a_run_that_was_taken_from_the_queue_and_never_claimed_is_found(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker died between the two; the queue itself never notices."""
    monkeypatch.setattr(worker, "SWEEP_S", 0.05)
    run = await pending_run(database)
    async with office.open(desk) as opened:
        await desk.finished(run)
        other = await pending_run(database)

        async def found(jobs: Sequence[Job]) -> Mapping[Job, bool]:
            return {job: True for job in jobs if job == Job(other.id, 1)}

        monkeypatch.setattr(opened._queue, "find", found)
        await desk.finished(other)
    assert (await row_of(database, other.id)).dispatch > 1


async def test_a_run_that_waits_in_the_queue_keeps_its_place(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await pending_run(database) for _ in range(CONCURRENCY + 1)]
    swept, go_on = asyncio.Event(), asyncio.Event()
    seen: list[dict[Job, bool]] = []
    desk.before = lambda _lease: go_on.wait()
    async with office.open(desk) as opened:
        await desk.asked_for(CONCURRENCY)
        found = opened._queue.find

        async def watched(jobs: Sequence[Job]) -> Mapping[Job, bool]:
            seen.append(dict(await found(jobs)))
            if len(seen) == 3:
                swept.set()
            return seen[-1]

        monkeypatch.setattr(opened._queue, "find", watched)
        monkeypatch.setattr(worker, "SWEEP_S", 0.01)
        sweeping = asyncio.create_task(opened._sweep())
        async with asyncio.timeout(PATIENCE_S):
            await swept.wait()
        sweeping.cancel()
        driven = {lease.run_id for lease in desk.asked}
        (left,) = [run for run in made if run.id not in driven]
        assert seen[:3] == [{Job(left.id, (await row_of(database, left.id)).dispatch): False}] * 3
        go_on.set()
        await desk.finished(*made)
    assert len(desk.asked) == len(made)


async def test_leases_are_renewed_while_runs_are_driven(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RENEW_S", 0.02)
    run = await pending_run(database)
    desk.before = forever
    async with office.open(desk) as opened:
        opened.submit([Job(run.id, 1)])
        await desk.asked_for(1)
        await expire(database, run)
        async with asyncio.timeout(PATIENCE_S):
            while (await row_of(database, run.id)).lease_until == 1:
                pass


async def test_a_deleted_run_ends_quietly_and_the_worker_goes_on(
    database: Database, office: Office, desk: Desk
) -> None:
    gone, left = await pending_run(database), await pending_run(database)

    async def delete(lease: Lease) -> None:
        if lease.run_id == gone.id:
            await database.write(lambda tx: scenarios.drop(tx, ORG, gone.scenario_id))

    desk.before = delete
    async with office.open(desk):
        await desk.finished(left)
        await desk.asked_for(2)
    assert desk.done == [left.id]


async def test_a_duty_that_fails_is_tried_again(
    database: Database, office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", 0.02)
    async with office.open(desk) as opened:
        found = opened._queue.find
        failures = 0

        async def flaky(jobs: Sequence[Job]) -> Mapping[Job, bool]:
            nonlocal failures
            if failures < 2:
                failures += 1
                raise ConnectionError("the queue is away")
            return await found(jobs)

        monkeypatch.setattr(opened._queue, "find", flaky)
        run = await pending_run(database)
        await desk.finished(run)
    assert failures == 2


async def test_a_worker_that_could_not_start_can_be_stopped(
    database: Database, office: Office, desk: Desk, tmp_path: Path
) -> None:
    unusable = Office(database, "sqlite:///x", tmp_path / "missing")
    with pytest.raises(Exception, match="unable to open"):
        async with unusable.open(desk):
            raise AssertionError("it started")
    run = await pending_run(database)
    async with office.open(desk):
        await desk.finished(run)
