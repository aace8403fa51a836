"""The language in which conversations are asked for, after PostgREST (contract, section 5.15).

It stands in the query of a list, and in what a webhook says of the conversations that an assistant is to remember.
"""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from vivavoce.core.filter import COLUMNS, TIMES, AnyOf, Comparison, Field, Filter, Op, Order, Value
from vivavoce.core.times import millis

MAX_LIMIT = 1000
"""The most conversations of one list; a larger ``limit`` is taken as this."""

MAX_CONDITIONS = 100
"""The most comparisons in one filter, each value of an ``in`` counted."""

MAX_PATTERN = 1000
"""Databases give up on patterns that are much longer."""

_BY_NAME = {op.value: op for op in Op}
_OPTION = re.compile(rf"(?P<field>.+?)\.(?P<rest>(?:{'|'.join(_BY_NAME)})\..*)", re.DOTALL)
_METADATA = re.compile(r"metadata->>?(?P<key>.+)", re.DOTALL)


class Malformed(ValueError):
    """This asks for nothing. ``name`` is the part of the query that is wrong, None where it is the whole."""

    def __init__(self, message: str, name: str | None) -> None:
        super().__init__(message)
        self.name = name


def pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The (name, value) pairs of a query string. A plus stands for itself: it begins phone numbers and time zones. What
    is no text becomes the replacement character."""
    parts = (part.partition("=") for part in query.removeprefix("?").split("&") if part)
    return tuple((_plain(name), _plain(value)) for name, _, value in parts)


def _plain(text: str) -> str:
    return unquote(text).replace("\x00", "\ufffd")


def parse(query: Iterable[tuple[str, str]]) -> Filter:
    """The filter that decoded (name, value) pairs spell.

    ``column=op.value`` and ``metadata->key=op.value`` (any number, all must hold), ``or=(column.op.value,…)``,
    ``order=column.asc,…`` and ``limit=n``. Values in lists may be quoted with ``"``; ``*`` in patterns means ``%``.
    Raises ``Malformed``.
    """
    conditions: list[Comparison | AnyOf] = []
    orders: tuple[Order, ...] = ()
    limit: int | None = None
    for name, text in query:
        match name:
            case "limit":
                limit = _limit(text)
            case "order":
                orders = (*orders, *(_order(part, name) for part in _split(text)))
            case "or":
                conditions.append(_any_of(text))
            case _:
                conditions.append(_comparison(_field(name, name), text, name))
    if sum(map(_weight, conditions)) + len(orders) > MAX_CONDITIONS:
        raise Malformed(f"The filter has more than {MAX_CONDITIONS} conditions", None)
    return Filter(tuple(conditions), orders, limit)


def _weight(condition: Comparison | AnyOf) -> int:
    if isinstance(condition, AnyOf):
        return sum(map(_weight, condition.options))
    return len(condition.value) if isinstance(condition.value, tuple) else 1


def _field(column: str, name: str) -> Field:
    if column in COLUMNS:
        return Field(column)
    if found := _METADATA.fullmatch(column):
        return Field(found["key"], metadata=True)
    raise Malformed(f"There is no column {column!r} to filter or order by", name)


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise Malformed(f"limit {text!r} is not a whole number from 1", "limit")
    return min(int(text), MAX_LIMIT)


def _order(text: str, name: str) -> Order:
    column, descending = text, False
    for ending in ("asc", "desc"):
        if text.endswith(f".{ending}"):
            column, descending = text.removesuffix(f".{ending}"), ending == "desc"
    return Order(_field(column, name), descending)


def _any_of(text: str) -> AnyOf:
    if len(text) < 3 or text[0] != "(" or text[-1] != ")":
        raise Malformed("or must be a list in parentheses: or=(column.op.value,column.op.value)", "or")
    return AnyOf(tuple(_option(part) for part in _split(text[1:-1])))


def _option(text: str) -> Comparison:
    found = _OPTION.fullmatch(text)
    if not found:
        raise Malformed(f"{text!r} is not column.op.value with one of the operators {_ops()}", "or")
    return _comparison(_field(found["field"], "or"), found["rest"], "or", listed=True)


def _ops() -> str:
    return ", ".join(Op)


def _comparison(field: Field, text: str, name: str, *, listed: bool = False) -> Comparison:
    operator, dot, rest = text.partition(".")
    op = _BY_NAME.get(operator)
    if not dot or op is None:
        raise Malformed(f"{text!r} does not begin with one of the operators {_ops()} and a dot", name)
    if op is Op.IS:
        if rest.lower() != "null":
            raise Malformed(f"is.{rest} is not known; is.null is", name)
        return Comparison(field, op, None)
    if op is Op.IN:
        if len(rest) < 3 or rest[0] != "(" or rest[-1] != ")":
            raise Malformed("in must be followed by a list in parentheses: in.(a,b)", name)
        return Comparison(field, op, tuple(_value(field, _unquoted(part), name) for part in _split(rest[1:-1])))
    plain = _unquoted(rest) if listed else rest
    if op in (Op.LIKE, Op.ILIKE):
        if not field.metadata and field.name in TIMES:
            raise Malformed(f"{field.name} is a time and has no pattern", name)
        if len(plain) > MAX_PATTERN:
            raise Malformed(f"a pattern has at most {MAX_PATTERN} characters", name)
        return Comparison(field, op, plain.replace("*", "%"))
    return Comparison(field, op, _value(field, plain, name))


def _value(field: Field, text: str, name: str) -> Value:
    if field.metadata or field.name not in TIMES:
        return text
    # An unescaped + before a zone arrives as a space.
    day, t, time = text.partition("T")
    try:
        return millis(day + t + time.replace(" ", "+"))
    except ValueError as error:
        raise Malformed(f"{field.name}: {text!r} is not an ISO 8601 date or date-time", name) from error


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are outside of quotes and parentheses."""
    depth, quoted, escaped, start = 0, False, False, 0
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = character == "\\", character != '"'
        elif character == '"':
            quoted = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text
