"""Scenarios: created, changed, listed, deleted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vivavoce.core.assistant import Form
from vivavoce.core.scenario import Medium, Scenario
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.maker import Maker
from vivavoce.storage import assistants, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Slice, Span, Window
from vivavoce.storage.scenarios import ScenarioFilter, Target


@dataclass(frozen=True, slots=True)
class Aimed:
    """A scenario and the assistant that it goes to; None where this server has none there."""

    scenario: Scenario
    target: Target | None


def create(ctx: Maker, tx: Tx, org: str, draft: Scenario) -> Scenario:
    """Keep a scenario (its id and time are set here)."""
    scenario = replace(draft, id=ctx.new_id(), created_at=ctx.clock.now())
    scenarios.add(tx, org, scenario)
    return scenario


async def retrieve(ctx: Context, org: str, scenario_id: str) -> Scenario:
    """One scenario. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: get(tx, org, scenario_id))


async def update(ctx: Context, org: str, scenario_id: str, change: Callable[[Scenario], Scenario]) -> Scenario:
    """Change a scenario; triggered runs keep what they froze. Raises ``NotFound``, and what ``change`` raises."""
    return await ctx.database.write(lambda tx: changed(ctx, tx, org, scenario_id, change))


def changed(ctx: Context, tx: Tx, org: str, scenario_id: str, change: Callable[[Scenario], Scenario]) -> Scenario:
    """The same within a transaction."""
    scenario = replace(change(get(tx, org, scenario_id, lock=True)), changed_at=ctx.clock.now())
    scenarios.put(tx, org, scenario)
    return scenario


async def get_page(ctx: Context, org: str, wanted: ScenarioFilter, window: Window) -> Page[Scenario]:
    """A page of scenarios, newest first."""
    return await ctx.database.read(lambda tx: scenarios.get_page(tx, org, wanted, window))


async def delete(ctx: Context, org: str, scenario_id: str) -> None:
    """Remove a scenario with its runs and their conversations; a driven run stops. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: scenarios.drop(tx, org, scenario_id)):
        raise NotFound("test", scenario_id)


async def retire(ctx: Context, org: str, scenario_id: str) -> None:
    """Take a scenario out of every list; its runs stay, and those that go on do so. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: scenarios.retire(tx, org, scenario_id, ctx.clock.now())):
        raise NotFound("test", scenario_id)


async def retrieve_aimed(ctx: Context, org: str, scenario_id: str) -> Aimed:
    """One scenario and the assistant it goes to. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: aimed(ctx, tx, org, [get(tx, org, scenario_id)])[0])


async def get_slice(ctx: Context, org: str, assistant_id: str, span: Span) -> Slice[Aimed]:
    """A stretch of the scenarios that go to this assistant, by its id or by a number that is mapped to it."""
    numbers = [number for number, id_ in ctx.numbers.items() if id_ == assistant_id]

    def work(tx: Tx) -> Slice[Aimed]:
        found = scenarios.get_slice(tx, org, (assistant_id, *numbers), span)
        return Slice(aimed(ctx, tx, org, found.items), found.more)

    return await ctx.database.read(work)


def aimed(ctx: Context, tx: Tx, org: str, found: Sequence[Scenario]) -> tuple[Aimed, ...]:
    """The scenarios with the assistants they go to."""
    ids = [ctx.numbers.get(one.target, one.target) for one in found]
    targets = scenarios.get_targets(tx, org, ids)
    return tuple(Aimed(one, targets.get(id_)) for one, id_ in zip(found, ids, strict=True))


def medium_of(tx: Tx, org: str, assistant_id: str) -> Medium:
    """How callers reach this assistant: in writing where only agents for chats speak as it, otherwise by voice."""
    players = {one.assistant_id for one in assistants.get_players(tx, org, assistant_id)}
    forms = {one.form for one in scenarios.get_targets(tx, org, players).values()}
    return Medium.WEB_CHAT if forms == {Form.CHAT_AGENT} else Medium.WEB_CALL


async def get_suites(ctx: Context, org: str) -> tuple[str, ...]:
    """The names of all suites."""
    return await ctx.database.read(lambda tx: scenarios.get_suites(tx, org))


def get(tx: Tx, org: str, scenario_id: str, *, lock: bool = False, keep: bool = False) -> Scenario:
    """One scenario within a transaction. Raises ``NotFound``."""
    scenario = scenarios.get(tx, org, scenario_id, lock=lock, keep=keep)
    if scenario is None:
        raise NotFound("test", scenario_id)
    return scenario
