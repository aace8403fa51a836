"""Budgets: what a batch may spend, and stopping it when that is spent.

What a run costs is written with its record (``vivavoce.storage.journal``). Whoever finds the budget spent stops its own
run at once, so that no more than the calls under way go beyond it; a duty stops the rest of the batch.
"""

from contextlib import suppress
from typing import NoReturn

from vivavoce.core.budget import Account, Budget
from vivavoce.core.run import Run
from vivavoce.services import cancelling
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage import budgets
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty
from vivavoce.storage.journal import LeaseLost

KIND = budgets.EXHAUSTED


def grant(ctx: Context, tx: Tx, org: str, batch_id: str, budget: Budget | None = None) -> None:
    """Give a new batch this budget, or the one that the settings give to every batch. Runs of a batch without any are
    not counted."""
    granted = ctx.budget if budget is None else budget
    if granted.sets_any:
        budgets.add(tx, org, batch_id, granted)


async def stop_run(ctx: Context, org: str, run: Run) -> NoReturn:
    """The budget of its batch is spent: stop a run that is driven here. Raises ``LeaseLost``."""

    def work(tx: Tx) -> None:
        stands = budgets.get(tx, org, run.batch_id) if run.batch_id else None
        if stands is not None:
            cancelling.cancel(ctx, tx, org, run.id, stands.reason)

    await ctx.database.write(work)
    ctx.wake()
    raise LeaseLost(run.id)


async def perform(ctx: Context, duty: Duty) -> None:
    """Stop what is left of a batch whose budget is spent."""

    def look(tx: Tx) -> Account | None:
        return budgets.get(tx, duty.org, duty.subject)

    stands = await ctx.database.read(look)
    if stands is not None:
        with suppress(NotFound):  # its runs were deleted meanwhile
            await cancelling.stop_batch(ctx.database, ctx, duty.org, duty.subject, stands.reason)
            ctx.wake()
