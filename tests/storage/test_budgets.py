"""What a batch's runs spend, written with what it was spent on."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from tests.support.store import NOW, ORG, leased_run, said, set_row

from vivavoce.core.budget import Account, Budget
from vivavoce.core.event import Usage
from vivavoce.core.run import Run
from vivavoce.core.verdict import Decision, Verdict
from vivavoce.storage import budgets
from vivavoce.storage.budgets import Spent
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.journal import BudgetSpent, Entry, Journal, Lease, LeaseLost, decided, running
from vivavoce.storage.tables import duties

BATCH = "batch-1"
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database)


async def granted(database: Database, budget: Budget, batch_id: str = BATCH) -> None:
    await database.write(lambda tx: budgets.add(tx, ORG, batch_id, budget))


async def stands(database: Database, batch_id: str = BATCH) -> Account | None:
    return await database.read(lambda tx: budgets.get(tx, ORG, batch_id))


async def wanted(database: Database) -> list[tuple[str, str, str, int]]:
    """(kind, subject, organisation, when) of every duty."""

    def look(tx: Tx) -> list[tuple[str, str, str, int]]:
        rows = tx.execute(select(duties.c.kind, duties.c.subject, duties.c.org, duties.c.due_at))
        return [(row.kind, row.subject, row.org, row.due_at) for row in rows]

    return await database.read(look)


def said_for(run: Run, lease: Lease, turn: int, tokens: int, micros: int = 0, batch_id: str = BATCH) -> Entry:
    return Entry(lease, NOW + turn, run.conversation_id, turn, (said("hi"),), spent=Spent(batch_id, tokens, micros, 1))


async def spends(journal: Journal, entry: Entry) -> bool:
    """Write it; whether the budget is spent."""
    try:
        await journal.write(entry)
    except BudgetSpent:
        return True
    return False


async def test_what_is_spent_is_on_the_batchs_account(database: Database, journal: Journal) -> None:
    await granted(database, Budget(1000, 5000))
    run, lease = await leased_run(database)
    assert not await spends(journal, said_for(run, lease, 0, 10, 7))
    assert not await spends(journal, said_for(run, lease, 1, 20, 1))
    verdicts = (Verdict("kind", Decision.MET, "", "m"),)
    assert not await spends(journal, decided(lease, NOW, verdicts, Usage("m", 5, 5), Spent(BATCH, 10, 3)))
    assert await stands(database) == Account(Budget(1000, 5000), 40, 11, 2)
    assert await wanted(database) == []


@pytest.mark.parametrize(("budget", "tokens", "micros"), [(Budget(100), 60, 0), (Budget(None, 100), 0, 60)])
async def test_a_budget_is_spent_once_and_the_batch_will_be_stopped(
    database: Database, journal: Journal, budget: Budget, tokens: int, micros: int
) -> None:
    await granted(database, budget)
    run, lease = await leased_run(database)
    told = [await spends(journal, said_for(run, lease, turn, tokens, micros)) for turn in range(3)]
    assert told == [False, True, True]
    assert await stands(database) == Account(budget, 3 * tokens, 3 * micros, 3, NOW + 1)
    assert await wanted(database) == [("budget", BATCH, ORG, NOW + 1)]


async def test_what_many_spend_at_once_is_summed_for_each_batch(database: Database, journal: Journal) -> None:
    for batch_id in ("b", "a"):
        await granted(database, Budget(100), batch_id)
    known = [await leased_run(database) for _ in range(6)]
    told = await asyncio.gather(
        *(
            spends(journal, said_for(run, lease, 0, 30 if place % 2 else 50, batch_id="ab"[place % 2]))
            for place, (run, lease) in enumerate(known)
        )
    )
    assert told == [True, False] * 3
    assert [account.spent_tokens for batch_id in "ab" if (account := await stands(database, batch_id))] == [150, 90]
    assert await wanted(database) == [("budget", "a", ORG, NOW)]


async def test_who_lost_its_lease_spends_nothing_more(database: Database, journal: Journal) -> None:
    await granted(database, Budget(10))
    run, lease = await leased_run(database)
    await database.write(lambda tx: set_row(tx, run.id, lease_token="another"))
    with pytest.raises(LeaseLost):
        await journal.write(said_for(run, lease, 0, 100))
    assert await stands(database) == Account(Budget(10))


async def test_a_batch_whose_budget_is_gone_is_not_counted(database: Database, journal: Journal) -> None:
    run, lease = await leased_run(database)
    assert not await spends(journal, said_for(run, lease, 0, 100))
    assert not await spends(journal, running(lease, NOW))
    assert await stands(database) is None


class Breaking:
    """A database whose connection breaks at the end of a transaction that was kept, as often as it is told."""

    def __init__(self, database: Database, kept: Sequence[bool]) -> None:
        self._database, self._kept = database, list(kept)

    async def write(self, work: Callable[[Tx], Any]) -> Any:
        if not self._kept:
            return await self._database.write(work)
        if self._kept.pop(0):
            await self._database.write(work)
        raise OperationalError("COMMIT", {}, Exception("connection lost"))

    async def read(self, work: Callable[[Tx], Any]) -> Any:
        return await self._database.read(work)

    async def ping(self) -> None: ...


async def at_once(_seconds: float) -> None:
    return None


@only_postgresql  # only over a network can a commit get lost on its way
@pytest.mark.parametrize("kept", [[True], [False], [False, True], [False, False, True]])
async def test_what_is_written_again_is_counted_once(database: Database, kept: list[bool]) -> None:
    await granted(database, Budget(100))
    journal = Journal(Breaking(database, kept), sleep=at_once)  # type: ignore[arg-type]
    run, lease = await leased_run(database)
    assert not await spends(journal, said_for(run, lease, 0, 60, 2))
    verdicts = (Verdict("kind", Decision.MET, "", "m"),)
    journal = Journal(Breaking(database, kept), sleep=at_once)  # type: ignore[arg-type]
    assert await spends(journal, decided(lease, NOW, verdicts, Usage("m", 5, 5), Spent(BATCH, 60, 3)))
    assert await stands(database) == Account(Budget(100), 120, 5, 1, NOW)
    assert len(await wanted(database)) == 1
