"""How many processes share the providers' limits: all that work on one database, each an equal part.

When one comes or goes, the others hear of it a few seconds later; until then the parts can come to more, or to less,
than the whole.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from vivavoce.engine.upkeep import upkeep
from vivavoce.storage import workers
from vivavoce.storage.database import Database, DatabaseFailure, Tx
from vivavoce.storage.workers import Presence

LOOK_S = 3.0


@asynccontextmanager
async def shared(
    database: Database, presence: Presence, tell: Callable[[int], None], *, works: bool
) -> AsyncGenerator[None]:
    """Tell how many processes there are: before the block begins, and every few seconds while it lasts.

    Who ``works`` goes on to say by itself that it is there. Others ask models too, for those who chat, and are there
    without places for runs.
    """
    me = presence if works else replace(presence, places=0)

    def arrive(tx: Tx) -> int:
        workers.put(tx, me, 0)
        return count(tx)

    tell(await database.write(arrive))
    looking = asyncio.create_task(_keep_telling(database, tell, count if works else arrive))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        if not works:
            with suppress(DatabaseFailure):
                await database.write(lambda tx: workers.drop(tx, me.id))


async def _keep_telling(database: Database, tell: Callable[[int], None], look: Callable[[Tx], int]) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        with upkeep("counting those who share the limits failed"):
            tell(await database.write(look))


def count(tx: Tx) -> int:
    """How many processes were heard of lately; at least this one."""
    return max(1, sum(not one.silent for one in workers.get_all(tx)))
