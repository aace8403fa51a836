"""Workers that are there: who they are, how much they do, and when they were last heard of."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
from vivavoce.storage.times import database_now
from vivavoce.storage.work import workers

SILENT_MS = 15_000
"""A worker that was not heard of for so long is taken for dead."""
_FORGOTTEN_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker as it introduces itself; ``places`` is how many runs it drives at the same time."""

    id: str
    host: str
    process: int
    version: str
    places: int
    started_at: Millis


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker as others see it; ``silent`` is one that has not been heard of for too long."""

    presence: Presence
    driving: int
    seen_at: Millis
    stopping: bool
    silent: bool


def put(tx: Tx, presence: Presence, driving: int, *, stopping: bool = False) -> None:
    """Say that this worker is there, and how many runs it drives."""
    changes = {"driving": driving, "stopping": stopping, "seen_at": database_now(tx)}
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    query = dialect.insert(workers).values(
        id=presence.id,
        host=presence.host,
        process=presence.process,
        version=presence.version,
        places=presence.places,
        started_at=presence.started_at,
        **changes,
    )
    tx.execute(query.on_conflict_do_update(index_elements=["id"], set_=changes))


def drop(tx: Tx, worker_id: str) -> None:
    """The worker has left."""
    tx.execute(delete(workers).where(workers.c.id == worker_id))


def drop_silent(tx: Tx) -> None:
    """Forget workers that have not been heard of for an hour."""
    tx.execute(delete(workers).where(workers.c.seen_at < database_now(tx) - _FORGOTTEN_MS))


def get_all(tx: Tx) -> tuple[Seen, ...]:
    """Every worker that was heard of within the last hour, the oldest first."""
    silent = (workers.c.seen_at < database_now(tx) - SILENT_MS).label("silent")
    rows = tx.execute(select(workers, silent).order_by(workers.c.started_at, workers.c.id))
    return tuple(
        Seen(
            Presence(row.id, row.host, row.process, row.version, row.places, row.started_at),
            row.driving,
            row.seen_at,
            row.stopping,
            bool(row.silent),
        )
        for row in rows
    )
