"""A worker: takes runs from the queue, holds their leases while they are driven, takes runs back from the dead."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import Any

import structlog

from vivavoce.core.ids import NewId
from vivavoce.engine import leases
from vivavoce.engine.leases import Job
from vivavoce.engine.queue import Queue
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.journal import Lease, LeaseLost

RENEW_S = 3.0
SWEEP_S = 5.0

Conduct = Callable[[Lease], Coroutine[Any, Any, None]]
"""Examines one run from where it stands and settles it. Raises ``LeaseLost`` when it is no longer its own."""

log = structlog.get_logger(__name__)


class Worker:
    """One for each process. ``alone`` says that no other process works on this database (SQLite)."""

    def __init__(self, database: Database, queue: Queue, conduct: Conduct, new_id: NewId, *, alone: bool) -> None:
        self._database, self._queue, self._conduct = database, queue, conduct
        self._new_id, self._alone = new_id, alone
        self._claiming: set[asyncio.Task[Lease | None]] = set()
        self._driven: dict[Lease, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._submitting: set[asyncio.Task[None]] = set()
        self._taken: set[Job] = set()
        self._stopping = False

    async def start(self) -> None:
        """Take back what a crash left behind, then begin to drive."""
        await self._queue.start(self.drive)
        waiting = await self._database.write(lambda tx: _bring_back(tx, everything=self._alone))
        if waiting:
            log.info("runs go on after a restart", runs=len(waiting))
        self.submit(waiting)
        self._tasks = [asyncio.create_task(self._renew()), asyncio.create_task(self._sweep())]

    def submit(self, jobs: Sequence[Job]) -> None:
        """Put committed runs into the queue, in the background: a run's row is what makes it durable, and the sweep
        finds rows that did not get this far."""
        if jobs and not self._stopping:
            task = asyncio.create_task(self._submit(jobs))
            self._submitting.add(task)
            task.add_done_callback(self._submitting.discard)

    async def _submit(self, jobs: Sequence[Job]) -> None:
        with _logged("submitting runs failed"):
            for job in jobs:
                await self._queue.submit(job)

    async def drive(self, job: Job) -> None:
        """Drive one hand-out to its end. Never raises for what happens inside a run."""
        if self._stopping:
            return
        claiming = asyncio.create_task(self._database.write(lambda tx: leases.claim(tx, job, self._new_id())))
        self._claiming.add(claiming)
        claiming.add_done_callback(self._claiming.discard)
        lease = await claiming
        if lease is None or self._stopping:
            return
        task = asyncio.create_task(self._conduct(lease))
        self._driven[lease] = task
        try:
            await task
        except LeaseLost:
            log.info("run was taken over or deleted", run=job.run_id)
        except asyncio.CancelledError:
            task.cancel()
            if not self._stopping:
                raise
        except Exception:
            # A defect of ours ends this hand-out only. The lease runs out and the run is handed out again; a run that
            # never gets further is given up with a reason (``leases.MAX_STALLS``).
            log.exception("driving a run failed", run=job.run_id)
        finally:
            self._driven.pop(lease, None)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            if self._driven:
                with _logged("renewing leases failed"):
                    held = tuple(self._driven)
                    await self._database.write(partial(leases.renew, leases=held))

    async def _sweep(self) -> None:
        """Take back runs of dead workers and submit rows that wait without a live hand-out."""
        while True:
            await asyncio.sleep(SWEEP_S)
            with _logged("sweeping failed"):
                waiting = await self._database.write(_bring_back)
                if not self._submitting and (lost := await self._lost(waiting)):
                    self.submit(await self._database.write(partial(leases.hand_out_anew, jobs=lost)))

    async def _lost(self, waiting: Sequence[Job]) -> list[Job]:
        """Those that nobody will drive. Who takes a hand-out from the queue claims its run at once: one that was taken
        before the last sweep and still waits was taken by a worker that died in between."""
        found = await self._queue.find(waiting)
        lost = [job for job in waiting if job not in found or (found[job] and job in self._taken)]
        self._taken = {job for job, taken in found.items() if taken}
        return lost

    async def stop(self) -> None:
        """Stop taking, stop driving, give the runs back: another worker, or the next start, goes on from their last
        recorded event."""
        self._stopping = True
        for task in (*self._tasks, *self._submitting):
            task.cancel()
        driven = dict(self._driven)
        for task in driven.values():
            task.cancel()
        claiming = tuple(self._claiming)
        await asyncio.gather(*self._tasks, *self._submitting, *claiming, *driven.values(), return_exceptions=True)
        claimed = (one.result() for one in claiming if not one.cancelled() and one.exception() is None)
        held = (*driven, *(lease for lease in claimed if lease is not None))
        if held:
            await self._database.write(lambda tx: leases.give_back(tx, held))
        await asyncio.to_thread(self._queue.stop)


def _bring_back(tx: Tx, *, everything: bool = False) -> tuple[Job, ...]:
    leases.take_back(tx, everything=everything)
    return leases.waiting(tx)


@contextlib.contextmanager
def _logged(message: str) -> Generator[None]:
    """A background duty that fails once is tried again at its next turn."""
    try:
        yield
    except Exception:
        log.exception(message)
