import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from tests.support.store import NOW, ORG, a_run, a_scenario, a_version, pending_run, set_row

from vivavoce.core.event import Ending
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.verdict import Decision, Fault, Quote, Verdict
from vivavoce.storage import runs, scenarios
from vivavoce.storage.codec import verdicts_codec
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window
from vivavoce.storage.runs import Frozen, Order, RunFilter
from vivavoce.storage.tables import snapshots


def count_snapshots(tx: Tx) -> int:
    return tx.execute(select(func.count()).select_from(snapshots)).scalar_one()


async def test_a_pending_run_comes_back(database: Database) -> None:
    scenario, version = a_scenario(suite="s"), a_version()
    kept = a_run(scenario, batch_id="b", version_id=version.id, trigger="schedule", criteria=("a", "é"))

    def write(tx: Tx) -> None:
        scenarios.add(tx, ORG, scenario)
        runs.add(tx, ORG, [Order(kept, scenario, version)])

    await database.write(write)
    assert await database.read(lambda tx: runs.get(tx, ORG, kept.id)) == kept
    assert await database.read(lambda tx: runs.get(tx, ORG, kept.id, scenario.id)) == kept
    assert await database.read(lambda tx: runs.get(tx, ORG, kept.id, "another")) is None
    assert await database.read(lambda tx: runs.get(tx, ORG, "none")) is None
    assert await database.read(lambda tx: runs.get_frozen(tx, kept.id)) == Frozen(ORG, kept, scenario, version)
    assert await database.read(lambda tx: runs.get_frozen(tx, "none")) is None


async def test_a_finished_run_comes_back(database: Database) -> None:
    run = await pending_run(database)
    verdicts = (
        Verdict("kind", Decision.MET, "so it is", "scripted", Quote(2, "dear")),
        Verdict("quick", Decision.INCONCLUSIVE, "", "nobody"),
    )
    columns = {
        "status": "failed",
        "ending": "hangup",
        "fault": "assistant",
        "reason": "unmet: kind",
        "verdicts": verdicts_codec.dumps(verdicts),
        "story": "once upon a time",
        "talked_ms": 2**40,
        "started_at": NOW + 1,
        "completed_at": NOW + 2,
        "updated_at": NOW + 2,
    }
    await database.write(lambda tx: set_row(tx, run.id, **columns))
    expected = replace(
        run,
        status=Status.FAILED,
        ending=Ending.HANGUP,
        fault=Fault.ASSISTANT,
        reason="unmet: kind",
        verdicts=verdicts,
        story="once upon a time",
        talked_ms=2**40,
        started_at=NOW + 1,
        completed_at=NOW + 2,
        updated_at=NOW + 2,
    )
    assert await database.read(lambda tx: runs.get(tx, ORG, run.id)) == expected


async def test_a_run_without_a_version_freezes_none(database: Database) -> None:
    run = await pending_run(database)
    frozen = await database.read(lambda tx: runs.get_frozen(tx, run.id))
    assert frozen is not None
    assert frozen.version is None


async def test_what_is_frozen_is_kept_once(database: Database) -> None:
    scenario, version = a_scenario(), a_version()
    # Equal text for both nouns cannot be; equal text for many runs is the rule.
    made = [a_run(scenario, version_id=version.id) for _ in range(20)]

    def write(tx: Tx) -> None:
        scenarios.add(tx, ORG, scenario)
        runs.add(tx, ORG, [Order(run, scenario, version) for run in made[:10]])
        runs.add(tx, ORG, [Order(run, scenario, version) for run in made[10:]])

    await database.write(write)
    assert await database.read(count_snapshots) == 2
    changed = replace(version, instructions="Be curt.")
    await database.write(lambda tx: runs.add(tx, ORG, [Order(a_run(scenario), scenario, changed)]))
    assert await database.read(count_snapshots) == 3
    for run in made:
        frozen = await database.read(lambda tx, run=run: runs.get_frozen(tx, run.id))
        assert frozen == Frozen(ORG, run, scenario, version)


async def test_many_freeze_the_same_at_the_same_moment(database: Database) -> None:
    wanted = [a_scenario() for _ in range(6)]
    version = a_version()

    def put(tx: Tx) -> None:
        for one in wanted:
            scenarios.add(tx, ORG, one)

    await database.write(put)

    def trigger(tx: Tx, places: list[int]) -> None:
        runs.add(tx, ORG, [Order(a_run(wanted[place]), wanted[place], version) for place in places])

    # In different orders: on a server, that is what could make two of them wait for each other.
    orders = [list(range(6)), list(reversed(range(6)))] * 6
    await asyncio.gather(*(database.write(lambda tx, order=order: trigger(tx, order)) for order in orders))
    assert await database.read(count_snapshots) == 7


async def test_later_edits_and_deletions_do_not_reach_what_was_frozen(database: Database) -> None:
    scenario = a_scenario(name="before")
    run = await pending_run(database, scenario=scenario)
    await database.write(lambda tx: scenarios.put(tx, ORG, replace(scenario, name="after")))
    frozen = await database.read(lambda tx: runs.get_frozen(tx, run.id))
    assert frozen is not None
    assert frozen.scenario == scenario


async def test_a_run_needs_its_scenario(database: Database) -> None:
    scenario = a_scenario()
    with pytest.raises(IntegrityError):
        await database.write(lambda tx: runs.add(tx, ORG, [Order(a_run(scenario), scenario, None)]))
    assert await database.read(count_snapshots) == 0


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (RunFilter(), [4, 3, 2, 1, 0]),
        (RunFilter(suite="s"), [3, 2, 1]),
        (RunFilter(suite="S"), []),
        (RunFilter(batch_id="b"), [2, 1]),
        (RunFilter(statuses=frozenset({Status.PASSED, Status.ERROR})), [4, 3, 2]),
        (RunFilter(statuses=frozenset({Status.RUNNING})), []),
        (RunFilter(statuses=frozenset()), []),
        (RunFilter(suite="s", batch_id="b", statuses=frozenset({Status.PENDING})), [1]),
    ],
)
async def test_filters_match_exactly_and_all_of_them(database: Database, wanted: RunFilter, places: list[int]) -> None:
    lone, in_suite = a_scenario(), a_scenario(suite="s")
    kept = [
        a_run(lone),
        a_run(in_suite, batch_id="b"),
        a_run(in_suite, batch_id="b"),
        a_run(in_suite),
        a_run(lone),
    ]

    def write(tx: Tx) -> None:
        for one in (lone, in_suite):
            scenarios.add(tx, ORG, one)
        runs.add(tx, ORG, [Order(run, in_suite if run.scenario_id == in_suite.id else lone, None) for run in kept])
        for place, status in ((2, "passed"), (3, "passed"), (4, "error")):
            set_row(tx, kept[place].id, status=status)

    await database.write(write)
    page = await database.read(lambda tx: runs.get_page(tx, ORG, wanted, Window()))
    assert [run.id for run in page.items] == [kept[place].id for place in places]
    assert page.total == len(places)


async def test_pages_cut_the_list_and_tell_the_whole(database: Database) -> None:
    scenario, other = a_scenario(), a_scenario()
    kept = [a_run(scenario) for _ in range(7)]

    def write(tx: Tx) -> None:
        scenarios.add(tx, ORG, scenario)
        scenarios.add(tx, ORG, other)
        runs.add(tx, ORG, [Order(run, scenario, None) for run in kept])
        runs.add(tx, ORG, [Order(a_run(other), other, None)])

    await database.write(write)
    for size in (1, 2, 7, 50):
        seen: list[Run] = []
        for number in range(1, 9):
            window = Window(number, size)
            page = await database.read(
                lambda tx, window=window: runs.get_page(tx, ORG, RunFilter(scenario_id=scenario.id), window)
            )
            assert (page.total, page.window) == (7, window)
            seen += page.items
        assert seen == list(reversed(kept))


async def test_a_thousand_runs_are_kept_at_once(database: Database) -> None:
    """A suite has no limit; a database has one for the parameters of a statement."""
    wanted = [a_scenario(suite="s") for _ in range(1000)]

    def write(tx: Tx) -> int:
        for one in wanted:
            scenarios.add(tx, ORG, one)
        runs.add(tx, ORG, [Order(a_run(one), one, None) for one in wanted])
        return count_snapshots(tx)

    assert await database.write(write) == 1000
