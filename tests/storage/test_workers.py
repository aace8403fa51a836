from dataclasses import replace

import pytest
from sqlalchemy import update
from tests.support.store import NOW

from vivavoce.storage import workers
from vivavoce.storage.database import Database
from vivavoce.storage.work import workers as rows
from vivavoce.storage.workers import SILENT_MS, Presence, Seen

FIRST = Presence("b-first", "one.example", 12, "1.2.0", 256, NOW)
SECOND = Presence("a-second", "two.example", 12, "1.3.0", 16, NOW + 1)


async def heard(database: Database, presence: Presence, driving: int = 0, *, stopping: bool = False) -> None:
    await database.write(lambda tx: workers.put(tx, presence, driving, stopping=stopping))


async def age(database: Database, presence: Presence, ms: int) -> None:
    """It was heard of so long before it was."""
    mine = update(rows).where(rows.c.id == presence.id).values(seen_at=rows.c.seen_at - ms)
    await database.write(lambda tx: tx.execute(mine))


async def shown(database: Database) -> tuple[Seen, ...]:
    return tuple(replace(one, seen_at=0) for one in await database.read(workers.get_all))


async def test_workers_are_listed_from_the_oldest(database: Database) -> None:
    assert await shown(database) == ()
    await heard(database, SECOND)
    await heard(database, FIRST, 7)
    assert await shown(database) == (
        Seen(FIRST, 7, 0, stopping=False, silent=False),
        Seen(SECOND, 0, 0, stopping=False, silent=False),
    )


async def test_what_a_worker_says_last_counts(database: Database) -> None:
    await heard(database, FIRST, 7)
    (before,) = await database.read(workers.get_all)
    await age(database, FIRST, 1000)
    await heard(database, FIRST, 3, stopping=True)
    (after,) = await database.read(workers.get_all)
    assert (after.driving, after.stopping) == (3, True)
    assert after.seen_at >= before.seen_at


@pytest.mark.parametrize(("ms", "silent"), [(SILENT_MS - 5000, False), (SILENT_MS + 1, True)])
async def test_who_is_not_heard_of_for_too_long_is_silent(database: Database, ms: int, silent: bool) -> None:
    await heard(database, FIRST)
    await age(database, FIRST, ms)
    assert [one.silent for one in await shown(database)] == [silent]
    await heard(database, FIRST)
    assert [one.silent for one in await shown(database)] == [False]


async def test_who_leaves_or_was_silent_for_an_hour_is_forgotten(database: Database) -> None:
    await heard(database, FIRST)
    await heard(database, SECOND)
    await database.write(lambda tx: workers.drop(tx, FIRST.id))
    assert [one.presence for one in await shown(database)] == [SECOND]
    await age(database, SECOND, 3_590_000)
    await database.write(workers.drop_silent)
    assert [one.presence for one in await shown(database)] == [SECOND]
    await age(database, SECOND, 20_000)
    await database.write(workers.drop_silent)
    assert await shown(database) == ()
