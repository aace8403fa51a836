"""Duties are done at their time, tried again when they fail, and handed on when their process stops."""

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.support.outages import WHENS, Outage, When, weaken
from tests.support.store import NOW, ORG, PATIENCE_S, Hand, ids

from vivavoce.engine import duties as engine
from vivavoce.engine.duties import TRIES, Duties, delay_ms
from vivavoce.storage import duties, insisting
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Duty, Wanted

new_id = ids()


@dataclass
class Desk:
    """Does duties: notes them, and does what the test wants with them."""

    deed: Callable[[Duty], Awaitable[None]] | None = None
    done: list[Duty] = field(default_factory=list[Duty])
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def perform(self, duty: Duty) -> None:
        self.done.append(duty)
        async with self._changed:
            self._changed.notify_all()
        if self.deed is not None:
            await self.deed(duty)

    async def has_done(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.done) >= count)


@asynccontextmanager
async def working(database: Database, desk: Desk, hand: Hand) -> AsyncGenerator[Duties]:
    worker = Duties(database, hand, new_id, desk.perform)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def keep(database: Database, subject: str, due_at: int = NOW, kind: str = "call") -> None:
    await database.write(lambda tx: duties.want(tx, Wanted(new_id(), ORG, kind, subject, due_at)))


async def until_empty(database: Database) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await database.read(duties.next_due) is not None or await left(database):
            await asyncio.sleep(0.01)


async def left(database: Database) -> int:
    from sqlalchemy import func, select

    from vivavoce.storage.tables import duties as rows

    return await database.read(lambda tx: tx.execute(select(func.count()).select_from(rows)).scalar_one())


async def test_what_is_due_is_done_once(database: Database) -> None:
    desk = Desk()
    await keep(database, "a")
    await keep(database, "b", NOW + 1_000_000)
    async with working(database, desk, Hand()):
        await desk.has_done(1)
        async with asyncio.timeout(PATIENCE_S):
            while await left(database) > 1:
                await asyncio.sleep(0.01)
    assert [duty.subject for duty in desk.done] == ["a"]


async def test_who_is_woken_looks_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOOK_S", 3600.0)
    desk = Desk()
    async with working(database, desk, Hand()) as worker:
        await keep(database, "first")
        worker.wake()
        await desk.has_done(1)
        await keep(database, "second")
        worker.wake()
        await desk.has_done(2)


async def test_what_fails_is_tried_again_later(database: Database) -> None:
    async def fail(duty: Duty) -> None:
        if duty.attempts == 1:
            raise RuntimeError("not now")

    desk, hand = Desk(fail), Hand()
    await keep(database, "a")
    async with working(database, desk, hand) as worker:
        await desk.has_done(1)
        async with asyncio.timeout(PATIENCE_S):
            while await database.read(duties.next_due) != NOW + delay_ms(1):
                await asyncio.sleep(0.01)
        hand.turn(delay_ms(1) / 1000)
        worker.wake()
        await desk.has_done(2)
        await until_empty(database)
    assert [duty.attempts for duty in desk.done] == [1, 2]


async def test_what_always_fails_is_given_up(database: Database) -> None:
    async def fail(_duty: Duty) -> None:
        raise RuntimeError("never")

    desk, hand = Desk(fail), Hand()
    await keep(database, "a")
    async with working(database, desk, hand) as worker:
        for tries in range(1, TRIES + 1):
            await desk.has_done(tries)
            async with asyncio.timeout(PATIENCE_S):
                while tries < TRIES and await database.read(duties.next_due) is None:
                    await asyncio.sleep(0.01)
            hand.turn(delay_ms(tries) / 1000)
            worker.wake()
        await until_empty(database)
    assert len(desk.done) == TRIES


async def test_for_the_database_no_duty_is_given_up(database: Database) -> None:
    async def fail(_duty: Duty) -> None:
        if len(desk.done) < TRIES + 2:
            raise OperationalError("SELECT", {}, Exception("away"))

    desk, hand = Desk(fail), Hand()
    await keep(database, "a")
    with capture_logs() as logs:
        async with working(database, desk, hand) as worker:
            for tries in range(1, TRIES + 2):
                await desk.has_done(tries)
                async with asyncio.timeout(PATIENCE_S):
                    while await database.read(duties.next_due) is None:
                        await asyncio.sleep(0.01)
                hand.turn(delay_ms(1) / 1000)
                worker.wake()
            await until_empty(database)
    assert {duty.attempts for duty in desk.done} == {1}
    assert {one["event"] for one in logs} == {"a duty is tried again"}


async def test_what_cannot_be_noted_is_done_again_and_told_in_a_line(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the event loop hears of a failure that nobody waited for, nor the log of the place where it was."""
    monkeypatch.setattr(engine, "LEASE_MS", 50)
    monkeypatch.setattr(engine, "RENEW_S", 0.01)
    monkeypatch.setattr(insisting, "WAITS_S", ())
    lost: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: lost.append(context))
    desk, fails = Desk(), threading.Event()
    whole = database.write

    async def write(work: Callable[[Tx], Any]) -> Any:
        if fails.is_set():
            raise OperationalError("UPDATE", {}, Exception("cut off"))
        return await whole(work)

    async def deed(duty: Duty) -> None:
        if duty.attempts == 1:
            fails.set()
            async with asyncio.timeout(PATIENCE_S):
                while not any(one["event"] == "renewing duties failed" for one in logs):
                    await asyncio.sleep(0.01)

    async def noted() -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not any(one["event"] == "noting what became of a duty failed" for one in logs):
                await asyncio.sleep(0.01)

    desk.deed = deed
    await keep(database, "a")
    monkeypatch.setattr(database, "write", write)
    with capture_logs() as logs:
        async with working(database, desk, Hand()):
            await noted()
            fails.clear()
            await desk.has_done(2)
            await until_empty(database)
    gc.collect()
    assert [duty.attempts for duty in desk.done] == [1, 2]
    assert not lost
    assert not [one for one in logs if "exc_info" in one]
    assert {one.get("reason") for one in logs} <= {"cut off", None}


@pytest.mark.parametrize("when", WHENS)
async def test_who_loses_its_connection_notes_what_was_done_all_the_same(database: Database, when: When) -> None:
    async def deed(_duty: Duty) -> None:
        outage.begins(1, when)

    outage, desk = Outage(), Desk(deed)
    weaken(database, outage, lambda: "duty" in structlog.contextvars.get_contextvars())
    await keep(database, "a")
    async with working(database, desk, Hand()):
        await desk.has_done(1)
        await until_empty(database)
    assert outage.ends()
    assert len(desk.done) == 1


async def test_who_stops_hands_on_what_is_not_done(database: Database) -> None:
    async def for_ever(_duty: Duty) -> None:
        await asyncio.Event().wait()

    desk = Desk(for_ever)
    await keep(database, "a")
    async with working(database, desk, Hand()):
        await desk.has_done(1)
    assert await database.read(duties.next_due) == NOW


async def test_what_is_taken_in_the_moment_of_stopping_is_handed_on_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking, go_on = threading.Event(), threading.Event()
    take = duties.take

    def slow(*args: Any, **given: Any) -> tuple[Duty, ...]:
        taken = take(*args, **given)
        taking.set()
        assert go_on.wait(PATIENCE_S)
        return taken

    monkeypatch.setattr(duties, "take", slow)
    await keep(database, "a")
    worker = Duties(database, Hand(), new_id, Desk().perform)
    worker.start()
    assert await asyncio.to_thread(taking.wait, PATIENCE_S)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    # Free again at once, or done: never left with whoever has gone.
    assert await database.read(duties.next_due) in (NOW, None)
    assert not await database.read(lambda tx: duties.any_stale(tx, 2**62))


async def test_many_are_done_a_few_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "OF_A_KIND", 3)
    monkeypatch.setattr(engine, "LOOK_S", 3600.0)  # whoever has room again looks by itself
    most = 0
    running = 0

    async def count(_duty: Duty) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    desk = Desk(count)
    for number in range(20):
        await keep(database, f"{number}")
    async with working(database, desk, Hand()):
        await desk.has_done(20)
        await until_empty(database)
    assert 1 < most <= 3


async def test_a_kind_that_takes_its_time_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "OF_A_KIND", 3)
    go_on = asyncio.Event()

    async def slow(duty: Duty) -> None:
        if duty.kind == "delivery":
            await go_on.wait()

    desk = Desk(slow)
    for number in range(10):
        await keep(database, f"{number}", NOW - 1000 + number, kind="delivery")
    async with working(database, desk, Hand()) as worker:
        await desk.has_done(3)
        for kind in ("schedule", "reply"):
            await keep(database, kind, kind=kind)
        worker.wake()
        await desk.has_done(5)
        assert {duty.kind for duty in desk.done[3:]} == {"schedule", "reply"}
        go_on.set()
        await desk.has_done(12)
        await until_empty(database)


@pytest.mark.parametrize(("attempts", "expected"), [(1, 2_000), (2, 4_000), (5, 32_000), (20, 900_000)])
def test_the_waits_grow_and_have_an_end(attempts: int, expected: int) -> None:
    assert delay_ms(attempts) == expected


async def test_what_only_another_release_can_do_is_left_to_it(database: Database) -> None:
    desk = Desk()
    await database.write(lambda tx: duties.want(tx, Wanted(new_id(), ORG, "unheard of", "a", NOW)))
    await keep(database, "b")
    worker = Duties(database, Hand(), new_id, desk.perform, kinds={"call"})
    worker.start()
    try:
        await desk.has_done(1)
        async with asyncio.timeout(PATIENCE_S):
            while await left(database) > 1:
                await asyncio.sleep(0.01)
    finally:
        await worker.stop()
    assert [duty.kind for duty in desk.done] == ["call"]
    assert await database.read(duties.next_due) == NOW
