import asyncio
import threading
from dataclasses import replace

import pytest
from sqlalchemy import event, insert, select
from tests.support.store import (
    ORG,
    PATIENCE_S,
    a_conversation,
    a_run,
    a_scenario,
    a_version,
    an_assistant,
    events_of,
    put_run,
    said,
    waits,
)

from vivavoce.core.assistant import Form, Version
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.tool import ToolMock
from vivavoce.storage import assistants as kept_assistants
from vivavoce.storage import conversations, scenarios
from vivavoce.storage import runs as kept_runs
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Span, Window
from vivavoce.storage.runs import Order
from vivavoce.storage.scenarios import ScenarioFilter, Target
from vivavoce.storage.tables import conversations as conversation_rows
from vivavoce.storage.tables import events, runs, snapshots


async def put(database: Database, *kept: Scenario) -> None:
    def work(tx: Tx) -> None:
        for one in kept:
            scenarios.add(tx, ORG, one)

    await database.write(work)


async def test_a_scenario_comes_back(database: Database) -> None:
    kept = a_scenario(
        suite="s",
        medium=Medium.PHONE_CALL,
        criteria=(Criterion("a", "b"), Criterion("a", "c")),
        mocks=(ToolMock("find", "{}", {"n": [1]}),),
        max_duration_s=3,
        turn_limit=0,
        variables={"deep": {"er": [1, None]}},
    )
    await put(database, kept)
    assert await database.read(lambda tx: scenarios.get(tx, ORG, kept.id)) == kept
    assert await database.read(lambda tx: scenarios.get(tx, ORG, "none")) is None


async def test_an_overwritten_scenario_is_found_by_what_it_is_now(database: Database) -> None:
    kept, bystander = a_scenario(suite="old", target="x"), a_scenario(suite="old")
    await put(database, kept, bystander)
    changed = replace(kept, name="new", suite="new", target="y", medium=Medium.SMS_CHAT)
    await database.write(lambda tx: scenarios.put(tx, ORG, changed))
    assert await database.read(lambda tx: scenarios.get(tx, ORG, kept.id)) == changed
    assert await database.write(lambda tx: scenarios.get_suite(tx, ORG, "new")) == (changed,)
    assert await database.write(lambda tx: scenarios.get_suite(tx, ORG, "old")) == (bystander,)
    found = await database.read(lambda tx: scenarios.get_page(tx, ORG, ScenarioFilter(None, "sms_chat", "y"), Window()))
    assert (found.items, found.total) == ((changed,), 1)


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (ScenarioFilter(), [3, 2, 1, 0]),
        (ScenarioFilter(suite="a"), [2, 1]),
        (ScenarioFilter(medium="web_chat"), [3, 1, 0]),
        (ScenarioFilter(target="x"), [2, 0]),
        (ScenarioFilter(suite="a", target="x"), [2]),
        (ScenarioFilter(suite="A"), []),
        (ScenarioFilter(suite=""), [3]),
        (ScenarioFilter(suite="a%"), []),
    ],
)
async def test_filters_match_exactly_and_all_of_them(
    database: Database, wanted: ScenarioFilter, places: list[int]
) -> None:
    kept = [
        a_scenario(target="x"),
        a_scenario(suite="a", target="y"),
        a_scenario(suite="a", target="x", medium=Medium.SMS_CHAT),
        a_scenario(suite="", target="z"),
    ]
    await put(database, *kept)
    found = await database.read(lambda tx: scenarios.get_page(tx, ORG, wanted, Window()))
    assert list(found.items) == [kept[place] for place in places]
    assert found.total == len(places)


async def test_pages_cut_the_list_and_tell_the_whole(database: Database) -> None:
    kept = [a_scenario(suite="s") for _ in range(7)]
    await put(database, *kept, a_scenario())
    newest = list(reversed(kept))
    for size in (1, 3, 7, 100):
        seen: list[Scenario] = []
        for number in range(1, 9):
            window = Window(number, size)
            page = await database.read(
                lambda tx, window=window: scenarios.get_page(tx, ORG, ScenarioFilter(suite="s"), window)
            )
            assert (page.total, page.window) == (7, window)
            assert len(page.items) <= size
            seen += page.items
        assert seen == newest


async def test_a_suite_is_in_the_order_it_was_written(database: Database) -> None:
    kept = [a_scenario(suite="s") for _ in range(3)]
    await put(database, *kept)
    assert await database.write(lambda tx: scenarios.get_suite(tx, ORG, "s")) == tuple(kept)
    assert await database.write(lambda tx: scenarios.get_suite(tx, ORG, "S")) == ()


async def test_suites_are_named_once_and_in_alphabetical_order(database: Database) -> None:
    await put(database, *(a_scenario(suite=suite) for suite in ("b", "a", None, "B", "b", "é", "a b")))
    assert await database.read(lambda tx: scenarios.get_suites(tx, ORG)) == ("B", "a", "a b", "b", "é")


async def test_a_dropped_scenario_takes_runs_conversations_and_events_along(database: Database) -> None:
    gone, left = a_scenario(), a_scenario()
    chat = a_conversation()

    def write(tx: Tx) -> list[str]:
        made = [put_run(tx, scenario=one) for one in (gone, gone, left)]
        conversations.add(tx, ORG, [chat])
        talks = [*(run.conversation_id for run in made), chat.id]
        for talk in talks:
            conversations.append(tx, talk, [said("hello"), said("again")], 1)
        assert scenarios.drop(tx, ORG, gone.id)
        assert not scenarios.drop(tx, ORG, gone.id)
        return talks[2:]

    kept = await database.write(write)

    def remains(tx: Tx) -> tuple[list[str], list[str], list[str]]:
        return (
            sorted(tx.execute(select(conversation_rows.c.id)).scalars()),
            sorted(tx.execute(select(events.c.conversation_id).distinct()).scalars()),
            list(tx.execute(select(runs.c.scenario_id)).scalars()),
        )

    assert await database.read(remains) == (sorted(kept), sorted(kept), [left.id])
    assert await database.read(lambda tx: scenarios.get(tx, ORG, gone.id)) is None


async def test_a_scenario_can_be_dropped_while_its_run_is_written(database: Database) -> None:
    """The journal holds the run and then needs its conversation; dropping must not go the other way round."""
    run = await database.write(lambda tx: put_run(tx, scenario=a_scenario()))
    holds, go_on = threading.Event(), threading.Event()

    def journal(tx: Tx) -> None:
        tx.execute(select(runs.c.id).where(runs.c.id == run.id).with_for_update())
        holds.set()
        assert go_on.wait(PATIENCE_S)
        tx.execute(insert(events), conversations.rows_of(run.conversation_id, 0, [said("hello")]))

    try:
        writing = asyncio.create_task(database.write(journal))
        assert await asyncio.to_thread(holds.wait, PATIENCE_S)
        dropping = asyncio.create_task(database.write(lambda tx: scenarios.drop(tx, ORG, run.scenario_id)))
        await waits(database, dropping)
    finally:
        go_on.set()
    await writing
    assert await dropping
    assert await events_of(database, run) == ()


def freeze(tx: Tx, scenario: Scenario, version: Version, other: Version) -> Run:
    run = a_run(scenario, version_id=version.id)
    kept_runs.add(tx, ORG, [Order(run, scenario, version, (other,))])
    return run


async def test_what_only_its_runs_had_frozen_goes_with_a_scenario(database: Database) -> None:
    one, two = a_scenario(), a_scenario()
    version, other = a_version(), a_version()
    await put(database, one, two)

    def count(tx: Tx) -> int:
        return len(tx.execute(select(snapshots.c.digest)).all())

    await database.write(lambda tx: freeze(tx, one, version, other))
    run = await database.write(lambda tx: freeze(tx, two, version, other))
    assert await database.read(count) == 4  # both scenarios, the version, and whom it hands over to
    await database.write(lambda tx: scenarios.drop(tx, ORG, one.id))
    assert await database.read(count) == 3
    frozen = await database.read(lambda tx: kept_runs.get_frozen(tx, run.id))
    assert frozen is not None
    assert (frozen.version, frozen.others) == (version, (other,))
    await database.write(lambda tx: scenarios.drop(tx, ORG, two.id))
    assert await database.read(count) == 0


@pytest.mark.parametrize("half_way", ["INSERT INTO runs", "DELETE FROM snapshots"])
async def test_a_run_keeps_what_the_runs_of_a_dropped_scenario_had_frozen_too(
    database: Database, half_way: str
) -> None:
    """Whoever comes first, the one that makes a run or the one that drops the others, stops before this statement."""
    gone, left = a_scenario(), a_scenario()
    version, other = a_version(), a_version()
    await put(database, gone, left)
    await database.write(lambda tx: freeze(tx, gone, version, other))
    reached, go_on = threading.Event(), threading.Event()

    def pause(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith(half_way) and not reached.is_set():
            reached.set()
            assert go_on.wait(PATIENCE_S)

    def make(tx: Tx) -> Run | None:
        return freeze(tx, left, version, other)

    def drop(tx: Tx) -> Run | None:
        assert scenarios.drop(tx, ORG, gone.id)

    order = (make, drop) if half_way.startswith("INSERT") else (drop, make)
    event.listen(database._writers, "before_cursor_execute", pause)
    try:
        first = asyncio.create_task(database.write(order[0]))
        assert await asyncio.to_thread(reached.wait, PATIENCE_S)
        second = asyncio.create_task(database.write(order[1]))
        await waits(database, second)
    finally:
        go_on.set()
    [run] = filter(None, await asyncio.gather(first, second))
    frozen = await database.read(lambda tx: kept_runs.get_frozen(tx, run.id))
    assert frozen is not None
    assert (frozen.version, frozen.others) == (version, (other,))


async def test_a_locked_scenario_is_held_until_the_commit(database: Database) -> None:
    kept = a_scenario(name="")
    await put(database, kept)
    locked, go_on = threading.Event(), threading.Event()

    def change(tx: Tx, letter: str) -> None:
        found = scenarios.get(tx, ORG, kept.id, lock=True)
        assert found is not None
        if letter == "a":
            locked.set()
            assert go_on.wait(PATIENCE_S)
        scenarios.put(tx, ORG, replace(found, name=found.name + letter))

    try:
        first = asyncio.create_task(database.write(lambda tx: change(tx, "a")))
        assert await asyncio.to_thread(locked.wait, PATIENCE_S)
        second = asyncio.create_task(database.write(lambda tx: change(tx, "b")))
        await waits(database, second)
    finally:
        go_on.set()
    await asyncio.gather(first, second)
    found = await database.read(lambda tx: scenarios.get(tx, ORG, kept.id))
    assert found is not None
    assert found.name == "ab"


# --- retired, and many at once --------------------------------------------------------------------------------------


async def test_a_retired_scenario_is_nowhere_and_its_runs_stay(database: Database) -> None:
    kept, other = a_scenario(suite="s", target="t"), a_scenario(suite="s", target="t")
    await put(database, other)
    run = await database.write(lambda tx: put_run(tx, scenario=kept))
    assert await database.write(lambda tx: scenarios.retire(tx, ORG, kept.id, 9))
    assert await database.read(lambda tx: scenarios.get(tx, ORG, kept.id)) is None
    assert await database.write(lambda tx: scenarios.get_many(tx, ORG, [kept.id, other.id])) == {other.id: other}
    assert await database.write(lambda tx: scenarios.get_suite(tx, ORG, "s")) == (other,)
    page = await database.read(lambda tx: scenarios.get_page(tx, ORG, ScenarioFilter(target="t"), Window()))
    assert (page.items, page.total) == ((other,), 1)
    assert (await database.read(lambda tx: scenarios.get_slice(tx, ORG, ["t"], Span()))).items == (other,)
    frozen = await database.read(lambda tx: kept_runs.get_frozen(tx, run.id))
    assert frozen is not None
    assert (frozen.run, frozen.scenario) == (run, kept)


async def test_only_ones_own_scenario_can_be_retired_and_only_once(database: Database) -> None:
    kept = a_scenario()
    await put(database, kept)
    for org, id_, done in (
        ("org-b", kept.id, False),
        (ORG, "none", False),
        (ORG, kept.id, True),
        (ORG, kept.id, False),
    ):
        assert await database.write(lambda tx, org=org, id_=id_: scenarios.retire(tx, org, id_, 9)) is done


async def test_a_retired_scenario_can_still_be_dropped_with_its_runs(database: Database) -> None:
    kept = a_scenario()
    run = await database.write(lambda tx: put_run(tx, scenario=kept))
    await database.write(lambda tx: scenarios.retire(tx, ORG, kept.id, 9))
    assert await database.write(lambda tx: scenarios.drop(tx, ORG, kept.id))
    assert await database.read(lambda tx: kept_runs.get_frozen(tx, run.id)) is None


async def test_a_stretch_is_of_any_of_the_targets(database: Database) -> None:
    wanted = [a_scenario(target=target) for target in ("a", "b", "a")]
    await put(database, *wanted, a_scenario(target="c"))

    async def listed(span: Span, org: str = ORG) -> tuple[list[str], bool]:
        found = await database.read(lambda tx: scenarios.get_slice(tx, org, ["a", "b"], span))
        return [one.id for one in found.items], found.more

    newest_first = [one.id for one in reversed(wanted)]
    assert await listed(Span()) == (newest_first, False)
    assert await listed(Span(2)) == (newest_first[:2], True)
    assert await listed(Span(2, newest_first[1])) == (newest_first[2:], False)
    assert await listed(Span(), "org-b") == ([], False)


async def test_targets_are_told_by_form_and_newest_number(database: Database) -> None:
    desk, flow, gone = an_assistant(), replace(an_assistant(), form=Form.FLOW), an_assistant()

    def work(tx: Tx) -> None:
        for one in (desk, flow, gone):
            kept_assistants.add(tx, ORG, one)
        newer = kept_assistants.add_version(tx, replace(flow.main, id="v1"))
        kept_assistants.set_main(tx, flow.id, newer.id)
        kept_assistants.set_deleted(tx, gone.id, 9)

    await database.write(work)
    ids = [desk.id, flow.id, gone.id, "none"]
    assert await database.read(lambda tx: scenarios.get_targets(tx, ORG, ids)) == {
        desk.id: Target(desk.id, Form.ASSISTANT, 0),
        flow.id: Target(flow.id, Form.FLOW, 1),
        gone.id: Target(gone.id, Form.ASSISTANT, 0, gone=True),
    }
    assert await database.read(lambda tx: scenarios.get_targets(tx, "org-b", ids)) == {}
