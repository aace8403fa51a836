"""Budgets of batches, kept: ceilings, and what was spent. What is spent is written with what it was spent on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update

from vivavoce.core.budget import Account, Budget
from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Wanted, want
from vivavoce.storage.work import budgets

EXHAUSTED = "budget"
"""The kind of duty that stops a batch whose budget is spent; its subject is the batch."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What runs of a batch cost: tokens, millionths of the currency, and the tokens among them that have no price."""

    batch_id: str
    tokens: int
    micros: int
    unpriced: int = 0


def add(tx: Tx, org: str, batch_id: str, budget: Budget) -> None:
    """Give a new batch a budget, before any of its runs can begin."""
    tx.execute(
        insert(budgets).values(
            batch_id=batch_id,
            org=org,
            tokens=budget.tokens,
            micros=budget.micros,
            spent_tokens=0,
            spent_micros=0,
            unpriced_tokens=0,
        )
    )


def get(tx: Tx, org: str, batch_id: str) -> Account | None:
    """How a batch's budget stands, or None where it has none."""
    row = tx.execute(select(budgets).where(budgets.c.org == org, budgets.c.batch_id == batch_id)).first()
    if row is None:
        return None
    return Account(
        Budget(row.tokens, row.micros), row.spent_tokens, row.spent_micros, row.unpriced_tokens, row.exhausted_at
    )


_spend = (
    update(budgets)
    .where(budgets.c.batch_id == bindparam("the_id"))
    .values(
        spent_tokens=budgets.c.spent_tokens + bindparam("more_tokens"),
        spent_micros=budgets.c.spent_micros + bindparam("more_micros"),
        unpriced_tokens=budgets.c.unpriced_tokens + bindparam("more_unpriced"),
    )
    .returning(budgets)
)


def spend(tx: Tx, spent: Iterable[Spent], at: Millis) -> frozenset[str]:
    """Put what was spent on the batches' accounts; returns the batches whose budget is spent. Where that has just
    happened, it is noted, and what is left of the batch will be stopped.

    Batches are taken in the order of their ids, and last in a transaction: everybody who writes for one waits here.
    """
    exhausted: set[str] = set()
    for batch_id, sum_ in sorted(_summed(spent).items()):
        more = {"more_tokens": sum_.tokens, "more_micros": sum_.micros, "more_unpriced": sum_.unpriced}
        row = tx.execute(_spend, {"the_id": batch_id, **more}).first()
        if row is None:
            continue
        if row.exhausted_at is None:
            account = Account(Budget(row.tokens, row.micros), row.spent_tokens, row.spent_micros)
            if not account.exhausted:
                continue
            tx.execute(update(budgets).where(budgets.c.batch_id == batch_id).values(exhausted_at=at))
            want(tx, Wanted(f"{EXHAUSTED}-{batch_id}", row.org, EXHAUSTED, batch_id, at))
        exhausted.add(batch_id)
    return frozenset(exhausted)


def _summed(spent: Iterable[Spent]) -> Mapping[str, Spent]:
    summed: dict[str, Spent] = {}
    for one in spent:
        before = summed.get(one.batch_id, Spent(one.batch_id, 0, 0))
        summed[one.batch_id] = Spent(
            one.batch_id, before.tokens + one.tokens, before.micros + one.micros, before.unpriced + one.unpriced
        )
    return summed
