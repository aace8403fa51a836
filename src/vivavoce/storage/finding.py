"""Filters of the core as SQL conditions on conversations."""

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    String,
    TableValuedAlias,
    Text,
    and_,
    any_,
    column,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from vivavoce.core.filter import TIMES, AnyOf, Comparison, Field, Filter, Op, Order
from vivavoce.storage.tables import conversations

_RANKING: Mapping[Op, Callable[[Any, Any], ColumnElement[bool]]] = {
    Op.GT: operator.gt,
    Op.GTE: operator.ge,
    Op.LT: operator.lt,
    Op.LTE: operator.le,
}


BEGAN = Field("created_at")

_HOUR_MS = 3_600_000


def conditions(wanted: Filter, *, sqlite: bool, of: FromClause = conversations) -> list[ColumnElement[bool]]:
    """Every condition of the filter, to be joined by AND; ``of`` has the columns of conversations."""
    found: list[ColumnElement[bool]] = []
    for one in wanted.conditions:
        options = one.options if isinstance(one, AnyOf) else (one,)
        found.append(or_(*_alternatives(options, of, sqlite=sqlite)))
    return found


def _alternatives(options: Sequence[Comparison], of: FromClause, *, sqlite: bool) -> list[ColumnElement[bool]]:
    """Each alternative; on SQLite, which reads all entries of the metadata to find one, those about entries as one."""
    entries = [one for one in options if sqlite and one.field.metadata and one.op is not Op.IS]
    if len(entries) < 2:
        return [_compare(one, of, sqlite=sqlite) for one in options]
    others = [_compare(one, of, sqlite=sqlite) for one in options if one not in entries]
    return [*others, _any_entry(entries, of)]


def _any_entry(options: Sequence[Comparison], of: FromClause) -> ColumnElement[bool]:
    entries = _entries(of)
    wanted: dict[str, list[ColumnElement[bool]]] = {}
    for one in options:
        wanted.setdefault(one.field.name, []).append(_matches(one, entries.c.value, sqlite=True))
    holds = or_(*(and_(entries.c.key == key, or_(*some)) for key, some in wanted.items()))
    return select(entries.c.key).where(holds).exists()


def timely(wanted: Filter) -> Filter:
    """What of a filter an index of times can answer."""
    return Filter(tuple(one for one in wanted.conditions if isinstance(one, Comparison) and _is_time(one.field)))


def by_beginning(wanted: Filter) -> Filter:
    """What of a filter is about when conversations began."""
    return Filter(tuple(one for one in wanted.conditions if isinstance(one, Comparison) and one.field == BEGAN))


def is_indexed(order: Sequence[Order]) -> bool:
    """Whether an index of conversations has them in this order, as far as it matters."""
    return not order or _is_time(order[0].field)


def _is_time(field: Field) -> bool:
    return field.name in TIMES and not field.metadata


def orders(wanted: Filter, *, sqlite: bool, of: FromClause = conversations) -> list[ColumnElement[Any]]:
    """The filter's orders, missing values last, or newest first. What is equal is newest first too, but for the same
    time by the id."""
    chosen = [one for order in wanted.orders for one in _order(order, of, sqlite=sqlite)]
    if not any(order.field in (BEGAN, Field("id")) for order in wanted.orders):
        chosen.append(of.c.created_at.desc())
    return [*chosen, of.c.id.desc()]


def _order(order: Order, of: FromClause, *, sqlite: bool) -> list[ColumnElement[Any]]:
    if _is_time(order.field):
        # Never missing, and said so: an index would not be taken for this order otherwise.
        ranks = [of.c[order.field.name]]
        if order.field.name == "last_message_at":
            ranks = [of.c.active_hour, *ranks]
        return [rank.desc() if order.descending else rank.asc() for rank in ranks]
    ranked = _ranked(order.field, _value(order.field, of, sqlite=sqlite), sqlite=sqlite)
    return [(ranked.desc() if order.descending else ranked.asc()).nulls_last()]


def _ranked(field: Field, value: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[Any]:
    """To be compared by code points: PostgreSQL would go by the language its database was made with."""
    return value if sqlite or _is_time(field) else value.collate("C")


def _value(field: Field, of: FromClause, *, sqlite: bool) -> ColumnElement[Any]:
    if not field.metadata:
        return of.c[field.name]
    if not sqlite:
        return of.c.metadata[field.name].as_string()
    entries = _entries(of)
    return select(entries.c.value).where(entries.c.key == field.name).scalar_subquery()


def _entries(of: FromClause) -> TableValuedAlias:
    # A path of SQLite cannot spell every key: a quote in it, or in older releases a letter beyond ASCII.
    return func.json_each(of.c.metadata).table_valued("key", column("value", String))


def _compare(one: Comparison, of: FromClause, *, sqlite: bool) -> ColumnElement[bool]:
    found = _matches(one, _value(one.field, of, sqlite=sqlite), sqlite=sqlite)
    if one.field.name != "last_message_at" or one.field.metadata or not isinstance(one.value, int):
        return found
    hour = one.value // _HOUR_MS
    match one.op:
        case Op.EQ:
            return and_(of.c.active_hour == hour, found)
        case Op.GT | Op.GTE:
            return and_(of.c.active_hour >= hour, found)
        case Op.LT | Op.LTE:
            return and_(of.c.active_hour <= hour, found)
        case _:
            return found


def _matches(one: Comparison, found: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[bool]:
    value = one.value
    match one.op:
        case Op.EQ:
            return found == value
        case Op.NEQ:
            return found != value
        case Op.GT | Op.GTE | Op.LT | Op.LTE:
            return _RANKING[one.op](_ranked(one.field, found, sqlite=sqlite), value)
        case Op.IN:
            return found.in_(value if isinstance(value, tuple) else (value,))
        case Op.IS:
            return found.is_(None)
        case Op.LIKE | Op.ILIKE:
            return spelled(one, found, sqlite=sqlite)


def one_of(value: ColumnElement[str], many: Sequence[str], *, sqlite: bool) -> ColumnElement[bool]:
    """Whether a text is one of these: one parameter, however many they are."""
    if sqlite:
        return value.in_(select(func.json_each(json.dumps(many)).table_valued("value").c.value))
    return value == any_(literal(many, ARRAY(String)))


def spelled(one: Comparison, value: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[bool]:
    """Whether a value is like the pattern of this comparison."""
    pattern = str(one.value)
    if one.op is Op.ILIKE:
        # Which letters are the same but for their case, the language of the database knows.
        plain = value if sqlite else type_coerce(value, Text()).collate("default")
        return plain.ilike(_ended(pattern), escape="\\")
    # LIKE ignores the case of letters in SQLite; GLOB does not, and speaks of * and ? instead.
    if sqlite:
        return and_(value.is_not(None), value.op("GLOB", is_comparison=True)(_glob(pattern)))
    return value.like(_ended(pattern), escape="\\")


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
