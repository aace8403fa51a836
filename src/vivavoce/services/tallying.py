"""Counting runs that have become final, in the background (``storage.tallies``)."""

from functools import partial

from vivavoce.engine.upkeep import upkeep
from vivavoce.services.context import Context
from vivavoce.storage import duties, tallies
from vivavoce.storage.duties import Duty, Wanted

KIND = "tally"
SUBJECT = "runs"
EVERY_MS = 5_000
MOST = 500
"""How many are counted in one transaction: on SQLite everybody else waits for it."""


def wanted(ctx: Context) -> Wanted:
    """The duty, to be kept once for the installation; it goes on for ever."""
    return Wanted(ctx.new_id(), "", KIND, SUBJECT, ctx.clock.now() + EVERY_MS)


async def perform(ctx: Context, _duty: Duty) -> None:
    """Count what there is, then wait a while."""
    with upkeep("counting runs failed"):
        # Fewer than asked for: the rest is new, or somebody else is at it.
        while await ctx.database.write(partial(tallies.count_new, most=MOST)) == MOST:
            pass
    # A duty that fails too often is given up; this one never is.
    await ctx.database.write(lambda tx: duties.want(tx, wanted(ctx)))
