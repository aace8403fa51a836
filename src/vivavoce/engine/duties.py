"""Does duties when they are due. Every worker does; a duty whose worker died is taken over when its lease runs out."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from vivavoce.core.clock import Clock
from vivavoce.core.event import Millis
from vivavoce.core.ids import NewId
from vivavoce.core.telemetry import NOBODY, OK, DutyWork, Telemetry, plainly
from vivavoce.engine.leases import LEASE_MS
from vivavoce.engine.looking import keep_looking
from vivavoce.engine.upkeep import upkeep
from vivavoce.storage import duties
from vivavoce.storage.database import Database, Tx, is_outage
from vivavoce.storage.duties import Duty
from vivavoce.storage.insisting import insist
from vivavoce.storage.times import database_now

OF_A_KIND = 32
"""How many duties of one kind a process does side by side. Each kind has places of its own: slow deliveries hold up
neither replies nor schedules."""
LOOK_S = 1.0
"""How long nobody looks, at most, when nobody was woken: other processes make duties too."""
RENEW_S = 3.0
TRIES = 8
_FIRST_DELAY_MS = 2_000
_LONGEST_DELAY_MS = 15 * 60_000

Perform = Callable[[Duty], Coroutine[Any, Any, None]]
"""Does the duty. Doing it twice must do no harm: a worker can die between the deed and the note of it. What it raises
is logged, and the duty is tried again later: ``TRIES`` times in all, not counted those in which the database
was away."""

log = structlog.get_logger(__name__)


def delay_ms(attempts: int) -> Millis:
    """How long to wait after that many failed attempts: 2 s, doubling, at most 15 minutes."""
    return min(_FIRST_DELAY_MS * 2 ** (attempts - 1), _LONGEST_DELAY_MS)


def is_given_up(duty: Duty, failure: Exception) -> bool:
    """Whether a duty that failed so is not tried again. That the database is away says nothing of the duty, and is
    nothing that it could be given up for."""
    return duty.attempts >= TRIES and not is_outage(failure)


def after(duty: Duty, failure: Exception, now: Millis) -> Callable[[Tx], object]:
    """What is to be written of a duty that failed."""
    if is_given_up(duty, failure):
        return partial(duties.finish, duty=duty)
    due_at = now + delay_ms(duty.attempts)
    return partial(duties.postpone, duty=duty, due_at=due_at, counted=not is_outage(failure))


class Duties:
    """One for each process. ``kinds`` are those that ``perform`` does, None where it does all."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        new_id: NewId,
        perform: Perform,
        telemetry: Telemetry = NOBODY,
        kinds: Collection[str] | None = None,
    ) -> None:
        self._database, self._clock, self._new_id, self._perform = database, clock, new_id, perform
        self._telemetry, self._kinds = telemetry, kinds
        self._doing: dict[Duty, asyncio.Task[None]] = {}
        self._full = set[str]()
        """Kinds of which more may be due than there was room for."""
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._look: asyncio.Task[float] | None = None

    def start(self) -> None:
        """Begin to look. Must be called on the running event loop."""
        self._tasks = [
            asyncio.create_task(keep_looking(self._take, self._woken, LOOK_S)),
            asyncio.create_task(self._renew()),
        ]

    def wake(self) -> None:
        """Something was committed that may be due."""
        self._woken.set()

    async def stop(self) -> None:
        """Stop; what was not finished is due again at once, for somebody else."""
        for task in self._tasks:
            task.cancel()
        # A look that has begun is ended: what it takes would rest until its lease runs out.
        looks = () if self._look is None else (self._look,)
        await asyncio.gather(*self._tasks, *looks, return_exceptions=True)
        left = dict(self._doing)
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        if left:
            now = self._clock.now()
            with upkeep("giving duties back failed"):
                await self._database.write(lambda tx: [duties.postpone(tx, duty, now) for duty in left])

    async def _take(self) -> float:
        """Take what is due; returns the seconds until it is worth looking again."""
        self._look = asyncio.create_task(self._look_now())
        return await asyncio.shield(self._look)

    async def _look_now(self) -> float:
        now, token, held = self._clock.now(), self._new_id(), self._held()
        # Most looks find nothing, and reading does not queue with those who write.
        next_due = await self._database.read(partial(duties.next_due, kinds=self._kinds))
        if (next_due is not None and next_due <= now) or await self._database.read(self._any_stale):
            taken = await self._database.write(
                lambda tx: duties.take(tx, now, database_now(tx), token, LEASE_MS, OF_A_KIND, held, self._kinds)
            )
            for duty in taken:
                task = asyncio.create_task(self._do(duty))
                self._doing[duty] = task
                task.add_done_callback(partial(self._done, duty))
            counts = held + Counter(duty.kind for duty in taken)
            self._full = {kind for kind, count in counts.items() if count >= OF_A_KIND}
            # Some may have been done meanwhile.
            now_held = self._held()
            return 0.0 if any(now_held[kind] < OF_A_KIND for kind in self._full) else LOOK_S
        return LOOK_S if next_due is None else min(LOOK_S, (next_due - now) / 1000)

    def _done(self, duty: Duty, _task: asyncio.Task[None]) -> None:
        self._doing.pop(duty, None)
        if duty.kind in self._full:
            self.wake()

    def _any_stale(self, tx: Tx) -> bool:
        return duties.any_stale(tx, database_now(tx), self._kinds)

    def _held(self) -> Counter[str]:
        return Counter(duty.kind for duty in self._doing)

    async def _do(self, duty: Duty) -> None:
        # The task is this duty's own, and so is its context.
        structlog.contextvars.bind_contextvars(duty=duty.kind, subject=duty.subject)
        work = DutyWork(duty.kind, duty.attempts)
        with self._telemetry.duty(work):
            await self._attempt(duty, work)

    async def _attempt(self, duty: Duty, work: DutyWork) -> None:
        note: Callable[[Tx], object] = partial(duties.finish, duty=duty)
        try:
            await self._perform(duty)
        except Exception as failure:
            work.outcome = type(failure).__name__
            if is_given_up(duty, failure):
                log.exception("a duty was given up", kind=duty.kind, subject=duty.subject, attempts=duty.attempts)
            else:
                log.warning("a duty is tried again", kind=duty.kind, subject=duty.subject, reason=plainly(failure))
            note = after(duty, failure, self._clock.now())
        else:
            work.outcome = OK
        # Where even that fails its lease runs out, and it is done again.
        with upkeep("noting what became of a duty failed"):
            await insist(self._database, note)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            held = tuple(self._doing)
            if held:
                with upkeep("renewing duties failed"):
                    await self._database.write(partial(_keep, held=held))


def _keep(tx: Tx, held: Sequence[Duty]) -> None:
    duties.renew(tx, held, database_now(tx), LEASE_MS)
