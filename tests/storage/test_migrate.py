import asyncio
from collections.abc import Generator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from vivavoce.storage.database import Database, DatabaseUnreachable, Tx, connect
from vivavoce.storage.migrate import Revisions, config, migrate, revisions
from vivavoce.storage.tables import metadata


@pytest.fixture
def empty(empty_url: str) -> Generator[Database]:
    opened = connect(empty_url)
    yield opened
    opened.close()


def tables(tx: Tx) -> set[str]:
    return set(inspect(tx).get_table_names())


def differences(tx: Tx) -> list[object]:
    context = MigrationContext.configure(tx, opts={"compare_server_default": True})
    return compare_metadata(context, metadata)


async def test_from_nothing_the_revisions_give_exactly_the_tables(empty: Database) -> None:
    assert await empty.read(tables) == set()
    await migrate(empty)
    assert await empty.read(tables) == {*metadata.tables, "alembic_version"}
    assert await empty.read(differences) == []


async def test_migrating_again_changes_nothing(empty: Database) -> None:
    await migrate(empty)
    await migrate(empty)
    assert await empty.read(differences) == []


async def test_servers_that_start_together_wait_for_one_another(empty: Database, empty_url: str) -> None:
    other = connect(empty_url)
    try:
        await asyncio.gather(migrate(empty), migrate(other), migrate(empty))
    finally:
        other.close()
    assert await empty.read(differences) == []


async def test_every_revision_can_be_taken_back_and_made_again(empty: Database) -> None:
    await migrate(empty)
    await empty.write(lambda tx: command.downgrade(config(tx), "base"))
    assert await empty.read(tables) == {"alembic_version"}
    await migrate(empty)
    assert await empty.read(differences) == []


async def test_a_revision_that_fails_leaves_nothing_behind(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(*_given: object) -> None:
        raise RuntimeError("half way")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", half)
        with pytest.raises(RuntimeError, match="half way"):
            await migrate(empty)
    assert await empty.read(tables) == set()
    await migrate(empty)
    assert await empty.read(differences) == []


def stamp(tx: Tx, revision: str) -> None:
    tx.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


async def test_a_database_of_a_newer_release_is_left_as_it_is(empty: Database) -> None:
    await migrate(empty)
    head = (await revisions(empty)).release
    newer = f"{int(head) + 1:04}"
    await empty.write(lambda tx: stamp(tx, newer))
    found = Revisions(newer, head, unknown=True, newer=True)
    assert await migrate(empty) == found
    assert await revisions(empty) == found
    assert await empty.read(differences) == []


async def test_a_revision_that_nobody_knows_is_refused(empty: Database) -> None:
    await migrate(empty)
    await empty.write(lambda tx: stamp(tx, "1a2b3c"))
    with pytest.raises(DatabaseUnreachable, match="'1a2b3c' is of no release"):
        await migrate(empty)


async def test_looking_at_the_revision_changes_nothing(empty: Database) -> None:
    found = await revisions(empty)
    assert (found.database, found.unknown, found.newer) == (None, False, False)
    assert await empty.read(tables) == set()
    await empty.write(lambda tx: command.upgrade(config(tx), "0002"))
    assert (await revisions(empty)).database == "0002"
    await migrate(empty)
    found = await revisions(empty)
    assert found.database == found.release


async def test_who_migrates_may_wait_for_another_for_long(
    empty: Database, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.storage.database.SERVER_TIMEOUTS", {"lock_timeout": "1ms"})
    other = connect(empty_url)
    try:
        await asyncio.gather(migrate(empty), migrate(other))
    finally:
        other.close()
    assert await empty.read(differences) == []


async def test_every_organisation_with_a_key_is_one(empty: Database) -> None:
    await empty.write(lambda tx: command.upgrade(config(tx), "0003"))
    row = "('{0}', '{0}', 'k', '{0}', '', 0)"
    rows = ", ".join(row.format(name) for name in ("default", "strangers"))
    put = text(f"INSERT INTO keys (id, org, name, digest, hint, created_at) VALUES {rows}")
    await empty.write(lambda tx: tx.execute(put).close())
    await migrate(empty)
    known = text("SELECT id, name FROM orgs ORDER BY id")
    found = await empty.read(lambda tx: [tuple(row) for row in tx.execute(known)])
    assert found == [("default", "default"), ("strangers", "strangers")]


async def test_the_revisions_are_one_line(empty: Database) -> None:
    heads = await empty.read(lambda tx: ScriptDirectory.from_config(config(tx)).get_heads())
    assert len(heads) == 1
