"""Everything in one database, copied to another that may be of the other kind."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Insert,
    RowMapping,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from vivavoce.storage import workers
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.migrate import revisions
from vivavoce.storage.tables import metadata, orgs
from vivavoce.storage.tables import notes as note_rows
from vivavoce.storage.work import workers as worker_rows

CHUNK = 500
_MADE = "default"
"""The organisation that is there from the start."""
# Processes work on a database; they do not move with it. Notes are written by the database itself.
_COPIED = [table for table in metadata.sorted_tables if table not in (worker_rows, note_rows)]


class CannotCopy(Exception):
    """Nothing was copied; the message says why."""


async def copy(source: Database, target: Database, told: Callable[[str, int], None]) -> Mapping[str, int]:
    """Copy every row, in one transaction; returns how many there are by table, counted on both sides. ``told`` hears of
    each table that is done, in a thread of its own.

    Both have their schema. Raises ``CannotCopy`` when the target is not empty, when somebody works on either of them,
    when one has a schema of a newer release, and for a row that the target does not take.
    """
    for database in (source, target):
        if (await revisions(database)).newer:
            raise CannotCopy("a database is of a newer release, and this one does not know all that it holds")
    loop, stopped = asyncio.get_running_loop(), threading.Event()

    def read(come_from: Tx) -> Mapping[str, int]:
        def write(goes_to: Tx) -> Mapping[str, int]:
            return _copy(come_from, goes_to, told, stopped)

        return asyncio.run_coroutine_threadsafe(target.write(write), loop).result()

    try:
        return await source.read(read)
    finally:
        # Work in a thread goes on when whoever waits for it has left.
        stopped.set()


def _copy(source: Tx, target: Tx, told: Callable[[str, int], None], stopped: threading.Event) -> Mapping[str, int]:
    for tx in (source, target):
        if tx.dialect.name != "postgresql":
            continue  # whoever holds its directory is alone
        # Each waits for the other side between two chunks.
        tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        if any(not one.silent for one in workers.get_all(tx)):
            raise CannotCopy("a server or worker runs on one of the databases; stop it first")
    _must_be_empty(target)
    target.execute(delete(orgs))
    counts: dict[str, int] = {}
    for table in _COPIED:
        found = source.execute(select(*map(_read, _written(table))).execution_options(yield_per=CHUNK))
        for rows in found.mappings().partitions():
            if stopped.is_set():
                raise CannotCopy("it was stopped")
            _put(target, table, rows)
        counts[table.name] = _count(target, table)
        if counts[table.name] != _count(source, table):
            raise CannotCopy(f"{table.name} has not as many rows in the copy")
        told(table.name, counts[table.name])
    return counts


def _must_be_empty(tx: Tx) -> None:
    for table in _COPIED:
        query = select(table).limit(1)
        if table is orgs:
            query = query.where(orgs.c.id != _MADE)
        if tx.execute(query).first() is not None:
            raise CannotCopy(f"the database that is copied to is not empty: there is something in {table.name}")


def _count(tx: Tx, table: Table) -> int:
    return tx.execute(select(func.count()).select_from(table)).scalar_one()


def _written(table: Table) -> list[Column[Any]]:
    """Its columns but those that the database works out."""
    return [column for column in table.columns if column.computed is None]


def _read(column: Column[Any]) -> Any:
    """JSON as the text that it is kept as, so that nothing becomes something else: null in JSON is not NULL."""
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _put(tx: Tx, table: Table, rows: Sequence[RowMapping]) -> None:
    query = _insert(tx, table)
    given = [{f"new_{name}": value for name, value in row.items()} for row in rows]
    try:
        with tx.begin_nested():
            tx.execute(query, given)
    except DBAPIError as failure:
        raise CannotCopy(_which(tx, table, query, given) or _reason(failure)) from failure


def _insert(tx: Tx, table: Table) -> Insert:
    def value(column: Column[Any]) -> Any:
        if not isinstance(column.type, JSON):
            return bindparam(f"new_{column.name}", type_=column.type)
        written = bindparam(f"new_{column.name}", type_=Text())
        return cast(written, JSONB) if tx.dialect.name == "postgresql" else written

    return insert(table).values({column.name: value(column) for column in _written(table)})


def _which(tx: Tx, table: Table, query: Insert, given: Sequence[dict[str, Any]]) -> str:
    """Which row is not taken, and why."""
    for row in given:
        try:
            with tx.begin_nested():
                tx.execute(query, row)
        except DBAPIError as failure:
            key = ", ".join(str(row[f"new_{column.name}"]) for column in table.primary_key)
            return f"{table.name} {key} is not taken: {_reason(failure)}"
    return ""


def _reason(failure: DBAPIError) -> str:
    """Without what the driver tells after it, which can be the row itself."""
    return str(failure.orig).strip().partition("\n")[0]
