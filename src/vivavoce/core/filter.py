"""Which conversations a list is about: conditions, order and number, as data. Whoever keeps them translates."""

from dataclasses import dataclass
from enum import StrEnum

from vivavoce.core.event import Millis


class Op(StrEnum):
    """How a field is compared. All but ``IS`` are false of a value that is missing."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    LIKE = "like"
    ILIKE = "ilike"
    IN = "in"
    IS = "is"


TIMES = frozenset({"created_at", "last_message_at"})
"""Columns that hold times."""

COLUMNS = frozenset({"id", "name"}) | TIMES
"""Columns a conversation can be found by."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of ``COLUMNS``, or a key of the metadata."""

    name: str
    metadata: bool = False


Value = str | Millis


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition.

    ``value`` is a time in milliseconds for the columns of ``TIMES`` and text for all other fields. It is a tuple of
    these for ``IN``, None (missing) for ``IS``, and for ``LIKE`` and ``ILIKE`` a pattern in which ``%`` stands for
    anything and ``_`` for one character; a backslash takes the meaning of the character after it.
    """

    field: Field
    op: Op
    value: Value | tuple[Value, ...] | None


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where any of these is; never empty."""

    options: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by this field; missing values come last either way."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions hold. ``limit`` None is the server's default; orders count from the first."""

    conditions: tuple[Comparison | AnyOf, ...] = ()
    orders: tuple[Order, ...] = ()
    limit: int | None = None
