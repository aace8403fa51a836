from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.support.store import NOW, ORG, Hand, ids
from tests.support.things import furnish

from vivavoce.services import keys, orgs
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import orgs as kept
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.orgs import DEFAULT, Organisation
from vivavoce.storage.tables import metadata, runs, snapshots


def token(size: int) -> str:
    return "t" * size


def rows(tx: Tx) -> dict[str, int]:
    """How many rows there are in which table, whoever's they are."""
    found = {one.name: tx.execute(select(func.count()).select_from(one)).scalar_one() for one in metadata.sorted_tables}
    return {name: many for name, many in found.items() if many}


async def test_there_is_one_from_the_start(database: Database) -> None:
    assert await orgs.get_all(database) == (Organisation(DEFAULT, DEFAULT, 0),)


async def test_one_is_made_and_found_by_its_name_and_its_id(database: Database, hand: Hand) -> None:
    new_id = ids(hand)
    made = await orgs.create(database, hand, new_id, "Äcme Ltd")
    assert made == Organisation(made.id, "Äcme Ltd", NOW)
    assert [one.id for one in await orgs.get_all(database)] == [DEFAULT, made.id]
    for name in (made.id, "Äcme Ltd"):
        assert await orgs.resolve(database, name) == made
    with pytest.raises(NotFound, match="organisation 'acme'"):
        await orgs.resolve(database, "acme")
    # An id wins, also over somebody who is called so.
    await orgs.create(database, hand, new_id, made.id)
    assert await orgs.resolve(database, made.id) == made


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "a\x00b", "\ud800", "x" * 256])
async def test_what_is_no_name_is_refused(database: Database, hand: Hand, name: str) -> None:
    with pytest.raises(Rejected, match="is no name"):
        await orgs.create(database, hand, ids(hand), name)
    with pytest.raises(Rejected, match="is no name"):
        await keys.create(database, hand, ids(hand), token, name)
    assert len(await orgs.get_all(database)) == 1


async def test_no_two_are_called_alike(database: Database, hand: Hand) -> None:
    new_id = ids(hand)
    await orgs.create(database, hand, new_id, "acme")
    with pytest.raises(Rejected, match="'acme' already"):
        await orgs.create(database, hand, new_id, "acme")
    assert len(await orgs.get_all(database)) == 2


async def test_all_that_one_has_goes_with_it_and_nothing_of_others(database: Database, hand: Hand) -> None:
    made = await orgs.create(database, hand, ids(hand), "acme")
    await database.write(lambda tx: furnish(tx, ORG))
    before = await database.read(rows)
    await database.write(lambda tx: furnish(tx, made.id))
    has = await orgs.contents(database, made.id)
    assert {"assistants": 3, "runs": 1, "keys": 1, "conversations": 2}.items() <= has.items()
    assert set(has) == {table.name for table in kept.owned()} & set(before) - {"orgs", "notes"}
    await orgs.delete(database, hand, made.id)
    assert await database.read(rows) == {**before, "orgs": 1}
    assert await orgs.contents(database, made.id) == {}
    assert await orgs.contents(database, ORG) != {}
    with pytest.raises(NotFound):
        await orgs.delete(database, hand, made.id)


async def test_a_deletion_that_broke_off_is_finished_by_the_next(
    database: Database, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await orgs.create(database, hand, ids(hand), "acme")
    await database.write(lambda tx: furnish(tx, made.id))
    _, secret = await keys.create(database, hand, ids(hand), token, "key", org=made.id)

    def dies(*_given: Any) -> bool:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(kept, "drop", dies)
        with pytest.raises(RuntimeError, match="killed"):
            await orgs.delete(database, hand, made.id)
    # Nobody gets in any more, and what is largest is gone.
    assert await keys.check(database, secret) is None
    left = await orgs.contents(database, made.id)
    assert not {"runs", "conversations"} & set(left)
    assert "assistants" in left
    await orgs.delete(database, hand, made.id)
    assert await orgs.contents(database, made.id) == {}


async def test_what_others_froze_as_well_stays(database: Database, hand: Hand) -> None:
    """Snapshots are kept once, by what they say: whoever goes takes only what nobody else holds."""
    made = await orgs.create(database, hand, ids(hand), "acme")
    mine = await database.write(lambda tx: furnish(tx, ORG))

    def work(tx: Tx) -> int:
        theirs = furnish(tx, made.id)
        digest = tx.execute(select(runs.c.scenario_digest).where(runs.c.id == mine.run.id)).scalar_one()
        tx.execute(update(runs).where(runs.c.id == theirs.run.id).values(scenario_digest=digest))
        return tx.execute(select(func.count()).select_from(snapshots)).scalar_one()

    assert await database.write(work) > 0
    await orgs.delete(database, hand, made.id)
    held = await database.read(lambda tx: tx.execute(select(snapshots.c.digest)).scalars().all())
    digest = await database.read(
        lambda tx: tx.execute(select(runs.c.scenario_digest).where(runs.c.id == mine.run.id)).scalar_one()
    )
    assert digest in held


async def test_the_first_one_stays(database: Database, hand: Hand) -> None:
    _, secret = await keys.create(database, hand, ids(hand), token, "key")
    with pytest.raises(Rejected, match="stays"):
        await orgs.delete(database, hand, DEFAULT)
    assert await keys.check(database, secret) is not None


def test_whoever_refers_to_another_is_removed_first() -> None:
    order: Mapping[str, int] = {table.name: place for place, table in enumerate(kept.owned())}
    assert order["runs"] < order["scenarios"]
    assert order["findings"] < order["conversations"]
