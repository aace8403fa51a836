"""Scenarios: created, changed, listed, deleted."""

from collections.abc import Callable
from dataclasses import replace

from vivavoce.core.scenario import Scenario
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage import scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.scenarios import ScenarioFilter


def create(ctx: Context, tx: Tx, org: str, draft: Scenario) -> Scenario:
    """Keep a scenario (its id and time are set here)."""
    scenario = replace(draft, id=ctx.new_id(), created_at=ctx.clock.now())
    scenarios.add(tx, org, scenario)
    return scenario


async def retrieve(ctx: Context, org: str, scenario_id: str) -> Scenario:
    """One scenario. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: get(tx, org, scenario_id))


async def update(ctx: Context, org: str, scenario_id: str, change: Callable[[Scenario], Scenario]) -> Scenario:
    """Change a scenario; triggered runs keep what they froze. Raises ``NotFound``, and what ``change`` raises."""

    def work(tx: Tx) -> Scenario:
        scenario = change(get(tx, org, scenario_id, lock=True))
        scenarios.put(tx, org, scenario)
        return scenario

    return await ctx.database.write(work)


async def get_page(ctx: Context, org: str, wanted: ScenarioFilter, window: Window) -> Page[Scenario]:
    """A page of scenarios, newest first."""
    return await ctx.database.read(lambda tx: scenarios.get_page(tx, org, wanted, window))


async def delete(ctx: Context, org: str, scenario_id: str) -> None:
    """Remove a scenario with its runs and their conversations; a driven run stops. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: scenarios.drop(tx, org, scenario_id)):
        raise NotFound("test", scenario_id)


async def get_suites(ctx: Context, org: str) -> tuple[str, ...]:
    """The names of all suites."""
    return await ctx.database.read(lambda tx: scenarios.get_suites(tx, org))


def get(tx: Tx, org: str, scenario_id: str, *, lock: bool = False, keep: bool = False) -> Scenario:
    """One scenario within a transaction. Raises ``NotFound``."""
    scenario = scenarios.get(tx, org, scenario_id, lock=lock, keep=keep)
    if scenario is None:
        raise NotFound("test", scenario_id)
    return scenario
