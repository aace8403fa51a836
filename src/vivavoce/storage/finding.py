"""Filters of the core as SQL conditions on conversations."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, String, and_, column, func, or_, select

from vivavoce.core.filter import TIMES, AnyOf, Comparison, Field, Filter, Op, Order
from vivavoce.storage.tables import conversations

_RANKING: Mapping[Op, Callable[[Any, Any], ColumnElement[bool]]] = {
    Op.GT: operator.gt,
    Op.GTE: operator.ge,
    Op.LT: operator.lt,
    Op.LTE: operator.le,
}


def conditions(wanted: Filter, *, sqlite: bool) -> list[ColumnElement[bool]]:
    """Every condition of the filter, to be joined by AND."""
    found: list[ColumnElement[bool]] = []
    for one in wanted.conditions:
        options = one.options if isinstance(one, AnyOf) else (one,)
        found.append(or_(*(_compare(option, sqlite=sqlite) for option in options)))
    return found


def orders(wanted: Filter, *, sqlite: bool) -> list[ColumnElement[Any]]:
    """The filter's orders, missing values last, or newest first; the id settles what is equal."""
    chosen = [_order(order, sqlite=sqlite) for order in wanted.orders] or [conversations.c.created_at.desc()]
    return [*chosen, conversations.c.id.desc()]


def _order(order: Order, *, sqlite: bool) -> ColumnElement[Any]:
    ranked = _ranked(order.field, sqlite=sqlite)
    return (ranked.desc() if order.descending else ranked.asc()).nulls_last()


def _ranked(field: Field, *, sqlite: bool) -> ColumnElement[Any]:
    """To be compared by code points: PostgreSQL would go by the language its database was made with."""
    value = _value(field, sqlite=sqlite)
    return value if sqlite or (field.name in TIMES and not field.metadata) else value.collate("C")


def _value(field: Field, *, sqlite: bool) -> ColumnElement[Any]:
    if not field.metadata:
        return conversations.c[field.name]
    if not sqlite:
        return conversations.c.metadata[field.name].as_string()
    # A path of SQLite cannot spell every key: a quote in it, or in older releases a letter beyond ASCII.
    entries = func.json_each(conversations.c.metadata).table_valued("key", column("value", String))
    return select(entries.c.value).where(entries.c.key == field.name).scalar_subquery()


def _compare(one: Comparison, *, sqlite: bool) -> ColumnElement[bool]:
    found, value = _value(one.field, sqlite=sqlite), one.value
    match one.op:
        case Op.EQ:
            return found == value
        case Op.NEQ:
            return found != value
        case Op.GT | Op.GTE | Op.LT | Op.LTE:
            return _RANKING[one.op](_ranked(one.field, sqlite=sqlite), value)
        case Op.IN:
            return found.in_(value if isinstance(value, tuple) else (value,))
        case Op.IS:
            return found.is_(None)
        case Op.ILIKE:
            return found.ilike(_ended(str(value)), escape="\\")
        case Op.LIKE:
            # LIKE ignores the case of letters in SQLite; GLOB does not, and speaks of * and ? instead.
            if sqlite:
                return and_(found.is_not(None), found.op("GLOB", is_comparison=True)(_glob(str(value))))
            return found.like(_ended(str(value)), escape="\\")


def _ended(pattern: str) -> str:
    """A backslash at the very end stands for itself; SQL makes an error of it, or no match."""
    alone = (len(pattern) - len(pattern.rstrip("\\"))) % 2
    return pattern + "\\" * alone


def _glob(pattern: str) -> str:
    def translate(part: re.Match[str]) -> str:
        escaped, sign = part.groups()
        if sign == "%":
            return "*"
        if sign == "_":
            return "?"
        letter = escaped if escaped is not None else sign
        return f"[{letter}]" if letter in "*?[" else letter

    return re.sub(r"\\(.)|(.)", translate, pattern, flags=re.DOTALL)
