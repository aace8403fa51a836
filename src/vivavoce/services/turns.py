"""One message at a time in each conversation, on all servers of a database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from weakref import WeakValueDictionary

import structlog

from vivavoce.core.ids import NewId
from vivavoce.engine.upkeep import upkeep
from vivavoce.services.errors import Busy
from vivavoce.storage import turns
from vivavoce.storage.database import Database, DatabaseAway, away_because

LEASE_MS = 15_000
"""How long a server may be silent before its turn is somebody else's."""
RENEW_S = 3.0
PATIENCE_S = 60.0
"""How long a message waits for another server to finish its turn."""
_FIRST_LOOK_S = 0.02
_LONGEST_LOOK_S = 0.25

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """The database whose servers take turns, and what makes their tokens."""

    database: Database
    new_id: NewId


class Turns:
    """A lock for each conversation that somebody is talking in; others wait. It lasts as long as it is held.

    Who shares a database with other servers (``shared``) holds a lease of the conversation too.
    """

    def __init__(self, shared: Shared | None = None) -> None:
        self._shared = shared
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, conversation_id: str) -> AbstractAsyncContextManager[None]:
        """Hold the conversation while the block runs.

        Raises ``Busy`` where another server does not finish with it in time, and in the middle of the block where the
        lease was lost, because this server stood still for too long; or ``DatabaseAway`` where that could not be
        renewed. What the block wrote until then stays: whoever goes on finds it.
        """
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        return lock if self._shared is None else _everywhere(lock, self._shared, conversation_id)


@asynccontextmanager
async def _everywhere(lock: asyncio.Lock, shared: Shared, conversation_id: str) -> AsyncGenerator[None]:
    token = shared.new_id()
    async with lock:
        try:
            since = await _wait(shared, conversation_id, token)
            if since is None:
                # Nobody knows of it: a conversation that is about to begin.
                yield
                return
            held, away = asyncio.timeout_at(since + LEASE_MS / 1000), list[Exception]()
            try:
                async with held:
                    renewing = asyncio.create_task(_renew(shared, conversation_id, token, held, away))
                    try:
                        yield
                    finally:
                        renewing.cancel()
                        await asyncio.gather(renewing, return_exceptions=True)
            except TimeoutError as failure:
                if not held.expired():
                    raise
                if away:  # whether anybody took it over, nobody knows
                    raise away[-1] from failure
                raise Busy("This conversation was taken over by another server.") from failure
        finally:
            await asyncio.shield(_give_back(shared, conversation_id, token))


async def _wait(shared: Shared, conversation_id: str, token: str) -> float | None:
    """Since when, by the loop's time, this server has its turn; None where there is no such conversation."""
    loop = asyncio.get_running_loop()
    until, look_s = loop.time() + PATIENCE_S, _FIRST_LOOK_S
    while True:
        since = loop.time()
        take = partial(turns.take, conversation_id=conversation_id, token=token, lease_ms=LEASE_MS)
        taking = asyncio.ensure_future(shared.database.write(take))
        try:
            taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # What has begun is finished; only then can it be given back.
            await asyncio.gather(taking, return_exceptions=True)
            raise
        if taken is not False:
            return since if taken else None
        if loop.time() >= until:
            raise Busy("Another message of this conversation is being answered.")
        await asyncio.sleep(look_s)
        look_s = min(2 * look_s, _LONGEST_LOOK_S)


async def _renew(
    shared: Shared, conversation_id: str, token: str, held: asyncio.Timeout, away: list[Exception]
) -> None:
    """``away`` holds why the last try failed, and nothing where it did not."""
    loop = asyncio.get_running_loop()
    renew = partial(turns.renew, conversation_id=conversation_id, token=token, lease_ms=LEASE_MS)
    while not held.expired():
        await asyncio.sleep(RENEW_S)
        since = loop.time()
        try:
            kept = await shared.database.write(renew)
        except DatabaseAway as failure:
            log.warning("renewing a turn failed", conversation=conversation_id, reason=away_because(failure))
            away[:] = [failure]
            continue
        away.clear()
        if not held.expired():
            held.reschedule(since + LEASE_MS / 1000 if kept else loop.time())


async def _give_back(shared: Shared, conversation_id: str, token: str) -> None:
    """A connection that was cut is a new one the second time. Where even that fails the lease runs out."""
    for _ in range(2):
        with upkeep("giving a turn back failed", conversation=conversation_id):
            await shared.database.write(partial(turns.give_back, conversation_id=conversation_id, token=token))
            return
