"""Runs: triggered, listed, read. What a run works on is frozen when it is triggered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vivavoce.core.assistant import Version
from vivavoce.core.budget import Budget
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.event import Millis
from vivavoce.core.run import Priority, Run
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.examination.story import retold, tell
from vivavoce.services import assistants, budgets
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.scenarios import aimed
from vivavoce.services.scenarios import get as get_scenario
from vivavoce.services.variables import about
from vivavoce.storage import conversations, runs, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.runs import Frozen, Order, RunFilter
from vivavoce.storage.scenarios import Target


@dataclass(frozen=True, slots=True)
class Record:
    """A run with all that is known of it: what it froze, the assistant that its scenario goes to as it is now (None:
    there is none on this server), what was recorded of its conversation, and the variables that this started with."""

    frozen: Frozen
    target: Target | None
    transcript: Transcript
    variables: Mapping[str, Any]


def trigger(
    ctx: Context,
    tx: Tx,
    org: str,
    scenario_id: str,
    version_id: str | None,
    trigger: str = "manual",
    priority: Priority = Priority.INTERACTIVE,
) -> Run:
    """A new pending run of one scenario. Whoever calls wakes the worker after the commit.

    Raises ``NotFound``, and ``Rejected`` for a version that does not exist.
    """
    scenario = get_scenario(tx, org, scenario_id, keep=True)
    return _add(ctx, tx, org, [scenario], version_id, None, trigger, priority)[0]


def trigger_suite(
    ctx: Context,
    tx: Tx,
    org: str,
    suite: str,
    version_id: str | None,
    trigger: str = "manual",
    priority: Priority = Priority.BATCH,
) -> tuple[Run, ...]:
    """A new pending run for every scenario of the suite, all of one batch. Raises ``NotFound`` for an empty suite, and
    ``Rejected`` for a version that does not exist."""
    found = scenarios.get_suite(tx, org, suite)
    if not found:
        raise NotFound("test suite", suite)
    return _add(ctx, tx, org, found, version_id, ctx.new_id(), trigger, priority)


def trigger_these(
    ctx: Context,
    tx: Tx,
    org: str,
    found: Sequence[Scenario],
    version_id: str | None,
    trigger: str = "manual",
    priority: Priority = Priority.BATCH,
    budget: Budget | None = None,
) -> tuple[Run, ...]:
    """A new pending run for each of these scenarios, all of one batch with this budget (None: as the settings say).
    Raises ``Rejected`` as ``trigger_suite``."""
    return _add(ctx, tx, org, found, version_id, ctx.new_id(), trigger, priority, budget)


def _add(
    ctx: Context,
    tx: Tx,
    org: str,
    found: Sequence[Scenario],
    version_id: str | None,
    batch_id: str | None,
    trigger: str,
    priority: Priority,
    budget: Budget | None = None,
) -> tuple[Run, ...]:
    versions: dict[str, Version | None] = {}
    chosen: list[tuple[Scenario, Version | None]] = []
    for scenario in found:
        target = ctx.numbers.get(scenario.target, scenario.target)
        if target not in versions:
            versions[target] = assistants.choose(tx, org, target, version_id)
        version = versions[target]
        if version is None and version_id is not None:
            raise Rejected(
                f"Test {scenario.id!r} goes to {scenario.target!r}, which is no assistant of this server, "
                f"so it has no version {version_id!r}.",
                "version_id",
            )
        chosen.append((scenario, version))
    return start(ctx, tx, org, chosen, batch_id, trigger, priority, budget)


def start(
    ctx: Context,
    tx: Tx,
    org: str,
    chosen: Sequence[tuple[Scenario, Version | None]],
    batch_id: str | None,
    trigger: str = "manual",
    priority: Priority = Priority.BATCH,
    budget: Budget | None = None,
) -> tuple[Run, ...]:
    """A new pending run for each scenario, of the version beside it (None: its target is elsewhere). Their ids sort in
    this order. A batch has this ``budget``, or the one that the settings give to all."""
    now = ctx.clock.now()
    if batch_id is not None:
        budgets.grant(ctx, tx, org, batch_id, budget)
    casts: dict[str, tuple[Version, tuple[Version, ...]]] = {}
    orders: list[Order] = []
    for scenario, version in chosen:
        if version is not None and version.id not in casts:
            cast = assistants.cast(tx, org, version)
            casts[version.id] = cast.first, tuple(cast.others.values())
        first, others = casts[version.id] if version else (None, ())
        orders.append(
            Order(_pending(ctx, scenario, version, batch_id, trigger, priority, now), scenario, first, others)
        )
    conversations.add(tx, org, [_conversation(order, now) for order in orders])
    runs.add(tx, org, orders)
    return tuple(order.run for order in orders)


def _pending(
    ctx: Context,
    scenario: Scenario,
    version: Version | None,
    batch_id: str | None,
    trigger: str,
    priority: Priority,
    now: Millis,
) -> Run:
    return Run(
        id=ctx.new_id(),
        scenario_id=scenario.id,
        status=Status.PENDING,
        trigger=trigger,
        created_at=now,
        updated_at=now,
        conversation_id=ctx.new_id(),
        batch_id=batch_id,
        version_id=version.id if version else None,
        criteria=tuple(criterion.name for criterion in scenario.criteria),
        priority=priority,
        suite=scenario.suite,
    )


def _conversation(order: Order, now: Millis) -> Conversation:
    """The conversation a run will hold; it can be read as soon as the run exists."""
    scenario = order.scenario
    metadata = about(order.version, medium=scenario.medium, agent_target=scenario.target)
    return Conversation(order.run.conversation_id, now, now, scenario.name, {**metadata, "run_id": order.run.id})


async def retrieve(ctx: Context, org: str, scenario_id: str | None, run_id: str) -> Run:
    """One run, with a scenario's id only where it belongs to that; while it goes on, its story is told as far as it is
    recorded. Raises ``NotFound``."""

    def work(tx: Tx) -> Run:
        run = runs.get(tx, org, run_id, scenario_id)
        if run is None:
            raise NotFound("test run", run_id)
        return _told(tx, run)

    return await ctx.database.read(work)


def _told(tx: Tx, run: Run) -> Run:
    if run.story or run.started_at is None:
        return run
    transcript = conversations.get_transcript(tx, run.conversation_id)
    story = tell(f"run {run.id}", run.started_at, retold(run.setbacks), transcript, run.verdicts)
    return replace(run, story=story)


async def look(ctx: Context, org: str, run_id: str) -> Frozen:
    """One run with its story, as ``retrieve`` tells it, and what it froze. Raises ``NotFound``."""

    def work(tx: Tx) -> Frozen:
        frozen = _frozen(tx, org, run_id)
        return replace(frozen, run=_told(tx, frozen.run))

    return await ctx.database.read(work)


async def transcribe(ctx: Context, org: str, run_id: str) -> tuple[Frozen, Transcript]:
    """One run with what it froze, and what was recorded of its conversation so far. Raises ``NotFound``."""

    def work(tx: Tx) -> tuple[Frozen, Transcript]:
        frozen = _frozen(tx, org, run_id)
        return frozen, conversations.get_transcript(tx, frozen.run.conversation_id)

    return await ctx.database.read(work)


def _frozen(tx: Tx, org: str, run_id: str) -> Frozen:
    found = runs.get_frozen(tx, run_id)
    if found is None or found.org != org:
        raise NotFound("test run", run_id)
    return found


async def get_page(ctx: Context, org: str, wanted: RunFilter, window: Window) -> Page[Run]:
    """A page of runs, newest first. Raises ``NotFound`` when the scenario it asks for does not exist."""

    def work(tx: Tx) -> Page[Run]:
        if wanted.scenario_id is not None:
            get_scenario(tx, org, wanted.scenario_id)
        return runs.get_page(tx, org, wanted, window)

    return await ctx.database.read(work)


async def recall(ctx: Context, org: str, run_id: str) -> Record:
    """One run with all that is known of it, whoever triggered it. Raises ``NotFound``."""

    def work(tx: Tx) -> Record:
        return recorded(ctx, tx, org, [_frozen(tx, org, run_id)])[0]

    return await ctx.database.read(work)


def recorded(ctx: Context, tx: Tx, org: str, found: Sequence[Frozen]) -> tuple[Record, ...]:
    """The same for many runs, in a few queries. Conversations are read of runs that are over."""
    over = [one.run.conversation_id for one in found if one.run.status.final]
    transcripts = conversations.get_transcripts(tx, over)
    openings = conversations.get_openings(tx, over)
    targets = [one.target for one in aimed(ctx, tx, org, [one.scenario for one in found])]
    return tuple(
        Record(
            frozen,
            target,
            transcripts.get(frozen.run.conversation_id, Transcript()),
            openings.get(frozen.run.conversation_id, Opening({})).variables,
        )
        for frozen, target in zip(found, targets, strict=True)
    )
