from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Origin, Version
from vivavoce.core.flow import AskCondition, AssistantTarget, Edge, Flow, PromptNode
from vivavoce.core.library import SharedTool
from vivavoce.core.rollout import Rule
from vivavoce.core.tool import HandoffTarget, HandoffTool
from vivavoce.services import assistants, rollouts
from vivavoce.services.assistants import ERASE, RESTORABLE_MS
from vivavoce.services.context import Context
from vivavoce.services.duties import perform
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import duties, tools
from vivavoce.storage.duties import Duty
from vivavoce.storage.page import Window

OTHER = "org-b"


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, *, tags: tuple[str, ...] = (), origin: Origin | None = None, **given: object) -> Assistant:
    return await ctx.database.write(
        lambda tx: assistants.create(ctx, tx, ORG, a_version(**given), anything, tags=tags, origin=origin)
    )


async def delete(ctx: Context, assistant: Assistant, *, hard: bool = False) -> None:
    await assistants.delete(ctx, ORG, assistant.id, hard=hard)


async def deleted(ctx: Context, number: int = 1, size: int = 20, org: str = ORG) -> tuple[list[str], int]:
    page = await assistants.get_deleted_page(ctx, org, Window(number, size))
    return [one.main.name for one in page.items], page.total


async def due(ctx: Context) -> list[Duty]:
    """What there is to do by now."""
    return list(await ctx.database.write(lambda tx: duties.take(tx, ctx.clock.now(), 0, "token", 1, 9)))


# --- deleted and back ------------------------------------------------------------------------------------------------


async def test_a_deleted_assistant_is_listed_among_the_deleted_and_comes_back(ctx: Context, hand: Hand) -> None:
    kept, other = await made(ctx, name="kept", tags=("t",)), await made(ctx, name="other")
    beside = (await assistants.update(ctx, ORG, kept.id, lambda main: main, anything, promote=False)).main
    await delete(ctx, kept)
    hand.turn(60)
    await delete(ctx, other)
    assert await deleted(ctx) == (["other", "kept"], 2)
    assert await deleted(ctx, 2, 1) == (["kept"], 2)
    assert await deleted(ctx, org=OTHER) == ([], 0)
    assert await assistants.retrieve_deleted(ctx, ORG, kept.id) == replace(kept, deleted_at=NOW)
    assert await assistants.get_tags(ctx, ORG) == ()
    assert await assistants.restore(ctx, ORG, kept.id) == kept
    assert await assistants.get_versions(ctx, ORG, kept.id) == (kept, (beside, kept.main))
    assert await deleted(ctx) == (["other"], 1)
    assert await due(ctx) == []


async def test_only_what_is_deleted_and_ones_own_can_be_restored(ctx: Context) -> None:
    kept, gone = await made(ctx), await made(ctx)
    await delete(ctx, gone)
    for org, id_ in ((ORG, kept.id), (OTHER, gone.id), (ORG, "none")):
        for attempt in (assistants.restore(ctx, org, id_), assistants.retrieve_deleted(ctx, org, id_)):
            with pytest.raises(NotFound) as failure:
                await attempt
            assert failure.value.noun == "deleted assistant"


async def test_rule_5_1_after_thirty_days_it_is_gone_also_before_somebody_erases_it(ctx: Context, hand: Hand) -> None:
    kept = await made(ctx)
    await delete(ctx, kept)
    hand.ms = NOW + RESTORABLE_MS - 1
    assert await deleted(ctx) == (["clerk"], 1)
    assert (await assistants.retrieve_deleted(ctx, ORG, kept.id)).id == kept.id
    assert await due(ctx) == []
    hand.turn(0.001)
    assert await deleted(ctx) == ([], 0)
    for attempt in (
        assistants.restore(ctx, ORG, kept.id),
        assistants.retrieve_deleted(ctx, ORG, kept.id),
        assistants.delete(ctx, ORG, kept.id, hard=True),
    ):
        with pytest.raises(NotFound):
            await attempt
    [duty] = await due(ctx)
    assert (duty.kind, duty.subject, duty.org) == (ERASE, kept.id, ORG)
    for _ in range(2):  # doing it twice does no harm
        await perform(ctx, duty)
    assert await ctx.database.read(lambda tx: kept_assistants.get_versions(tx, kept.id)) == ()


async def test_who_came_back_or_was_deleted_again_is_not_erased_too_early(ctx: Context, hand: Hand) -> None:
    kept = await made(ctx)
    await delete(ctx, kept)
    stale = Duty("d", ORG, ERASE, kept.id, "", 1, "token")
    await perform(ctx, stale)
    await assistants.restore(ctx, ORG, kept.id)
    await perform(ctx, stale)
    hand.turn(RESTORABLE_MS / 2000)
    await delete(ctx, kept)
    hand.turn(RESTORABLE_MS / 2000)
    assert await due(ctx) == []
    await perform(ctx, stale)
    assert await deleted(ctx) == (["clerk"], 1)
    await delete(ctx, kept, hard=True)
    hand.turn(RESTORABLE_MS / 1000)
    assert await due(ctx) == []


# --- deleted and needed ----------------------------------------------------------------------------------------------


def leading_to(target: Assistant) -> dict[str, Any]:
    edge = Edge("e", "a", AskCondition("x"), AssistantTarget(target.id))
    return {"flow": Flow("a", (PromptNode("a", ""),), (edge,))}


def handing_to(target: Assistant) -> dict[str, Any]:
    return {"tools": (HandoffTool((HandoffTarget(target.id, "n"),)),)}


async def handing_by_library(ctx: Context, target: Assistant) -> dict[str, Any]:
    tool = HandoffTool((HandoffTarget(target.id, "n"),))
    shared = SharedTool(ctx.new_id(), "hand over", "handoff", tool, NOW)
    await ctx.database.write(lambda tx: tools.add(tx, ORG, shared))
    return {"shared": (shared.id,)}


@pytest.mark.parametrize("way", ["tool", "shared", "flow"])
@pytest.mark.parametrize("hard", [True, False])
async def test_rule_5_1_who_is_handed_conversations_cannot_be_deleted(ctx: Context, way: str, hard: bool) -> None:
    target = await made(ctx)
    given = {"tool": handing_to, "flow": leading_to}
    referrer = await made(
        ctx, name="front desk", **(await handing_by_library(ctx, target) if way == "shared" else given[way](target))
    )
    with pytest.raises(Rejected) as failure:
        await delete(ctx, target, hard=hard)
    assert "'front desk'" in str(failure.value)
    assert referrer.id in str(failure.value)
    await delete(ctx, referrer)
    await delete(ctx, target, hard=hard)


async def test_of_many_who_need_it_some_are_named(ctx: Context) -> None:
    target = await made(ctx)
    for number in range(7):
        await made(ctx, name=f"desk {number}", **handing_to(target))
    with pytest.raises(Rejected, match=r"'desk 6'.*'desk 2'.* and 2 more\."):
        await delete(ctx, target)


async def test_only_versions_that_conversations_get_keep_others_from_being_deleted(ctx: Context) -> None:
    target, other = await made(ctx), await made(ctx)
    beside = await assistants.update(
        ctx, ORG, other.id, lambda main: replace(main, **handing_to(target)), anything, promote=False
    )
    rules = [Rule(version_id=beside.main.id)]
    await ctx.database.write(lambda tx: rollouts.create(ctx, tx, ORG, other.id, rules))
    with pytest.raises(Rejected):
        await delete(ctx, target)
    await rollouts.delete(ctx, ORG, other.id)
    await delete(ctx, target)


# --- copied ----------------------------------------------------------------------------------------------------------


async def test_a_clone_is_a_new_assistant_with_main_as_its_only_version(ctx: Context, hand: Hand) -> None:
    kept = await made(ctx, name="desk", tags=("a", "b"), origin=Origin("vapi", "x"), greeting="Hi")
    await assistants.update(ctx, ORG, kept.id, lambda main: replace(main, name="other"), anything, promote=False)
    hand.turn(60)
    copy = await ctx.database.write(
        lambda tx: assistants.clone(ctx, tx, ORG, kept.id, lambda main: replace(main, name="copy"), anything)
    )
    assert copy.id != kept.id
    assert (copy.tags, copy.origin, copy.created_at) == (("a", "b"), None, NOW + 60_000)
    expected = replace(kept.main, id=copy.main.id, assistant_id=copy.id, name="copy", created_at=NOW + 60_000)
    assert copy.main == expected
    assert copy.main.id != kept.main.id
    assert await assistants.get_versions(ctx, ORG, copy.id) == (copy, (copy.main,))
    assert await assistants.retrieve(ctx, ORG, kept.id) == kept


async def test_what_is_deleted_or_somebody_else_s_is_not_cloned(ctx: Context) -> None:
    kept = await made(ctx)
    await delete(ctx, kept)
    mine = await made(ctx)
    for org, id_ in ((ORG, kept.id), (OTHER, mine.id)):
        with pytest.raises(NotFound):
            await ctx.database.write(
                lambda tx, org=org, id_=id_: assistants.clone(ctx, tx, org, id_, lambda main: main, anything)
            )


# --- tags ------------------------------------------------------------------------------------------------------------


async def test_tags_are_added_and_removed_without_a_version(ctx: Context) -> None:
    kept, other = await made(ctx, tags=("b",)), await made(ctx, tags=("c", "b"))
    assert await assistants.tag(ctx, ORG, kept.id, "a/b c") == ("b", "a/b c")
    assert await assistants.tag(ctx, ORG, kept.id, "b") == ("b", "a/b c")
    assert await assistants.get_tags(ctx, ORG) == ("a/b c", "b", "c")
    assert await assistants.get_tags(ctx, OTHER) == ()
    assert await assistants.untag(ctx, ORG, kept.id, "b") == ("a/b c",)
    assert await assistants.get_versions(ctx, ORG, kept.id) == (replace(kept, tags=("a/b c",)), (kept.main,))
    assert await assistants.retrieve(ctx, ORG, other.id) == other


async def test_a_tag_that_is_not_there_is_not_found(ctx: Context) -> None:
    kept = await made(ctx, tags=("a",))
    with pytest.raises(NotFound) as failure:
        await assistants.untag(ctx, ORG, kept.id, "b")
    assert failure.value.noun == "tag"
    for attempt in (assistants.tag(ctx, OTHER, kept.id, "b"), assistants.untag(ctx, OTHER, kept.id, "a")):
        with pytest.raises(NotFound) as failure:
            await attempt
        assert failure.value.noun == "assistant"
