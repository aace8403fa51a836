"""What the first schema held is there in the next; what a real server of that time held: ``tests/test_upgrade.py``."""

import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from sqlalchemy import MetaData, Row, insert, select
from tests.support.store import NOW, ORG

from vivavoce.core.assistant import Version
from vivavoce.core.mind import Mind
from vivavoce.core.scenario import Criterion, Scenario
from vivavoce.storage import assistants, conversations, runs, scenarios
from vivavoce.storage.database import Database, Tx, connect
from vivavoce.storage.migrate import config, migrate
from vivavoce.storage.tables import metadata


@pytest.fixture
def first(empty_url: str) -> Generator[Database]:
    """A database with the first schema and nothing in it."""
    opened = connect(empty_url)
    yield opened
    opened.close()


def a_body(id_: str, **given: object) -> str:
    """A version as it was written then."""
    version = {"id": id_, "assistant_id": "a", "name": id_, "instructions": "Be kind.", "created_at": NOW}
    return json.dumps(
        {**version, "label": "", "model": "some/model", "tools": [], "variables": {}, "extra": {}} | given
    )


SCENARIO = Scenario("s", "greets", "a", "Say hello.", (Criterion("kind", "is kind"),), NOW)
RUN = {
    "org": ORG,
    "scenario_id": "s",
    "status": "pending",
    "trigger": "manual",
    "scenario_digest": "of s",
    "criteria": ["kind"],
    "reason": "",
    "story": "",
    "talked_ms": 0,
    "dispatch": 1,
    "progress": 0,
    "stalls": 0,
    "created_at": NOW,
    "updated_at": NOW,
    "version_digest": "of two",
    "version_id": "two",
}
ROWS = {"assistants": 1, "versions": 2, "scenarios": 1, "snapshots": 2, "conversations": 3, "events": 1, "runs": 2}


def fill(tx: Tx) -> None:
    command.upgrade(config(tx), "0001")
    tables = MetaData()
    tables.reflect(tx)

    def put(name: str, *rows: Mapping[str, object]) -> None:
        for row in rows:
            tx.execute(insert(tables.tables[name]), dict(row))

    put("assistants", {"id": "a", "org": ORG, "main_id": "two", "created_at": NOW})
    common = {"assistant_id": "a", "created_at": NOW}
    put("versions", {**common, "id": "one", "position": 1, "body": a_body("one", model=None, extra={"x": [1]})})
    put("versions", {**common, "id": "two", "position": 2, "body": a_body("two")})
    text = {"name": "greets", "target": "a", "brief": "Say hello.", "criteria": [{"name": "kind", "text": "is kind"}]}
    body = json.dumps({"id": "s", "created_at": NOW, **text})
    put("scenarios", {"id": "s", "org": ORG, "medium": "web_chat", "target": "a", "body": body, "created_at": NOW})
    put("snapshots", {"digest": "of s", "body": body}, {"digest": "of two", "body": a_body("two")})
    talk = {"org": ORG, "metadata": {"k": "v"}, "created_at": NOW, "last_message_at": NOW + 1}
    put("conversations", *({"id": id_, **talk} for id_ in ("done talk", "new talk", "chat")))
    said = {"speaker": "caller", "text": "hello", "at": NOW, "took_ms": 0, "usage": None, "kind": "message"}
    put("events", {"conversation_id": "chat", "turn": 0, "body": json.dumps(said)})
    put("runs", {**RUN, "id": "done", "conversation_id": "done talk", "completed_at": NOW + 5, "status": "passed"})
    put("runs", {**RUN, "id": "new", "conversation_id": "new talk"})


def unnumbered(version: Version) -> Version:
    """As a run froze it before versions had numbers."""
    return replace(version, number=0)


def renew(version: Version) -> tuple[Version, tuple[str, ...]]:
    return replace(version, greeting=f"I am {version.id}"), (f"tag of {version.id}",)


async def test_every_row_can_be_read_afterwards(first: Database) -> None:
    await first.write(fill)
    await migrate(first)
    assert await first.read(lambda tx: scenarios.get(tx, ORG, "s")) == SCENARIO
    versions = await first.read(lambda tx: assistants.get_versions(tx, "a"))
    assert [version.mind for version in versions] == [Mind("some/model"), Mind()]
    assert versions[1].extra == {"x": [1]}
    transcript = await first.read(lambda tx: conversations.get_transcript(tx, "chat"))
    assert [message.text for _, message in transcript.messages()] == ["hello"]
    for id_ in ("done", "new"):
        frozen = await first.read(lambda tx, id_=id_: runs.get_frozen(tx, id_))
        assert frozen is not None
        assert (frozen.scenario, frozen.version, frozen.others) == (SCENARIO, unnumbered(versions[0]), ())


async def test_a_conversation_is_over_where_its_run_is(first: Database) -> None:
    await first.write(fill)
    await migrate(first)
    for id_, ended_at in (("done talk", NOW + 5), ("new talk", None), ("chat", None)):
        talk = await first.read(lambda tx, id_=id_: conversations.get(tx, ORG, id_))
        assert talk is not None
        assert (talk.ended_at, talk.metadata) == (ended_at, {"k": "v"})


async def test_versions_are_renewed_also_where_a_run_froze_them_and_main_gives_the_tags(first: Database) -> None:
    await first.write(fill)
    await migrate(first, renew)
    assistant = await first.read(lambda tx: assistants.get(tx, ORG, "a"))
    assert assistant is not None
    assert (assistant.main.greeting, assistant.tags) == ("I am two", ("tag of two",))
    other = await first.read(lambda tx: assistants.get_version(tx, "a", "one"))
    assert other is not None
    assert other.greeting == "I am one"
    frozen = await first.read(lambda tx: runs.get_frozen(tx, "new"))
    assert frozen is not None
    assert frozen.version == unnumbered(assistant.main)


async def test_what_was_renewed_is_not_renewed_again_and_nothing_is_lost_on_the_way_back(first: Database) -> None:
    def kept(tx: Tx) -> dict[str, list[Row[Any]]]:
        first_ones = [table for table in metadata.sorted_tables if table.name in ROWS]
        return {table.name: sorted(tx.execute(select(table)), key=repr) for table in first_ones}

    await first.write(fill)
    await migrate(first)
    before = await first.read(kept)
    await migrate(first, renew)
    await first.write(lambda tx: command.downgrade(config(tx), "0001"))
    await migrate(first, renew)
    assert await first.read(kept) == before
    assert {name: len(rows) for name, rows in before.items()} == ROWS


async def test_a_version_that_cannot_be_renewed_leaves_everything_as_it_was(first: Database) -> None:
    def fails(_version: Version) -> tuple[Version, tuple[str, ...]]:
        raise ValueError("not this one")

    await first.write(fill)
    with pytest.raises(ValueError, match="not this one"):
        await migrate(first, fails)
    await migrate(first)
    assert len(await first.read(lambda tx: assistants.get_versions(tx, "a"))) == 2
