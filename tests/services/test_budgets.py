"""Batches that stop when their budget is spent, and what waiting for a limit of ours does not cost a run."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.services.test_examinations import an_assistant, going_on
from tests.support.duties import work_off
from tests.support.endpoint import Endpoint, serve
from tests.support.store import ORG, Hand, a_scenario

from vivavoce.core.budget import Account, Budget
from vivavoce.core.event import Left, Message
from vivavoce.core.run import Priority, Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.core.waiting import priority
from vivavoce.engine import leases
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.limiter import Limiter
from vivavoce.models.resolve import Models
from vivavoce.services import batching, runs, scenarios
from vivavoce.services.batching import Wish
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.examinations import conduct
from vivavoce.services.prices import Price
from vivavoce.storage import conversations
from vivavoce.storage import scenarios as kept_scenarios
from vivavoce.storage.budgets import EXHAUSTED
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Wanted, want
from vivavoce.storage.journal import Lease, LeaseLost

PRICES = {"local/tester": Price(100, 0), "local/assistant": Price(0, 1000)}


def limiter_of(models: Models) -> Limiter:
    """The gate to the one provider."""
    models.resolve("local/tester", "tester")
    [transport] = models._transports.values()
    return transport.limiter


@dataclass
class Exam:
    """A server whose models are those of one endpoint, an assistant, and a test of it."""

    ctx: Context
    endpoint: Endpoint
    suite: str

    async def trigger(self, **wish: Any) -> tuple[str, tuple[Run, ...]]:
        wanted = Wish(suite=self.suite, **wish)
        return await self.ctx.database.write(lambda tx: batching.trigger(self.ctx, tx, ORG, wanted))

    async def take(self, most: int = 1) -> tuple[Lease, ...]:
        return await self.ctx.database.write(lambda tx: leases.take(tx, "worker", f"token of {most}", most))

    async def conduct(self, *taken: Lease) -> list[object]:
        done = (conduct(self.ctx, lease, going_on) for lease in taken)
        return await asyncio.gather(*done, return_exceptions=True)

    async def account(self, batch_id: str) -> Account:
        account = (await batching.retrieve(self.ctx, ORG, batch_id)).account
        assert account is not None
        return account

    async def run(self, run: Run) -> Run:
        return await runs.retrieve(self.ctx, ORG, None, run.id)


@pytest.fixture
async def exam(ctx: Context) -> AsyncGenerator[Exam]:
    async with serve() as endpoint:
        endpoint.behaviours = [{"role": "tester", "hang_up_after": 2}]
        provider = Provider("local", endpoint.base_url, max_attempts=1)
        models = Models(ModelSettings({"local": provider}, tester_model="local/tester", judge_model="local/judge"))
        served = replace(ctx, models=models, prices=PRICES)
        assistant = await an_assistant(served, model="local/assistant", instructions="Be kind.", tools=())
        draft = a_scenario(
            suite="suite", target=assistant.id, brief="Say hello.", criteria=(Criterion("kind", "is kind"),)
        )
        await ctx.database.write(lambda tx: scenarios.create(served, tx, ORG, draft))
        yield Exam(served, endpoint, "suite")
        await models.close()


async def test_what_a_run_spends_is_counted_once_each_to_the_last_token(exam: Exam) -> None:
    batch_id, [run] = await exam.trigger(budget=Budget(10**9, 10**9))
    await exam.conduct(*await exam.take())
    over = await exam.run(run)
    assert over.status is Status.PASSED
    assert over.usage is not None
    account = await exam.account(batch_id)
    assert account.spent_tokens == over.usage.input_tokens + over.usage.output_tokens > 0
    events = (await exam.ctx.database.read(lambda tx: conversations.get_transcript(tx, run.conversation_id))).events
    used = [event.usage for event in events if isinstance(event, Message | Left) and event.usage]
    micros = sum(one.input_tokens * 100 if one.model == "local/tester" else one.output_tokens * 1000 for one in used)
    assert account.spent_micros == micros > 0
    judged = account.spent_tokens - sum(one.input_tokens + one.output_tokens for one in used)
    assert account.unpriced_tokens == judged > 0
    assert account.exhausted_at is None


async def test_a_spent_budget_stops_the_batch_and_says_so(exam: Exam, hand: Hand) -> None:
    batch_id, made = await exam.trigger(repeats=4, budget=Budget(tokens=60))
    [first, second] = await exam.take(2)
    asked = len(exam.endpoint.records)
    [outcome] = await exam.conduct(first)
    assert isinstance(outcome, LeaseLost)
    account = await exam.account(batch_id)
    assert account.exhausted_at == hand.now()
    reason = f"cancelled: the batch's budget of 60 tokens is spent ({account.spent_tokens})"
    stopped = await exam.run(made[0])
    assert (stopped.cancelled, stopped.status, stopped.reason) == (True, Status.ERROR, reason)
    spent = account.spent_tokens
    calls = len(exam.endpoint.records) - asked
    assert calls >= 1
    # Who begins now, before anybody has stopped the rest, asks nobody.
    assert [type(one) for one in await exam.conduct(second)] == [LeaseLost]
    assert len(exam.endpoint.records) == asked + calls
    await work_off(exam.ctx)
    after = [await exam.run(run) for run in made]
    assert all(run.cancelled for run in after)
    assert {run.reason for run in after} == {reason}
    standing = await batching.retrieve(exam.ctx, ORG, batch_id)
    assert (standing.stand.cancelled, standing.stand.total, standing.stand.over) == (4, 4, True)
    assert standing.account is not None
    assert standing.account.spent_tokens == spent


async def test_no_more_than_the_calls_under_way_go_beyond_it(exam: Exam) -> None:
    _, made = await exam.trigger(repeats=6, budget=Budget(tokens=1))
    outcomes = await exam.conduct(*await exam.take(6))
    assert {type(one) for one in outcomes} == {LeaseLost}
    assert len(exam.endpoint.records) <= 6
    assert all([(await exam.run(run)).cancelled for run in made])


async def test_money_stops_a_batch_too(exam: Exam) -> None:
    batch_id, [run] = await exam.trigger(budget=Budget(micros=1))
    await exam.conduct(*await exam.take())
    assert "in money is spent" in (await exam.run(run)).reason
    assert (await exam.account(batch_id)).budget == Budget(micros=1)


async def test_the_last_verdict_is_paid_for_and_stands(exam: Exam) -> None:
    _, [run] = await exam.trigger(budget=Budget(10**9))
    await exam.conduct(*await exam.take())
    usage = (await exam.run(run)).usage
    assert usage is not None
    batch_id, [run] = await exam.trigger(budget=Budget(usage.input_tokens + usage.output_tokens))
    assert await exam.conduct(*await exam.take()) == [None]
    assert (await exam.run(run)).status is Status.PASSED
    assert (await exam.account(batch_id)).exhausted_at is not None
    await work_off(exam.ctx)
    assert (await exam.run(run)).status is Status.PASSED


async def test_a_batch_without_a_budget_is_not_counted(exam: Exam) -> None:
    batch_id, _ = await exam.trigger()
    await exam.conduct(*await exam.take())
    assert (await batching.retrieve(exam.ctx, ORG, batch_id)).account is None


async def test_the_settings_budget_is_every_batchs_that_has_none_of_its_own(exam: Exam) -> None:
    exam.ctx = replace(exam.ctx, budget=Budget(500))
    batch_id, _ = await exam.trigger()
    own, _ = await exam.trigger(budget=Budget(700))
    suite = await exam.ctx.database.write(lambda tx: runs.trigger_suite(exam.ctx, tx, ORG, exam.suite, None))
    found = [await exam.account(id_) for id_ in (batch_id, own, suite[0].batch_id or "")]
    assert [one.budget.tokens for one in found] == [500, 700, 500]


@pytest.mark.parametrize("batch_id", ["nobody's", "deleted"])
async def test_a_batch_that_is_gone_needs_no_stopping(exam: Exam, batch_id: str) -> None:
    if batch_id == "deleted":
        batch_id, [run] = await exam.trigger(budget=Budget(5))
        await exam.ctx.database.write(lambda tx: kept_scenarios.drop(tx, ORG, run.scenario_id))

    def work(tx: Tx) -> None:
        want(tx, Wanted("duty", ORG, EXHAUSTED, batch_id, 0))

    await exam.ctx.database.write(work)
    assert await work_off(exam.ctx) == []


# --- what can be asked for ---


async def test_tests_are_repeated_in_their_order(exam: Exam) -> None:
    [first] = (await exam.trigger())[1]
    other = await exam.ctx.database.write(lambda tx: scenarios.create(exam.ctx, tx, ORG, a_scenario()))
    wish = Wish(scenario_ids=(other.id, first.scenario_id), repeats=2, priority=Priority.SCHEDULED)
    batch_id, made = await exam.ctx.database.write(lambda tx: batching.trigger(exam.ctx, tx, ORG, wish))
    assert [run.scenario_id for run in made] == [other.id, first.scenario_id] * 2
    assert {(run.batch_id, run.priority) for run in made} == {(batch_id, Priority.SCHEDULED)}


@pytest.mark.parametrize(
    ("wish", "failure"),
    [
        (Wish(suite="nothing"), NotFound),
        (Wish(scenario_ids=("nobody",)), NotFound),
        (Wish(suite="suite", repeats=batching.MOST + 1), Rejected),
        (Wish(suite="suite", version_id="none"), NotFound),
    ],
)
async def test_what_cannot_be_run(exam: Exam, wish: Wish, failure: type[Exception]) -> None:
    with pytest.raises((failure, Rejected)):
        await exam.ctx.database.write(lambda tx: batching.trigger(exam.ctx, tx, ORG, wish))


async def test_money_needs_prices(exam: Exam) -> None:
    exam.ctx = replace(exam.ctx, prices={})
    with pytest.raises(Rejected, match="VIVA_PRICES"):
        await exam.trigger(budget=Budget(micros=5))


# --- limits of ours ---


async def test_waiting_for_a_limit_of_ours_is_no_time_of_the_conversation(exam: Exam) -> None:
    """The conversation, and the run, may take less time than the provider's limit has it wait."""
    _, [run] = await exam.trigger()
    limiter_of(exam.ctx.models).pause(2.5)
    limits = replace(exam.ctx.limits, max_duration_s=2, run_timeout_s=2.0)
    exam.ctx = replace(exam.ctx, limits=limits, clock=Real())
    began = time.monotonic()
    await exam.conduct(*await exam.take())
    assert time.monotonic() - began > 2.4
    over = await exam.run(run)
    assert over.status is Status.PASSED, over.reason
    assert over.talked_ms < 2000
    events = (await exam.ctx.database.read(lambda tx: conversations.get_transcript(tx, run.conversation_id))).events
    assert all(event.took_ms < 2000 for event in events if isinstance(event, Message))


class Real:
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def ticks(self) -> float:
        return time.monotonic()


@pytest.mark.parametrize("urgency", Priority)
async def test_a_runs_calls_are_as_urgent_as_the_run(exam: Exam, urgency: Priority) -> None:
    await exam.trigger(priority=urgency)
    [taken] = await exam.take()
    seen: set[Priority] = set()
    limiter = limiter_of(exam.ctx.models)
    enter = limiter.enter

    async def watched(size: int, *, answers: bool = True) -> float:
        seen.add(priority())
        return await enter(size, answers=answers)

    limiter.enter = watched
    await exam.conduct(taken)
    assert seen == {urgency}
    assert priority() is Priority.INTERACTIVE
