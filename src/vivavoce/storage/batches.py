"""Batches, kept. How they stand is counted from their runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, false, func, insert, select

from vivavoce.core.batch import Batch
from vivavoce.core.event import Ending, Millis
from vivavoce.core.status import Status
from vivavoce.storage import tallies
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span, fetch_slice
from vivavoce.storage.tables import batches, runs

_NO_RUNS: Mapping[Status, int] = dict.fromkeys(Status, 0)


def add(tx: Tx, org: str, batch: Batch) -> None:
    """Keep a new batch; its runs are kept beside it (``storage.runs``)."""
    tx.execute(
        insert(batches).values(
            id=batch.id,
            org=org,
            assistant_id=batch.assistant_id,
            version_id=batch.version_id,
            number=batch.number,
            total=batch.total,
            created_at=batch.created_at,
        )
    )


def get(tx: Tx, org: str, batch_id: str) -> Batch | None:
    """One batch, or None; also where runs were made together without one."""
    rows = tx.execute(select(batches).where(batches.c.org == org, batches.c.id == batch_id)).all()
    return next(iter(_counted(tx, org, rows)), None)


def get_slice(tx: Tx, org: str, assistant_id: str, number: int | None, span: Span) -> Slice[Batch]:
    """A stretch of the batches that examined this assistant's version with that number, or any where it is None."""
    where: list[ColumnElement[bool]] = [batches.c.org == org, batches.c.assistant_id == assistant_id]
    if number is not None:
        where.append(batches.c.number == number)
    rows, more = fetch_slice(tx, batches, where, span)
    return Slice(_counted(tx, org, rows), more)


@dataclass(frozen=True, slots=True)
class Stand:
    """How the runs stand that were triggered together. Those that were cancelled are in none of the other counts;
    ``completed_at`` is when the last was over."""

    many: Mapping[Status, int]
    cancelled: int
    created_at: Millis
    updated_at: Millis
    started_at: Millis | None
    completed_at: Millis | None

    @property
    def total(self) -> int:
        """How many runs there are."""
        return sum(self.many.values()) + self.cancelled

    @property
    def over(self) -> bool:
        """Whether all of them are."""
        return not any(many for status, many in self.many.items() if not status.final)


def get_stand(tx: Tx, org: str, batch_id: str) -> Stand | None:
    """How the runs of this batch stand, also where they were made together without one; None where there are none."""
    cancelled = func.coalesce(runs.c.ending == Ending.CANCELLED.value, false())
    query = (
        select(
            runs.c.status,
            cancelled.label("cancelled"),
            func.count().label("many"),
            func.min(runs.c.created_at).label("created_at"),
            func.max(runs.c.updated_at).label("updated_at"),
            func.min(runs.c.started_at).label("started_at"),
            func.max(runs.c.completed_at).label("completed_at"),
        )
        .where(runs.c.org == org, runs.c.batch_id == batch_id)
        .group_by(runs.c.status, cancelled)
    )
    rows = tx.execute(query).all()
    if not rows:
        return None
    many = dict.fromkeys(Status, 0)
    for row in rows:
        if not row.cancelled:
            many[Status(row.status)] += row.many
    over = all(Status(row.status).final for row in rows)
    return Stand(
        many,
        sum(row.many for row in rows if row.cancelled),
        min(row.created_at for row in rows),
        max(row.updated_at for row in rows),
        min((row.started_at for row in rows if row.started_at is not None), default=None),
        max((row.completed_at for row in rows if row.completed_at is not None), default=None) if over else None,
    )


def _counted(tx: Tx, org: str, rows: Sequence[Row[Any]]) -> tuple[Batch, ...]:
    scopes = [tallies.of_batch(row.id) for row in rows]
    counted = tallies.get_stands(tx, org, scopes)
    stands = [counted.get(scope, tallies.NONE) for scope in scopes]
    open_ = [row.id for row, stand in zip(rows, stands, strict=True) if sum(stand.many.values()) < row.total]
    beside: dict[str, list[tuple[Status, int, Millis]]] = {}
    query = (
        select(runs.c.batch_id, runs.c.status, func.count().label("many"), func.max(runs.c.updated_at).label("last"))
        # By the index of batches: SQLite would take the one by status, which has the groups in order.
        .where(runs.c.org.concat("") == org, runs.c.batch_id.in_(open_), runs.c.tally.is_(None))
        .group_by(runs.c.batch_id, runs.c.status)
    )
    for batch_id, status, number, last in tx.execute(query).all() if open_ else ():
        beside.setdefault(batch_id, []).append((Status(status), number, last))
    return tuple(_batch(row, stand, beside.get(row.id, ())) for row, stand in zip(rows, stands, strict=True))


def _batch(row: Row[Any], counted: tallies.Stand, beside: Sequence[tuple[Status, int, Millis]]) -> Batch:
    """``beside`` are the runs that no tally counts yet: their status, how many, and when the last of them changed."""
    many, last_at = {**_NO_RUNS, **counted.many}, counted.last_at
    for status, number, last in beside:
        many[status] += number
        if status.final:
            last_at = max(last_at, last)
    # Runs that went with their scenario will never be over: nobody may wait for them for ever.
    vanished = row.total - sum(many.values())
    return Batch(
        id=row.id,
        assistant_id=row.assistant_id,
        version_id=row.version_id,
        number=row.number,
        total=row.total,
        created_at=row.created_at,
        updated_at=max(row.created_at, last_at),
        passed=many[Status.PASSED],
        failed=many[Status.FAILED],
        errors=many[Status.ERROR] + vanished,
    )
