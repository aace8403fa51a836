import random
from collections.abc import Sequence
from functools import partial

import pytest
from sqlalchemy import func, select, text, update
from tests.support.store import NOW, ORG, Hand, a_conversation, a_run, a_scenario, ids

from vivavoce.core.batch import Batch
from vivavoce.core.ids import NewId
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import FINAL, Status
from vivavoce.storage import batches, conversations, run_pages, runs, scenarios, tallies
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Span, Window
from vivavoce.storage.runs import Order, RunFilter
from vivavoce.storage.tables import runs as run_rows
from vivavoce.storage.work import tallies as tally_rows

ORGS = (ORG, "org-b")
SUITES = (None, "a", "b")
SIZE = 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few runs are many here."""
    monkeypatch.setattr(run_pages, "SHALLOW", 0)


def add(tx: Tx, org: str, known: Sequence[Scenario], new_id: NewId, batch_id: str | None = None) -> list[str]:
    orders: list[Order] = []
    for scenario in known:
        if scenarios.get(tx, org, scenario.id) is None:
            scenarios.add(tx, org, scenario)
        run = a_run(scenario, id=new_id(), conversation_id=new_id(), batch_id=batch_id)
        orders.append(Order(run, scenario, None))
    conversations.add(tx, org, [a_conversation(id=order.run.conversation_id) for order in orders])
    runs.add(tx, org, orders)
    return [order.run.id for order in orders]


def settle(tx: Tx, run_id: str, status: Status, at: int = NOW) -> None:
    tx.execute(update(run_rows).where(run_rows.c.id == run_id).values(status=status.value, updated_at=at))


def count(tx: Tx, most: int = 100) -> int | None:
    return tallies.count_new(tx, most, size=SIZE)


def plain(tx: Tx, org: str, wanted: RunFilter, window: Window) -> tuple[list[str], int]:
    """The page as a query of the rows alone gives it."""
    where = [run_rows.c.org == org]
    for name in ("scenario_id", "suite", "batch_id"):
        if getattr(wanted, name) is not None:
            where.append(run_rows.c[name] == getattr(wanted, name))
    if wanted.statuses is not None:
        where.append(run_rows.c.status.in_(sorted(wanted.statuses)))
    total = tx.execute(select(func.count()).select_from(run_rows).where(*where)).scalar_one()
    query = select(run_rows.c.id).where(*where).order_by(run_rows.c.id.desc()).limit(window.size)
    return list(tx.execute(query.offset((window.number - 1) * window.size)).scalars()), total


def paged(tx: Tx, org: str, wanted: RunFilter, window: Window) -> tuple[list[str], int]:
    page = runs.get_page(tx, org, wanted, window)
    return [run.id for run in page.items], page.total


@pytest.mark.parametrize("seed", range(3))
async def test_pages_are_those_of_the_plain_query_whatever_happened(database: Database, seed: int) -> None:
    chance, hand = random.Random(seed), Hand()
    new_id = ids(hand)
    known = {org: [a_scenario(suite=chance.choice(SUITES)) for _ in range(4)] for org in ORGS}
    made_in: list[str] = []
    moving: list[str] = []

    def trigger(tx: Tx) -> None:
        org = chance.choice(ORGS)
        hand.turn(1)
        batch_id = new_id() if chance.random() < 0.5 else None
        made_in.extend([batch_id] if batch_id else [])
        moving.extend(add(tx, org, chance.choices(known[org], k=chance.randint(1, 12)), new_id, batch_id))

    def finish(tx: Tx) -> None:
        chance.shuffle(moving)
        for _ in range(min(len(moving), chance.randint(1, 9))):
            settle(tx, moving.pop(), chance.choice(sorted(FINAL)))
        if moving:
            settle(tx, chance.choice(moving), Status.RUNNING)

    def drop(tx: Tx) -> None:
        org = chance.choice(ORGS)
        gone = chance.choice(known[org])
        mine = set(tx.execute(select(run_rows.c.id).where(run_rows.c.scenario_id == gone.id)).scalars())
        moving[:] = [one for one in moving if one not in mine]
        scenarios.drop(tx, org, gone.id)

    def compare(tx: Tx) -> None:
        for org in ORGS:
            for wanted in (
                RunFilter(),
                RunFilter(suite=chance.choice(SUITES[1:])),
                RunFilter(scenario_id=chance.choice(known[org]).id),
                RunFilter(suite="a", scenario_id=known[org][0].id),
                RunFilter(suite=chance.choice(SUITES), batch_id=chance.choice([*made_in, "none"])),
            ):
                statuses = frozenset(chance.sample(list(Status), chance.randint(0, 4)))
                for filtered in (wanted, RunFilter(wanted.scenario_id, wanted.suite, wanted.batch_id, statuses)):
                    for window in (Window(1, 4), Window(chance.randint(2, 40), chance.randint(1, 5))):
                        assert paged(tx, org, filtered, window) == plain(tx, org, filtered, window)

    def count_some(tx: Tx) -> None:
        count(tx, chance.randint(1, 20))

    steps = (trigger, finish, count_some, drop)
    for _ in range(25):
        await database.write(chance.choices(steps, (5, 12, 4, 0.5))[0])
        await database.read(compare)


async def test_what_is_counted_is_counted_once_and_cut_into_pieces(database: Database) -> None:
    new_id, scenario = ids(), a_scenario(suite="s")

    def work(tx: Tx) -> list[int | None]:
        for run_id in add(tx, ORG, [scenario] * 20, new_id):
            settle(tx, run_id, Status.PASSED)
        return [count(tx, 6), count(tx, 6), count(tx), count(tx)]

    assert await database.write(work) == [6, 6, 8, 0]
    many = tally_rows.c.passed + tally_rows.c.failed + tally_rows.c.errors
    rows = await database.read(lambda tx: tx.execute(select(tally_rows.c.scope, many.label("many"))).all())
    for scope in (tallies.ALL, tallies.of_suite("s"), tallies.of_scenario(scenario.id)):
        mine = [row.many for row in rows if row.scope == scope]
        assert sum(mine) == 20
        assert len(mine) >= 4
        assert max(mine) <= 2 * SIZE


async def test_deep_pages_do_not_walk_the_whole_list(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    new_id, scenario = ids(), a_scenario()

    def work(tx: Tx) -> None:
        for run_id in add(tx, ORG, [scenario] * 40, new_id):
            settle(tx, run_id, Status.FAILED)
        count(tx)

    await database.write(work)
    asked = run_pages._asked(ORG, RunFilter())
    _, skip = await database.read(lambda tx: run_pages._start(tx, asked, run_pages._Loose(0, None), 35))
    assert skip < 2 * SIZE

    def searched(*_: object) -> None:
        pytest.fail("a place that is near is searched")

    monkeypatch.setattr(run_pages, "_start", searched)
    monkeypatch.setattr(run_pages, "SHALLOW", 50)
    assert len((await database.read(lambda tx: paged(tx, ORG, RunFilter(), Window(2, 30))))[0]) == 10


async def test_nothing_is_left_of_what_was_deleted(database: Database) -> None:
    new_id, scenario = ids(), a_scenario(suite="s")

    def work(tx: Tx) -> int:
        for run_id in add(tx, ORG, [scenario] * 9, new_id, new_id()):
            settle(tx, run_id, Status.ERROR)
        count(tx)
        scenarios.drop(tx, ORG, scenario.id)
        return tx.execute(select(func.count()).select_from(tally_rows)).scalar_one()

    assert await database.write(work) == 0


@pytest.mark.parametrize("counted", [0, 2, 9])
async def test_a_batch_stands_the_same_however_much_of_it_was_counted(database: Database, counted: int) -> None:
    new_id, kept, gone = ids(), a_scenario(), a_scenario()
    batch = Batch(new_id(), "assistant", "version", 0, 9, NOW, NOW)

    def work(tx: Tx) -> None:
        batches.add(tx, ORG, batch)
        mine = add(tx, ORG, [kept] * 6, new_id, batch.id) + add(tx, ORG, [gone] * 3, new_id, batch.id)
        chosen = (Status.PASSED, Status.PASSED, Status.FAILED, Status.ERROR, Status.RUNNING)
        for place, (run_id, status) in enumerate(zip(mine, chosen, strict=False)):
            settle(tx, run_id, status, NOW + place + 1)
        count(tx, counted)
        scenarios.drop(tx, ORG, gone.id)

    await database.write(work)
    found = await database.read(lambda tx: batches.get(tx, ORG, batch.id))
    assert found is not None
    # The runs of the scenario that is gone are never over.
    assert (found.passed, found.failed, found.errors, found.updated_at) == (2, 1, 4, NOW + 4)
    page = await database.read(lambda tx: batches.get_slice(tx, ORG, "assistant", 0, Span()))
    assert page.items == (found,)


async def test_who_counts_leaves_what_others_hold_and_does_not_wait_for_them(database: Database) -> None:
    if database.sqlite:
        return
    new_id, scenario = ids(), a_scenario()

    def work(tx: Tx) -> list[str]:
        mine = add(tx, ORG, [scenario] * 3, new_id)
        for run_id in mine:
            settle(tx, run_id, Status.PASSED)
        return mine

    mine = await database.write(work)
    with database._writers.begin() as other:
        other.execute(select(run_rows.c.id).where(run_rows.c.id == mine[1]).with_for_update())
        assert await database.write(count) == 2
        other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": tallies._ALONE})
        assert await database.write(count) is None
    assert await database.write(partial(count, most=5)) == 1
