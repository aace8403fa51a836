"""The facts of the contract's section 6.1, one by one; more of them in ``test_assistants``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.flow import Flow, PromptNode, ToolNode
from vivavoce.core.library import SharedTool
from vivavoce.core.rollout import Rule, Slot
from vivavoce.core.tool import FunctionTool, HandoffTarget, HandoffTool
from vivavoce.services import assistants, rollouts
from vivavoce.services.assistants import MAX_VERSIONS
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import tools


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, **given: object) -> Assistant:
    return await ctx.database.write(
        lambda tx: assistants.create(ctx, tx, ORG, a_version(**given), anything, tags=["t"])
    )


async def beside(ctx: Context, assistant: Assistant, name: str, **given: object) -> Version:
    written = await assistants.update(
        ctx, ORG, assistant.id, lambda main: replace(main, name=name, **given), anything, promote=False
    )
    return written.main


async def edit(
    ctx: Context, assistant: Assistant, version: Version, tags: Sequence[str] | None = None, **given: object
) -> tuple[Assistant, Version]:
    return await assistants.edit_version(
        ctx, ORG, assistant.id, version.id, lambda before: replace(before, **given), anything, tags=tags
    )


async def serve(ctx: Context, assistant: Assistant, *versions: Version) -> None:
    rules = [Rule(version_id=version.id) for version in versions]
    await ctx.database.write(lambda tx: rollouts.create(ctx, tx, ORG, assistant.id, rules))


async def all_of(ctx: Context, assistant: Assistant) -> tuple[Version, ...]:
    return (await assistants.get_versions(ctx, ORG, assistant.id))[1]


async def test_rule_6_1_another_version_than_main_is_edited_in_place(ctx: Context, hand: Hand) -> None:
    kept = await made(ctx)
    older, newer = await beside(ctx, kept, "older"), await beside(ctx, kept, "newer")
    hand.turn(60)
    # Whatever the change does to its ids, it stays the version that it is.
    owner, edited = await edit(ctx, kept, older, name="edited", id="x", assistant_id="y", created_at=1)
    assert (owner, edited) == (kept, replace(older, name="edited"))
    assert await all_of(ctx, kept) == (newer, edited, kept.main)


async def test_rule_6_1_main_is_neither_edited_nor_removed_as_a_version(ctx: Context) -> None:
    kept = await made(ctx)
    for attempt in (edit(ctx, kept, kept.main), assistants.delete_version(ctx, ORG, kept.id, kept.main.id)):
        with pytest.raises(Rejected, match="main"):
            await attempt
    assert await all_of(ctx, kept) == (kept.main,)


async def test_rule_6_1_a_version_that_a_rollout_serves_is_locked(ctx: Context) -> None:
    kept = await made(ctx)
    served, shared, free = [await beside(ctx, kept, name) for name in ("served", "shared", "free")]
    rules = [Rule(version_id=served.id), Rule(slots=(Slot(shared.id, 0),))]
    await ctx.database.write(lambda tx: rollouts.create(ctx, tx, ORG, kept.id, rules))
    for version in (served, shared):
        for attempt in (edit(ctx, kept, version), assistants.delete_version(ctx, ORG, kept.id, version.id)):
            with pytest.raises(Rejected, match="rollout"):
                await attempt
    await edit(ctx, kept, free, name="edited")
    await rollouts.delete(ctx, ORG, kept.id)
    await edit(ctx, kept, served, name="free again")
    await assistants.delete_version(ctx, ORG, kept.id, shared.id)
    assert [version.name for version in await all_of(ctx, kept)] == ["edited", "free again", "clerk"]


async def test_rule_6_1_a_version_is_removed_for_good(ctx: Context) -> None:
    kept = await made(ctx)
    gone = await beside(ctx, kept, "gone")
    await assistants.delete_version(ctx, ORG, kept.id, gone.id)
    assert await all_of(ctx, kept) == (kept.main,)
    with pytest.raises(NotFound):
        await assistants.delete_version(ctx, ORG, kept.id, gone.id)


async def test_rule_6_1_promoting_ends_the_rollout(ctx: Context) -> None:
    kept = await made(ctx)
    better, served = await beside(ctx, kept, "better"), await beside(ctx, kept, "served")
    await serve(ctx, kept, served)
    assert (await assistants.promote(ctx, ORG, kept.id, better.id)).main == better
    with pytest.raises(NotFound):
        await rollouts.retrieve(ctx, ORG, kept.id)


async def test_an_update_that_is_promoted_leaves_the_rollout(ctx: Context) -> None:
    kept = await made(ctx)
    served = await beside(ctx, kept, "served")
    await serve(ctx, kept, served)
    await assistants.update(ctx, ORG, kept.id, lambda main: replace(main, name="new"), anything, promote=True)
    assert (await rollouts.retrieve(ctx, ORG, kept.id)).served() == (served.id,)


@pytest.mark.parametrize("promote", [True, False])
async def test_rule_6_1_of_more_than_ten_the_oldest_go_but_never_main_nor_a_served_one(
    ctx: Context, promote: bool
) -> None:
    kept = await made(ctx, name="first")
    served = await beside(ctx, kept, "served")
    await serve(ctx, kept, served)
    names = [f"v{number}" for number in range(MAX_VERSIONS + 2)]
    for name in names:
        await assistants.update(
            ctx, ORG, kept.id, lambda main, name=name: replace(main, name=name), anything, promote=promote
        )
    found = [version.name for version in await all_of(ctx, kept)]
    old = ["served"] if promote else ["served", "first"]
    assert found == [*reversed(names[-(MAX_VERSIONS - len(old)) :]), *old]


async def test_where_nothing_may_go_there_are_more_for_a_while(ctx: Context) -> None:
    kept = await made(ctx)
    versions = [await beside(ctx, kept, f"v{number}") for number in range(MAX_VERSIONS - 1)]
    await serve(ctx, kept, *versions)
    await beside(ctx, kept, "one more")
    assert len(await all_of(ctx, kept)) == MAX_VERSIONS + 1
    await beside(ctx, kept, "the next")
    assert (await all_of(ctx, kept))[0].name == "the next"
    assert len(await all_of(ctx, kept)) == MAX_VERSIONS + 1


async def test_tags_are_the_assistant_s_whichever_version_they_come_with(ctx: Context) -> None:
    kept = await made(ctx)
    version = await beside(ctx, kept, "beside")
    owner, _ = await edit(ctx, kept, version, tags=["b", "a", "b"])
    assert owner.tags == ("b", "a") == (await assistants.retrieve(ctx, ORG, kept.id)).tags
    updated = await assistants.update(ctx, ORG, kept.id, lambda main: main, anything, promote=True, tags=[])
    assert updated.tags == ()


async def test_a_refused_edit_changes_nothing(ctx: Context) -> None:
    kept = await made(ctx)
    version = await beside(ctx, kept, "beside")

    def refuse(_version: Version) -> None:
        raise Rejected("no")

    with pytest.raises(Rejected, match="no"):
        await assistants.edit_version(
            ctx, ORG, kept.id, version.id, lambda one: replace(one, name="x"), refuse, tags=["x"]
        )
    assert await all_of(ctx, kept) == (version, kept.main)
    assert (await assistants.retrieve(ctx, ORG, kept.id)).tags == ("t",)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"shared": ("none",)}, "tool_ids"),
        ({"flow": Flow("a", (ToolNode("a", "none"),))}, "flow"),
        ({"flow": Flow("a", (PromptNode("a", "", tools=("none",)),))}, "flow"),
        ({"tools": (HandoffTool((HandoffTarget("none", "n"),)),)}, "tools"),
    ],
)
async def test_what_a_version_names_exists_when_it_is_written(ctx: Context, given: dict[str, Any], part: str) -> None:
    kept = await made(ctx)
    version = await beside(ctx, kept, "beside")
    for attempt in (made(ctx, **given), beside(ctx, kept, "x", **given), edit(ctx, kept, version, **given)):
        with pytest.raises(Rejected) as failure:
            await attempt
        assert failure.value.part == part
    assert await all_of(ctx, kept) == (version, kept.main)


async def test_who_changes_something_else_is_not_to_blame_for_what_went_missing(ctx: Context) -> None:
    target = await made(ctx)
    shared = SharedTool("t", "find", "function", FunctionTool("find"), NOW)
    await ctx.database.write(lambda tx: tools.add(tx, ORG, shared))
    kept = await made(ctx, shared=("t",), tools=(HandoffTool((HandoffTarget(target.id, "n"),)),))
    await assistants.delete(ctx, ORG, kept.id, hard=False)
    await assistants.delete(ctx, ORG, target.id, hard=True)
    await ctx.database.write(lambda tx: tools.drop(tx, ORG, "t"))
    await assistants.restore(ctx, ORG, kept.id)
    assert (await beside(ctx, kept, "renamed")).name == "renamed"
    copy = await ctx.database.write(lambda tx: assistants.clone(ctx, tx, ORG, kept.id, lambda main: main, anything))
    assert copy.main.shared == ("t",)


async def test_an_assistant_may_lead_back_to_itself(ctx: Context) -> None:
    kept = await made(ctx)
    await beside(ctx, kept, "again", tools=(HandoffTool((HandoffTarget(kept.id, "again"),)),))
    await assistants.delete(ctx, ORG, kept.id, hard=True)
