"""How the whole installation stands: what waits, who works. Figures only, over all organisations."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, literal_column, select

from vivavoce.core.event import Millis
from vivavoce.core.run import Priority
from vivavoce.core.status import Status
from vivavoce.storage import workers
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import duties, runs
from vivavoce.storage.times import read_clock


@dataclass(frozen=True, slots=True)
class Backlog:
    """Duties of one kind that are due and that nobody has done: how many, and for how long the oldest."""

    many: int
    oldest_ms: Millis


@dataclass(frozen=True, slots=True)
class Figures:
    """``runs`` by status and priority, those that are not final; ``workers`` by state: ``working``, ``stopping``,
    ``silent``; ``places`` is how many runs the working ones drive at most."""

    runs: Mapping[tuple[Status, Priority], int]
    workers: Mapping[str, int]
    places: int
    duties: Mapping[str, Backlog]


def read(tx: Tx) -> Figures:
    """How it stands now. The indexes of what waits and of what is driven are all that is read of the runs."""
    seen = workers.get_all(tx)
    states = ["silent" if one.silent else "stopping" if one.stopping else "working" for one in seen]
    working = [one for one, state in zip(seen, states, strict=True) if state == "working"]
    return Figures(
        _runs(tx),
        {state: states.count(state) for state in ("working", "stopping", "silent")},
        sum(one.presence.places for one in working),
        _duties(tx),
    )


def _runs(tx: Tx) -> Mapping[tuple[Status, Priority], int]:
    found: dict[tuple[Status, Priority], int] = {}
    for status in (Status.PENDING, Status.STARTING, Status.RUNNING):
        # As the indexes have it; a parameter would not be known to be this status when the query is planned.
        here = runs.c.status == literal_column(f"'{status.value}'")
        query = select(runs.c.priority, func.count().label("many")).where(here).group_by(runs.c.priority)
        many = {row.priority: row.many for row in tx.execute(query)}
        found |= {(status, priority): many.get(priority, 0) for priority in Priority}
    return found


def _duties(tx: Tx) -> Mapping[str, Backlog]:
    now = read_clock(tx)
    query = select(duties.c.kind, func.count().label("many"), func.min(duties.c.due_at).label("oldest"))
    rows = tx.execute(query.where(duties.c.due_at <= now).group_by(duties.c.kind))
    return {row.kind: Backlog(row.many, now - row.oldest) for row in rows}
