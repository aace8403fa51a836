from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError
from tests.support.store import NOW, ORG, ids

from vivavoce.core.insight import MANAGED, Insight, InsightGroup
from vivavoce.storage import insights
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window

_new_id = ids()


def an_insight(name: str = "mood", **given: object) -> Insight:
    return replace(Insight(_new_id(), name, "How was it?", NOW), **given)  # type: ignore[arg-type]


def a_group(**given: object) -> InsightGroup:
    return replace(InsightGroup(_new_id(), "all", NOW), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("schema", [None, "", '{"type":\n "object"}', {"b": [1, 2.5, None], "a": {"c": True}}])
async def test_an_insight_is_kept_as_it_was(database: Database, schema: object) -> None:
    kept = an_insight(webhook="https://a.example", schema=schema)
    await database.write(lambda tx: insights.add(tx, ORG, kept))
    assert await database.read(lambda tx: insights.get(tx, ORG, kept.id)) == kept
    assert await database.write(lambda tx: insights.get(tx, ORG, kept.id, lock=True)) == kept
    changed = replace(kept, name="other", schema=None)
    await database.write(lambda tx: insights.put(tx, ORG, changed))
    assert await database.read(lambda tx: insights.get(tx, ORG, kept.id)) == changed


async def test_insights_are_their_organisation_s_own(database: Database) -> None:
    kept, group = an_insight(), a_group()

    def work(tx: Tx) -> None:
        insights.add(tx, ORG, kept)
        insights.add_group(tx, ORG, group)
        insights.join(tx, group.id, kept.id)
        insights.put(tx, "org-b", replace(kept, name="stolen"))
        insights.put_group(tx, "org-b", replace(group, name="stolen"))
        assert insights.get(tx, "org-b", kept.id) is None
        assert insights.get_group(tx, "org-b", group.id) is None
        assert insights.get_page(tx, "org-b", Window()).items == ()
        assert insights.get_group_page(tx, "org-b", Window()).items == ()
        assert not insights.drop(tx, "org-b", kept.id)
        assert not insights.drop_group(tx, "org-b", group.id)
        assert insights.get_group(tx, ORG, group.id) == replace(group, insights=(kept,))

    await database.write(work)


async def test_pages_are_newest_first(database: Database) -> None:
    some = [an_insight(str(number)) for number in range(5)]
    groups = [a_group(name=str(number)) for number in range(3)]

    def work(tx: Tx) -> None:
        for one in some:
            insights.add(tx, ORG, one)
        for group in groups:
            insights.add_group(tx, ORG, group)
        insights.join(tx, groups[0].id, some[0].id)
        page = insights.get_page(tx, ORG, Window(2, 2))
        assert ([one.name for one in page.items], page.total) == (["2", "1"], 5)
        found = insights.get_group_page(tx, ORG, Window(1, 10))
        assert [len(one.insights) for one in found.items] == [0, 0, 1]
        assert [one.name for one in found.items] == ["2", "1", "0"]

    await database.write(work)


async def test_a_group_holds_managed_insights_first_and_then_the_others_as_they_came(database: Database) -> None:
    first, second, third = (an_insight(name) for name in ("z", "a", "m"))
    group = a_group(managed=(MANAGED[1].id, "gone", MANAGED[0].id))

    def work(tx: Tx) -> None:
        for one in (third, second, first):
            insights.add(tx, ORG, one)
        insights.add_group(tx, ORG, group)
        for one in (first, second, third):
            insights.join(tx, group.id, one.id)
        found = insights.get_group(tx, ORG, group.id, lock=True)
        assert found == replace(group, insights=(*MANAGED, first, second, third))
        assert found is not None
        insights.put_group(tx, ORG, replace(found, name="new", managed=()))
        insights.leave(tx, group.id, second.id)
        assert insights.get_group(tx, ORG, group.id) == replace(group, name="new", managed=(), insights=(first, third))
        assert insights.drop(tx, ORG, first.id)
        found = insights.get_group(tx, ORG, group.id)
        assert found is not None
        assert found.insights == (third,)
        assert insights.drop_group(tx, ORG, group.id)
        assert insights.get_group(tx, ORG, group.id) is None
        assert insights.get(tx, ORG, third.id) == third

    await database.write(work)


async def test_nothing_joins_a_group_twice(database: Database) -> None:
    one, group = an_insight(), a_group()

    def work(tx: Tx) -> None:
        insights.add(tx, ORG, one)
        insights.add_group(tx, ORG, group)
        insights.join(tx, group.id, one.id)
        insights.join(tx, group.id, one.id)

    with pytest.raises(IntegrityError):
        await database.write(work)
