"""A database that the fifth release wrote is brought up to date, and nothing that was in it is lost.

``fifth_release.json`` holds every row that its server kept but those that the database wrote itself, and what its APIs
answered about them.
"""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from alembic import command
from sqlalchemy import func, insert, select, text

from tests.support.asgi import get
from tests.support.releases import put_back, release
from tests.support.store import PATIENCE_S, empty_url
from tests.test_upgrade import KEY, answers_as_before, settings_of, still
from vivavoce.app import application
from vivavoce.house import house
from vivavoce.settings import Settings
from vivavoce.storage.database import Database, Tx, connect
from vivavoce.storage.migrate import config, migrate
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.tables import conversations, notes

__all__ = ["empty_url"]

FIFTH = release("fifth")
ANSWERS = FIFTH["answers"]
# The organisation that there always is comes with the schema.
ROWS: Mapping[str, Any] = {**FIFTH["rows"], "orgs": [row for row in FIFTH["rows"]["orgs"] if row["id"] != DEFAULT]}


@pytest.fixture
def fifth(empty_url: str) -> Generator[Database]:
    opened = connect(empty_url)
    yield opened
    opened.close()


@pytest.fixture
async def settings(fifth: Database, empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    await fifth.write(lambda tx: put_back(tx, "0005", ROWS))
    return settings_of(empty_url, tmp_path, monkeypatch)


def noted(tx: Tx) -> Sequence[tuple[str, str, str]]:
    rows = tx.execute(select(notes.c.conversation_id, notes.c.name, notes.c.value))
    return sorted((row.conversation_id, row.name, row.value) for row in rows)


def expected() -> list[tuple[str, str, str]]:
    """What is to be noted of the conversations of the release."""
    found: list[tuple[str, str, str]] = []
    for row in ROWS["conversations"]:
        found.append((row["id"], "\x01nameless" if row["name"] is None else "\x01name", row["name"] or ""))
        found.append((row["id"], "\x01id", row["id"]))
        found += [(row["id"], key, value[:255]) for key, value in row["metadata"].items()]
    return sorted(found)


async def test_everything_is_answered_as_before(settings: Settings) -> None:
    run = ANSWERS["run"]
    async with house(settings, works=False) as opened:
        app = application(settings, opened)
        told = (
            (f"/v2/ai/assistants/{ANSWERS['clerk']['id']}", ANSWERS["clerk"]),
            (f"/v2/ai/assistants/tests/{run['test_id']}", ANSWERS["test"]),
            (f"/v2/ai/assistants/tests/{run['test_id']}/runs/{run['run_id']}", run),
            (f"/v2/ai/conversations/{ANSWERS['talk']}/messages", ANSWERS["messages"]),
            (f"/viva/v1/runs/{run['run_id']}", ANSWERS["own_run"]),
        )
        await answers_as_before(app, told)


async def test_conversations_are_found_as_before(settings: Settings) -> None:
    async with house(settings, works=False) as opened:
        app = application(settings, opened)
        for query, before in ANSWERS["conversations"].items():
            answer = await get(app, f"/v2/ai/conversations?{quote(query, safe='=&%')}", KEY)
            assert [one["id"] for one in answer.json["data"]] == [one["id"] for one in before["data"]], query
            assert still(answer.json, before) == before


async def test_every_conversation_is_noted(fifth: Database) -> None:
    await fifth.write(lambda tx: put_back(tx, "0005", ROWS))
    await migrate(fifth)
    assert await fifth.read(noted) == expected()


async def test_nothing_is_lost_on_the_way_back(fifth: Database) -> None:
    def kept(tx: Tx) -> dict[str, int]:
        return {name: tx.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in ROWS}

    def found(tx: Tx) -> Any:
        # As the release before looks for them, which on SQLite may be started on the newer schema.
        return tx.exec_driver_sql("SELECT count(*) FROM notes WHERE name = 'customer' AND value = '42'").scalar_one()

    await fifth.write(lambda tx: put_back(tx, "0005", ROWS))
    before = await fifth.read(kept), await fifth.read(found)
    await migrate(fifth)
    await fifth.write(lambda tx: command.downgrade(config(tx), "0005"))
    assert (await fifth.read(kept), await fifth.read(found)) == before
    await migrate(fifth)
    assert (await fifth.read(kept), await fifth.read(noted)) == (before[0], expected())


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
async def test_what_others_write_meanwhile_is_noted(
    fifth: Database, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers of the release before go on while the schema changes under them."""
    await fifth.write(lambda tx: put_back(tx, "0005", ROWS))
    other, loop = connect(empty_url), asyncio.get_running_loop()
    new = {**ROWS["conversations"][0], "id": "written-meanwhile", "metadata": {"customer": "9"}, "name": "new"}
    changed, gone = ROWS["conversations"][-1]["id"], ROWS["conversations"][1]["id"]

    def write(tx: Tx) -> None:
        tx.execute(insert(conversations), new)
        tx.execute(conversations.delete().where(conversations.c.id == gone))
        tx.execute(
            text("UPDATE conversations SET metadata = CAST(:metadata AS jsonb) WHERE id = :id"),
            {"metadata": '{"customer": "10"}', "id": changed},
        )

    def meanwhile(*_given: Any, **_more: Any) -> Any:
        # Between the first notes and the triggers.
        asyncio.run_coroutine_threadsafe(other.write(write), loop).result(PATIENCE_S)
        return create_key(*_given, **_more)

    from alembic import op

    create_key = op.create_primary_key
    monkeypatch.setattr(op, "create_primary_key", meanwhile)
    try:
        await migrate(fifth)
        found = await fifth.read(noted)
        mine = {"written-meanwhile", changed}
        others = [one for one in expected() if one[0] not in {*mine, gone}]
        assert [one for one in found if one[0] not in mine] == others
        assert sorted(one[1:] for one in found if one[0] in mine) == [
            *sorted(("\x01id", id_) for id_ in mine),
            ("\x01name", "new"),
            ("\x01nameless", ""),
            ("customer", "10"),
            ("customer", "9"),
        ]
        await fifth.write(lambda tx: tx.execute(conversations.delete()))
        assert await fifth.read(lambda tx: tx.execute(select(func.count()).select_from(notes)).scalar_one()) == 0
    finally:
        other.close()
