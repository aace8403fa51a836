"""A worker: takes runs that wait, holds their leases while they are driven, takes runs back from the dead."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from vivavoce.core.event import Millis
from vivavoce.core.ids import NewId
from vivavoce.core.telemetry import plainly
from vivavoce.engine import leases
from vivavoce.engine.leases import Ceilings
from vivavoce.engine.looking import keep_looking
from vivavoce.engine.upkeep import upkeep
from vivavoce.storage import workers
from vivavoce.storage.database import Database, DatabaseAway, Tx
from vivavoce.storage.journal import Lease, LeaseLost
from vivavoce.storage.workers import Presence

T = TypeVar("T")

LOOK_S = 0.2
"""How long nobody looks for runs, at most, when nobody was woken: other processes trigger runs too."""
LOOK_ALONE_S = 2.0
"""The same where no other process works on this database."""
LOOK_FULL_S = 1.0
"""The same where runs wait that no ceiling lets through: who finishes one looks at once."""
RENEW_S = 3.0
SWEEP_S = 5.0
URGENT_PLACES = 8
"""How many interactive runs a worker drives beyond its places, so that a batch that fills them does not hold up a
person."""
AWAY_MS = 1_000
"""How long a run waits after the database was away in the middle of it."""
PARTING_S = 0.5
"""How long somebody who has lost a run may go on: most that seem to have lost it have only just settled it."""
LETTING_GO_S = 5.0
"""How long runs that are cancelled may take to end when the worker stops."""
_TIMER_S = 0.001
"""What timers are precise to: one may ring that much too early."""

log = structlog.get_logger(__name__)


class Halted(Exception):
    """The worker is about to stop, and what the run did so far is recorded: somebody else goes on from there."""


class TryAgain(Exception):
    """What the run needs is away for now. It is tried again after ``delay_ms``, from its record on."""

    def __init__(self, reason: str, delay_ms: Millis) -> None:
        super().__init__(reason)
        self.reason, self.delay_ms = reason, delay_ms


Halting = Callable[[], bool]
"""Whether the worker is about to stop."""
Conduct = Callable[[Lease, Halting], Coroutine[Any, Any, None]]
"""Examines one run from where it stands and settles it. Raises ``LeaseLost`` when it is no longer its own, ``Halted``
between two model calls when it is to stop, and ``TryAgain``."""


@dataclass(frozen=True, slots=True)
class Places:
    """How many runs a worker drives at the same time, and how long it may take to stop."""

    most: int
    grace_s: float = 20.0
    ceilings: Ceilings = field(default_factory=Ceilings)


@dataclass(slots=True)
class _Driven:
    """A run that is driven, and when to let go of it, by the loop's time: its lease runs out then, as far as this
    worker knows. None where nobody else could take it."""

    task: asyncio.Task[None]
    until: float | None = None


class Worker:
    """One for each process. ``alone`` says that no other process works on this database (SQLite)."""

    def __init__(
        self, database: Database, conduct: Conduct, new_id: NewId, presence: Presence, places: Places, *, alone: bool
    ) -> None:
        self._database, self._conduct, self._new_id = database, conduct, new_id
        self._presence, self._places, self._alone = presence, places, alone
        self._driven: dict[Lease, _Driven] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._unbroken: set[asyncio.Task[Any]] = set()
        self._woken = asyncio.Event()
        self._stopping = False
        self._more = False
        self._cut_off = False
        self._parting: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Take back what a crash left behind, then begin to drive."""
        waiting = await self._database.write(partial(leases.take_back, everything=self._alone))
        await self._database.write(partial(workers.put, presence=self._presence, driving=0))
        if waiting:
            log.info("runs go on after a restart", runs=waiting)
        self._tasks = [
            asyncio.create_task(keep_looking(self._take, self._woken, self._look_s)),
            asyncio.create_task(self._every(RENEW_S, self._renew, "renewing leases failed")),
            asyncio.create_task(self._every(SWEEP_S, self._sweep, "sweeping failed")),
        ]

    def wake(self) -> None:
        """Runs were committed that wait."""
        self._woken.set()

    @property
    def _look_s(self) -> float:
        return LOOK_ALONE_S if self._alone else LOOK_S

    async def _every(self, seconds: float, duty: Callable[[], Coroutine[Any, Any, None]], message: str) -> None:
        while True:
            await asyncio.sleep(seconds)
            with upkeep(message):
                try:
                    await duty()
                except Exception:
                    self._cut_off = True
                    raise

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end, also when whoever waits for it is cancelled: ``stop`` waits for it too."""
        task = asyncio.create_task(work)
        self._unbroken.add(task)
        task.add_done_callback(self._unbroken.discard)
        return await asyncio.shield(task)

    async def _take(self) -> float:
        """Take what there is room for; returns the seconds until it is worth looking again."""
        places, driven = self._places, len(self._driven)
        # Until it is known that nothing is left: whoever finishes during the look leaves a place that it did not see.
        self._more = True
        room, urgent = places.most - driven, places.most + URGENT_PLACES - max(driven, places.most)
        if room <= 0 and urgent <= 0:
            return self._look_s
        # Most looks find nothing, and reading does not queue with those who write.
        if not await self._database.read(leases.any_waiting):
            self._more = False
            return self._look_s
        taken = await self._whole(self._take_now(room, urgent))
        self._more = taken >= room or places.ceilings.any
        full = room > 0 and not taken and places.ceilings.any
        return max(self._look_s, LOOK_FULL_S) if full else self._look_s

    async def _take_now(self, room: int, urgent: int) -> int:
        """Take runs and begin to drive them; returns how many."""
        take = partial(
            leases.take,
            worker_id=self._presence.id,
            token=self._new_id(),
            room=room,
            urgent_room=urgent,
            ceilings=self._places.ceilings,
        )
        began = asyncio.get_running_loop().time()
        taken = await self._database.write(take)
        if self._stopping:
            await self._give_back(taken)
            return 0
        for lease in taken:
            task = asyncio.create_task(self._drive(lease))
            self._driven[lease] = _Driven(task)
            self._hold(lease, began)
            task.add_done_callback(partial(self._done, lease))
        return len(taken)

    def _hold(self, lease: Lease, since: float) -> None:
        """The lease held at that time of the loop. Who cannot renew it, because the database is away or everything
        here stood still, stops when it runs out: somebody else may drive the run then."""
        if not self._alone:
            self._let_go_at(lease, since + leases.LEASE_MS / 1000)

    def _let_go_at(self, lease: Lease, when: float) -> None:
        driven = self._driven.get(lease)
        if driven is not None:
            driven.until = when
            self._look_at_leases(when)

    def _look_at_leases(self, when: float) -> None:
        # One timer for all, at the earliest time: leases are renewed together, and nearly none of them runs out.
        if self._parting is not None:
            if self._parting.when() <= when:
                return
            self._parting.cancel()
        self._parting = asyncio.get_running_loop().call_at(when, self._let_go)

    def _let_go(self) -> None:
        self._parting = None
        now = asyncio.get_running_loop().time() + _TIMER_S
        for lease, driven in self._driven.items():
            if driven.until is not None and driven.until <= now:
                log.info("run was taken over, cancelled or deleted, or its lease ran out", run=lease.run_id)
                driven.until = None
                driven.task.cancel()
        left = [driven.until for driven in self._driven.values() if driven.until is not None]
        if left:
            self._look_at_leases(min(left))

    def _done(self, lease: Lease, _task: asyncio.Task[None]) -> None:
        del self._driven[lease]
        if self._more:
            self.wake()

    async def _drive(self, lease: Lease) -> None:
        """Drive one run to its end. Never raises for what happens inside a run."""
        # The task is this run's own, and so is its context: whatever is logged on its way names the run.
        structlog.contextvars.bind_contextvars(run=lease.run_id)
        try:
            await self._conduct(lease, lambda: self._stopping)
        except LeaseLost:
            log.info("run was taken over, cancelled or deleted", run=lease.run_id)
        except Halted:
            await self._give_back([lease])
        except TryAgain as setback:
            log.warning("run is tried again", run=lease.run_id, reason=plainly(setback))
            again = partial(leases.try_again, lease=lease, reason=setback.reason, delay_ms=setback.delay_ms)
            with upkeep("noting that a run is tried again failed"):
                await self._database.write(again)
        except DatabaseAway:
            log.warning("the database was away in the middle of a run", run=lease.run_id)
            await self._give_back([lease], AWAY_MS)
        except Exception:
            # A defect of ours ends this hand-out only. The lease runs out and the run is handed out again; a run that
            # never gets further is given up with a reason (``leases.MAX_STALLS``).
            log.exception("driving a run failed", run=lease.run_id)

    async def _give_back(self, held: Sequence[Lease], delay_ms: Millis = 0) -> None:
        """Where even that fails the leases run out, and the runs are taken back then."""
        with upkeep("giving runs back failed"):
            await self._database.write(partial(leases.give_back, leases=held, delay_ms=delay_ms))

    async def _renew(self) -> None:
        """Say that this worker lives, and stop driving what is no longer its own."""
        asked = tuple(self._driven)
        began = asyncio.get_running_loop().time()
        kept = await self._whole(self._database.write(partial(self._beat, asked=asked)))
        for lease in asked:
            if lease in kept:
                self._hold(lease, began)
            else:
                self._let_go_at(lease, asyncio.get_running_loop().time() + PARTING_S)

    def _beat(self, tx: Tx, asked: Sequence[Lease]) -> set[Lease]:
        workers.put(tx, self._presence, len(asked), stopping=self._stopping)
        return leases.renew(tx, asked)

    async def _sweep(self) -> None:
        """Take back runs of dead workers."""
        if self._cut_off:
            # Perhaps everybody was, and the living have only not come round to renew their leases yet.
            self._cut_off = False
            return
        if await self._database.read(leases.any_stale):
            waiting = await self._whole(self._database.write(partial(_take_over, mine=tuple(self._driven))))
            if waiting:
                log.warning("runs of a silent worker are taken over", runs=waiting)
                self.wake()
        await self._database.write(workers.drop_silent)

    async def stop(self) -> None:
        """Stop taking, and hand over: each run is given back as soon as the answer that it waits for is recorded, or as
        it is when the time is up. Another worker, or the next start, goes on from there."""
        self._stopping = True
        for looking in self._tasks[:1]:
            looking.cancel()
        await asyncio.gather(*self._tasks[:1], *self._unbroken, return_exceptions=True)
        if self._driven:
            await asyncio.wait([one.task for one in self._driven.values()], timeout=self._places.grace_s)
        left = {lease: one.task for lease, one in self._driven.items()}
        for task in (*left.values(), *self._tasks):
            task.cancel()
        if left:
            await asyncio.wait(left.values(), timeout=LETTING_GO_S)
        if self._parting is not None:
            self._parting.cancel()
        # Nothing of this worker may come after its farewell.
        await asyncio.gather(*self._tasks, *self._unbroken, return_exceptions=True)
        with upkeep("leaving failed"):
            await self._database.write(partial(self._leave, left=tuple(left)))

    def _leave(self, tx: Tx, left: Sequence[Lease]) -> None:
        leases.give_back(tx, left)
        workers.drop(tx, self._presence.id)


def _take_over(tx: Tx, mine: Sequence[Lease]) -> int:
    """Take runs back whose worker is silent: not this one, which may only have stood still for a while."""
    leases.renew(tx, mine)
    return leases.take_back(tx)
