"""A page of a list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, Table, func, select

from vivavoce.storage.database import Tx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Which page is asked for: ``number`` counts from 1."""

    number: int = 1
    size: int = 20


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, and how many there are in all."""

    items: tuple[T, ...]
    total: int
    window: Window


def fetch_page(
    tx: Tx, table: Table, where: Sequence[ColumnElement[bool]], window: Window, order: Sequence[ColumnElement[Any]]
) -> tuple[Sequence[Any], int]:
    """The rows of one page and the number of all rows that match."""
    total = tx.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
    offset = (window.number - 1) * window.size
    if offset >= total:
        return (), total
    # What is skipped is skipped in an index where there is one; a row is wide, and only those of the page are read.
    ids = (
        tx.execute(select(table.c.id).where(*where).order_by(*order).limit(window.size).offset(offset)).scalars().all()
    )
    query: Select[Any] = select(table).where(table.c.id.in_(ids)).order_by(*order)
    return tx.execute(query).all(), total


@dataclass(frozen=True, slots=True)
class Span:
    """Which stretch of a list is asked for: at most ``size`` items behind the one with the id ``after``. Lists go from
    the newest to the oldest, or the other way where they are ``ascending``."""

    size: int = 50
    after: str | None = None
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """A stretch of a list, and whether there is more behind it."""

    items: tuple[T, ...]
    more: bool


def fetch_slice(tx: Tx, table: Table, where: Sequence[ColumnElement[bool]], span: Span) -> tuple[Sequence[Any], bool]:
    """The rows of one stretch by their ids, which are made in the order of time, and whether there are more."""
    query: Select[Any] = select(table).where(*where)
    if span.after is not None:
        query = query.where(table.c.id > span.after if span.ascending else table.c.id < span.after)
    order = table.c.id.asc() if span.ascending else table.c.id.desc()
    rows = tx.execute(query.order_by(order).limit(span.size + 1)).all()
    return rows[: span.size], len(rows) > span.size
