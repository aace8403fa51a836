"""Questions that are asked at the same time share a transaction."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vivavoce.storage.database import Database, DatabaseFailure, Tx

K = TypeVar("K")
V = TypeVar("V")

MOST = 100
"""How many share one at most: whoever was first should not wait long for the rest."""


@dataclass(slots=True)
class _Asked(Generic[K, V]):
    key: K
    answered: asyncio.Future[V | None]


class Together(Generic[K, V]):
    """Answers with ``work(tx, keys)``: what it found, by key. One for each kind of question, database and event loop.

    What is asked while a transaction runs shares the next one, so hundreds of runs that begin in one moment are read
    with a handful of queries, and one that begins alone waits for nobody.
    """

    def __init__(self, work: Callable[[Tx, Sequence[K]], Mapping[K, V]]) -> None:
        self._work = work
        self._asked: list[_Asked[K, V]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, database: Database, key: K) -> V | None:
        """What was found for this key, or None. Raises what the work or the database raises."""
        asked = _Asked[K, V](key, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._answer(database))
        return await asked.answered

    async def _answer(self, database: Database) -> None:
        # One turn of the loop lets everybody join who is ready to ask.
        await asyncio.sleep(0)
        while self._asked:
            group, self._asked = self._asked[:MOST], self._asked[MOST:]
            try:
                await self._read(database, group)
            except asyncio.CancelledError:
                for one in (*group, *self._asked):
                    one.answered.cancel()
                raise

    async def _read(self, database: Database, group: Sequence[_Asked[K, V]]) -> None:
        keys = list(dict.fromkeys(one.key for one in group))
        try:
            found = await database.read(lambda tx: self._work(tx, keys))
        except Exception as failure:  # noqa: BLE001  # whatever it is, whoever asked must hear of it
            if len(group) > 1 and not isinstance(failure, DatabaseFailure):
                # What one of them asked for cannot be read, and that is no reason to leave the others without answer.
                for one in group:
                    await self._read(database, [one])
                return
            for one in group:
                if not one.answered.done():
                    one.answered.set_exception(failure)
            return
        for one in group:
            if not one.answered.done():  # else whoever asked was cancelled meanwhile
                one.answered.set_result(found.get(one.key))
