import asyncio
from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Version
from vivavoce.services import assistants
from vivavoce.services.assistants import MAX_VERSIONS
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected

OTHER = "org-b"


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, **given: object) -> Assistant:
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, a_version(**given), anything))


async def change(ctx: Context, assistant: Assistant, *, promote: bool = True, **given: str) -> Version:
    """The version that an update wrote."""
    changed = await assistants.update(
        ctx, ORG, assistant.id, lambda main: replace(main, **given), anything, promote=promote
    )
    return changed.main


async def labels(ctx: Context, assistant: Assistant) -> list[str]:
    _, found = await assistants.get_versions(ctx, ORG, assistant.id)
    return [version.name for version in found]


async def test_a_new_assistant_has_one_version_which_is_main(ctx: Context) -> None:
    draft = a_version(id="x", assistant_id="y", created_at=1, greeting="Hi")
    kept = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, anything))
    assert kept.id.startswith("assistant-")
    assert kept.main.assistant_id == kept.id
    assert "x" not in (kept.main.id, kept.id)
    assert (kept.created_at, kept.main.created_at) == (NOW, NOW)
    assert replace(kept.main, id="x", assistant_id="y", created_at=1) == draft
    assert await assistants.retrieve(ctx, ORG, kept.id) == kept
    assert await assistants.get_all(ctx, ORG) == (kept,)
    assert await assistants.get_versions(ctx, ORG, kept.id) == (kept, (kept.main,))


async def test_every_change_writes_a_version(ctx: Context, hand: Hand) -> None:
    kept = await made(ctx, name="one")
    hand.turn(60)
    written = await change(ctx, kept, name="two")
    assert written == replace(kept.main, id=written.id, name="two", created_at=NOW + 60_000, number=1)
    assert written.id != kept.main.id
    assert await assistants.retrieve(ctx, ORG, kept.id) == replace(kept, main=written)
    assert await assistants.get_versions(ctx, ORG, kept.id) == (replace(kept, main=written), (written, kept.main))
    unchanged = await change(ctx, kept)
    assert unchanged.id not in (written.id, kept.main.id)


async def test_a_version_that_is_not_promoted_stays_beside_main(ctx: Context) -> None:
    kept = await made(ctx, name="one")
    beside = await change(ctx, kept, promote=False, name="two")
    assert beside.name == "two"
    assert await assistants.retrieve(ctx, ORG, kept.id) == kept
    # The next change is made to main, not to what was written last.
    third = await change(ctx, kept, promote=False, label="three")
    assert (third.name, third.label) == ("one", "three")
    assert await assistants.get_version(ctx, ORG, kept.id, beside.id) == (kept, beside)
    promoted = await assistants.promote(ctx, ORG, kept.id, beside.id)
    assert promoted == replace(kept, main=beside)
    assert await assistants.retrieve(ctx, ORG, kept.id) == promoted


async def test_a_change_that_is_refused_writes_nothing(ctx: Context) -> None:
    kept = await made(ctx)

    def refuse(_main: Version) -> Version:
        raise Rejected("no", "name")

    with pytest.raises(Rejected, match="no"):
        await assistants.update(ctx, ORG, kept.id, refuse, anything, promote=True)
    assert await assistants.get_versions(ctx, ORG, kept.id) == (kept, (kept.main,))


async def test_changes_at_once_build_on_one_another(ctx: Context) -> None:
    kept = await made(ctx, name="")
    await asyncio.gather(
        *(
            assistants.update(
                ctx, ORG, kept.id, lambda main, n=n: replace(main, name=main.name + f"{n}"), anything, promote=True
            )
            for n in range(8)
        )
    )
    found = await assistants.retrieve(ctx, ORG, kept.id)
    assert sorted(found.main.name) == list("01234567")
    assert len(await labels(ctx, kept)) == 9


async def test_the_oldest_versions_make_room(ctx: Context) -> None:
    kept = await made(ctx, name="v0")
    for number in range(1, MAX_VERSIONS):
        await change(ctx, kept, name=f"v{number}")
    assert await labels(ctx, kept) == [f"v{number}" for number in range(9, -1, -1)]
    await change(ctx, kept, name="v10")
    assert await labels(ctx, kept) == [f"v{number}" for number in range(10, 0, -1)]


async def test_main_and_the_new_version_are_never_removed(ctx: Context) -> None:
    kept = await made(ctx, name="main")
    for number in range(MAX_VERSIONS + 3):
        written = await change(ctx, kept, promote=False, name=f"v{number}")
        assert (await assistants.get_version(ctx, ORG, kept.id, written.id))[1] == written
    found = await labels(ctx, kept)
    assert found == [*(f"v{number}" for number in range(12, 3, -1)), "main"]
    assert (await assistants.retrieve(ctx, ORG, kept.id)).main == kept.main


async def test_deleted_softly_its_versions_can_no_longer_be_reached(ctx: Context) -> None:
    kept = await made(ctx)
    await assistants.delete(ctx, ORG, kept.id, hard=False)
    assert await assistants.get_all(ctx, ORG) == ()
    for attempt in (
        assistants.retrieve(ctx, ORG, kept.id),
        assistants.get_versions(ctx, ORG, kept.id),
        assistants.get_version(ctx, ORG, kept.id, kept.main.id),
        assistants.update(ctx, ORG, kept.id, lambda main: main, anything, promote=True),
        assistants.promote(ctx, ORG, kept.id, kept.main.id),
        assistants.delete(ctx, ORG, kept.id, hard=False),
    ):
        with pytest.raises(NotFound) as failure:
            await attempt
        assert (failure.value.noun, failure.value.id) == ("assistant", kept.id)
    await assistants.delete(ctx, ORG, kept.id, hard=True)
    with pytest.raises(NotFound):
        await assistants.delete(ctx, ORG, kept.id, hard=True)


async def test_deleted_for_good_nothing_is_left(ctx: Context) -> None:
    kept = await made(ctx)
    await assistants.delete(ctx, ORG, kept.id, hard=True)
    with pytest.raises(NotFound):
        await assistants.retrieve(ctx, ORG, kept.id)
    with pytest.raises(NotFound):
        await assistants.delete(ctx, ORG, kept.id, hard=False)


async def test_an_assistant_of_somebody_else_is_not_found(ctx: Context) -> None:
    kept = await made(ctx)
    for attempt in (
        assistants.retrieve(ctx, OTHER, kept.id),
        assistants.get_versions(ctx, OTHER, kept.id),
        assistants.get_version(ctx, OTHER, kept.id, kept.main.id),
        assistants.update(ctx, OTHER, kept.id, lambda main: main, anything, promote=True),
        assistants.promote(ctx, OTHER, kept.id, kept.main.id),
        assistants.delete(ctx, OTHER, kept.id, hard=False),
        assistants.delete(ctx, OTHER, kept.id, hard=True),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await assistants.get_versions(ctx, ORG, kept.id) == (kept, (kept.main,))


async def test_a_version_that_does_not_exist_is_not_found(ctx: Context) -> None:
    kept, other = await made(ctx), await made(ctx)
    for id_ in ("none", other.main.id):
        for attempt in (
            assistants.get_version(ctx, ORG, kept.id, id_),
            assistants.promote(ctx, ORG, kept.id, id_),
        ):
            with pytest.raises(NotFound) as failure:
                await attempt
            assert failure.value.noun == "version"
    assert (await assistants.retrieve(ctx, ORG, kept.id)).main == kept.main


async def test_an_examination_takes_the_named_version_or_main(ctx: Context) -> None:
    kept = await made(ctx)
    beside = await change(ctx, kept, promote=False, name="beside")

    async def choose(assistant_id: str, version_id: str | None, org: str = ORG) -> Version | None:
        return await ctx.database.read(lambda tx: assistants.choose(tx, org, assistant_id, version_id))

    assert await choose(kept.id, None) == kept.main
    assert await choose(kept.id, beside.id) == beside
    assert await choose("none", None) is None
    assert await choose("none", beside.id) is None
    assert await choose(kept.id, None, OTHER) is None
    with pytest.raises(Rejected) as failure:
        await choose(kept.id, "none")
    assert failure.value.part == "version_id"
    await assistants.delete(ctx, ORG, kept.id, hard=False)
    assert await choose(kept.id, None) is None
