"""The filter language of the conversations list, after PostgREST (contract, section 5.15)."""

import re
from collections.abc import Iterable, Iterator

from vivavoce.api.telnyx.errors import bad_request
from vivavoce.api.telnyx.wire.shape import unstorable
from vivavoce.api.telnyx.wire.times import millis
from vivavoce.core.filter import COLUMNS, TIMES, AnyOf, Comparison, Field, Filter, Op, Order, Value

MAX_LIMIT = 1000
"""The most conversations of one list; a larger ``limit`` is taken as this."""

MAX_CONDITIONS = 100
"""The most comparisons in one filter, each value of an ``in`` counted."""

_BY_NAME = {op.value: op for op in Op}
_OPTION = re.compile(rf"(?P<field>.+?)\.(?P<rest>(?:{'|'.join(_BY_NAME)})\..*)", re.DOTALL)
_METADATA = re.compile(r"metadata->>?(?P<key>.+)", re.DOTALL)

MAX_PATTERN = 1000
"""Databases give up on patterns that are much longer."""


def parse_filter(query: Iterable[tuple[str, str]]) -> Filter:
    """The filter in a query string, given as decoded (name, value) pairs.

    ``column=op.value`` and ``metadata->key=op.value`` (any number, all must hold), ``or=(column.op.value,…)``,
    ``order=column.asc,…`` and ``limit=n``. Values in lists may be quoted with ``"``; ``*`` in patterns means ``%``.
    Raises ``Refused`` (400/10015) that names what is wrong.
    """
    conditions: list[Comparison | AnyOf] = []
    orders: tuple[Order, ...] = ()
    limit: int | None = None
    for name, text in query:
        pointer = f"/query/{name}"
        if (fault := unstorable(name) or unstorable(text)) is not None:
            raise bad_request(f"{name}: {fault}", pointer=pointer)
        match name:
            case "limit":
                limit = _limit(text)
            case "order":
                orders = (*orders, *(_order(part, pointer) for part in _split(text)))
            case "or":
                conditions.append(_any_of(text))
            case _:
                conditions.append(_comparison(_field(name, pointer), text, pointer))
    if sum(map(_weight, conditions)) + len(orders) > MAX_CONDITIONS:
        raise bad_request(f"The filter has more than {MAX_CONDITIONS} conditions", pointer="/query")
    return Filter(tuple(conditions), orders, limit)


def _weight(condition: Comparison | AnyOf) -> int:
    if isinstance(condition, AnyOf):
        return sum(map(_weight, condition.options))
    return len(condition.value) if isinstance(condition.value, tuple) else 1


def _field(name: str, pointer: str) -> Field:
    if name in COLUMNS:
        return Field(name)
    if found := _METADATA.fullmatch(name):
        return Field(found["key"], metadata=True)
    raise bad_request(f"There is no column {name!r} to filter or order by", pointer=pointer)


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise bad_request(f"limit {text!r} is not a whole number from 1", pointer="/query/limit")
    return min(int(text), MAX_LIMIT)


def _order(text: str, pointer: str) -> Order:
    name, descending = text, False
    for ending in ("asc", "desc"):
        if text.endswith(f".{ending}"):
            name, descending = text.removesuffix(f".{ending}"), ending == "desc"
    return Order(_field(name, pointer), descending)


def _any_of(text: str) -> AnyOf:
    pointer = "/query/or"
    if len(text) < 3 or text[0] != "(" or text[-1] != ")":
        raise bad_request("or must be a list in parentheses: or=(column.op.value,column.op.value)", pointer=pointer)
    return AnyOf(tuple(_option(part, pointer) for part in _split(text[1:-1])))


def _option(text: str, pointer: str) -> Comparison:
    found = _OPTION.fullmatch(text)
    if not found:
        raise bad_request(f"{text!r} is not column.op.value with one of the operators {_ops()}", pointer=pointer)
    return _comparison(_field(found["field"], pointer), found["rest"], pointer, listed=True)


def _ops() -> str:
    return ", ".join(Op)


def _comparison(field: Field, text: str, pointer: str, *, listed: bool = False) -> Comparison:
    operator, dot, rest = text.partition(".")
    op = _BY_NAME.get(operator)
    if not dot or op is None:
        raise bad_request(f"{text!r} does not begin with one of the operators {_ops()} and a dot", pointer=pointer)
    if op is Op.IS:
        if rest.lower() != "null":
            raise bad_request(f"is.{rest} is not known; is.null is", pointer=pointer)
        return Comparison(field, op, None)
    if op is Op.IN:
        if len(rest) < 3 or rest[0] != "(" or rest[-1] != ")":
            raise bad_request("in must be followed by a list in parentheses: in.(a,b)", pointer=pointer)
        return Comparison(field, op, tuple(_value(field, _unquoted(part), pointer) for part in _split(rest[1:-1])))
    plain = _unquoted(rest) if listed else rest
    if op in (Op.LIKE, Op.ILIKE):
        if not field.metadata and field.name in TIMES:
            raise bad_request(f"{field.name} is a time and has no pattern", pointer=pointer)
        if len(plain) > MAX_PATTERN:
            raise bad_request(f"a pattern has at most {MAX_PATTERN} characters", pointer=pointer)
        return Comparison(field, op, plain.replace("*", "%"))
    return Comparison(field, op, _value(field, plain, pointer))


def _value(field: Field, text: str, pointer: str) -> Value:
    if field.metadata or field.name not in TIMES:
        return text
    # An unescaped + before a zone arrives as a space.
    day, t, time = text.partition("T")
    try:
        return millis(day + t + time.replace(" ", "+"))
    except ValueError as error:
        raise bad_request(f"{field.name}: {text!r} is not an ISO 8601 date or date-time", pointer=pointer) from error


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
