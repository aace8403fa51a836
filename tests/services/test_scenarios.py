import asyncio
from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG, Hand, a_scenario

from vivavoce.core.scenario import Scenario
from vivavoce.services import scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage.page import Window
from vivavoce.storage.scenarios import ScenarioFilter

OTHER = "org-b"


async def made(ctx: Context, **given: object) -> Scenario:
    return await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, a_scenario(**given)))


async def test_a_new_scenario_gets_an_id_and_a_time(ctx: Context, hand: Hand) -> None:
    hand.turn(5)
    draft = a_scenario(id="x", created_at=1)
    kept = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))
    assert kept == replace(draft, id=kept.id, created_at=NOW + 5000)
    assert kept.id != "x"
    assert await scenarios.retrieve(ctx, ORG, kept.id) == kept


async def test_a_change_is_made_to_what_is_kept(ctx: Context) -> None:
    kept = await made(ctx, name="a", suite="s")
    changed = await scenarios.update(ctx, ORG, kept.id, lambda one: replace(one, name=one.name + "b", suite=None))
    assert changed == replace(kept, name="ab", suite=None, changed_at=NOW)
    assert await scenarios.retrieve(ctx, ORG, kept.id) == changed
    assert await scenarios.get_suites(ctx, ORG) == ()


async def test_changes_at_once_build_on_one_another(ctx: Context) -> None:
    kept = await made(ctx, name="")
    await asyncio.gather(
        *(scenarios.update(ctx, ORG, kept.id, lambda one, n=n: replace(one, name=one.name + n)) for n in "abcdefgh")
    )
    assert sorted((await scenarios.retrieve(ctx, ORG, kept.id)).name) == list("abcdefgh")


async def test_a_change_that_is_refused_changes_nothing(ctx: Context) -> None:
    kept = await made(ctx)

    def refuse(_one: Scenario) -> Scenario:
        raise Rejected("no")

    with pytest.raises(Rejected):
        await scenarios.update(ctx, ORG, kept.id, refuse)
    assert await scenarios.retrieve(ctx, ORG, kept.id) == kept


async def test_what_does_not_exist_is_not_found(ctx: Context) -> None:
    kept = await made(ctx)
    for org, id_ in ((ORG, "none"), (OTHER, kept.id)):
        for attempt in (
            scenarios.retrieve(ctx, org, id_),
            scenarios.update(ctx, org, id_, lambda one: one),
            scenarios.delete(ctx, org, id_),
        ):
            with pytest.raises(NotFound) as failure:
                await attempt
            assert (failure.value.noun, failure.value.id) == ("test", id_)
    await scenarios.delete(ctx, ORG, kept.id)
    with pytest.raises(NotFound):
        await scenarios.delete(ctx, ORG, kept.id)


async def test_lists_are_an_organisations_own(ctx: Context) -> None:
    kept = [await made(ctx, suite=suite) for suite in ("b", "a", "b")]
    await ctx.database.write(lambda tx: scenarios.create(ctx, tx, OTHER, a_scenario(suite="c")))
    page = await scenarios.get_page(ctx, ORG, ScenarioFilter(suite="b"), Window(1, 1))
    assert (page.items, page.total) == ((kept[2],), 2)
    assert await scenarios.get_suites(ctx, ORG) == ("a", "b")
