"""A suite over time: one point for each batch in which its tests were run."""

from dataclasses import dataclass

from vivavoce.core.event import Millis
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.measuring import Figures, figures
from vivavoce.storage import results, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.results import Batched, Counts

MOST = 200
"""How many points are told at most."""
MOST_RUNS = 5_000
"""How many runs are read for the figures of all points; older ones beyond have counts only."""


@dataclass(frozen=True, slots=True)
class Point:
    """One batch, as far as it is of the suite. ``figures`` are of its runs that are over and were not cancelled; None
    where that would be too many to read."""

    batch_id: str
    at: Millis
    counts: Counts
    figures: Figures | None


async def of_suite(ctx: Context, org: str, suite: str, limit: int = 50) -> tuple[Point, ...]:
    """The newest points of a suite, the oldest first. Runs that were triggered alone are in none.

    Raises ``NotFound`` where there are neither tests of the suite nor batches.
    """

    def work(tx: Tx) -> tuple[Point, ...]:
        found = results.newest_batches(tx, org, suite, min(limit, MOST))
        if not found and not scenarios.count_suites(tx, org, [suite]):
            raise NotFound("test suite", suite)
        return _points(ctx, tx, org, suite, found)

    return await ctx.database.read(work)


def _points(ctx: Context, tx: Tx, org: str, suite: str, found: tuple[Batched, ...]) -> tuple[Point, ...]:
    counts = results.counts(tx, org, [one.id for one in found], suite)
    wanted: list[str] = []
    room = MOST_RUNS
    for one in found:
        room -= counts[one.id].total
        if room < 0:
            break
        wanted.append(one.id)
    taken: dict[str, list[results.Measured]] = {id_: [] for id_ in wanted}
    for run in results.measured(tx, org, wanted, suite):
        taken[run.batch_id or ""].append(run)
    return tuple(
        Point(one.id, one.at, counts[one.id], figures(ctx.prices, taken[one.id]) if one.id in taken else None)
        for one in reversed(found)
    )
