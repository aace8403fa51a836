import asyncio
from collections.abc import Generator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from vivavoce.storage.database import Database, Tx, connect
from vivavoce.storage.migrate import config, migrate
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


async def test_the_revisions_are_one_line(empty: Database) -> None:
    heads = await empty.read(lambda tx: ScriptDirectory.from_config(config(tx)).get_heads())
    assert len(heads) == 1
