import asyncio
import threading
from dataclasses import replace

from sqlalchemy import func, select
from tests.support.store import NOW, ORG, PATIENCE_S, a_version, an_assistant, waits

from vivavoce.core.assistant import Form, Plays, Version
from vivavoce.core.tool import WebhookTool
from vivavoce.storage import assistants
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Slice, Span
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

    def write(tx: Tx) -> list[Version]:
        assistants.add(tx, ORG, kept)
        return [assistants.add_version(tx, one) for one in more]

    numbered = await database.write(write)
    assert numbered == [replace(one, number=place + 1) for place, one in enumerate(more)]
    assert await database.read(lambda tx: assistants.get_versions(tx, kept.id)) == (*reversed(numbered), kept.main)
    await database.write(lambda tx: assistants.drop_version(tx, kept.id, more[-1].id))
    newest = await database.write(lambda tx: assistants.add_version(tx, a_version(assistant_id=kept.id)))
    assert newest.number == 5
    assert (await database.read(lambda tx: assistants.get_versions(tx, kept.id)))[:2] == (newest, numbered[-2])


async def test_a_version_is_found_by_its_number(database: Database) -> None:
    kept, other = an_assistant(), an_assistant()

    def work(tx: Tx) -> None:
        assistants.add(tx, ORG, other)
        assistants.add(tx, ORG, kept)
        second = assistants.add_version(tx, a_version(assistant_id=kept.id, name="second"))
        assert assistants.get_numbered(tx, kept.id, 0) == kept.main
        assert assistants.get_numbered(tx, kept.id, 1) == second
        assert assistants.get_numbered(tx, kept.id, 2) is None
        assert assistants.get_numbered(tx, other.id, 1) is None

    await database.write(work)


async def test_other_forms_are_found_only_by_who_asks_for_them(database: Database) -> None:
    kept, agent = an_assistant(), replace(an_assistant(), form=Form.CHAT_AGENT)

    def work(tx: Tx) -> None:
        assistants.add(tx, ORG, kept)
        assistants.add(tx, ORG, agent)
        assert assistants.get(tx, ORG, agent.id) is None
        assert assistants.get(tx, ORG, agent.id, forms=(Form.VOICE_AGENT,)) is None
        assert assistants.get(tx, ORG, agent.id, forms=(Form.VOICE_AGENT, Form.CHAT_AGENT)) == agent
        assert assistants.get_all(tx, ORG) == (kept,)
        assert assistants.get_all(tx, ORG, tuple(Form)) == (agent, kept)

    await database.write(work)


async def test_section_1_3_a_stretch_goes_on_behind_the_last_one_both_ways(database: Database) -> None:
    kept = [replace(an_assistant(), form=form) for form in (Form.PROMPTS, Form.FLOW, Form.PROMPTS, Form.PROMPTS)]

    def work(tx: Tx) -> None:
        for one in kept:
            assistants.add(tx, ORG, one)
        first = assistants.get_slice(tx, ORG, [Form.PROMPTS], Span(2))
        assert first == Slice((kept[3], kept[2]), more=True)
        assert assistants.get_slice(tx, ORG, [Form.PROMPTS], Span(2, kept[2].id)) == Slice((kept[0],), more=False)
        assert assistants.get_slice(tx, ORG, [Form.FLOW], Span(1, None)) == Slice((kept[1],), more=False)
        upwards = Span(1, kept[0].id, ascending=True)
        assert assistants.get_slice(tx, ORG, [Form.PROMPTS], upwards) == Slice((kept[2],), more=True)

    await database.write(work)


async def test_every_version_comes_with_its_assistant(database: Database) -> None:
    one, two = (replace(an_assistant(created_at=NOW + age), form=Form.FLOW) for age in (0, 1))

    def work(tx: Tx) -> None:
        for each in (one, two, an_assistant()):
            assistants.add(tx, ORG, each)
        second = assistants.add_version(tx, a_version(assistant_id=one.id))
        assistants.set_main(tx, one.id, second.id)
        now = replace(one, main=second)
        assert assistants.get_every_version(tx, ORG, [Form.FLOW], 9) == (
            (two, two.main),
            (now, second),
            (now, one.main),
        )

    await database.write(work)


async def test_who_plays_an_assistant_is_found_in_every_version(database: Database) -> None:
    engine, agent = an_assistant(), an_assistant()

    def work(tx: Tx) -> None:
        for each in (engine, agent):
            assistants.add(tx, ORG, each)
        plays = assistants.add_version(tx, a_version(assistant_id=agent.id, plays=Plays(engine.id, 0)))
        # Its id in the words of somebody is no playing.
        assistants.add_version(tx, a_version(assistant_id=agent.id, instructions=f"Ask {engine.id}."))
        assert assistants.get_players(tx, ORG, engine.id) == (plays,)
        assert assistants.get_players(tx, ORG, agent.id) == ()

    await database.write(work)


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
    better = a_version(assistant_id=kept.id, name="better", number=1)

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


async def test_versions_are_listed_in_stretches(database: Database) -> None:
    one, two = (replace(an_assistant(created_at=NOW + age), form=Form.FLOW) for age in (0, 1))

    def work(tx: Tx) -> None:
        for each in (one, two):
            assistants.add(tx, ORG, each)
        second = assistants.add_version(tx, a_version(assistant_id=one.id))
        assistants.set_main(tx, one.id, second.id)

        def found(most: int = 9, after: tuple[str, int | None] | None = None, *, newest: bool = False) -> list[str]:
            every = assistants.get_every_version(tx, ORG, [Form.FLOW], most, after, newest=newest)
            return [version.id for _, version in every]

        everything = [two.main.id, second.id, one.main.id]
        assert found() == everything
        assert found(2) == everything[:2]
        assert found(newest=True) == everything[:2]
        assert found(after=(two.id, None)) == found(after=(two.id, 0)) == everything[1:]
        assert found(after=(one.id, 1)) == everything[2:]
        assert found(1, (one.id, 2**70)) == everything[1:2]
        assert found(after=(one.id, None)) == found(after=(one.id, 0)) == found(after=(one.id, -(2**70))) == []

    await database.write(work)
