"""Live events: whatever process somebody watches at, and wherever they go on, they are told everything."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert
from tests.services.test_examinations import a_run, an_assistant, claimed, going_on
from tests.support.store import NOW, ORG, put_run, said, set_row
from tests.support.watching import elsewhere, held_open, kinds, rest, restless, some, told, watched

from vivavoce.core.event import Ending, Left, Speaker, Usage
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Outcome, Verdict
from vivavoce.engine import leases
from vivavoce.services import cancelling, watching
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.examinations import conduct
from vivavoce.services.news import (
    END,
    Changed,
    Deleted,
    Item,
    Missed,
    Over,
    Recorded,
    RunPlace,
    run_place,
    time_place,
)
from vivavoce.services.watching import Outbox, TooMany, find_batch, find_run
from vivavoce.storage import keys
from vivavoce.storage.conversations import rows_of
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Entry, Lease, decided, running, settled
from vivavoce.storage.keys import Key
from vivavoce.storage.tables import events, runs

__all__ = ["elsewhere", "restless"]

VERDICTS = (Verdict("kind", Decision.MET, "is kind", "scripted"),)
LEFT = Left(Ending.GOODBYE, NOW, Speaker.CALLER)
PASSED = Outcome(Status.PASSED, None, "every criterion is met")


async def step(ctx: Context, number: int, run: Run, lease: Lease) -> None:
    """What happens in a run, one after the other."""
    entry = Entry(lease, NOW, run.conversation_id)
    match number:
        case 0:
            await ctx.database.write(lambda tx: set_row(tx, run.id, status="starting", lease_token=lease.token))
        case 1:
            await ctx.journal.write(running(lease, NOW))
        case 2:
            await ctx.journal.write(replace(entry, events=(said("Hello"), said("Hi", Speaker.ASSISTANT))))
        case 3:
            await ctx.journal.write(replace(entry, first_turn=2, events=(LEFT,)))
        case 4:
            await ctx.journal.write(decided(lease, NOW, VERDICTS, Usage()))
        case _:
            transcript = Transcript((said("Hello"), said("Hi", Speaker.ASSISTANT), LEFT))
            await ctx.journal.write(settled(lease, NOW, PASSED, transcript, Usage(), "the story"))


# --- one run --------------------------------------------------------------------------------------------------------


async def test_a_run_is_told_as_it_happens_and_from_every_place_on(ctx: Context, elsewhere: Context) -> None:
    run = await ctx.database.write(put_run)
    lease = Lease(run.id, "t")
    items: list[Item] = []
    async with watched(elsewhere, run_id=run.id) as stream:
        items += await some(stream, 1)
        for number, many in enumerate([1, 1, 2, 1, 1]):
            await step(ctx, number, run, lease)
            items += await some(stream, many)
        await step(ctx, 5, run, lease)
        items += await rest(stream)
    assert kinds(items) == ["pending", "starting", "running", "0", "1", "2", "Decided", "Over"]
    assert items[-1].place == END
    assert [item.news.event for item in items if isinstance(item.news, Recorded)] == [
        said("Hello"),
        said("Hi", Speaker.ASSISTANT),
        LEFT,
    ]
    over = items[-1].news
    assert isinstance(over, Over)
    assert (over.run.status, over.run.verdicts, over.run.completed_at) == (Status.PASSED, VERDICTS, NOW)
    # From any process, exactly what comes behind: of a status only how it is now.
    for place, item in enumerate(items[:-1]):
        at = run_place(item.place)
        assert at is not None
        behind = [one for one in items[place + 1 :] if not isinstance(one.news, Changed)]
        found = await told(ctx, run_id=run.id, at=at)
        assert [one.news for one in found] == [one.news for one in behind]


async def test_a_run_that_is_examined_is_told_from_hello_to_verdict(ctx: Context, elsewhere: Context) -> None:
    run = await a_run(ctx, target=(await an_assistant(ctx)).id)
    async with watched(elsewhere, run_id=run.id) as there, watched(ctx, run_id=run.id) as here:
        await conduct(ctx, await claimed(ctx, run), going_on)
        stories = [[one for one in await rest(stream) if not isinstance(one.news, Changed)] for stream in (here, there)]
    assert kinds(stories[0]) == kinds(stories[1]) == [*map(str, range(7)), "Decided", "Over"]


async def test_what_a_run_said_before_it_waited_again_is_told_first(ctx: Context) -> None:
    run = await ctx.database.write(put_run)
    lease = Lease(run.id, "t")
    async with watched(ctx, run_id=run.id) as stream:
        assert kinds(await some(stream, 1)) == ["pending"]
        await step(ctx, 0, run, lease)
        assert kinds(await some(stream, 1)) == ["starting"]

        def write(tx: Tx) -> None:
            tx.execute(insert(events), rows_of(run.conversation_id, 0, (said("Hello"),)))
            assert leases.try_again(tx, lease, "away", 0)

        await ctx.database.write(write)
        again = await some(stream, 2)
    assert kinds(again) == ["0", "pending"]
    assert isinstance(again[1].news, Changed)
    assert (again[1].news.state.attempts, again[1].news.state.mark.step) == (2, 8)
    assert again[1].place == "1.8.0"


async def test_nothing_is_told_before_it_is_committed(ctx: Context, elsewhere: Context) -> None:
    run = await ctx.database.write(put_run)
    async with watched(elsewhere, run_id=run.id) as stream:
        await some(stream, 1)
        with held_open(ctx, lambda tx: tx.execute(insert(events), rows_of(run.conversation_id, 0, (said("Hello"),)))):
            assert kinds(await told(elsewhere, run_id=run.id)) == ["pending"]
            assert stream.outbox.empty
        assert kinds(await some(stream, 1)) == ["0"]


async def test_a_run_that_is_cancelled_or_deleted_ends_its_stream(ctx: Context) -> None:
    run, other = [await ctx.database.write(put_run) for _ in range(2)]
    async with watched(ctx, run_id=run.id) as stream:
        await some(stream, 1)
        await ctx.database.write(lambda tx: cancelling.cancel(ctx, tx, ORG, run.id))
        last = await rest(stream)
    assert kinds(last) == ["Decided", "Over"]
    assert isinstance(last[1].news, Over)
    assert last[1].news.run.state == "cancelled"
    async with watched(ctx, run_id=other.id) as stream:
        await some(stream, 1)
        await ctx.database.write(lambda tx: tx.execute(delete(runs).where(runs.c.id == other.id)))
        assert [item.news for item in await rest(stream)] == [Deleted(other.id)]


async def test_a_client_that_takes_nothing_holds_up_nobody(ctx: Context) -> None:
    run = await ctx.database.write(put_run)
    lease = Lease(run.id, "t")
    async with watched(ctx, run_id=run.id) as lazy:
        for number in range(6):
            await step(ctx, number, run, lease)
            assert not isinstance((await told(ctx, run_id=run.id))[-1].news, Missed)
        found = await rest(lazy)
    assert kinds([one for one in found if not isinstance(one.news, Changed)]) == ["0", "1", "2", "Decided", "Over"]


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.2", "1.2.3.4", "-1.2.0", "a.b.0", "1.2.0\n", "1" * 30, "١.2.0"])
def test_what_is_no_place_is_told_apart(text: str) -> None:
    assert run_place(text) is None


def test_places_are_read_as_they_are_written() -> None:
    assert run_place(str(RunPlace(12, 7, True))) == RunPlace(12, 7, True)
    assert (time_place("17"), time_place("-1"), time_place("1.5"), time_place("9" * 16)) == (17, None, None, None)


# --- clients --------------------------------------------------------------------------------------------------------


def test_who_is_too_slow_is_let_go_behind_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_WAITING", 3)
    outbox = Outbox("")
    look = [Item(str(number), Deleted("x")) for number in range(5)]
    outbox.put(look)
    assert outbox.farewell is None
    outbox.put(look[:1])
    outbox.put(look[1:2])
    assert outbox.farewell == "too slow"

    async def take() -> list[str]:
        return [item.place for item in (*await outbox.take(4, 0), *await outbox.take(4, 0))]

    assert asyncio.run(take()) == ["0", "1", "2", "3", "4"]
    assert outbox.over


async def test_a_key_that_is_revoked_ends_its_streams(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "KEYS_S", 0.0)

    def work(tx: Tx) -> None:
        for name in ("k-1", "k-2"):
            keys.add(tx, Key(name, ORG, name, "", NOW), name)

    await ctx.database.write(work)
    async with watched(ctx, key_id="k-1") as good, watched(ctx, key_id="k-2") as bad:
        await ctx.database.write(lambda tx: keys.revoke(tx, "k-2", NOW))
        assert await rest(bad) == []
        assert bad.outbox.farewell == "the key was revoked"
        assert good.outbox.farewell is None


async def test_there_is_an_end_of_streams(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PER_KEY", 2)
    monkeypatch.setattr(watching, "PER_PROCESS", 3)

    def refused(key_id: str) -> str | None:
        try:
            ctx.watcher.admit(key_id)
        except TooMany as failure:
            return failure.of
        return None

    async with watched(ctx, key_id="k-1"), watched(ctx, key_id="k-1"):
        assert (refused("k-1"), refused("k-2")) == ("key", None)
        async with watched(ctx, key_id="k-2"):
            assert refused("k-3") == "process"
    assert refused("k-1") is None


async def test_a_server_that_stops_ends_every_stream(ctx: Context) -> None:
    run = await ctx.database.write(put_run)
    async with watched(ctx, run_id=run.id) as one, watched(ctx) as all_:
        await ctx.watcher.stop()
        for stream in (one, all_):
            await rest(stream)
            assert stream.outbox.farewell == "the server stops"
        async with watched(ctx) as late:
            assert await rest(late) == []
    with pytest.raises(TooMany):
        ctx.watcher.admit("k")


async def test_nobody_looks_when_nobody_watches(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    look = watching.look

    def counting(*args: Any, **given: Any) -> Any:
        nonlocal looked
        looked += 1
        return look(*args, **given)

    monkeypatch.setattr(watching, "look", counting)
    run = await ctx.database.write(put_run)
    ctx.watcher.wake()
    assert kinds(await told(ctx, run_id=run.id)) == ["pending"]
    before = looked
    ctx.watcher.wake()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (before, looked) == (1, 1)
    assert kinds(await told(ctx, run_id=run.id)) == ["pending"]


async def test_a_database_that_is_away_for_a_while_ends_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivavoce.engine.looking.AWAY_S", 0.0)
    look, failures = watching.look, [OSError("away"), OSError("away")]

    def failing(*args: Any, **given: Any) -> Any:
        if failures:
            raise failures.pop()
        return look(*args, **given)

    monkeypatch.setattr(watching, "look", failing)
    run = await ctx.database.write(put_run)
    assert kinds(await told(ctx, run_id=run.id)) == ["pending"]
    assert not failures


async def test_what_others_have_is_not_found(ctx: Context) -> None:
    run = await ctx.database.write(put_run)
    await ctx.database.write(lambda tx: set_row(tx, run.id, batch_id="b-1"))
    await find_run(ctx.database, ORG, run.id)
    await find_batch(ctx.database, ORG, "b-1")
    for org, run_id, batch_id in (("org-b", run.id, "b-1"), (ORG, "nothing", "nothing")):
        with pytest.raises(NotFound):
            await find_run(ctx.database, org, run_id)
        with pytest.raises(NotFound):
            await find_batch(ctx.database, org, batch_id)
