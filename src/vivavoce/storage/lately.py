"""What was run lately: the newest batches of an organisation, and the run of a test before another."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, literal, select

from vivavoce.core.event import Ending
from vivavoce.core.status import FINAL, Status
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import runs, scenarios


@dataclass(frozen=True, slots=True)
class Triggered:
    """A batch by its id, and the first of its runs."""

    id: str
    first_run_id: str


def newest_batches(tx: Tx, org: str, most: int, below: str | None = None) -> tuple[Triggered, ...]:
    """The newest batches that have a run, at most so many; only those with ids below the one that is given."""
    # From one batch to the next in the index: there are far fewer of them than runs. Their ids are made in the order
    # of time.
    newest = select(func.max(runs.c.batch_id)).where(runs.c.org == org, runs.c.batch_id.is_not(None))
    begin = newest if below is None else newest.where(runs.c.batch_id < below)
    found = select(begin.scalar_subquery().label("id"), literal(1).label("place")).cte("found", recursive=True)
    follows = newest.where(runs.c.batch_id < found.c.id).scalar_subquery()
    step = select(follows, found.c.place + 1).where(found.c.id.is_not(None), found.c.place < most)
    found = found.union_all(step)
    first = select(func.min(runs.c.id)).where(runs.c.batch_id == found.c.id, runs.c.org == org).scalar_subquery()
    query = select(found.c.id, first.label("first")).where(found.c.id.is_not(None)).order_by(found.c.place)
    return tuple(Triggered(row.id, row.first) for row in tx.execute(query))


def first_run(tx: Tx, org: str, batch_id: str) -> str | None:
    """The id of the first run of a batch; None where it has none."""
    query = select(func.min(runs.c.id)).where(runs.c.batch_id == batch_id, runs.c.org == org)
    return tx.execute(query).scalar_one()


def run_before(tx: Tx, org: str, scenario_id: str, run_id: str, batch_id: str | None) -> str | None:
    """The id of the newest run of a test below an id that is over and was not cancelled, outside this batch; None where
    there is none."""
    mine = [runs.c.scenario_id == scenario_id, runs.c.org == org, runs.c.id < run_id]
    if batch_id is not None:
        mine.append(func.coalesce(runs.c.batch_id, "") != batch_id)
    found: list[str] = []
    for status in sorted(FINAL):
        query = select(runs.c.id).where(*mine, runs.c.status == status)
        if status is Status.ERROR:
            query = query.where(func.coalesce(runs.c.ending, "") != Ending.CANCELLED.value)
        found += tx.execute(query.order_by(runs.c.id.desc()).limit(1)).scalars()
    return max(found, default=None)


def newest_runs(tx: Tx, org: str, scenario_ids: Collection[str]) -> Mapping[str, str]:
    """The ids of the newest runs of these tests, by the tests' ids; those that were never run are left out."""
    wanted = sorted(set(scenario_ids))
    found: dict[str, str] = {}
    for status in Status:
        # The index has the runs of each test and status in the order of their ids.
        mine = (runs.c.scenario_id == scenarios.c.id, runs.c.org == org, runs.c.status == status)
        last = select(func.max(runs.c.id)).where(*mine).scalar_subquery()
        query = select(scenarios.c.id, last.label("last")).where(scenarios.c.org == org, scenarios.c.id.in_(wanted))
        for row in tx.execute(query) if wanted else ():
            found[row.id] = max(found.get(row.id, ""), row.last or "")
    return {id_: last for id_, last in found.items() if last}
