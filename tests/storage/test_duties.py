"""Duties are kept until they are done, by one at a time."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

from sqlalchemy import event
from tests.support.store import NOW, ORG, PATIENCE_S, waits

from vivavoce.engine.leases import database_now
from vivavoce.storage import duties
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.duties import Duty, Wanted

LEASE_MS = 60_000


def wanted(subject: str, due_at: int = NOW, *, body: str = "", kind: str = "call") -> Wanted:
    return Wanted(f"id-{kind}-{subject}-{body}", ORG, kind, subject, due_at, body)


async def keep(database: Database, *some: Wanted) -> None:
    def work(tx: Tx) -> None:
        for one in some:
            duties.want(tx, one)

    await database.write(work)


async def take(database: Database, *, token: str = "mine", now: int = NOW, lease_ms: int = LEASE_MS) -> list[Duty]:
    found = await database.write(lambda tx: duties.take(tx, now, database_now(tx), token, lease_ms, 10))
    return list(found)


def subjects(found: list[Duty]) -> list[str]:
    return [one.subject for one in found]


async def test_what_is_due_is_taken_once_and_in_order(database: Database) -> None:
    await keep(database, wanted("later", NOW + 1), wanted("second", NOW), wanted("first", NOW - 5))
    assert subjects(await take(database)) == ["first", "second"]
    assert await take(database, token="other") == []
    assert subjects(await take(database, now=NOW + 1)) == ["later"]


async def test_the_next_one_is_known_before_it_is_due(database: Database) -> None:
    assert await database.read(duties.next_due) is None
    await keep(database, wanted("b", NOW + 20), wanted("a", NOW + 10))
    assert await database.read(duties.next_due) == NOW + 10
    await take(database, now=NOW + 10)
    assert await database.read(duties.next_due) == NOW + 20


async def test_what_is_done_is_gone(database: Database) -> None:
    await keep(database, wanted("a"))
    [duty] = await take(database)
    assert (duty.org, duty.kind, duty.attempts) == (ORG, "call", 1)
    assert await database.write(lambda tx: duties.finish(tx, duty))
    assert not await database.write(lambda tx: duties.finish(tx, duty))
    assert await take(database) == []


async def test_wanting_it_again_changes_the_one_that_waits(database: Database) -> None:
    await keep(database, wanted("a", NOW), wanted("a", NOW + 50, body="new"), wanted("a", NOW, kind="other"))
    assert [one.kind for one in await take(database)] == ["other"]
    [duty] = await take(database, now=NOW + 50)
    assert duty.body == "new"


async def test_two_may_want_the_same_at_the_same_moment(database: Database) -> None:
    wants, go_on = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> None:
        duties.want(tx, wanted("a", body="first"))
        wants.set()
        assert go_on.wait(PATIENCE_S)

    try:
        first = asyncio.create_task(database.write(slowly))
        assert await asyncio.to_thread(wants.wait, PATIENCE_S)
        second = asyncio.create_task(keep(database, wanted("a", body="second")))
        await waits(database, second)
    finally:
        go_on.set()
    await asyncio.gather(first, second)
    assert [one.body for one in await take(database)] == ["second"]


async def test_what_is_wanted_anew_while_it_is_done_is_done_once_more(database: Database) -> None:
    await keep(database, wanted("a", body="old"))
    [first] = await take(database)
    await keep(database, wanted("a", body="new"))
    assert not await database.write(lambda tx: duties.finish(tx, first))
    [second] = await take(database, token="other")
    assert (second.body, second.attempts) == ("new", 1)


async def test_a_dead_workers_duty_is_taken_over_and_counted(database: Database) -> None:
    await keep(database, wanted("a"))
    [dead] = await take(database, lease_ms=-1)
    assert await database.read(lambda tx: duties.any_stale(tx, database_now(tx)))
    [mine] = await take(database, token="other")
    assert mine.attempts == 2
    assert not await database.read(lambda tx: duties.any_stale(tx, database_now(tx)))
    assert not await database.write(lambda tx: duties.finish(tx, dead))
    await database.write(lambda tx: duties.postpone(tx, dead, NOW))
    assert await take(database, token="third") == []


async def test_a_lease_that_is_renewed_holds(database: Database) -> None:
    await keep(database, wanted("a"), wanted("b"))
    held = await take(database, lease_ms=-1)
    stranger = replace(held[1], token="stranger")
    await database.write(lambda tx: duties.renew(tx, [held[0], stranger], database_now(tx), LEASE_MS))
    assert subjects(await take(database, token="other")) == ["b"]


async def test_what_is_postponed_comes_back_at_its_time(database: Database) -> None:
    await keep(database, wanted("a"))
    [duty] = await take(database)
    await database.write(lambda tx: duties.postpone(tx, duty, NOW + 30))
    assert await take(database) == []
    [again] = await take(database, now=NOW + 30)
    assert again.attempts == 2


async def test_what_nobody_wants_any_more_is_not_done(database: Database) -> None:
    await keep(database, wanted("a"), wanted("a", kind="other"))
    await database.write(lambda tx: duties.forget(tx, "call", "a"))
    assert [one.kind for one in await take(database)] == ["other"]


async def test_each_kind_has_places_of_its_own(database: Database) -> None:
    def look(tx: Tx, token: str, held: dict[str, int]) -> list[str]:
        found = duties.take(tx, NOW, database_now(tx), token, LEASE_MS, 2, held)
        return [f"{one.kind} {one.subject}" for one in found]

    slow = [wanted(str(number), NOW - 100 + number, kind="slow") for number in range(5)]
    await keep(database, *slow, wanted("b", NOW), wanted("a", NOW - 1), wanted("c", NOW), wanted("late", NOW + 1))
    assert await database.write(lambda tx: look(tx, "first", {})) == ["slow 0", "slow 1", "call a", "call b"]
    assert await database.write(lambda tx: look(tx, "second", {"slow": 2, "call": 2})) == []
    assert await database.write(lambda tx: look(tx, "third", {"slow": 2, "call": 1})) == ["call c"]
    assert await database.write(lambda tx: look(tx, "fourth", {"slow": 1})) == ["slow 2"]
    assert await database.write(lambda tx: look(tx, "fifth", {})) == ["slow 3", "slow 4"]


async def test_a_backlog_of_one_kind_is_not_walked_to_come_to_another(database: Database) -> None:
    plans: list[str] = []

    def noted(_conn: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "due_at <=" in statement:
            seen.append((statement, given))

    seen: list[tuple[str, Any]] = []

    def work(tx: Tx) -> None:
        event.listen(tx.engine, "before_cursor_execute", noted)
        try:
            duties.take(tx, NOW, 0, "t", 1000, 32, {"full": 32}, ["full", "other"])
        finally:
            event.remove(tx.engine, "before_cursor_execute", noted)
        # Of the one that has no room nothing is asked.
        assert len(seen) == 1
        explain = "EXPLAIN QUERY PLAN " if tx.dialect.name == "sqlite" else "EXPLAIN "
        for way in () if tx.dialect.name == "sqlite" else ("seqscan", "bitmapscan"):
            tx.exec_driver_sql(f"SET LOCAL enable_{way} = off")  # an empty table is read whole otherwise
        plans.extend(map(str, tx.exec_driver_sql(explain + seen[0][0], seen[0][1]).all()))

    await database.write(work)
    assert any("ix_duties_kind_due_at_id" in line for line in plans)
    assert not any("Sort" in line or "TEMP B-TREE" in line for line in plans)
