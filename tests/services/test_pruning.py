from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, update
from tests.support.store import NOW, ORG, Hand, a_conversation, a_run, a_scenario, a_version, said

from vivavoce.core.batch import Batch
from vivavoce.core.insight import Finding, FindingStatus
from vivavoce.core.run import Run
from vivavoce.core.scenario import Medium, Scenario
from vivavoce.core.status import Status
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.services import duties, pruning, tallying
from vivavoce.services.context import Context
from vivavoce.storage import answers, batches, conversations, findings, runs, scenarios, texts
from vivavoce.storage import duties as kept_duties
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty
from vivavoce.storage.page import Window
from vivavoce.storage.runs import Order, RunFilter
from vivavoce.storage.tables import duties as duty_rows
from vivavoce.storage.tables import metadata
from vivavoce.storage.tables import runs as run_rows
from vivavoce.storage.work import budgets

DAY_S = 86_400
DUTY = Duty("d", "", pruning.KIND, pruning.SUBJECT, "", 1, "token")


def limited(ctx: Context, **days: int) -> Context:
    return replace(ctx, limits=replace(ctx.limits, **days))


def add(tx: Tx, ctx: Context, scenario: Scenario, status: Status = Status.PASSED, batch_id: str | None = None) -> Run:
    """A run that ended now, with all that belongs to one."""
    now = ctx.clock.now()
    if scenarios.get(tx, ORG, scenario.id) is None:
        scenarios.add(tx, ORG, scenario)
    version = a_version()
    run = a_run(scenario, id=ctx.new_id(), conversation_id=ctx.new_id(), batch_id=batch_id)
    conversations.add(tx, ORG, [a_conversation(id=run.conversation_id, created_at=now, last_message_at=now)])
    conversations.append(tx, run.conversation_id, [said("hello")], now)
    findings.add(tx, ORG, Finding(ctx.new_id(), run.conversation_id, "group", FindingStatus.PENDING, now))
    texts.add(tx, ORG, a_text(ctx, run.conversation_id))
    runs.add(tx, ORG, [Order(run, scenario, version)])
    over = {"completed_at": now} if status.final else {}
    tx.execute(update(run_rows).where(run_rows.c.id == run.id).values(status=status.value, updated_at=now, **over))
    return run


def a_text(ctx: Context, conversation_id: str | None) -> Text:
    out = Direction.OUTBOUND
    return Text(ctx.new_id(), out, Medium.SMS_CHAT, "+1", "+2", "hi", TextStatus.SENT, ctx.clock.now(), conversation_id)


def counts(tx: Tx) -> Mapping[str, int]:
    def many(table: Table) -> int:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()

    return {table.name: rows for table in metadata.sorted_tables if (rows := many(table))}


async def kept(ctx: Context) -> Mapping[str, int]:
    found = dict(await ctx.database.read(counts))
    found.pop("duties", None)
    found.pop("orgs", None)
    return found


async def test_old_runs_go_with_all_that_is_theirs_alone(ctx: Context, hand: Hand) -> None:
    scenario = a_scenario(suite="s")
    old = await ctx.database.write(lambda tx: add(tx, ctx, scenario))
    await ctx.database.write(lambda tx: add(tx, ctx, scenario, Status.RUNNING))
    hand.turn(5 * DAY_S)
    new = await ctx.database.write(lambda tx: add(tx, ctx, scenario, Status.FAILED))
    before = await kept(ctx)
    await tallying.perform(ctx, DUTY)
    assert (await kept(ctx)) == {**before, "tallies": 3}
    hand.turn(25 * DAY_S)
    await pruning.prune(limited(ctx, keep_runs_days=30))
    assert (await kept(ctx)) == {**before, "tallies": 3}  # to the millisecond: not older than 30 days yet
    hand.turn(0.001)
    await pruning.prune(ctx)
    assert (await kept(ctx)) == {**before, "tallies": 3}  # for ever
    await pruning.prune(limited(ctx, keep_runs_days=30, keep_conversations_days=1))
    one_less = ("runs", "conversations", "events", "findings", "texts")
    # Each run froze a version of its own; the scenario is shared.
    less = {name: before[name] - 1 for name in one_less} | {"snapshots": before["snapshots"] - 1, "tallies": 3}
    less["notes"] = before["notes"] - 2  # of its id, and that it has no name
    assert (await kept(ctx)) == {**before, **less}
    page = await ctx.database.read(lambda tx: runs.get_page(tx, ORG, RunFilter(suite="s"), Window()))
    assert [run.status for run in page.items] == [Status.FAILED, Status.RUNNING]
    assert (page.total, page.items[0].id) == (2, new.id)
    assert await ctx.database.read(lambda tx: runs.get(tx, ORG, old.id)) is None


async def test_nothing_is_left_when_everything_is_old(ctx: Context, hand: Hand) -> None:
    scenario, batch = a_scenario(), Batch("batch", "assistant", "version", 0, 3, NOW, NOW)

    def work(tx: Tx) -> None:
        batches.add(tx, ORG, batch)
        spent = {"org": ORG, "tokens": 1, "spent_tokens": 2, "spent_micros": 0, "unpriced_tokens": 0}
        tx.execute(insert(budgets), [{"batch_id": "batch", **spent}, {"batch_id": "other", **spent}])
        for status in (Status.PASSED, Status.FAILED, Status.ERROR):
            add(tx, ctx, scenario, status, "batch")
            add(tx, ctx, a_scenario(), status, "other")
        scenarios.retire(tx, ORG, scenario.id, NOW)

    await ctx.database.write(work)
    hand.turn(2 * DAY_S)
    await pruning.prune(limited(ctx, keep_runs_days=1))
    # Scenarios that are in lists stay.
    assert await kept(ctx) == {"scenarios": 3}


async def test_a_batch_gets_smaller_and_stands_as_the_rest_does(ctx: Context, hand: Hand) -> None:
    scenario, batch = a_scenario(), Batch("batch", "assistant", "version", 0, 2, NOW, NOW)

    def work(tx: Tx) -> None:
        batches.add(tx, ORG, batch)
        add(tx, ctx, scenario, Status.PASSED, "batch")
        hand.turn(DAY_S)
        add(tx, ctx, scenario, Status.PASSED, "batch")

    await ctx.database.write(work)
    hand.turn(1)
    await pruning.prune(limited(ctx, keep_runs_days=1))
    found = await ctx.database.read(lambda tx: batches.get(tx, ORG, "batch"))
    assert found is not None
    assert (found.total, found.passed, found.errors, found.over) == (1, 1, 0, True)


async def test_old_conversations_go_and_those_of_runs_stay(ctx: Context, hand: Hand) -> None:
    quiet, lively = a_conversation(id=ctx.new_id()), a_conversation(id=ctx.new_id())

    def work(tx: Tx) -> None:
        conversations.add(tx, ORG, [quiet, lively])
        for one in (quiet, lively):
            conversations.append(tx, one.id, [said("hello")], NOW)
            texts.add(tx, ORG, a_text(ctx, one.id))
        texts.add(tx, ORG, a_text(ctx, None))
        add(tx, ctx, a_scenario())

    await ctx.database.write(work)
    before = await kept(ctx)
    hand.turn(2 * DAY_S)
    await ctx.database.write(lambda tx: conversations.append(tx, lively.id, [said("there?")], hand.now()))
    await pruning.prune(limited(ctx, keep_conversations_days=1))
    now = {name: before[name] - 1 for name in ("conversations", "texts")} | {"notes": before["notes"] - 2}
    assert await kept(ctx) == {**before, **now}
    assert await ctx.database.read(lambda tx: conversations.get(tx, ORG, quiet.id)) is None


async def test_answers_are_kept_for_a_day(ctx: Context, hand: Hand) -> None:
    request = answers.Request(ORG, "key", "POST", "/", "digest")
    await ctx.database.write(lambda tx: answers.begin(tx, request, hand.now()))
    hand.turn(DAY_S)
    await pruning.prune(ctx)
    assert await kept(ctx) == {"answers": 1}
    hand.turn(1)
    await pruning.prune(ctx)
    assert await kept(ctx) == {}


async def test_a_long_table_is_gone_through_in_stretches(
    ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "LOOK", 3)
    monkeypatch.setattr(pruning, "MOST", 2)
    scenario = a_scenario()

    def work(tx: Tx) -> None:
        for place in range(13):
            add(tx, ctx, scenario, Status.PASSED if place % 4 else Status.PENDING)

    await ctx.database.write(work)
    hand.turn(2 * DAY_S)
    await pruning.prune(limited(ctx, keep_runs_days=1))
    assert (await kept(ctx))["runs"] == 4


async def test_what_somebody_holds_is_left_for_the_next_time(ctx: Context, hand: Hand) -> None:
    if ctx.database.sqlite:
        return  # there is one writer, who waits for nobody
    run = await ctx.database.write(lambda tx: add(tx, ctx, a_scenario()))
    talk = a_conversation(id=ctx.new_id())
    await ctx.database.write(lambda tx: conversations.add(tx, ORG, [talk]))
    hand.turn(2 * DAY_S)
    short = limited(ctx, keep_runs_days=1, keep_conversations_days=1)
    with ctx.database._writers.begin() as other:
        assert runs.holder(other, run.conversation_id, lock=True)
        assert conversations.get(other, ORG, talk.id, lock=True)
        await pruning.prune(short)
        assert (await kept(ctx))["conversations"] == 2
    await pruning.prune(short)
    assert await kept(ctx) == {"scenarios": 1}


async def test_the_duties_come_back_by_themselves(ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    async def due() -> dict[str, int]:
        rows = await ctx.database.read(lambda tx: tx.execute(select(duty_rows.c.kind, duty_rows.c.due_at)).all())
        return {row.kind: row.due_at for row in rows}

    await duties.begin(ctx)
    first = {tallying.KIND: NOW + tallying.EVERY_MS, pruning.KIND: NOW + pruning.FIRST_MS}
    assert await due() == first
    hand.turn(1)
    await duties.begin(ctx)
    assert await due() == first

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no space")

    for fails in (False, True):
        hand.turn(DAY_S)
        if fails:
            monkeypatch.setattr("vivavoce.storage.tallies.count_new", broken)
            monkeypatch.setattr("vivavoce.storage.pruning.drop_stale", broken)
        taken = await ctx.database.write(lambda tx: kept_duties.take(tx, hand.now(), hand.now(), "token", 1000, 9))
        assert len(taken) == 2
        for duty in taken:
            await duties.perform(ctx, duty)
            # Whoever did it finds that it was wanted anew.
            assert not await ctx.database.write(lambda tx, duty=duty: kept_duties.finish(tx, duty))
        again = {tallying.KIND: hand.now() + tallying.EVERY_MS, pruning.KIND: hand.now() + pruning.EVERY_MS}
        assert await due() == again


async def test_everything_is_counted_in_small_steps(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "MOST", 2)
    scenario = a_scenario()

    def work(tx: Tx) -> None:
        for _ in range(5):
            add(tx, ctx, scenario)

    await ctx.database.write(work)
    await tallying.perform(ctx, DUTY)
    left = select(func.count()).where(run_rows.c.tally.is_(None))
    assert await ctx.database.read(lambda tx: tx.execute(left).scalar_one()) == 0
