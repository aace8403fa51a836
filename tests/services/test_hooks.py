"""Somebody is told when runs and batches are over: once, whoever ends them and whoever else does so at that moment."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from tests.outbound.local_server import LOCAL, always, serving
from tests.services.test_examinations import a_run, an_assistant, claimed, going_on
from tests.support.duties import do, taken, work_off
from tests.support.store import NOW, ORG, Hand, put_run, row_of, set_row

from vivavoce.core.event import Usage
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.times import iso
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome
from vivavoce.engine import leases
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard
from vivavoce.outbound.signing import signed
from vivavoce.services import cancelling, deliveries, hooks, scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.examinations import conduct
from vivavoce.services.hooks import MOST, PREFIX, TOLD
from vivavoce.storage import duties as kept_duties
from vivavoce.storage import hooks as kept
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.journal import Entry, Journal, Lease, settled
from vivavoce.storage.page import Window
from vivavoce.storage.tables import duties

URL = "https://ci.example.com/hook?token=sesame"
PASSED = Outcome(Status.PASSED, None, "every criterion is met")


@pytest.fixture
def elsewhere(ctx: Context, database_url: str) -> Generator[Context]:
    """Another process on the same database."""
    opened = connect(database_url)
    yield replace(ctx, database=opened, journal=Journal(opened))
    opened.close()


@pytest.fixture
async def local(ctx: Context, hand: Hand) -> AsyncGenerator[Context]:
    """A server that may call this machine, and whose clock is right."""
    hand.ms = int(time.time() * 1000)
    async with open_session(LOCAL, ticks=hand.ticks) as session:
        yield replace(ctx, outbound=session)


async def a_hook(ctx: Context, *given: Occasion, url: str = URL, org: str = ORG) -> Hook:
    return await hooks.create(
        ctx.database, ctx.clock, ctx.new_id, ctx.outbound.guard, org, url, given or tuple(Occasion)
    )


async def driven(ctx: Context, many: int, batch_id: str | None = "b-1") -> list[Run]:
    """Runs of one batch that somebody drives."""

    def work(tx: Tx) -> list[Run]:
        made = [put_run(tx) for _ in range(many)]
        for run in made:
            set_row(tx, run.id, batch_id=batch_id, status="running", lease_token=f"token of {run.id}")
        return [replace(run, batch_id=batch_id) for run in made]

    return await ctx.database.write(work)


def ended(run: Run, outcome: Outcome = PASSED) -> Entry:
    """As whoever drives it settles it."""
    lease = Lease(run.id, f"token of {run.id}")
    duty = kept.wanted(ORG, run.id, run.batch_id, 0)
    return settled(lease, NOW, outcome, Transcript(), Usage(), "the story", (duty,))


async def deliver(*processes: Context) -> list[dict[str, Any]]:
    """What is wanted to be delivered when each process has done its duties; they all do at the same time."""
    for _ in range(3):
        found = [await taken(ctx) for ctx in processes]
        await asyncio.gather(
            *(
                do(ctx, duty)
                for ctx, mine in zip(processes, found, strict=True)
                for duty in mine
                if duty.kind != deliveries.KIND
            )
        )
    query = select(duties.c.body).where(duties.c.kind == deliveries.KIND).order_by(duties.c.id)
    bodies = await processes[0].database.read(lambda tx: tx.execute(query).scalars().all())
    return [json.loads(body) for body in bodies]


def told(wanted: list[dict[str, Any]]) -> list[str]:
    return sorted(f"{one['payload']['kind']} {one['payload']['data']['batch_id']}" for one in wanted)


async def test_a_run_from_its_start_to_its_delivery(local: Context) -> None:
    run = await a_run(local, target=(await an_assistant(local)).id)
    async with serving(always({})) as server:
        await a_hook(local, url=f"{server.url}/hook")
        await conduct(local, await claimed(local, run), going_on)
        assert await work_off(local) == []
        assert await work_off(local) == []
        [seen] = server.seen
    assert seen.json == {
        "kind": "run.completed",
        "created_at": iso(local.clock.now()),
        "data": {
            "run_id": run.id,
            "test_id": run.scenario_id,
            "batch_id": None,
            "suite": None,
            "version_id": run.version_id,
            "trigger": "manual",
            "status": "passed",
            "fault": None,
            "reason": "every criterion is met",
            "attempts": 1,
            "created_at": iso(run.created_at),
            "started_at": seen.json["data"]["started_at"],
            "completed_at": iso(local.clock.now()),
        },
    }
    assert seen.headers["idempotency-key"]
    stamp, signature = seen.headers["viva-timestamp"], seen.headers["viva-signature-ed25519"]
    assert signed(local.signer.public_key, stamp, signature, seen.body, local.clock.now())
    assert not signed(local.signer.public_key, stamp, signature, seen.body + b" ", local.clock.now())


async def test_a_delivery_that_is_not_taken_is_made_again(local: Context, hand: Hand) -> None:
    async with serving(always({}, 500)) as server:
        await a_hook(local, Occasion.RUN, url=server.url)
        [run] = await driven(local, 1, None)
        await local.journal.write(ended(run))
        assert [str(one) for one in await work_off(local)] == [f"{server.url} answered with status 500"]
        server.reply = always({})
        hand.turn(2)
        assert await work_off(local) == []
        first, second = server.seen
    assert first.json == second.json
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


async def test_nobody_is_told_who_did_not_ask(ctx: Context) -> None:
    await a_hook(ctx, org="org-b")
    run = await a_run(ctx, target=(await an_assistant(ctx)).id)
    await conduct(ctx, await claimed(ctx, run), going_on)
    [other] = await driven(ctx, 1)
    await ctx.database.write(lambda tx: cancelling.cancel(ctx, tx, ORG, other.id))
    assert await ctx.database.read(lambda tx: tx.execute(select(duties)).all()) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
async def test_a_batch_is_told_when_the_last_of_it_is_over(ctx: Context, order: tuple[int, ...]) -> None:
    hook = await a_hook(ctx, Occasion.BATCH)
    made = await driven(ctx, 3)
    failed = Outcome(Status.FAILED, None, "unmet: kind")
    for number in order[:2]:
        await ctx.journal.write(ended(made[number], failed if number == 1 else PASSED))
        assert await deliver(ctx) == []
    await ctx.database.write(lambda tx: cancelling.cancel(ctx, tx, ORG, made[order[2]].id))
    [wanted] = await deliver(ctx)
    assert (wanted["url"], wanted["prefix"]) == (hook.url, PREFIX)
    assert wanted["payload"] == {
        "kind": "batch.completed",
        "created_at": iso(NOW),
        "data": {
            "batch_id": "b-1",
            "total": 3,
            "counts": {"passed": 1, "failed": 1, "error": 0, "cancelled": 1},
            "created_at": iso(NOW),
            "started_at": None,
            "completed_at": iso(NOW),
        },
    }


async def test_many_who_end_a_batch_at_the_same_time_want_one_delivery(ctx: Context, elsewhere: Context) -> None:
    await a_hook(ctx)
    for round_ in range(3):
        batch_id = f"b-{round_}"
        made = await driven(ctx, 6, batch_id)
        # Some are settled here, some there, some are cancelled, and duties are done all the while.
        await asyncio.gather(
            *(ctx.journal.write(ended(run)) for run in made[:2]),
            *(elsewhere.journal.write(ended(run)) for run in made[2:4]),
            *(
                one.database.write(partial(_cancel, one, run_id=run.id))
                for one, run in zip((ctx, elsewhere), made[4:], strict=True)
            ),
            deliver(ctx, elsewhere),
        )
    batches = [f"b-{one}" for one in range(3)]
    expected = [f"batch.completed {one}" for one in batches] + [f"run.completed {one}" for one in sorted(batches * 6)]
    assert told(await deliver(ctx, elsewhere)) == expected


def _cancel(ctx: Context, tx: Tx, run_id: str) -> None:
    cancelling.cancel(ctx, tx, ORG, run_id)


async def test_duties_that_are_done_twice_tell_once(ctx: Context, elsewhere: Context) -> None:
    await a_hook(ctx)
    made = await driven(ctx, 2)
    for run in made:
        await ctx.journal.write(ended(run))
    held = await taken(ctx)
    assert len(held) == 2
    # Whoever was silent for too long does them as well, and so does the one who took them over.
    await asyncio.gather(*(hooks.perform(one, duty) for duty in held for one in (ctx, elsewhere)))
    assert told(await deliver(ctx)) == ["batch.completed b-1", "run.completed b-1", "run.completed b-1"]


async def test_a_batch_is_told_once_although_the_delivery_is_over(ctx: Context) -> None:
    hook = await a_hook(ctx, Occasion.BATCH)
    for run in await driven(ctx, 2):
        await ctx.journal.write(ended(run))
    first, second = await taken(ctx)
    await hooks.perform(ctx, first)
    subject = f"batch.completed b-1 to {hook.id}"
    assert len(await deliver(ctx)) == 1
    await ctx.database.write(lambda tx: kept_duties.forget(tx, deliveries.KIND, subject))
    await hooks.perform(ctx, second)
    assert await deliver(ctx) == []


async def test_each_hook_is_told_what_it_asked_for(ctx: Context) -> None:
    urls = [f"https://{kind.value}.example" for kind in Occasion]
    for kind, url in zip(Occasion, urls, strict=True):
        await a_hook(ctx, kind, url=url)
    [run] = await driven(ctx, 1)
    await ctx.journal.write(ended(run))
    assert {one["url"]: one["payload"]["kind"] for one in await deliver(ctx)} == {
        "https://run.completed.example": "run.completed",
        "https://batch.completed.example": "batch.completed",
    }


async def test_a_run_that_is_given_up_is_over_too(ctx: Context) -> None:
    await a_hook(ctx)
    [run] = await driven(ctx, 1)
    lost = {"stalls": leases.MAX_STALLS, "lease_until": 0}
    await ctx.database.write(lambda tx: set_row(tx, run.id, **lost))
    await ctx.database.write(leases.take_back)
    assert (await row_of(ctx.database, run.id)).status == "error"
    ctx = replace(ctx, clock=Hand(int(time.time() * 1000) + 60_000))  # the duty is due by the database's clock
    assert told(await deliver(ctx)) == ["batch.completed b-1", "run.completed b-1"]


async def test_a_batch_whose_last_runs_are_deleted_is_over(ctx: Context) -> None:
    await a_hook(ctx, Occasion.BATCH)
    done, *left = await driven(ctx, 3)
    await ctx.journal.write(ended(done))
    assert await deliver(ctx) == []
    for number, run in enumerate(left):
        await scenarios.delete(ctx, ORG, run.scenario_id)
        assert len(await deliver(ctx)) == number
    [wanted] = await deliver(ctx)
    assert wanted["payload"]["data"]["total"] == 1


async def test_of_a_batch_of_which_nothing_is_left_nobody_is_told(ctx: Context) -> None:
    await a_hook(ctx)
    [run] = await driven(ctx, 1)
    await scenarios.delete(ctx, ORG, run.scenario_id)
    assert await deliver(ctx) == []


async def test_the_mark_of_a_batch_goes_by_itself(ctx: Context, hand: Hand) -> None:
    await a_hook(ctx, Occasion.BATCH)
    [run] = await driven(ctx, 1)
    await ctx.journal.write(ended(run))
    assert len(await deliver(ctx)) == 1

    def marks(tx: Tx) -> int:
        return len(tx.execute(select(duties).where(duties.c.kind == TOLD)).all())

    assert await ctx.database.read(marks) == 1
    hand.turn(kept.KEPT_MS / 1000)
    await deliver(ctx)
    assert await ctx.database.read(marks) == 0


async def test_hooks_are_kept_listed_and_removed(ctx: Context) -> None:
    first = await a_hook(ctx, Occasion.BATCH, Occasion.RUN, Occasion.BATCH)
    assert first.kinds == (Occasion.RUN, Occasion.BATCH)
    second = await a_hook(ctx, Occasion.RUN)
    assert await hooks.retrieve(ctx.database, ORG, first.id) == first
    assert (await hooks.get_page(ctx.database, ORG, Window(1, 1))).items == (second,)
    await hooks.delete(ctx.database, ORG, first.id)
    for org, id_ in ((ORG, first.id), ("org-b", second.id)):
        with pytest.raises(NotFound):
            await hooks.retrieve(ctx.database, org, id_)
        with pytest.raises(NotFound):
            await hooks.delete(ctx.database, org, id_)
    assert (await hooks.get_page(ctx.database, ORG, Window())).items == (second,)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a.example", "http://", "http://10.0.0.1/x", "http://u:p@a.example", "http://ä.example", "x" * 3000],
)
async def test_addresses_that_cannot_be_called_are_refused(ctx: Context, url: str) -> None:
    with pytest.raises(Rejected) as refused:
        await a_hook(ctx, url=url)
    assert refused.value.part == "url"
    assert (await hooks.get_page(ctx.database, ORG, Window())).total == 0


async def test_there_is_an_end_of_hooks(ctx: Context) -> None:
    for _ in range(MOST):
        await a_hook(ctx)
    with pytest.raises(Rejected, match="20 webhooks"):
        await a_hook(ctx)
    await a_hook(ctx, org="org-b")
    with pytest.raises(Rejected) as refused:
        await hooks.create(ctx.database, ctx.clock, ctx.new_id, Guard(), ORG, URL, ())
    assert refused.value.part == "kinds"


async def test_a_trial_says_what_came_of_it(local: Context) -> None:
    async with serving(always({}, 204)) as server:
        hook = await a_hook(local, url=server.url)
        tried = await hooks.try_out(local, hook, local.new_id)
        assert (tried.taken, tried.status, tried.reason) == (True, 204, "")
        [seen] = server.seen
        server.reply = always({}, 404)
        assert (await hooks.try_out(local, hook, local.new_id)).taken is False
    assert (seen.json["kind"], seen.json["data"]["webhook_id"]) == ("test", hook.id)
    gone = await hooks.try_out(local, hook, local.new_id)
    assert (gone.taken, gone.status) == (False, None)
    assert gone.reason
    async with open_session(Guard()) as session:
        refused = await hooks.try_out(replace(local, outbound=session), hook, local.new_id)
    assert "not a public address" in refused.reason


def test_a_kind_of_a_later_release_is_passed_over() -> None:
    class Row:
        id, url, kinds, created_at = "h", URL, ["run.completed", "run.started"], NOW

    assert kept._hook(Row()).kinds == (Occasion.RUN,)  # type: ignore[arg-type]
