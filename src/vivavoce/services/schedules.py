"""Schedules: tests that are run by the calendar, once at each of its times however many workers there are.

A duty waits for the next time. Doing it locks the schedule, compares its next time with the one that the duty is for,
and triggers the runs, notes the firing, and wants the next duty in that same transaction: whoever comes second, or does
it once more, finds another time there.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import structlog

from vivavoce.core.clock import Clock
from vivavoce.core.event import Millis
from vivavoce.core.ids import NewId
from vivavoce.core.schedule import MOST_MISSED, Firing, Outcome, Overlap, Schedule, to_fire
from vivavoce.engine.duties import is_given_up
from vivavoce.services import calendar, runs
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import duties, scenarios, schedules
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.page import Page, Window

KIND = "schedule"
NOW = "schedule_now"
TRIGGER = "cron"
_SHOWN = 5
_NAMED = 5

log = structlog.get_logger(__name__)


async def create(database: Database, clock: Clock, new_id: NewId, org: str, draft: Schedule) -> Schedule:
    """Keep a schedule; its id and its times are set here. Raises ``Rejected`` for a cron expression, a time zone, a
    suite or tests that there are not."""
    now = clock.now()
    made = _timed(replace(draft, id=new_id(), created_at=now, changed_at=now), now)

    def work(tx: Tx) -> None:
        _check(tx, org, made)
        schedules.add(tx, org, made)
        _want(tx, new_id, org, made)

    await database.write(work)
    return made


async def update(
    database: Database,
    clock: Clock,
    new_id: NewId,
    org: str,
    schedule_id: str,
    change: Callable[[Schedule], Schedule],
) -> Schedule:
    """Change a schedule. With another calendar, and when it goes on after a pause, it looks ahead from now: what was
    due before is not made up for. Raises ``NotFound``, and ``Rejected`` as ``create`` does."""

    def work(tx: Tx) -> Schedule:
        current = _get(tx, org, schedule_id, lock=True)
        changed = change(current)
        if changed == current:
            return current
        if (changed.suite, changed.scenario_ids) != (current.suite, current.scenario_ids):
            _check(tx, org, changed)
        changed = replace(changed, changed_at=clock.now())
        if _calendar(changed) != _calendar(current):
            changed = _timed(changed, clock.now())
            _want(tx, new_id, org, changed)
        schedules.put(tx, org, changed)
        return changed

    return await database.write(work)


async def pause(
    database: Database, clock: Clock, new_id: NewId, org: str, schedule_id: str, *, paused: bool = True
) -> Schedule:
    """Have it rest, or go on. Raises ``NotFound``."""
    return await update(database, clock, new_id, org, schedule_id, lambda one: replace(one, paused=paused))


async def delete(database: Database, org: str, schedule_id: str) -> None:
    """Remove a schedule; what it started goes on and stays. Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        _get(tx, org, schedule_id, lock=True)
        schedules.drop(tx, org, schedule_id)
        for kind in (KIND, NOW):
            duties.forget(tx, kind, schedule_id)

    await database.write(work)


async def retrieve(database: Database, org: str, schedule_id: str) -> Schedule:
    """One schedule. Raises ``NotFound``."""
    return await database.read(lambda tx: _get(tx, org, schedule_id))


async def get_page(database: Database, org: str, window: Window) -> Page[Schedule]:
    """A page of schedules, newest first."""
    return await database.read(lambda tx: schedules.get_page(tx, org, window))


def outlook(schedule: Schedule) -> tuple[str, ...]:
    """The next times at which it fires, as clocks in its zone show them (ISO 8601); none while it is paused."""
    if schedule.next_at is None:
        return ()
    try:
        times = calendar.upcoming(schedule.cron, schedule.timezone, schedule.next_at - 1)
        return tuple(calendar.shown(at, schedule.timezone) for at in islice(times, _SHOWN))
    except Rejected:  # made by a server that knows more time zones
        return ()


async def fire(ctx: Context, org: str, schedule_id: str) -> Schedule:
    """Run its tests now, paused or not, whatever else goes on; its calendar stays as it is. Returns it with this firing
    as its last. Raises ``NotFound``, and ``Rejected`` where there is nothing to run."""

    def work(tx: Tx) -> Schedule:
        schedule, now = _get(tx, org, schedule_id, lock=True), ctx.clock.now()
        try:
            fired = _noted(schedule, _start(ctx, tx, org, schedule, now, now, "manual"))
        except NotFound as failure:
            raise Rejected(str(failure)) from failure
        schedules.put(tx, org, fired)
        return fired

    fired = await ctx.database.write(work)
    ctx.wake()
    return fired


async def ask(database: Database, clock: Clock, new_id: NewId, org: str, schedule_id: str) -> None:
    """Have whoever works on this database fire it as soon as they can. Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        _get(tx, org, schedule_id, lock=True)
        duties.want(tx, Wanted(new_id(), org, NOW, schedule_id, clock.now()))

    await database.write(work)


async def perform(ctx: Context, duty: Duty) -> None:
    """Fire for the time that has come, and look ahead; ``duty.body`` is the time that the duty is for."""
    try:
        await ctx.database.write(lambda tx: _come(ctx, tx, duty))
    except Exception as failure:
        if not is_given_up(duty, failure):
            raise
        # The duty is about to be given up, and a schedule must outlive whatever is wrong with one of its firings.
        log.exception("a schedule could not be fired", schedule=duty.subject)
        reason = f"it could not be fired ({type(failure).__name__}); the server's log says why"
        await ctx.database.write(lambda tx: _pass_over(ctx, tx, duty, reason))
    ctx.wake()


async def perform_now(ctx: Context, duty: Duty) -> None:
    """Fire because somebody asked for it; doing the duty once more does nothing."""

    def work(tx: Tx) -> None:
        schedule = schedules.get(tx, duty.org, duty.subject, lock=True)
        if not duties.finish(tx, duty) or schedule is None:
            return
        now = ctx.clock.now()
        schedules.put(tx, duty.org, _noted(schedule, _fired(ctx, tx, duty.org, schedule, now, "manual")))

    await ctx.database.write(work)
    ctx.wake()


def _come(ctx: Context, tx: Tx, duty: Duty) -> None:
    schedule = _awaited(tx, duty)
    if schedule is None or schedule.next_at is None:
        return
    now = ctx.clock.now()
    try:
        past = calendar.come(schedule.cron, schedule.timezone, schedule.next_at, now, MOST_MISSED)
        due_at = to_fire(schedule.missed, schedule.grace_ms, past, now)
        # The clock may have been put back since the duty was taken: then it waits again.
        next_at = calendar.following(
            schedule.cron, schedule.timezone, max(now, schedule.next_at - 1) if due_at is None else due_at
        )
    except Rejected as failure:  # a zone that this machine does not know: others may
        raise LookupError(str(failure)) from failure
    if due_at is not None:
        schedule = _noted(schedule, _come_to(ctx, tx, duty.org, schedule, due_at))
    elif past:
        reason = "nobody fired it in time"
        schedule = _noted(schedule, Firing(past[-1], now, Outcome.SKIPPED, reason=reason))
    _go_on(ctx, tx, duty, replace(schedule, next_at=next_at))


def _pass_over(ctx: Context, tx: Tx, duty: Duty, reason: str) -> None:
    """Note that this time came to nothing, and look ahead; where no time can be told any more, it rests."""
    schedule = _awaited(tx, duty)
    if schedule is None or schedule.next_at is None:
        return
    now = ctx.clock.now()
    noted = _noted(schedule, Firing(schedule.next_at, now, Outcome.FAILED, reason=reason))
    try:
        next_at = calendar.following(schedule.cron, schedule.timezone, now)
    except Rejected as failure:
        firing = Firing(schedule.next_at, now, Outcome.FAILED, reason=f"it is paused: {failure}")
        noted, next_at = replace(_noted(schedule, firing), paused=True), None
    _go_on(ctx, tx, duty, replace(noted, next_at=next_at))


def _awaited(tx: Tx, duty: Duty) -> Schedule | None:
    """The schedule, if the duty is still for its next time."""
    schedule = schedules.get(tx, duty.org, duty.subject, lock=True)
    return schedule if schedule is not None and str(schedule.next_at) == duty.body else None


def _go_on(ctx: Context, tx: Tx, duty: Duty, schedule: Schedule) -> None:
    schedules.put(tx, duty.org, schedule)
    _want(tx, ctx.new_id, duty.org, schedule)


def _come_to(ctx: Context, tx: Tx, org: str, schedule: Schedule, due_at: Millis) -> Firing:
    before = schedule.batch_id if schedule.overlap is Overlap.SKIP else None
    if before is not None and schedules.any_unfinished(tx, org, before):
        reason = f"runs of the batch {before} that it started before are not over"
        return Firing(due_at, ctx.clock.now(), Outcome.SKIPPED, reason=reason)
    return _fired(ctx, tx, org, schedule, due_at, TRIGGER)


def _fired(ctx: Context, tx: Tx, org: str, schedule: Schedule, due_at: Millis, trigger: str) -> Firing:
    now = ctx.clock.now()
    try:
        with tx.begin_nested():
            return _start(ctx, tx, org, schedule, due_at, now, trigger)
    except (NotFound, Rejected) as failure:
        return Firing(due_at, now, Outcome.FAILED, reason=str(failure))


def _start(ctx: Context, tx: Tx, org: str, schedule: Schedule, due_at: Millis, now: Millis, trigger: str) -> Firing:
    """Raises ``NotFound`` and ``Rejected`` where nothing can be run."""
    version_id, priority = schedule.version_id, schedule.priority
    if schedule.suite is not None:
        started = runs.trigger_suite(ctx, tx, org, schedule.suite, version_id, trigger, priority)
        return Firing(due_at, now, Outcome.STARTED, started[0].batch_id, len(started))
    known = scenarios.get_many(tx, org, schedule.scenario_ids)
    left = [known[id_] for id_ in schedule.scenario_ids if id_ in known]
    if not left:
        raise Rejected("None of its tests is left.")
    started = runs.trigger_these(ctx, tx, org, left, version_id, trigger, priority)
    gone = [id_ for id_ in schedule.scenario_ids if id_ not in known]
    reason = f"There are no such tests any more: {_named(gone)}" if gone else ""
    return Firing(due_at, now, Outcome.STARTED, started[0].batch_id, len(started), reason)


def _noted(schedule: Schedule, firing: Firing) -> Schedule:
    return replace(schedule, last=firing, batch_id=firing.batch_id or schedule.batch_id)


def _calendar(schedule: Schedule) -> tuple[object, ...]:
    return schedule.cron, schedule.timezone, schedule.paused


def _timed(schedule: Schedule, now: Millis) -> Schedule:
    """With the next time from now on; a calendar must be right also while it rests."""
    next_at = calendar.following(schedule.cron, schedule.timezone, now)
    return replace(schedule, next_at=None if schedule.paused else next_at)


def _want(tx: Tx, new_id: NewId, org: str, schedule: Schedule) -> None:
    """In the place of the duty that waits, or that is being done at this moment."""
    if schedule.next_at is None:
        duties.forget(tx, KIND, schedule.id)
    else:
        duties.want(tx, Wanted(new_id(), org, KIND, schedule.id, schedule.next_at, str(schedule.next_at)))


def _check(tx: Tx, org: str, schedule: Schedule) -> None:
    """There must be something to run. Raises ``Rejected``."""
    if (schedule.suite is None) == (not schedule.scenario_ids):
        raise Rejected("A schedule runs either a suite or tests by their ids.", "suite")
    if schedule.suite is not None and not scenarios.get_suite(tx, org, schedule.suite):
        raise Rejected(f"There is no test in a suite {schedule.suite!r}.", "suite")
    known = scenarios.get_many(tx, org, schedule.scenario_ids)
    missing = [id_ for id_ in schedule.scenario_ids if id_ not in known]
    if missing:
        raise Rejected(f"There are no such tests: {_named(missing)}", "test_ids")


def _named(ids: list[str]) -> str:
    more = len(ids) - _NAMED
    return ", ".join(ids[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _get(tx: Tx, org: str, schedule_id: str, *, lock: bool = False) -> Schedule:
    schedule = schedules.get(tx, org, schedule_id, lock=lock)
    if schedule is None:
        raise NotFound("schedule", schedule_id)
    return schedule
