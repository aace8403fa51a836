"""Batches, kept. How they stand is counted from their runs each time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, func, insert, select

from vivavoce.core.batch import Batch
from vivavoce.core.status import FINAL, Status
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span, fetch_slice
from vivavoce.storage.tables import batches, runs


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


def _counted(tx: Tx, org: str, rows: Sequence[Row[Any]]) -> tuple[Batch, ...]:
    query = (
        select(runs.c.batch_id, runs.c.status, func.count().label("many"), func.max(runs.c.updated_at).label("last"))
        .where(runs.c.org == org, runs.c.batch_id.in_([row.id for row in rows]))
        .group_by(runs.c.batch_id, runs.c.status)
    )
    stand: dict[str, dict[Status, tuple[int, int]]] = {row.id: {} for row in rows}
    for row in tx.execute(query) if rows else ():
        stand[row.batch_id][Status(row.status)] = (row.many, row.last)
    return tuple(_batch(row, stand[row.id]) for row in rows)


def _batch(row: Row[Any], stand: Mapping[Status, tuple[int, int]]) -> Batch:
    many = {status: stand.get(status, (0, 0))[0] for status in Status}
    # Runs that went with their scenario will never be over: nobody may wait for them for ever.
    vanished = row.total - sum(many.values())
    return Batch(
        id=row.id,
        assistant_id=row.assistant_id,
        version_id=row.version_id,
        number=row.number,
        total=row.total,
        created_at=row.created_at,
        updated_at=max([row.created_at, *(last for status, (_, last) in stand.items() if status in FINAL)]),
        passed=many[Status.PASSED],
        failed=many[Status.FAILED],
        errors=many[Status.ERROR] + vanished,
    )
