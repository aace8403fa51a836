"""Batches of any tests: repeated, as urgent as is asked for, and with a budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vivavoce.core.budget import Account, Budget
from vivavoce.core.run import Priority, Run
from vivavoce.core.scenario import Scenario
from vivavoce.services import overview, runs
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.overview import Listed
from vivavoce.storage import batches, budgets, scenarios
from vivavoce.storage.batches import Stand
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.runs import RunFilter

MOST = 5000
"""How many runs one batch may have."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be run: every test of a ``suite``, or those with these ids; each as often as ``counts`` says of its
    id, or else as ``repeats``, or else as it says itself. ``budget`` None: as the settings say."""

    suite: str | None = None
    scenario_ids: tuple[str, ...] = ()
    version_id: str | None = None
    repeats: int | None = None
    priority: Priority = Priority.BATCH
    budget: Budget | None = None
    counts: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Standing:
    """A batch: how its runs stand, and its budget, where it has one."""

    id: str
    stand: Stand
    account: Account | None


def trigger(ctx: Context, tx: Tx, org: str, wish: Wish) -> tuple[str, tuple[Run, ...]]:
    """The id of a new batch, and its pending runs: all tests once, then all of them again. Whoever calls wakes the
    worker after the commit.

    Raises ``NotFound`` for a suite or a test that there is not, and ``Rejected`` for a version that does not exist, for
    too many runs, and for a budget of money where no prices are set.
    """
    if wish.budget is not None and wish.budget.micros is not None and not ctx.prices:
        raise Rejected("A budget of money needs prices, and VIVA_PRICES sets none.", "budget/money")
    found = _scenarios(tx, org, wish)
    times = [wish.counts.get(one.id, one.repeats if wish.repeats is None else wish.repeats) for one in found]
    if sum(times) > MOST:
        raise Rejected(f"That would be {sum(times)} runs; a batch has {MOST} at most.", "repeats")
    rounds = [one for number in range(max(times)) for one, many in zip(found, times, strict=True) if number < many]
    made = runs.trigger_these(ctx, tx, org, rounds, wish.version_id, priority=wish.priority, budget=wish.budget)
    assert made[0].batch_id is not None
    return made[0].batch_id, made


def _scenarios(tx: Tx, org: str, wish: Wish) -> tuple[Scenario, ...]:
    if wish.suite is not None:
        found = tuple(scenarios.get_suite(tx, org, wish.suite))
        if not found:
            raise NotFound("test suite", wish.suite)
        return found
    known = scenarios.get_many(tx, org, wish.scenario_ids)
    missing = next((id_ for id_ in wish.scenario_ids if id_ not in known), None)
    if missing is not None:
        raise NotFound("test", missing)
    return tuple(known[id_] for id_ in wish.scenario_ids)


async def retrieve(ctx: Context, org: str, batch_id: str) -> Standing:
    """How a batch stands, whoever triggered it. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: standing(tx, org, batch_id))


def standing(tx: Tx, org: str, batch_id: str) -> Standing:
    """The same in a transaction."""
    stand = batches.get_stand(tx, org, batch_id)
    if stand is None:
        raise NotFound("batch", batch_id)
    return Standing(batch_id, stand, budgets.get(tx, org, batch_id))


async def get_runs(ctx: Context, org: str, batch_id: str, window: Window) -> Page[Listed]:
    """A page of a batch's runs, newest first. Raises ``NotFound``."""
    page = await overview.get_runs(ctx, org, RunFilter(batch_id=batch_id), window)
    if not page.total:
        raise NotFound("batch", batch_id)
    return page
