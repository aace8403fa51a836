"""Schedules fire once at each of their times, however many workers there are, and outlive what goes wrong."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from tests.support.duties import do, taken, work_off
from tests.support.store import ORG, PATIENCE_S, Hand, a_scenario, set_row

from vivavoce.core.run import Priority, Run
from vivavoce.core.schedule import Firing, Missed, Outcome, Overlap, Schedule
from vivavoce.engine.duties import TRIES, Duties
from vivavoce.services import calendar, scenarios, schedules
from vivavoce.services import duties as doing
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import duties, runs
from vivavoce.storage import scenarios as kept_scenarios
from vivavoce.storage import schedules as kept
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


@pytest.fixture
def hand() -> Hand:
    """It is midnight, and the schedules of these tests are due at three."""
    return Hand(ms("2026-11-20T00:00Z"))


async def a_suite(ctx: Context, *names: str, suite: str | None = "smoke") -> list[str]:
    """The ids of new scenarios."""
    made = [a_scenario(name=name, suite=suite) for name in names]
    for one in made:
        await ctx.database.write(lambda tx, one=one: kept_scenarios.add(tx, ORG, one))
    return [one.id for one in made]


async def made(ctx: Context, **given: Any) -> Schedule:
    """A schedule of the suite, daily at three."""
    chosen: dict[str, Any] = {"name": "nightly", "cron": "0 3 * * *", "suite": "smoke"}
    draft = Schedule(id="", created_at=0, changed_at=0, **chosen | given)
    return await schedules.create(ctx.database, ctx.clock, ctx.new_id, ORG, draft)


async def now(ctx: Context, schedule: Schedule) -> Schedule:
    return await schedules.retrieve(ctx.database, ORG, schedule.id)


async def last(ctx: Context, schedule: Schedule) -> Firing:
    found = (await now(ctx, schedule)).last
    assert found is not None
    return found


async def change(ctx: Context, schedule: Schedule, **given: Any) -> Schedule:
    return await schedules.update(
        ctx.database, ctx.clock, ctx.new_id, ORG, schedule.id, lambda one: replace(one, **given)
    )


async def every_run(ctx: Context) -> list[Run]:
    """Oldest first."""
    page = await ctx.database.read(lambda tx: runs.get_page(tx, ORG, RunFilter(), Window(1, 1000)))
    return list(reversed(page.items))


async def waiting(ctx: Context) -> int | None:
    """When the one duty is due."""
    return await ctx.database.read(duties.next_due)


async def finish_all(ctx: Context) -> None:
    for run in await every_run(ctx):
        await ctx.database.write(lambda tx, run=run: set_row(tx, run.id, status="passed"))


# --- firing ---------------------------------------------------------------------------------------------------------


async def test_a_suite_is_run_at_its_time_as_one_batch(ctx: Context, hand: Hand) -> None:
    tests = await a_suite(ctx, "a", "b")
    schedule = await made(ctx)
    assert schedule.next_at == ms("2026-11-20T03:00Z")
    hand.turn(3 * HOUR_S - 0.001)
    assert await work_off(ctx) == []
    assert await every_run(ctx) == []
    hand.turn(0.001)
    assert await work_off(ctx) == []
    found = await every_run(ctx)
    assert [run.scenario_id for run in found] == tests
    assert {(run.trigger, run.priority) for run in found} == {("cron", Priority.SCHEDULED)}
    [batch_id] = {run.batch_id for run in found}
    fired = await now(ctx, schedule)
    assert fired.last == Firing(ms("2026-11-20T03:00Z"), hand.now(), Outcome.STARTED, batch_id, 2)
    assert fired.next_at == ms("2026-11-21T03:00Z") == await waiting(ctx)
    hand.turn(DAY_S)
    await work_off(ctx)
    assert len({run.batch_id for run in await every_run(ctx)}) == 2


async def test_tests_are_run_by_their_ids(ctx: Context, hand: Hand) -> None:
    tests = await a_suite(ctx, "a", "b", "c", suite=None)
    schedule = await made(ctx, suite=None, scenario_ids=(tests[2], tests[0]), priority=Priority.BATCH)
    await a_suite(ctx, "later")
    await scenarios.delete(ctx, ORG, tests[0])
    hand.turn(3 * HOUR_S)
    await work_off(ctx)
    [run] = await every_run(ctx)
    assert (run.scenario_id, run.priority) == (tests[2], Priority.BATCH)
    firing = await last(ctx, schedule)
    assert (firing.outcome, firing.runs) == (Outcome.STARTED, 1)
    assert firing.reason == f"There are no such tests any more: {tests[0]}"
    await scenarios.delete(ctx, ORG, tests[2])
    hand.turn(DAY_S)
    await work_off(ctx)
    assert (await last(ctx, schedule)).reason == "None of its tests is left."


async def test_a_suite_that_is_gone_is_noted_and_it_goes_on(ctx: Context, hand: Hand) -> None:
    [test] = await a_suite(ctx, "a")
    schedule = await made(ctx)
    await scenarios.retire(ctx, ORG, test)
    hand.turn(3 * HOUR_S)
    assert await work_off(ctx) == []
    assert await last(ctx, schedule) == Firing(
        ms("2026-11-20T03:00Z"), hand.now(), Outcome.FAILED, reason="test suite 'smoke' was not found."
    )
    await a_suite(ctx, "new")
    hand.turn(DAY_S)
    await work_off(ctx)
    assert (await last(ctx, schedule)).outcome is Outcome.STARTED


async def test_a_version_that_there_is_not_is_noted_and_nothing_is_run(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx, version_id="v-9")
    hand.turn(3 * HOUR_S)
    await work_off(ctx)
    firing = await last(ctx, schedule)
    assert (firing.outcome, "'v-9'" in firing.reason) == (Outcome.FAILED, True)
    assert await every_run(ctx) == []


async def test_a_duty_that_is_done_twice_fires_once(ctx: Context, hand: Hand) -> None:
    """Its worker was thought dead, or died between the firing and the end of the duty."""
    await a_suite(ctx, "a")
    schedule = await made(ctx)
    hand.turn(3 * HOUR_S)
    [duty] = await taken(ctx)
    await doing.perform(ctx, duty)
    await doing.perform(ctx, replace(duty, token="another"))
    assert await do(ctx, duty) is None
    assert len(await every_run(ctx)) == 1
    assert (await now(ctx, schedule)).next_at == await waiting(ctx) == ms("2026-11-21T03:00Z")


async def test_two_at_the_same_moment_fire_once(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    await made(ctx)
    hand.turn(3 * HOUR_S)
    [duty] = await taken(ctx)
    await asyncio.gather(*(doing.perform(ctx, replace(duty, token=f"{number}")) for number in range(5)))
    assert len(await every_run(ctx)) == 1


async def test_workers_that_race_fire_each_time_once(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    some = [await made(ctx, name=f"{number}", missed=Missed.ALL) for number in range(6)]
    hand.turn(3 * HOUR_S + 2 * DAY_S)
    workers = [Duties(ctx.database, ctx.clock, ctx.new_id, lambda duty: doing.perform(awake, duty)) for _ in range(2)]
    awake = replace(ctx, wake=lambda: [worker.wake() for worker in workers])
    for worker in workers:
        worker.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while {(await now(ctx, one)).next_at for one in some} != {ms("2026-11-23T03:00Z")}:
                await asyncio.sleep(0.01)
    finally:
        for worker in workers:
            await worker.stop()
    assert len(await every_run(ctx)) == len({run.batch_id for run in await every_run(ctx)}) == 3 * len(some)
    assert await waiting(ctx) == ms("2026-11-23T03:00Z")


@pytest.mark.parametrize("away", [False, True])
async def test_what_always_fails_is_noted_and_it_goes_on(
    ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch, *, away: bool
) -> None:
    """But while the database is away no firing is passed over."""

    def broken(*_given: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("cut off")) if away else RuntimeError("a defect")

    await a_suite(ctx, "a")
    schedule = await made(ctx, missed=Missed.ONCE)
    hand.turn(3 * HOUR_S)
    with monkeypatch.context() as patched:
        patched.setattr(schedules.runs, "trigger_suite", broken)
        for _ in range(TRIES):
            await work_off(ctx)
            hand.turn(HOUR_S)
    if away:
        await work_off(ctx)
    firing = await last(ctx, schedule)
    assert firing.outcome is (Outcome.STARTED if away else Outcome.FAILED)
    assert ("RuntimeError" in firing.reason) is not away
    hand.turn(DAY_S - TRIES * HOUR_S)
    await work_off(ctx)
    assert (await last(ctx, schedule)).outcome is Outcome.STARTED


async def test_where_its_time_zone_is_gone_it_is_paused_and_says_so(
    ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx, timezone="Europe/Dublin")
    hand.turn(3 * HOUR_S)
    monkeypatch.setattr(calendar, "_zones", frozenset[str])
    for _ in range(TRIES):
        assert schedules.outlook(schedule) == ()
        await work_off(ctx)
        hand.turn(HOUR_S)
    found = await now(ctx, schedule)
    assert (found.paused, found.next_at, await waiting(ctx)) == (True, None, None)
    assert "'Europe/Dublin'" in (await last(ctx, schedule)).reason


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missed", "late_s", "due"),
    [
        (Missed.SKIP, 299, ["20T03:00"]),
        (Missed.SKIP, 301, []),
        (Missed.SKIP, 2 * DAY_S + 60, ["22T03:00"]),
        (Missed.ONCE, 2 * DAY_S + HOUR_S, ["22T03:00"]),
        (Missed.ALL, 2 * DAY_S + HOUR_S, ["20T03:00", "21T03:00", "22T03:00"]),
    ],
)
async def test_what_nobody_was_there_for(
    ctx: Context, hand: Hand, missed: Missed, late_s: float, due: list[str]
) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx, missed=missed)
    hand.turn(3 * HOUR_S + late_s)
    seen: list[int] = []
    while found := await taken(ctx):
        for duty in found:
            assert await do(ctx, duty) is None
            firing = await last(ctx, schedule)
            seen += [firing.due_at] if firing.outcome is Outcome.STARTED else []
    assert seen == [ms(f"2026-11-{one}Z") for one in due]
    assert len(await every_run(ctx)) == len(due)
    if not due:
        assert (await last(ctx, schedule)).reason == "nobody fired it in time"
    following = await now(ctx, schedule)
    assert following.next_at is not None
    assert hand.now() < following.next_at <= hand.now() + DAY_S * 1000


async def test_of_very_many_times_the_last_are_made_up_for(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx, cron="* * * * *", missed=Missed.ALL)
    hand.turn(400 * DAY_S)
    assert await work_off(ctx) == []
    assert len(await every_run(ctx)) == 24
    firing = await last(ctx, schedule)
    assert (firing.due_at, firing.outcome) == (hand.now(), Outcome.STARTED)


async def test_a_clock_that_is_put_back_fires_nothing_twice(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    await made(ctx)
    hand.turn(3 * HOUR_S)
    await work_off(ctx)
    hand.turn(-2 * HOUR_S)
    await work_off(ctx)
    hand.turn(2 * HOUR_S)
    await work_off(ctx)
    assert len(await every_run(ctx)) == 1


async def test_a_clock_that_is_put_back_while_the_duty_is_done_waits_again(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx)
    hand.turn(3 * HOUR_S)
    [duty] = await taken(ctx)
    hand.turn(-1)
    assert await do(ctx, duty) is None
    found = await now(ctx, schedule)
    assert (found.last, found.next_at, await waiting(ctx)) == (None, schedule.next_at, schedule.next_at)
    hand.turn(1)
    await work_off(ctx)
    assert len(await every_run(ctx)) == 1


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
async def test_a_night_in_which_clocks_change_has_one_firing(ctx: Context, hand: Hand, day: str) -> None:
    hand.ms = ms(f"{day}T00:00+01:00") - 6 * 3_600_000
    await a_suite(ctx, "a")
    await made(ctx, cron="30 2 * * *", timezone="Europe/Berlin")
    for _ in range(24):
        hand.turn(HOUR_S / 2)
        await work_off(ctx)
    assert len(await every_run(ctx)) == 1


# --- overlap --------------------------------------------------------------------------------------------------------


async def test_where_runs_may_not_overlap_a_firing_is_left_out(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a", "b")
    schedule = await made(ctx, overlap=Overlap.SKIP)
    hand.turn(3 * HOUR_S)
    await work_off(ctx)
    first = await now(ctx, schedule)
    hand.turn(DAY_S)
    await work_off(ctx)
    firing = await last(ctx, schedule)
    assert (firing.outcome, firing.due_at) == (Outcome.SKIPPED, ms("2026-11-21T03:00Z"))
    assert first.batch_id is not None
    assert first.batch_id in firing.reason
    await finish_all(ctx)
    hand.turn(DAY_S)
    await work_off(ctx)
    assert (await last(ctx, schedule)).outcome is Outcome.STARTED
    assert len(await every_run(ctx)) == 4


async def test_where_they_may_it_fires_all_the_same(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    await made(ctx)
    hand.turn(3 * HOUR_S)
    await work_off(ctx)
    hand.turn(DAY_S)
    await work_off(ctx)
    assert len(await every_run(ctx)) == 2


# --- changes --------------------------------------------------------------------------------------------------------


async def test_a_paused_schedule_rests_and_makes_up_for_nothing(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx, missed=Missed.ALL, paused=True)
    assert (schedule.next_at, schedules.outlook(schedule), await waiting(ctx)) == (None, (), None)
    hand.turn(2 * DAY_S)
    for _ in range(2):  # the second time changes nothing
        resumed = await schedules.pause(ctx.database, ctx.clock, ctx.new_id, ORG, schedule.id, paused=False)
        assert resumed.next_at == ms("2026-11-22T03:00Z") == await waiting(ctx)
    assert await work_off(ctx) == []
    await schedules.pause(ctx.database, ctx.clock, ctx.new_id, ORG, schedule.id)
    hand.turn(DAY_S)
    await work_off(ctx)
    assert await every_run(ctx) == []


async def test_another_calendar_counts_from_now_also_where_it_is_due(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx)
    hand.turn(3 * HOUR_S)
    [duty] = await taken(ctx)
    changed = await change(ctx, schedule, cron="0 5 * * *", timezone="Europe/Dublin")
    assert changed.next_at == ms("2026-11-20T05:00Z")
    assert await do(ctx, duty) is None
    assert await every_run(ctx) == []
    assert await waiting(ctx) == changed.next_at
    assert schedules.outlook(changed)[:2] == ("2026-11-20T05:00:00+00:00", "2026-11-21T05:00:00+00:00")
    hand.turn(2 * HOUR_S)
    await work_off(ctx)
    assert len(await every_run(ctx)) == 1


async def test_other_changes_leave_what_is_due_alone(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    [other] = await a_suite(ctx, "b", suite="other")
    schedule = await made(ctx)
    hand.turn(3 * HOUR_S)
    [duty] = await taken(ctx)
    changed = await change(ctx, schedule, name="renamed", suite="other")
    assert (changed.next_at, changed.changed_at) == (schedule.next_at, hand.now())
    assert await do(ctx, duty) is None
    assert [run.scenario_id for run in await every_run(ctx)] == [other]


async def test_what_is_deleted_does_not_fire(ctx: Context, hand: Hand) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx)
    await schedules.ask(ctx.database, ctx.clock, ctx.new_id, ORG, schedule.id)
    hand.turn(3 * HOUR_S)
    held = await taken(ctx)
    assert len(held) == 2
    await schedules.delete(ctx.database, ORG, schedule.id)
    assert [await do(ctx, duty) for duty in held] == [None, None]
    assert (await every_run(ctx), await waiting(ctx)) == ([], None)
    with pytest.raises(NotFound):
        await now(ctx, schedule)
    with pytest.raises(NotFound):
        await schedules.delete(ctx.database, ORG, schedule.id)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"cron": "0 3 * *"}, "cron"),
        ({"cron": "0 3 * *", "paused": True}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"suite": "nobody's"}, "suite"),
        ({"suite": None}, "suite"),
        ({"scenario_ids": ("t-1",)}, "suite"),
        ({"suite": None, "scenario_ids": tuple(f"t-{number}" for number in range(9))}, "test_ids"),
    ],
)
async def test_what_cannot_be_is_refused(ctx: Context, given: dict[str, Any], part: str) -> None:
    await a_suite(ctx, "a")
    with pytest.raises(Rejected) as told:
        await made(ctx, **given)
    assert told.value.part == part
    schedule = await made(ctx)
    with pytest.raises(Rejected):
        await change(ctx, schedule, **given)
    assert await now(ctx, schedule) == schedule
    assert (await schedules.get_page(ctx.database, ORG, Window())).items == (schedule,)


# --- by hand --------------------------------------------------------------------------------------------------------


async def test_fired_by_hand_it_keeps_its_calendar(ctx: Context) -> None:
    woken: list[None] = []
    ctx = replace(ctx, wake=lambda: woken.append(None))
    await a_suite(ctx, "a")
    schedule = await made(ctx, overlap=Overlap.SKIP, paused=True)
    for count in (1, 2):
        fired = await schedules.fire(ctx, ORG, schedule.id)
        assert fired.last is not None
        assert (fired.last.outcome, fired.last.runs, fired.next_at) == (Outcome.STARTED, 1, None)
        assert len(await every_run(ctx)) == len(woken) == count
    assert {run.trigger for run in await every_run(ctx)} == {"manual"}


async def test_where_there_is_nothing_to_run_by_hand_nothing_changes(ctx: Context) -> None:
    [test] = await a_suite(ctx, "a")
    schedule = await made(ctx)
    await scenarios.delete(ctx, ORG, test)
    with pytest.raises(Rejected, match="'smoke'"):
        await schedules.fire(ctx, ORG, schedule.id)
    assert await now(ctx, schedule) == schedule
    with pytest.raises(NotFound):
        await schedules.fire(ctx, "org-b", schedule.id)


async def test_who_is_asked_to_fire_does_it_once(ctx: Context) -> None:
    [test] = await a_suite(ctx, "a")
    schedule = await made(ctx)
    await schedules.ask(ctx.database, ctx.clock, ctx.new_id, ORG, schedule.id)
    [duty] = await taken(ctx)
    await asyncio.gather(*(doing.perform(ctx, duty) for _ in range(3)))
    assert len(await every_run(ctx)) == 1
    fired = await now(ctx, schedule)
    assert (fired.batch_id is not None, fired.next_at) == (True, schedule.next_at)
    await scenarios.retire(ctx, ORG, test)
    await schedules.ask(ctx.database, ctx.clock, ctx.new_id, ORG, schedule.id)
    assert await work_off(ctx) == []
    assert (await last(ctx, schedule)).outcome is Outcome.FAILED
    with pytest.raises(NotFound):
        await schedules.ask(ctx.database, ctx.clock, ctx.new_id, "org-b", schedule.id)


async def test_others_can_do_nothing_with_it(ctx: Context) -> None:
    await a_suite(ctx, "a")
    schedule = await made(ctx)
    for asked in (
        schedules.retrieve(ctx.database, "org-b", schedule.id),
        schedules.pause(ctx.database, ctx.clock, ctx.new_id, "org-b", schedule.id),
        schedules.delete(ctx.database, "org-b", schedule.id),
    ):
        with pytest.raises(NotFound):
            await asked
    assert (await schedules.get_page(ctx.database, "org-b", Window())).total == 0
    assert await ctx.database.read(lambda tx: kept.get(tx, ORG, schedule.id)) == schedule
