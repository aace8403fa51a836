"""Runs of tests with scripts and personas, on a real database."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.store import ORG, a_scenario, a_version

from vivavoce.core.event import Event, Message, Speaker
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.engine import leases
from vivavoce.models.config import ModelSettings
from vivavoce.models.resolve import Models
from vivavoce.services import assistants, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.examinations import conduct
from vivavoce.storage import conversations, tables
from vivavoce.storage.runs import FORMAT

DESK = """on hear "order": say "What is your order number?"
on hear /(A-\\d+)/: say "It arrives on Friday."
else: say "You said: $0"
"""
RUBRIC = (Criterion("day", 'The assistant says "Friday"', computed=True),)
LINES = ("Where is my order?", "A-1001.", "Bye.")


async def a_run(ctx: Context, **given: Any) -> Run:
    version = a_version(instructions=DESK)
    made = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, version, lambda _: None))
    draft = a_scenario(**{"target": made.id, "criteria": RUBRIC, **given})
    scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))
    return await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, None))


async def conducted(ctx: Context, run: Run) -> tuple[Run, tuple[Event, ...]]:
    (lease,) = await ctx.database.write(lambda tx: leases.take(tx, "worker", "t", 1))
    await conduct(ctx, lease, lambda: False)
    done = await runs.recall(ctx, ORG, run.id)
    return done.frozen.run, done.transcript.events


def said(events: Sequence[Event]) -> list[str]:
    return [one.text for one in events if isinstance(one, Message) and one.speaker is Speaker.CALLER]


async def test_a_script_is_said_to_its_end_without_a_model(ctx: Context) -> None:
    # Nobody serves the tester's model, and nobody needs it.
    nobody = replace(ctx, models=Models(ModelSettings(tester_model="nowhere/model")))
    run, events = await conducted(nobody, await a_run(ctx, brief="", lines=LINES, hangs_up=True))
    assert said(events) == list(LINES)
    assert (run.status, run.verdicts[0].decided_by) == (Status.PASSED, "computed")
    assert run.usage is not None


async def test_a_script_may_be_longer_than_the_servers_limit(ctx: Context) -> None:
    lines = tuple(f"Is it {number}?" for number in range(ctx.limits.turn_limit + 3))
    _, events = await conducted(ctx, await a_run(ctx, lines=lines, hangs_up=True))
    assert said(events) == list(lines)


async def test_a_script_may_ask_the_same_over_and_over(ctx: Context) -> None:
    # It is answered in the same words each time.
    lines = ("Where is my order?",) * (ctx.limits.repeat_limit + 1)
    run, events = await conducted(ctx, await a_run(ctx, lines=(*lines, "A-1001."), hangs_up=True))
    assert said(events) == [*lines, "A-1001."]
    assert run.status is Status.PASSED


async def test_a_run_that_was_half_talked_goes_on_at_the_right_line(ctx: Context) -> None:
    run = await a_run(ctx, lines=LINES, hangs_up=True)
    _, whole = await conducted(ctx, run)
    again = await a_run(ctx, lines=LINES, hangs_up=True)
    half = whole[:3]
    await ctx.database.write(lambda tx: conversations.append(tx, again.conversation_id, half, ctx.clock.now()))
    _, events = await conducted(ctx, again)
    assert events[:3] == half
    assert said(events) == list(LINES)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"repeats": 7}, 1),
        ({"persona": "You are Dana."}, FORMAT),
        ({"lines": ("Hi.",)}, FORMAT),
        ({"hangs_up": True}, FORMAT),
        ({"criteria": RUBRIC}, FORMAT),
    ],
)
async def test_only_runs_that_an_older_worker_would_misread_are_kept_from_it(
    ctx: Context, given: dict[str, Any], expected: int
) -> None:
    run = await a_run(ctx, **{"criteria": (Criterion("a", "b"),), **given})
    query = select(tables.runs.c.format).where(tables.runs.c.id == run.id)
    assert await ctx.database.read(lambda tx: tx.execute(query).scalar_one()) == expected
    assert (await runs.recall(ctx, ORG, run.id)).frozen.scenario.repeats == given.get("repeats", 1)
