import asyncio
import threading
from dataclasses import replace

from sqlalchemy import func, select
from tests.support.store import NOW, ORG, PATIENCE_S, a_version, an_assistant, waits

from vivavoce.core.tool import WebhookTool
from vivavoce.storage import assistants
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.tables import versions


async def test_an_assistant_comes_back_with_its_main_version(database: Database) -> None:
    kept = an_assistant(
        greeting="Hi {{name}}", tools=(WebhookTool("find", "Finds.", "https://a.example"),), extra={"voice": {"a": 1}}
    )
    await database.write(lambda tx: assistants.add(tx, ORG, kept))
    assert await database.read(lambda tx: assistants.get(tx, ORG, kept.id)) == kept
    assert await database.read(lambda tx: assistants.get_version(tx, kept.id, kept.main.id)) == kept.main
    assert await database.read(lambda tx: assistants.get(tx, ORG, "nobody")) is None


async def test_all_are_listed_newest_first(database: Database) -> None:
    kept = [an_assistant(created_at=NOW + age) for age in (2, 0, 1, 1)]

    def add(tx: Tx) -> None:
        for one in kept:
            assistants.add(tx, ORG, one)

    await database.write(add)
    found = await database.read(lambda tx: assistants.get_all(tx, ORG))
    # The second of the two that are equally old was made later.
    assert found == (kept[0], kept[3], kept[2], kept[1])


async def test_versions_are_listed_newest_first_by_when_they_were_written(database: Database) -> None:
    kept = an_assistant()
    more = [a_version(assistant_id=kept.id, created_at=NOW - place) for place in range(5)]

    def write(tx: Tx) -> None:
        assistants.add(tx, ORG, kept)
        for one in more:
            assistants.add_version(tx, one)

    await database.write(write)
    assert await database.read(lambda tx: assistants.get_versions(tx, kept.id)) == (*reversed(more), kept.main)
    await database.write(lambda tx: assistants.drop_version(tx, kept.id, more[-1].id))
    newest = a_version(assistant_id=kept.id)
    await database.write(lambda tx: assistants.add_version(tx, newest))
    assert (await database.read(lambda tx: assistants.get_versions(tx, kept.id)))[:2] == (newest, more[-2])


async def test_versions_are_of_one_assistant(database: Database) -> None:
    one, two = an_assistant(), an_assistant(id="v")
    twin = an_assistant(id="v", name="other")

    def look(tx: Tx) -> tuple[object, ...]:
        for each in (one, two, twin):
            assistants.add(tx, ORG, each)
        assistants.drop_version(tx, twin.id, "v")
        return (
            assistants.get_version(tx, one.id, "v"),
            assistants.get_version(tx, two.id, "v"),
            assistants.get_version(tx, twin.id, "v"),
            assistants.get_versions(tx, one.id),
        )

    assert await database.write(look) == (None, two.main, None, (one.main,))


async def test_another_version_becomes_main(database: Database) -> None:
    kept, bystander = an_assistant(), an_assistant()
    better = a_version(assistant_id=kept.id, name="better")

    def write(tx: Tx) -> None:
        assistants.add(tx, ORG, kept)
        assistants.add(tx, ORG, bystander)
        assistants.add_version(tx, better)
        assert assistants.get(tx, ORG, kept.id) == kept
        assistants.set_main(tx, kept.id, better.id)

    await database.write(write)
    assert await database.read(lambda tx: assistants.get(tx, ORG, kept.id)) == replace(kept, main=better)
    assert await database.read(lambda tx: assistants.get(tx, ORG, bystander.id)) == bystander


async def test_deleted_softly_it_leaves_every_list_and_keeps_its_versions(database: Database) -> None:
    gone, left = an_assistant(), an_assistant()

    def write(tx: Tx) -> None:
        assistants.add(tx, ORG, gone)
        assistants.add(tx, ORG, left)
        assistants.set_deleted(tx, gone.id, NOW)

    await database.write(write)
    assert await database.read(lambda tx: assistants.get(tx, ORG, gone.id)) is None
    assert await database.read(lambda tx: assistants.get_all(tx, ORG)) == (left,)
    assert await database.read(lambda tx: assistants.get_versions(tx, gone.id)) == (gone.main,)


async def test_erased_it_takes_its_versions_along(database: Database) -> None:
    gone, softly, left = an_assistant(), an_assistant(), an_assistant()

    def write(tx: Tx) -> list[bool]:
        for one in (gone, softly, left):
            assistants.add(tx, ORG, one)
        assistants.set_deleted(tx, softly.id, NOW)
        return [assistants.erase(tx, ORG, one.id) for one in (gone, softly, gone)]

    assert await database.write(write) == [True, True, False]
    assert await database.read(lambda tx: tx.execute(select(func.count()).select_from(versions)).scalar_one()) == 1
    assert await database.read(lambda tx: assistants.get(tx, ORG, left.id)) == left


async def test_a_locked_assistant_is_held_until_the_commit(database: Database) -> None:
    """Two changes at once would otherwise both build on the same main version."""
    kept = an_assistant(name="")
    await database.write(lambda tx: assistants.add(tx, ORG, kept))
    locked, go_on = threading.Event(), threading.Event()

    def change(tx: Tx, letter: str) -> None:
        found = assistants.get(tx, ORG, kept.id, lock=True)
        assert found is not None
        if letter == "a":
            locked.set()
            assert go_on.wait(PATIENCE_S)
        better = a_version(assistant_id=kept.id, name=found.main.name + letter)
        assistants.add_version(tx, better)
        assistants.set_main(tx, kept.id, better.id)

    try:
        first = asyncio.create_task(database.write(lambda tx: change(tx, "a")))
        assert await asyncio.to_thread(locked.wait, PATIENCE_S)
        second = asyncio.create_task(database.write(lambda tx: change(tx, "b")))
        await waits(database, second)
    finally:
        go_on.set()
    await asyncio.gather(first, second)
    found = await database.read(lambda tx: assistants.get(tx, ORG, kept.id))
    assert found is not None
    assert found.main.name == "ab"
