"""Live events of many runs: a batch, and all of an organisation."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import delete
from tests.support.store import PATIENCE_S, a_scenario, put_run, set_row
from tests.support.watching import elsewhere, held_open, kinds, rest, restless, some, told, watched

from vivavoce.core.run import Run
from vivavoce.engine import leases
from vivavoce.services import looks, watching
from vivavoce.services.context import Context
from vivavoce.services.looks import FAR_MS, OLDEST_MS, Wish
from vivavoce.services.news import (
    END,
    Changed,
    Counted,
    Deleted,
    Item,
    Missed,
    time_place,
)
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Lease
from vivavoce.storage.tables import runs
from vivavoce.storage.times import read_clock

__all__ = ["elsewhere", "restless"]


async def a_batch(ctx: Context, many: int, batch_id: str = "b-1", **columns: Any) -> list[Run]:
    def work(tx: Tx) -> list[Run]:
        made = [put_run(tx) for _ in range(many)]
        for run in made:
            set_row(tx, run.id, batch_id=batch_id, **columns)
        return made

    return await ctx.database.write(work)


async def clock(ctx: Context) -> int:
    """What time it is in the database."""
    return await ctx.database.read(read_clock)


async def change(ctx: Context, run: Run, at: int | None = None, **columns: Any) -> None:
    """As somebody does it whose clock is that of the database."""
    now = await clock(ctx) if at is None else at
    await ctx.database.write(lambda tx: set_row(tx, run.id, updated_at=now, **columns))


def counts(items: Sequence[Item]) -> dict[str, int]:
    """The last that was told, without zeros."""
    found = [item.news for item in items if isinstance(item.news, Counted)]
    return {state: many for state, many in found[-1].counts.items() if many}


def runs_of(items: Sequence[Item]) -> dict[str, str]:
    """How each run was told to be at last."""
    return {item.news.state.mark.id: item.news.state.mark.state for item in items if isinstance(item.news, Changed)}


async def test_a_batch_is_told_to_its_end(ctx: Context, elsewhere: Context) -> None:
    first, second, third = await a_batch(ctx, 3)
    async with watched(elsewhere, batch_id="b-1") as stream, watched(ctx, batch_id="b-1") as here:
        assert counts(await some(stream, 1)) == {"pending": 3}
        await change(ctx, first, status="starting")
        items = await some(stream, 2)
        assert kinds(items) == ["starting", "Counted"]
        assert counts(items) == {"pending": 2, "starting": 1}
        await change(ctx, first, status="passed")
        assert counts(await some(stream, 2)) == {"pending": 2, "passed": 1}
        await change(ctx, second, status="error", ending="cancelled")
        assert counts(await some(stream, 2)) == {"pending": 1, "passed": 1, "cancelled": 1}
        await change(ctx, third, status="failed")
        last = await rest(stream)
        assert kinds(last) == ["failed", "Counted"]
        assert last[-1].place == END
        assert isinstance(last[-1].news, Counted)
        assert last[-1].news.over
        assert counts(last) == {"passed": 1, "cancelled": 1, "failed": 1}
        assert runs_of(await rest(here)) == {first.id: "passed", second.id: "cancelled", third.id: "failed"}
    # Whoever comes when it is over is told how each of them ended.
    late = await told(ctx, batch_id="b-1")
    assert runs_of(late) == {first.id: "passed", second.id: "cancelled", third.id: "failed"}
    assert late[-1].place == END


async def test_a_batch_goes_on_from_every_place_without_loss(ctx: Context, elsewhere: Context) -> None:
    made = await a_batch(ctx, 4, updated_at=1)
    items: list[Item] = []
    async with watched(elsewhere, batch_id="b-1") as stream:
        items += await some(stream, 1)
        for run in made[:3]:
            await change(ctx, run, status="running")
            items += await some(stream, 2)
        await change(ctx, made[3], status="running")
        await ctx.database.write(lambda tx: [set_row(tx, run.id, status="passed") for run in made])
        items += await rest(stream)
    for place, item in enumerate(items[:-1]):
        since = time_place(item.place)
        assert since is not None
        behind, again = runs_of(items[place + 1 :]), await told(ctx, batch_id="b-1", since=since)
        assert behind.items() <= runs_of(again).items()
        assert again[-1].place == END


async def test_what_is_committed_late_is_told_late(
    ctx: Context, elsewhere: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FAR_S", 0.0)
    first, second = await a_batch(ctx, 2, updated_at=1)
    before = await clock(ctx) - FAR_MS // 2
    async with watched(elsewhere, batch_id="b-1") as batch, watched(elsewhere) as everything:
        await some(batch, 1)
        with held_open(ctx, lambda tx: set_row(tx, first.id, status="running", updated_at=before)):
            # While it is open, time goes by, and others are told.
            if not ctx.database.sqlite:
                await change(ctx, second, status="running")
                assert runs_of(await some(batch, 2)) == {second.id: "running"}
            place = batch.since
            assert first.id not in runs_of(await told(ctx, batch_id="b-1", since=place))
        assert runs_of(await some(batch, 2)) == {first.id: "running"}
        async with asyncio.timeout(PATIENCE_S):
            found: list[Item] = []
            while first.id not in runs_of(found):
                found += await everything.outbox.take(9, PATIENCE_S)
        # And to those who left in between.
        assert runs_of(await told(ctx, batch_id="b-1", since=place))[first.id] == "running"
        assert runs_of(await told(ctx, since=place))[first.id] == "running"


async def test_runs_of_a_batch_that_are_deleted_count_no_more(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FAR_S", 0.0)
    first, second = await a_batch(ctx, 2)
    async with watched(ctx, batch_id="b-1") as stream:
        await some(stream, 1)
        await ctx.database.write(lambda tx: tx.execute(delete(runs).where(runs.c.id == first.id)))
        assert counts(await some(stream, 1)) == {"pending": 1}
        await ctx.database.write(lambda tx: tx.execute(delete(runs).where(runs.c.id == second.id)))
        assert [item.news for item in await rest(stream)] == [Deleted("b-1")]


async def test_an_organisation_is_told_of_its_runs_from_now_on(ctx: Context, elsewhere: Context) -> None:
    old = await ctx.database.write(put_run)
    await change(ctx, old, status="running")
    async with watched(elsewhere) as stream, watched(elsewhere, org="org-b") as theirs:
        async with asyncio.timeout(PATIENCE_S):
            while stream.since is None or theirs.since is None:
                await asyncio.sleep(0)
        new = await ctx.database.write(lambda tx: put_run(tx, scenario=a_scenario(suite="smoke")))
        foreign = await ctx.database.write(lambda tx: put_run(tx, org="org-b"))
        assert runs_of(await some(stream, 1)) == {new.id: "pending"}
        await change(ctx, old, status="passed")
        again = await some(stream, 1)
        assert runs_of(again) == {old.id: "passed"}
        assert runs_of(await some(theirs, 1)) == {foreign.id: "pending"}
    place = time_place(again[0].place)
    assert place is not None
    assert runs_of(await told(ctx, since=place))[old.id] == "passed"
    assert foreign.id not in runs_of(await told(ctx, since=place))


async def test_a_run_that_waits_again_is_a_change(ctx: Context) -> None:
    first, second = [await ctx.database.write(put_run) for _ in range(2)]
    for run, lease in ((first, Lease(first.id, "t")), (second, Lease(second.id, "t"))):
        columns = {"status": "running", "lease_token": lease.token, "lease_until": 0, "updated_at": 1}
        await ctx.database.write(lambda tx, run=run, columns=columns: set_row(tx, run.id, **columns))
    async with watched(ctx) as stream:
        while stream.since is None:
            await stream.outbox.take(1, 0.01)
        await ctx.database.write(lambda tx: leases.give_back(tx, [Lease(first.id, "t")]))
        assert runs_of(await some(stream, 1)) == {first.id: "pending"}
        await ctx.database.write(leases.take_back)
        assert runs_of(await some(stream, 1)) == {second.id: "pending"}


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (Wish(), {"a", "b", "c"}),
        (Wish(suite="smoke"), {"a", "b"}),
        (Wish(scenario_id="s-1"), {"a"}),
        (Wish(states=frozenset({"passed", "cancelled"})), {"b", "c"}),
        (Wish(suite="smoke", states=frozenset({"cancelled"})), set[str]()),
    ],
)
async def test_only_what_is_wished_for_is_told(ctx: Context, wish: Wish, found: set[str]) -> None:
    smoke = a_scenario(id="s-1", suite="smoke")
    names: dict[str, str] = {}

    def work(tx: Tx) -> None:
        for name, scenario, columns in (
            ("a", smoke, {"status": "running"}),
            ("b", a_scenario(suite="smoke"), {"status": "passed"}),
            ("c", a_scenario(), {"status": "error", "ending": "cancelled"}),
        ):
            run = put_run(tx, scenario=scenario)
            set_row(tx, run.id, **columns)
            names[run.id] = name

    now = await clock(ctx)
    async with watched(ctx, wish=wish, since=now) as stream:
        await ctx.database.write(work)
        items: list[Item] = []
        while len(runs_of(items)) < len(found):
            items += await stream.outbox.take(9, PATIENCE_S)
    assert {names[id_] for id_ in runs_of(items)} == found
    assert {names[id_] for id_ in runs_of(await told(ctx, wish=wish, since=now))} == found


async def test_who_was_away_for_too_long_looks_at_the_lists(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await clock(ctx)
    monkeypatch.setattr(looks, "MOST_MISSED", 2)
    await a_batch(ctx, 2)
    assert len(await told(ctx, since=now)) == 2
    await a_batch(ctx, 1, "b-2")
    assert [item.news for item in await told(ctx, since=now)] == [Missed(now)]
    long_ago = now - OLDEST_MS - 1000
    assert [item.news for item in await told(ctx, since=long_ago)] == [Missed(long_ago)]
    # A time that has not come yet is of a clock that was put back.
    assert len(await told(ctx, since=now + 10**9)) == 1
