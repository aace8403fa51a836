"""Removing what is older than it is to be kept, in the background and a little at a time (``storage.pruning``)."""

from collections.abc import Callable
from functools import partial

import structlog

from vivavoce.core.event import Millis
from vivavoce.engine.upkeep import upkeep
from vivavoce.services.context import Context
from vivavoce.storage import duties, pruning
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.pruning import Found

KIND = "prune"
SUBJECT = "installation"
EVERY_MS = 3_600_000
FIRST_MS = 60_000
"""How long after its start a server looks for the first time."""
LOOK = 1_000
"""How many rows are looked at in one transaction that only reads."""
MOST = 50
"""How many things are removed in one transaction, each with some dozens of rows: others wait for it."""
_DAY_MS = 86_400_000

log = structlog.get_logger(__name__)

_Find = Callable[[Tx, Millis, str, int], Found]
_Drop = Callable[[Tx, tuple[str, ...]], int]


def wanted(ctx: Context, delay_ms: Millis = EVERY_MS) -> Wanted:
    """The duty, to be kept once for the installation; it goes on for ever."""
    return Wanted(ctx.new_id(), "", KIND, SUBJECT, ctx.clock.now() + delay_ms)


async def perform(ctx: Context, _duty: Duty) -> None:
    """Go once through everything, then wait a while. Whoever breaks off begins anew: what is gone is gone."""
    with upkeep("removing what is too old failed"):
        await prune(ctx)
    # A duty that fails too often is given up; this one never is.
    await ctx.database.write(lambda tx: duties.want(tx, wanted(ctx)))


async def prune(ctx: Context) -> None:
    """Remove everything that is too old now."""
    now, limits = ctx.clock.now(), ctx.limits
    await ctx.database.write(lambda tx: pruning.drop_stale(tx, now))
    if limits.keep_runs_days:
        before = now - limits.keep_runs_days * _DAY_MS
        _tell("runs", await _sweep(ctx, pruning.find_runs, pruning.drop_runs, before))
    if limits.keep_conversations_days:
        before = now - limits.keep_conversations_days * _DAY_MS
        drop = partial(_drop_talks, before=before)
        _tell("conversations", await _sweep(ctx, pruning.find_talks, drop, before))


def _drop_talks(tx: Tx, ids: tuple[str, ...], before: Millis) -> int:
    return pruning.drop_talks(tx, ids, before)


def _tell(what: str, many: int) -> None:
    if many:
        log.info("what was too old was removed", what=what, many=many)


async def _sweep(ctx: Context, find: _Find, drop: _Drop, before: Millis) -> int:
    gone, last = 0, ""
    while True:
        found = await ctx.database.read(lambda tx, after=last: find(tx, before, after, LOOK))
        for start in range(0, len(found.ids), MOST):
            some = found.ids[start : start + MOST]
            gone += await ctx.database.write(lambda tx, some=some: drop(tx, some))
        if found.last is None:
            return gone
        last = found.last
