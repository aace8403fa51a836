"""Does duties when they are due. Every worker does; a duty whose worker died is taken over when its lease runs out."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from vivavoce.core.clock import Clock
from vivavoce.core.event import Millis
from vivavoce.core.ids import NewId
from vivavoce.engine.leases import LEASE_MS, database_now
from vivavoce.storage import duties
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Duty

AT_ONCE = 64
"""How many duties a process does side by side."""
LOOK_S = 1.0
"""How long nobody looks, at most, when nobody was woken: other processes make duties too."""
RENEW_S = 3.0
TRIES = 8
_FIRST_DELAY_MS = 2_000
_LONGEST_DELAY_MS = 15 * 60_000

Perform = Callable[[Duty], Coroutine[Any, Any, None]]
"""Does the duty. Doing it twice must do no harm: a worker can die between the deed and the note of it. What it raises
is logged, and the duty is tried again later."""

log = structlog.get_logger(__name__)


def delay_ms(attempts: int) -> Millis:
    """How long to wait after that many failed attempts: 2 s, doubling, at most 15 minutes."""
    return min(_FIRST_DELAY_MS * 2 ** (attempts - 1), _LONGEST_DELAY_MS)


class Duties:
    """One for each process."""

    def __init__(self, database: Database, clock: Clock, new_id: NewId, perform: Perform) -> None:
        self._database, self._clock, self._new_id, self._perform = database, clock, new_id, perform
        self._doing: dict[Duty, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look. Must be called on the running event loop."""
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._renew())]

    def wake(self) -> None:
        """Something was committed that may be due."""
        self._woken.set()

    async def stop(self) -> None:
        """Stop; what was not finished is due again at once, for somebody else."""
        for task in (*self._tasks, *self._doing.values()):
            task.cancel()
        left = tuple(self._doing)
        await asyncio.gather(*self._tasks, *self._doing.values(), return_exceptions=True)
        if left:
            now = self._clock.now()
            await self._database.write(lambda tx: [duties.postpone(tx, duty, now) for duty in left])

    async def _look(self) -> None:
        while True:
            wait_s = LOOK_S
            try:
                wait_s = await self._take()
            except Exception:
                log.exception("looking for duties failed")
            try:
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()

    async def _take(self) -> float:
        """Take what is due; returns the seconds until it is worth looking again."""
        room = AT_ONCE - len(self._doing)
        if room <= 0:
            return LOOK_S
        now, token = self._clock.now(), self._new_id()
        # Most looks find nothing, and reading does not queue with those who write.
        next_due = await self._database.read(duties.next_due)
        if (next_due is not None and next_due <= now) or await self._database.read(_any_stale):
            taken = await self._database.write(lambda tx: duties.take(tx, now, database_now(tx), token, LEASE_MS, room))
            for duty in taken:
                task = asyncio.create_task(self._do(duty))
                self._doing[duty] = task
                task.add_done_callback(partial(self._done, duty))
            return 0.0 if len(taken) == room else LOOK_S
        return LOOK_S if next_due is None else min(LOOK_S, (next_due - now) / 1000)

    def _done(self, duty: Duty, _task: asyncio.Task[None]) -> None:
        self._doing.pop(duty, None)
        if len(self._doing) == AT_ONCE - 1:
            self.wake()

    async def _do(self, duty: Duty) -> None:
        try:
            await self._perform(duty)
        except Exception as failure:
            if duty.attempts >= TRIES:
                log.exception("a duty was given up", kind=duty.kind, subject=duty.subject, attempts=duty.attempts)
                await self._database.write(lambda tx: duties.finish(tx, duty))
                return
            log.warning("a duty is tried again", kind=duty.kind, subject=duty.subject, reason=type(failure).__name__)
            due_at = self._clock.now() + delay_ms(duty.attempts)
            await self._database.write(lambda tx: duties.postpone(tx, duty, due_at))
        else:
            await self._database.write(lambda tx: duties.finish(tx, duty))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            held = tuple(self._doing)
            if held:
                try:
                    await self._database.write(partial(_keep, held=held))
                except Exception:
                    log.exception("renewing duties failed")


def _keep(tx: Tx, held: Sequence[Duty]) -> None:
    duties.renew(tx, held, database_now(tx), LEASE_MS)


def _any_stale(tx: Tx) -> bool:
    return duties.any_stale(tx, database_now(tx))
