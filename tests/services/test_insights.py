from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, Hand

from vivavoce.core.insight import MANAGED, Insight, InsightGroup
from vivavoce.services import insights
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage.page import Window

DRAFT, GROUP = Insight("", "mood", "How was it?", 0), InsightGroup("", "all", 0, "all of it")


async def made(ctx: Context, draft: Insight = DRAFT) -> Insight:
    return await ctx.database.write(lambda tx: insights.create(ctx, tx, ORG, draft))


async def made_group(ctx: Context) -> InsightGroup:
    return await ctx.database.write(lambda tx: insights.create_group(ctx, tx, ORG, GROUP))


async def names(ctx: Context, group: InsightGroup) -> list[str]:
    return [one.name for one in (await insights.retrieve_group(ctx, ORG, group.id)).insights]


async def test_an_insight_gets_an_id_and_a_time_and_can_be_changed_and_deleted(ctx: Context, hand: Hand) -> None:
    hand.turn(2)
    kept = await made(ctx)
    assert kept == replace(DRAFT, id=kept.id, created_at=NOW + 2000)
    assert await insights.retrieve(ctx, ORG, kept.id) == kept
    changed = await insights.update(ctx, ORG, kept.id, lambda one: replace(one, name="new"))
    assert changed == await insights.retrieve(ctx, ORG, kept.id) == replace(kept, name="new")
    await insights.delete(ctx, ORG, kept.id)
    for attempt in (
        insights.retrieve(ctx, ORG, kept.id),
        insights.delete(ctx, ORG, kept.id),
        insights.update(ctx, ORG, kept.id, lambda one: one),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_rule_6_7_managed_insights_are_everybody_s_and_nobody_can_change_them(ctx: Context) -> None:
    for org in (ORG, "org-b"):
        assert await insights.retrieve(ctx, org, MANAGED[0].id) == MANAGED[0]
    with pytest.raises(Rejected):
        await insights.delete(ctx, ORG, MANAGED[0].id)
    with pytest.raises(Rejected):
        await insights.update(ctx, ORG, MANAGED[0].id, lambda one: replace(one, name="mine"))


async def test_pages_end_with_the_managed_insights(ctx: Context) -> None:
    own = [(await made(ctx, replace(DRAFT, name=str(number)))).name for number in range(3)]
    expected = [*reversed(own), *(one.name for one in MANAGED)]
    for size in range(1, 7):
        found: list[str] = []
        for number in range(1, 7):
            page = await insights.get_page(ctx, ORG, Window(number, size))
            assert page.total == 5
            assert len(page.items) <= size
            found += [one.name for one in page.items]
        assert found == expected


async def test_groups(ctx: Context, hand: Hand) -> None:
    hand.turn(1)
    group = await made_group(ctx)
    assert group == replace(GROUP, id=group.id, created_at=NOW + 1000)
    first, second = await made(ctx), await made(ctx, replace(DRAFT, name="other"))
    for one in (second, MANAGED[1], first, second, MANAGED[1]):
        await insights.assign(ctx, ORG, group.id, one.id)
    assert await names(ctx, group) == ["User Satisfaction", "other", "mood"]
    changed = await insights.update_group(ctx, ORG, group.id, lambda one: replace(one, name="new"))
    assert changed == await insights.retrieve_group(ctx, ORG, group.id)
    assert (await insights.get_group_page(ctx, ORG, Window())).items == (changed,)
    assert changed.name == "new"
    await insights.unassign(ctx, ORG, group.id, second.id)
    await insights.unassign(ctx, ORG, group.id, MANAGED[1].id)
    assert await names(ctx, group) == ["mood"]
    await insights.delete(ctx, ORG, first.id)
    assert await names(ctx, group) == []
    await insights.delete_group(ctx, ORG, group.id)
    assert await insights.retrieve(ctx, ORG, second.id) == second


async def test_what_is_unknown_or_somebody_else_s_is_not_found(ctx: Context) -> None:
    group, one = await made_group(ctx), await made(ctx)
    for attempt in (
        insights.retrieve(ctx, "org-b", one.id),
        insights.retrieve_group(ctx, "org-b", group.id),
        insights.delete_group(ctx, "org-b", group.id),
        insights.update_group(ctx, "org-b", group.id, lambda same: same),
        insights.assign(ctx, "org-b", group.id, one.id),
        insights.assign(ctx, ORG, group.id, "none"),
        insights.assign(ctx, ORG, "none", one.id),
        insights.unassign(ctx, ORG, group.id, one.id),
        insights.unassign(ctx, ORG, group.id, MANAGED[0].id),
        insights.unassign(ctx, ORG, "none", one.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await names(ctx, group) == []


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "objekt"}',
        {"type": "array"},
        {"type": ["string", "null"]},
        {"properties": {"a": 1}},
        {"pattern": "("},
        {"pattern": "a{99999999999}"},
        {"pattern": "(" * 3000 + ")" * 3000},
        {"$schema": ["a"]},
        {"$schema": 5},
        "no JSON",
    ],
)
async def test_a_schema_that_is_none_is_refused(ctx: Context, schema: object) -> None:
    wrong = replace(DRAFT, schema=schema)  # type: ignore[arg-type]
    kept = await made(ctx)
    for attempt in (
        made(ctx, wrong),
        insights.update(ctx, ORG, kept.id, lambda one: replace(one, schema=wrong.schema)),
    ):
        with pytest.raises(Rejected) as refused:
            await attempt
        assert refused.value.part == "json_schema"
    assert (await insights.get_page(ctx, ORG, Window())).items[0] == kept


@pytest.mark.parametrize(
    "schema",
    [None, "", {}, {"type": ["null", "object"]}, {"$schema": "http://json-schema.org/draft-07/schema#"}, '{"a": 1}'],
)
async def test_a_schema_is_kept_as_it_was_sent(ctx: Context, schema: object) -> None:
    kept = await made(ctx, replace(DRAFT, schema=schema))  # type: ignore[arg-type]
    assert (await insights.retrieve(ctx, ORG, kept.id)).schema == schema
