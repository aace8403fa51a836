"""Workers that take runs from one database, each with a desk of its own at which runs are conducted."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.store import NOW, PATIENCE_S, ids, pending_run, row_of, set_row
from vivavoce.core.event import Usage
from vivavoce.core.run import Priority, Run
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome
from vivavoce.engine import looking, worker
from vivavoce.engine.worker import Halting, Places, Worker
from vivavoce.storage import workers
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.journal import Journal, Lease, settled
from vivavoce.storage.workers import Presence, Seen

MOST = 3
PASSED = Outcome(Status.PASSED, None, "every criterion is met")
new_id = ids()


@dataclass
class Desk:
    """Conducts runs: notes that it was asked, does what the test wants, settles."""

    journal: Journal
    asked: list[Lease] = field(default_factory=list[Lease])
    done: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    before: Callable[[Lease, Halting], Any] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def conduct(self, lease: Lease, halting: Halting) -> None:
        self.asked.append(lease)
        await self._tell()
        try:
            if self.before is not None:
                await self.before(lease, halting)
            await self.journal.write(settled(lease, NOW, PASSED, Transcript(), Usage(), "story"))
        except BaseException:
            self.left.append(lease.run_id)
            raise
        else:
            self.done.append(lease.run_id)
        finally:
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

    async def gone(self, run: Run) -> None:
        await self.until(lambda: run.id in self.left)


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that are looked for often, and duties that a test has to ask for."""
    monkeypatch.setattr(worker, "LOOK_S", 0.02)
    monkeypatch.setattr(worker, "LOOK_ALONE_S", 0.02)
    monkeypatch.setattr(worker, "LOOK_FULL_S", 0.02)
    monkeypatch.setattr(worker, "PARTING_S", 0.01)
    monkeypatch.setattr(looking, "AWAY_S", 0.02)
    monkeypatch.setattr(worker, "RENEW_S", 3600.0)
    monkeypatch.setattr(worker, "SWEEP_S", 3600.0)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(Journal(database))


@asynccontextmanager
async def working(
    database: Any, desk: Desk, places: Places | None = None, *, alone: bool = False
) -> AsyncGenerator[Worker]:
    """A worker that works as long as the block lasts."""
    presence = Presence(new_id(), "here", 7, "1.0", MOST, NOW)
    made = Worker(database, desk.conduct, new_id, presence, places or Places(MOST, 0.0), alone=alone)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def forever(_lease: Lease, _halting: Halting) -> None:
    await asyncio.Event().wait()


def waits_for(event: asyncio.Event) -> Callable[[Lease, Halting], Any]:
    return lambda _lease, _halting: event.wait()


async def of_a_batch(database: Database, count: int) -> list[Run]:
    made = [await pending_run(database) for _ in range(count)]
    for run in made:
        await database.write(lambda tx, run=run: set_row(tx, run.id, priority=Priority.BATCH))
    return made


async def expire(database: Database, run: Run) -> None:
    await database.write(lambda tx: set_row(tx, run.id, lease_until=1))


async def status(database: Database, run: Run) -> str:
    return (await row_of(database, run.id)).status


async def until(holds: Callable[[], Any]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            pass


async def shown(database: Database) -> tuple[Seen, ...]:
    return await database.read(workers.get_all)


@dataclass
class Faulty:
    """A database in which what a test wants happens before or after a unit of work of the worker."""

    database: Database
    before: Callable[[Any], Any] | None = None
    after: Callable[[Any], Any] | None = None

    async def read(self, work: Callable[[Tx], Any]) -> Any:
        return await self.database.read(work)

    async def write(self, work: Callable[[Tx], Any]) -> Any:
        if self.before is not None:
            await self.before(work)
        done = await self.database.write(work)
        if self.after is not None:
            await self.after(done)
        return done


def away() -> OperationalError:
    return OperationalError("", {}, Exception("the server closed the connection"))


def renews(work: Any) -> bool:
    return "asked" in getattr(work, "keywords", {})
