"""Everything that a real server kept, moved to the other kind of database and back."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, insert, select, text
from tests.support.postgres import new_postgres
from tests.support.releases import put_back, release
from tests.support.store import NOW, set_row

from vivavoce.storage import workers
from vivavoce.storage.copying import CannotCopy, copy
from vivavoce.storage.database import Database, Tx, connect
from vivavoce.storage.migrate import migrate
from vivavoce.storage.tables import conversations, events, keys, metadata, passages, snapshots
from vivavoce.storage.workers import Presence

THIRD = release("third")["rows"]
HERE = Presence("w", "host", 1, "0", 1, NOW)
COPIED = [table for table in metadata.sorted_tables if table.name not in ("workers", "notes")]


def a_value(column: Column[Any]) -> Any:
    """Something that the column can hold."""
    match column.type:
        case JSON():
            return ["a", None, {"b": 1.5}]
        case Boolean():
            return True
        case BigInteger():
            return 2**40
        case Integer():
            return 7
        case _:
            return column.name[:16]


@pytest.fixture
def file(tmp_path: Path) -> Generator[Database]:
    opened = connect(f"sqlite:///{tmp_path / 'viva.db'}")
    yield opened
    opened.close()


@pytest.fixture
def server() -> Generator[Database]:
    with new_postgres() as url:
        opened = connect(url)
        yield opened
        opened.close()


def fill(tx: Tx) -> None:
    """What only the tables of today can hold, and what the two kinds of databases write differently."""
    for table in COPIED:
        if tx.execute(select(table).limit(1)).first() is None:
            tx.execute(insert(table), {column.name: a_value(column) for column in table.columns})
    odd = {"org": "default", "created_at": NOW, "last_message_at": NOW, "name": 'quote " \\ é 🎓\n\t'}
    talks = [
        {**odd, "id": "nulls", "metadata": {"a": None}, "extra": None},
        {**odd, "id": "odd", "metadata": {'"\\é🎓': [1, 2.5, True, {"x": "\u2028"}]}, "extra": {}},
    ]
    tx.execute(insert(conversations), talks)
    tx.execute(insert(events), [{"conversation_id": "odd", "turn": turn, "body": "x" * 100} for turn in range(1200)])
    set_row(tx, THIRD["runs"][0]["id"], setbacks=["the model was away"], lease_token="t", lease_until=NOW)
    [passage] = THIRD["passages"]
    tx.execute(insert(passages), {**passage, "position": 1, "vector": bytes(range(256)), "model": "m"})


async def filled(database: Database) -> Database:
    """Every table of today with something in it."""
    await database.write(lambda tx: put_back(tx, "0003", THIRD))
    await migrate(database)
    await database.write(fill)
    return database


def kept(tx: Tx) -> dict[str, list[str]]:
    """Every row, with JSON as it is understood."""

    def shown(row: Any) -> str:
        return repr([json.dumps(one, sort_keys=True) if isinstance(one, dict) else one for one in row])

    found = {table.name: sorted(map(shown, tx.execute(select(table)))) for table in COPIED}
    nulls = text("SELECT id, extra IS NULL FROM conversations ORDER BY id")
    return {**found, "nulls": [repr((id_, bool(null))) for id_, null in tx.execute(nulls)]}


def nothing(_table: str, _count: int) -> None:
    """Nobody listens."""


@pytest.fixture
def back(tmp_path: Path) -> Generator[Database]:
    opened = connect(f"sqlite:///{tmp_path / 'back.db'}")
    yield opened
    opened.close()


async def test_everything_arrives_and_comes_back(file: Database, server: Database, back: Database) -> None:
    await filled(file)
    await file.write(lambda tx: workers.put(tx, HERE, 0))  # of a server that was killed just now
    before = await file.read(kept)
    assert [name for name, rows in before.items() if not rows] == []
    await migrate(server)
    told: dict[str, int] = {}
    counts = await copy(file, server, told.__setitem__)
    assert await server.read(kept) == before
    assert counts == told == {table.name: len(before[table.name]) for table in COPIED}
    await migrate(back)
    assert await copy(server, back, nothing) == counts
    assert await back.read(kept) == before
    assert await back.read(workers.get_all) == ()


@pytest.fixture
async def two(file: Database, server: Database) -> tuple[Database, Database]:
    """An installation with a key, and an empty database with the schema."""
    await migrate(file)
    await migrate(server)
    await file.write(lambda tx: tx.execute(insert(keys), a_key("ours")).close())
    return file, server


def a_key(name: str) -> dict[str, Any]:
    return {"id": name, "org": "default", "name": name, "digest": name, "hint": "", "created_at": NOW}


async def nothing_arrived(database: Database) -> None:
    assert await database.read(lambda tx: tx.execute(select(keys.c.id)).scalars().all()) == []
    orgs = text("SELECT id FROM orgs")
    assert await database.read(lambda tx: tx.execute(orgs).scalars().all()) == ["default"]


async def test_a_database_with_something_in_it_is_left_alone(two: tuple[Database, Database]) -> None:
    await two[1].write(lambda tx: tx.execute(insert(keys), a_key("theirs")).close())
    with pytest.raises(CannotCopy, match="not empty: there is something in keys"):
        await copy(*two, nothing)
    assert await two[1].read(lambda tx: tx.execute(select(keys.c.id)).scalars().all()) == ["theirs"]


async def test_an_organisation_is_something(two: tuple[Database, Database]) -> None:
    other = text("INSERT INTO orgs (id, name, created_at) VALUES ('o', 'o', 0)")
    await two[1].write(lambda tx: tx.execute(other).close())
    with pytest.raises(CannotCopy, match="something in orgs"):
        await copy(*two, nothing)


@pytest.mark.parametrize("source", [0, 1])
async def test_nobody_may_work_on_a_server_meanwhile(two: tuple[Database, Database], source: int) -> None:
    await two[1].write(lambda tx: workers.put(tx, HERE, 0))
    with pytest.raises(CannotCopy, match="stop it first"):
        await copy(two[source], two[1 - source], nothing)


async def test_a_row_that_is_not_taken_is_named_and_nothing_arrives(two: tuple[Database, Database]) -> None:
    # SQLite does not look at lengths.
    await two[0].write(lambda tx: tx.execute(insert(keys), {**a_key("long"), "hint": "secret" * 9}).close())
    with pytest.raises(CannotCopy, match=r"keys long is not taken: value too long") as told:
        await copy(*two, nothing)
    assert "secret" not in str(told.value)
    await nothing_arrived(two[1])


@pytest.mark.parametrize("newer", [0, 1])
async def test_a_newer_database_may_hold_what_is_not_known_here(two: tuple[Database, Database], newer: int) -> None:
    stamp = text("UPDATE alembic_version SET version_num = '9999'")
    await two[newer].write(lambda tx: tx.execute(stamp).close())
    with pytest.raises(CannotCopy, match="newer release"):
        await copy(*two, nothing)
    await nothing_arrived(two[1])


async def test_who_stops_it_leaves_nothing_half_done(two: tuple[Database, Database]) -> None:
    loop = asyncio.get_running_loop()

    def stop(_table: str, _count: int) -> None:
        loop.call_soon_threadsafe(copying.cancel)

    many = [{"digest": f"{n}", "body": "{}"} for n in range(10_000)]
    await two[0].write(lambda tx: tx.execute(insert(snapshots), many).close())
    copying = asyncio.create_task(copy(*two, stop))
    with pytest.raises(asyncio.CancelledError):
        await copying
    await asyncio.to_thread(two[1].close)  # waits for what was begun
    after = connect(two[1]._writers.url.render_as_string(hide_password=False))
    try:
        await nothing_arrived(after)
    finally:
        after.close()
