import asyncio
from dataclasses import replace

import pytest

from vivavoce.services import shares
from vivavoce.storage import workers
from vivavoce.storage.database import Database
from vivavoce.storage.workers import Presence, Seen

ME = Presence("me", "host", 1, "0", 10, 0)


async def present(database: Database) -> tuple[Seen, ...]:
    return await database.read(workers.get_all)


async def test_who_arrives_knows_how_many_there_are_before_it_works(database: Database) -> None:
    told: list[int] = []
    await database.write(lambda tx: workers.put(tx, replace(ME, id="other"), 0))
    async with shares.shared(database, ME, told.append, works=True):
        assert told == [2]
        assert {one.presence.id for one in await present(database)} == {"me", "other"}
    assert {one.presence.id for one in await present(database)} == {"me", "other"}, "a worker leaves by itself"


async def test_who_drives_no_runs_is_there_without_places_while_it_serves(database: Database) -> None:
    told: list[int] = []
    async with shares.shared(database, ME, told.append, works=False):
        [me] = await present(database)
        assert (me.presence.id, me.presence.places) == ("me", 0)
    assert await present(database) == ()
    assert told == [1]


@pytest.mark.parametrize("works", [True, False])
async def test_who_comes_and_goes_is_heard_of(database: Database, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    monkeypatch.setattr(shares, "LOOK_S", 0.001)
    told = asyncio.Queue[int]()

    async def tells(number: int) -> None:
        async with asyncio.timeout(20):
            while await told.get() != number:
                pass

    async with shares.shared(database, ME, told.put_nowait, works=works):
        await tells(1)
        await database.write(lambda tx: workers.put(tx, replace(ME, id="other"), 0))
        await tells(2)
        await database.write(lambda tx: workers.drop(tx, "other"))
        await tells(1)


async def test_a_database_that_is_away_changes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "LOOK_S", 0.001)
    told: list[int] = []
    failed = asyncio.Event()

    def look(_tx: object) -> int:
        if len(told) == 1 and not failed.is_set():
            failed.set()
            raise OSError("away")
        return 1

    monkeypatch.setattr(shares, "count", look)
    async with shares.shared(database, ME, told.append, works=True):
        async with asyncio.timeout(20):
            await failed.wait()
            while len(told) < 3:
                await asyncio.sleep(0)
    assert set(told) == {1}
