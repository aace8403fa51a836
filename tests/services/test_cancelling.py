"""Runs that are stopped: whatever they do at that moment, nothing is written for them afterwards."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from tests.services.test_attempts import a_talk, playing
from tests.services.test_examinations import a_run, an_assistant, claimed, going_on, recorded
from tests.support.store import NOW, ORG, PATIENCE_S, Hand, a_scenario, row_of, set_row, waits

from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Left, Message, Speaker, Usage
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Fault, Outcome, Verdict
from vivavoce.engine import leases
from vivavoce.services import cancelling, openings, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.examinations import conduct
from vivavoce.storage import conversations as kept_talks
from vivavoce.storage.codec import verdicts_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Entry, Lease, LeaseLost, running, settled

OTHER = "org-b"


async def cancelled(ctx: Context, run: Run, reason: str = "wrong version", org: str = ORG) -> Run:
    return await ctx.database.write(lambda tx: cancelling.cancel(ctx, tx, org, run.id, reason))


async def a_suite(ctx: Context, *names: str, suite: str = "checkout") -> tuple[Run, ...]:
    def work(tx: Tx) -> tuple[Run, ...]:
        for name in names:
            scenarios.create(ctx, tx, ORG, a_scenario(name=name, suite=suite))
        return runs.trigger_suite(ctx, tx, ORG, suite, None)

    return await ctx.database.write(work)


async def now(ctx: Context, run: Run) -> Run:
    return await runs.retrieve(ctx, ORG, None, run.id)


async def everything(ctx: Context) -> tuple[Any, ...]:
    """All that is kept of runs and of what was said."""

    def work(tx: Tx) -> tuple[Any, ...]:
        tables = ("runs", "conversations", "events", "duties")
        return tuple(sorted(map(repr, tx.execute(text(f"SELECT * FROM {name}")))) for name in tables)

    return await ctx.database.read(work)


async def test_a_run_that_waits_is_not_begun(ctx: Context, hand: Hand) -> None:
    run = await a_run(ctx, target="https://example.com/bot")
    hand.turn(5)
    done = await cancelled(ctx, run)
    assert done == await now(ctx, run)
    assert (done.status, done.state, done.ending, done.fault) == (
        Status.ERROR,
        "cancelled",
        Ending.CANCELLED,
        Fault.NOBODY,
    )
    assert done.reason == "cancelled: wrong version"
    assert (done.completed_at, done.updated_at, done.started_at) == (NOW + 5000, NOW + 5000, None)
    assert [(one.criterion, one.decision, one.reason, one.decided_by) for one in done.verdicts] == [
        (name, Decision.INCONCLUSIVE, "not examined: cancelled", "nobody") for name in run.criteria
    ]
    assert done.usage == Usage(attempts=0)
    assert done.story.splitlines()[0].endswith(f"run {run.id}: where is it")
    assert "error: cancelled: wrong version (fault: nobody)" in done.story
    assert await recorded(ctx, run) == ()
    conversation = await ctx.database.read(lambda tx: kept_talks.get(tx, ORG, run.conversation_id))
    assert conversation is not None
    assert conversation.ended_at == NOW + 5000
    assert not await ctx.database.write(lambda tx: leases.take(tx, "worker", "t", 5))


@pytest.mark.parametrize("role", ["tester", "assistant", "judge"])
async def test_whoever_drives_it_ends_with_the_call_it_waits_for(ctx: Context, role: str) -> None:
    asked, answering = asyncio.Event(), asyncio.Event()

    async def gate(asked_role: str, _body: Any) -> None:
        if asked_role == role:
            asked.set()
            await answering.wait()

    async with playing(ctx) as (served, endpoint):
        run = await a_talk(served)
        lease = await claimed(served, run)
        endpoint.gate = gate
        driving = asyncio.create_task(conduct(served, lease, going_on))
        await asked.wait()
        before, calls = await recorded(ctx, run), len(endpoint.records)
        done = await cancelled(served, run)
        after = await everything(ctx)
        answering.set()
        with pytest.raises(LeaseLost):
            await driving
        assert len(endpoint.records) == calls
        assert await ctx.database.write(partial(leases.renew, leases=[lease])) == set()
        assert not await ctx.database.write(lambda tx: leases.try_again(tx, lease, "away", 0))
        await ctx.database.write(lambda tx: leases.give_back(tx, [lease]))
    assert await everything(ctx) == after
    events = await recorded(ctx, run)
    if role == "judge":
        assert events == before
        assert isinstance(events[-1], Left)
    else:
        assert events == (*before, *([Left(Ending.CANCELLED, NOW, None, "wrong version")] if before else []))
    assert (done.state, done.ending) == ("cancelled", Ending.CANCELLED)
    row = await row_of(ctx.database, run.id)
    assert (row.lease_token, row.lease_until, row.worker_id) == (None, None, None)


async def test_what_was_spent_and_said_stays(ctx: Context) -> None:
    run = await a_run(ctx, target="https://example.com/bot")
    lease = await claimed(ctx, run)
    said = (
        Message(Speaker.CALLER, "Hello\x00?", NOW, 1500, Usage("m", 20, 3)),
        Message(Speaker.ASSISTANT, "Yes?", NOW, 500, Usage("m", 30, 4)),
    )
    await ctx.journal.write(Entry(lease, NOW, run.conversation_id, 0, said))
    await ctx.database.write(lambda tx: set_row(tx, run.id, setbacks=["it was busy"], attempts=2))
    done = await cancelled(ctx, run)
    assert (done.talked_ms, done.usage) == (2000, Usage("", 50, 7, 2))
    assert await recorded(ctx, run) == (*said, Left(Ending.CANCELLED, NOW, None, "wrong version"))
    for line in ("attempt 2: the one before broke off: it was busy", "Yes?", "end: cancelled: wrong version", "50 in"):
        assert line in done.story


async def test_verdicts_that_were_paid_for_stay_too(ctx: Context) -> None:
    run = await a_run(ctx, target="https://example.com/bot")
    over = [Left(Ending.GOODBYE, NOW, Speaker.CALLER, "done")]
    known = tuple(Verdict(name, Decision.MET, "it did", "judge") for name in run.criteria)
    await ctx.database.write(lambda tx: kept_talks.append(tx, run.conversation_id, over, NOW))
    await ctx.database.write(lambda tx: set_row(tx, run.id, verdicts=verdicts_codec.dumps(known), started_at=NOW))
    done = await cancelled(ctx, run)
    assert (done.state, done.verdicts) == ("cancelled", known)
    assert await recorded(ctx, run) == tuple(over)


async def test_what_is_over_stays_as_it_is(ctx: Context) -> None:
    run = await a_run(ctx, target=(await an_assistant(ctx)).id)
    await conduct(ctx, await claimed(ctx, run), going_on)
    passed, before = await now(ctx, run), await everything(ctx)
    assert passed.status is Status.PASSED
    assert await cancelled(ctx, run) == passed
    once = await cancelled(ctx, await a_run(ctx), "first")
    assert await cancelled(ctx, once, "second") == once
    assert (await everything(ctx))[2] == before[2]


async def test_nobody_cancels_what_is_not_there_or_not_theirs(ctx: Context) -> None:
    (run,) = await a_suite(ctx, "one")
    assert run.batch_id
    before = await everything(ctx)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: cancelled(ctx, replace(run, id="none")),
        lambda: cancelled(ctx, run, org=OTHER),
        lambda: cancelling.stop_batch(ctx.database, ctx, ORG, "none"),
        lambda: cancelling.stop_batch(ctx.database, ctx, OTHER, run.batch_id or ""),
        lambda: cancelling.stop_suite(ctx.database, ctx, ORG, "none"),
        lambda: cancelling.stop_suite(ctx.database, ctx, OTHER, "checkout"),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()
    assert await ctx.database.write(lambda tx: cancelling.cancel_batch(ctx, tx, OTHER, run.batch_id or "")) == 0
    assert await everything(ctx) == before


async def test_all_runs_of_a_batch(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", 2)
    first, second = await a_suite(ctx, *"abcde"), await a_suite(ctx)
    taken = await ctx.database.write(lambda tx: leases.take(tx, "worker", "t", 2))
    assert {lease.run_id for lease in taken} == {run.id for run in first[:2]}
    await cancelled(ctx, first[4], "alone")
    batch = first[0].batch_id or ""
    assert await cancelling.stop_batch(ctx.database, ctx, ORG, batch, "wrong version") == 4
    assert [(await now(ctx, run)).state for run in (*first, *second)] == ["cancelled"] * 5 + ["pending"] * 5
    assert [(await now(ctx, run)).reason for run in first[3:]] == ["cancelled: wrong version", "cancelled: alone"]
    assert await cancelling.stop_batch(ctx.database, ctx, ORG, batch) == 0
    for lease in taken:
        with pytest.raises(LeaseLost):
            await ctx.journal.write(running(lease, NOW))
    again = second[0].batch_id or ""
    assert await ctx.database.write(lambda tx: cancelling.cancel_batch(ctx, tx, ORG, again, "spent")) == 5
    assert {(await now(ctx, run)).reason for run in second} == {"cancelled: spent"}


async def test_all_runs_of_a_suite(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", 2)
    mine = (*await a_suite(ctx, *"abc"), *await a_suite(ctx))
    others = await a_suite(ctx, *"de", suite="returns")
    alone = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, mine[0].scenario_id, None))
    assert await cancelling.stop_suite(ctx.database, ctx, ORG, "checkout") == 7
    assert {(await now(ctx, run)).state for run in (*mine, alone)} == {"cancelled"}
    assert {(await now(ctx, run)).state for run in others} == {"pending"}
    await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, a_scenario(suite="new")))
    assert await cancelling.stop_suite(ctx.database, ctx, ORG, "new") == 0


# at the same moment


def bye(lease: Lease, run: Run) -> Entry:
    """How a driver settles its run."""
    end = Left(Ending.GOODBYE, NOW, Speaker.CALLER, "done")
    entry = settled(
        lease, NOW, Outcome(Status.PASSED, None, "every criterion is met"), Transcript((end,)), Usage(), "its story"
    )
    return replace(entry, conversation_id=run.conversation_id, events=(end,))


async def held_open(ctx: Context, work: Callable[[Tx], object]) -> tuple[asyncio.Task[None], Callable[[], None]]:
    """The work done in a transaction that is not committed before somebody says so."""
    done, commit = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def first(tx: Tx) -> None:
        try:
            work(tx)
        finally:
            loop.call_soon_threadsafe(done.set)
        assert commit.wait(PATIENCE_S)

    task = asyncio.create_task(ctx.database.write(first))
    await done.wait()
    return task, commit.set


async def test_a_driver_that_settles_at_the_same_moment_comes_too_late(ctx: Context) -> None:
    run = await a_run(ctx)
    lease = await claimed(ctx, run)
    cancels, commit = await held_open(ctx, lambda tx: cancelling.cancel(ctx, tx, ORG, run.id, "now"))
    settles = asyncio.create_task(ctx.journal.write(bye(lease, run)))
    await waits(ctx.database, settles)
    commit()
    await cancels
    with pytest.raises(LeaseLost):
        await settles
    assert (await now(ctx, run)).reason == "cancelled: now"
    assert await recorded(ctx, run) == ()


async def test_whoever_cancels_at_the_same_moment_comes_too_late(ctx: Context) -> None:
    run = await a_run(ctx)
    await claimed(ctx, run)

    def settle(tx: Tx) -> None:
        set_row(tx, run.id, status="passed", reason="every criterion is met", lease_token=None, story="its story")

    settles, commit = await held_open(ctx, settle)
    cancels = asyncio.create_task(cancelled(ctx, run))
    await waits(ctx.database, cancels)
    commit()
    await settles
    done = await cancels
    assert (done.status, done.reason) == (Status.PASSED, "every criterion is met")
    assert done == await now(ctx, run)
    assert await recorded(ctx, run) == ()


async def test_a_run_that_is_taken_at_the_same_moment_is_cancelled_all_the_same(ctx: Context) -> None:
    run = await a_run(ctx)
    taken: list[Lease] = []
    takes, commit = await held_open(ctx, lambda tx: taken.extend(leases.take(tx, "worker", "t", 1)))
    cancels = asyncio.create_task(cancelled(ctx, run))
    await waits(ctx.database, cancels)
    commit()
    await takes
    assert (await cancels).state == "cancelled"
    with pytest.raises(LeaseLost):
        await conduct(ctx, taken[0], going_on)
    assert await recorded(ctx, run) == ()


async def test_many_that_cancel_take_and_drive_at_once_leave_one_end_for_each_run(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    made = [await a_run(ctx, target=assistant.id) for _ in range(12)]

    async def drive(token: str) -> None:
        for lease in await ctx.database.write(lambda tx: leases.take(tx, "worker", token, 4)):
            try:
                await conduct(ctx, lease, going_on)
            except LeaseLost:
                continue

    await asyncio.gather(
        *(drive(f"t{place}") for place in range(4)), *(cancelled(ctx, run) for run in reversed(made[::2]))
    )
    for run in made:
        done = await now(ctx, run)
        transcript = Transcript(tuple(await recorded(ctx, run)))
        assert done.state in ("passed", "cancelled", "pending")
        if done.state == "pending":
            assert run not in made[::2]
        elif transcript.events and done.state == "passed":
            assert transcript.ending is Ending.GOODBYE
        elif transcript.events:
            assert transcript.ending in (Ending.CANCELLED, Ending.GOODBYE)
        assert sum(isinstance(one, Left) for one in transcript.events) <= 1


async def test_what_the_conversation_opens_with_is_not_kept_any_more(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await a_run(ctx, target=(await an_assistant(ctx)).id)
    find = openings.found

    async def found(*given: Any, **more: Any) -> Conversation:
        await cancelled(ctx, run)
        return await find(*given, **more)

    monkeypatch.setattr(openings, "found", found)
    lease = await claimed(ctx, run)
    with pytest.raises(LeaseLost):
        await conduct(ctx, lease, going_on)
    conversation = await ctx.database.read(lambda tx: kept_talks.get(tx, ORG, run.conversation_id))
    assert conversation is not None
    assert conversation.opening is None
