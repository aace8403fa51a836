"""Runs that somebody, or a budget, stops: one, those of a batch, those of a suite.

A cancelled run is settled in the transaction that cancels it, whoever drives it: its driver's next entry is refused, so
it makes no further model call after the one it waits for. What was recorded until then stays.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from vivavoce.core.clock import Clock
from vivavoce.core.event import Ending, Left, Millis, Usage
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.verdict import Fault, Outcome, unexamined
from vivavoce.examination.story import retold, tell
from vivavoce.services.errors import NotFound
from vivavoce.storage import batches, hooks, runs, scenarios, stopping
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.storage.stopping import Held, Stop

BY_REQUEST = "by request"
"""The reason of somebody who gives none."""
AT_ONCE = 200
"""How many runs are stopped in one transaction at most: on SQLite everybody else waits for it."""


class Means(Protocol):
    """What cancelling works with: the services' context has it, and so has the command line."""

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...


def cancel(by: Means, tx: Tx, org: str, run_id: str, reason: str = BY_REQUEST) -> Run:
    """Stop one run; returns it as it is then. One that is over stays as it is. Raises ``NotFound``."""
    _stop(by, stopping.hold(tx, org, [run_id]), tx, org, reason)
    run = runs.get(tx, org, run_id)
    if run is None:
        raise NotFound("test run", run_id)
    return run


def cancel_batch(by: Means, tx: Tx, org: str, batch_id: str, reason: str = BY_REQUEST) -> int:
    """Stop what is unfinished of the runs that were triggered together, all in this transaction; returns how many these
    are. Runs are locked in the order of their ids: whoever holds a later one must not wait for an earlier."""
    stopped, after = 0, ""
    while True:
        ids = stopping.find(tx, org, RunFilter(batch_id=batch_id), after, AT_ONCE)
        if not ids:
            return stopped
        stopped += _stop(by, stopping.hold(tx, org, ids), tx, org, reason)
        after = ids[-1]


async def stop_batch(database: Database, by: Means, org: str, batch_id: str, reason: str = BY_REQUEST) -> int:
    """The same in transactions of its own, a stretch at a time. Raises ``NotFound`` where nothing was ever triggered
    under that id."""
    wanted = RunFilter(batch_id=batch_id)

    def known(tx: Tx) -> bool:
        return stopping.is_any(tx, org, wanted) or batches.get(tx, org, batch_id) is not None

    if not await database.read(known):
        raise NotFound("batch", batch_id)
    return await _stop_all(database, by, org, wanted, reason)


async def stop_suite(database: Database, by: Means, org: str, suite: str, reason: str = BY_REQUEST) -> int:
    """Stop every unfinished run of the suite's scenarios, however they were triggered; returns how many these are.
    Raises ``NotFound`` where there is neither a scenario nor a run of such a suite."""
    wanted = RunFilter(suite=suite)

    def known(tx: Tx) -> bool:
        if stopping.is_any(tx, org, wanted):
            return True
        return bool(scenarios.get_page(tx, org, ScenarioFilter(suite=suite), Window(1, 1)).items)

    if not await database.read(known):
        raise NotFound("test suite", suite)
    return await _stop_all(database, by, org, wanted, reason)


async def _stop_all(database: Database, by: Means, org: str, wanted: RunFilter, reason: str) -> int:
    stopped, after = 0, ""
    while True:
        find: Callable[[Tx], tuple[str, ...]] = partial(
            stopping.find, org=org, wanted=wanted, after=after, most=AT_ONCE
        )
        ids = await database.read(find)
        if not ids:
            return stopped
        work: Callable[[Tx], int] = partial(_hold_and_stop, by=by, org=org, ids=ids, reason=reason)
        stopped += await database.write(work)
        after = ids[-1]


def _hold_and_stop(tx: Tx, by: Means, org: str, ids: tuple[str, ...], reason: str) -> int:
    return _stop(by, stopping.hold(tx, org, ids), tx, org, reason)


def _stop(by: Means, held: tuple[Held, ...], tx: Tx, org: str, reason: str) -> int:
    now = by.clock.now()
    stopping.settle(tx, [_ending(one, reason, now) for one in held], now)
    hooks.completed(tx, org, {one.run.id: one.run.batch_id for one in held})
    return len(held)


def _ending(held: Held, reason: str, now: Millis) -> Stop:
    run, transcript = held.run, held.transcript
    left = Left(Ending.CANCELLED, now, None, reason)
    records = bool(transcript.events) and transcript.ending is None
    told = transcript.plus((left,)) if records else transcript
    # What the judge has said was paid for, and stays to be read.
    verdicts = run.verdicts or unexamined(run.criteria, left.ending)
    usage = transcript.usage.plus(run.usage or Usage(attempts=0))
    outcome = Outcome(Status.ERROR, Fault.NOBODY, f"cancelled: {reason}")
    story = tell(
        f"run {run.id}: {held.name}",
        run.started_at or now,
        retold(run.setbacks),
        told,
        verdicts,
        outcome,
        usage,
    )
    return Stop(held, left, records, outcome, verdicts, usage, story)
