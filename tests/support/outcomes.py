"""Runs that came out in some way, without anybody having driven them."""

from collections.abc import Sequence
from typing import Any

from tests.support.store import NOW, ORG, a_scenario, a_version, said, set_row
from vivavoce.core.assistant import Assistant
from vivavoce.core.event import Ending, Event, Left, Speaker
from vivavoce.core.mind import Mind
from vivavoce.core.run import Run
from vivavoce.core.scenario import Scenario
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.services import assistants, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.storage import conversations
from vivavoce.storage import runs as kept_runs
from vivavoce.storage.codec import verdicts_codec
from vivavoce.storage.database import Tx

Columns = dict[str, Any]
ENDED: tuple[Event, ...] = (
    said("Hello, what can I do?", Speaker.ASSISTANT),
    said("Where is my order?", Speaker.CALLER, NOW + 1_000),
    said("It comes on Friday.", Speaker.ASSISTANT, NOW + 2_500),
    Left(Ending.GOODBYE, NOW + 3_000, Speaker.CALLER),
)


def decided(criterion: str, decision: Decision, reason: str = "because", quote: Quote | None = None) -> Verdict:
    return Verdict(criterion, decision, reason, "a judge", quote)


def passed(*verdicts: Verdict) -> Columns:
    """The columns of a run that passed."""
    return {
        "status": "passed",
        "ending": "goodbye",
        "verdicts": verdicts_codec.dumps(verdicts),
        "reason": "every criterion is met",
        "started_at": NOW,
        "completed_at": NOW + 4_000,
        "talked_ms": 3_000,
        "story": "the story",
    }


def failed(*verdicts: Verdict) -> Columns:
    return {**passed(*verdicts), "status": "failed", "fault": "assistant", "reason": "unmet: kind"}


BROKEN: Columns = {**passed(), "status": "error", "fault": "infrastructure", "reason": "the model was away"}
CANCELLED: Columns = {**passed(), "status": "error", "ending": "cancelled", "fault": "nobody", "reason": "cancelled"}
RUNNING: Columns = {"status": "running", "started_at": NOW}


async def a_test(ctx: Context, org: str = ORG, **given: Any) -> Scenario:
    return await ctx.database.write(lambda tx: scenarios.create(ctx, tx, org, a_scenario(**given)))


async def an_assistant(ctx: Context, org: str = ORG, **given: Any) -> Assistant:
    draft = a_version(**{"mind": Mind("scripted"), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, org, draft, lambda _: None))


async def ran(ctx: Context, test: Scenario, columns: Columns, events: Sequence[Event] = ENDED, org: str = ORG) -> Run:
    """A run of this test alone."""

    def work(tx: Tx) -> Run:
        run = runs.trigger(ctx, tx, org, test.id, None)
        return became(tx, org, run, columns, events)

    return await ctx.database.write(work)


async def ran_suite(ctx: Context, suite: str, *columns: Columns, org: str = ORG) -> tuple[Run, ...]:
    """A batch of a suite's tests; those that are left over stay pending."""

    def work(tx: Tx) -> tuple[Run, ...]:
        made = runs.trigger_suite(ctx, tx, org, suite, None)
        for run, given in zip(made, columns, strict=False):
            became(tx, org, run, given, ENDED)
        return made

    return await ctx.database.write(work)


def became(tx: Tx, org: str, run: Run, columns: Columns, events: Sequence[Event]) -> Run:
    if columns:
        set_row(tx, run.id, **columns)
    if events:
        conversations.append(tx, run.conversation_id, events, NOW)
    found = kept_runs.get(tx, org, run.id)
    assert found is not None
    return found


def batch_of(made: Sequence[Run]) -> str:
    assert made[0].batch_id is not None
    return made[0].batch_id
