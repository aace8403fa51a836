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
    query: Select[Any] = select(table).where(*where).order_by(*order)
    rows = tx.execute(query.limit(window.size).offset((window.number - 1) * window.size))
    return rows.all(), total
