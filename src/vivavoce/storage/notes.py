"""What is noted of conversations to find them by: a row for each id, name and entry of metadata, and when they began.

The database writes them itself. Of a value they hold the first ``LONGEST`` characters, and nothing of an entry whose
key is longer or begins with ``_OWN``. So they say which conversations may match; whether they do, those say themselves.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from vivavoce.core.filter import TIMES, AnyOf, Comparison, Field, Filter, Op, Order
from vivavoce.storage.database import Tx
from vivavoce.storage.finding import BEGAN, conditions, one_of, spelled
from vivavoce.storage.tables import conversations, notes

LONGEST = 255
"""How many characters of a value are noted, and how long a key of metadata may be."""

VALUES = 3_000
"""How many different values of a field are looked at to find those like a pattern."""

GROUP = 5_000
"""How many conversations with the same value are put into an order that no index has."""

_OWN = "\x01"
"""What the names begin with under which columns are noted, so that no key of metadata is one of them."""

_LAST = chr(0x10FFFF)
_ALL = 1 << 62


def name_of(field: Field) -> str | None:
    """Under which name a field is noted; None where it is not."""
    if field.metadata:
        return field.name if len(field.name) <= LONGEST and not field.name.startswith(_OWN) else None
    return None if field.name in TIMES else _OWN + field.name


def is_pattern(one: Comparison) -> bool:
    """Whether it says what a value is like, and more than how it begins."""
    return one.op is Op.ILIKE or (one.op is Op.LIKE and str(one.value) != f"{_start(one)}%")


def candidates(org: str, one: Comparison | AnyOf, timed: Filter, *, sqlite: bool) -> Sequence[Select[Any, Any]] | None:
    """Queries for the ids and times of all conversations that may match, each of which an index answers; None where
    none does. ``timed`` is what else must hold of when they began."""
    if isinstance(one, AnyOf):
        found = [_candidates(org, same, timed, sqlite=sqlite) for same in alike(one)]
        return None if None in found else [query for some in found if some is not None for query in some]
    return _candidates(org, (one,), timed, sqlite=sqlite)


def alike(one: AnyOf) -> Sequence[Sequence[Comparison]]:
    """The alternatives, of which the patterns of a field are one: they are looked for together."""
    found: dict[Field | int, list[Comparison]] = {}
    for number, option in enumerate(one.options):
        found.setdefault(option.field if is_pattern(option) else number, []).append(option)
    return list(found.values())


def _candidates(
    org: str, same: Sequence[Comparison], timed: Filter, *, sqlite: bool
) -> Sequence[Select[Any, Any]] | None:
    one = same[0]
    name = name_of(one.field)
    if name is None:
        if one.field.metadata:
            return None
        return [in_time(org, Filter((one, *timed.conditions)), sqlite=sqlite)]
    if one.op is Op.IS:
        if one.field.metadata:
            return None
        name = f"{name}less"
    mine = [notes.c.org == org, notes.c.name == name, *conditions(timed, sqlite=sqlite, of=notes)]
    query: Select[Any, Any] = select(notes.c.conversation_id, notes.c.created_at).where(*mine)
    if len(same) > 1:
        return [query.where(or_(*(part for each in same for part in _parts(each, sqlite=sqlite))))]
    return [query.where(part) for part in _parts(one, sqlite=sqlite)]


def in_time(org: str, wanted: Filter, *, sqlite: bool) -> Select[Any, Any]:
    """A query for the ids and times of all conversations that match what an index of theirs answers."""
    mine = [conversations.c.org == org, *conditions(wanted, sqlite=sqlite)]
    return select(conversations.c.id.label("conversation_id"), conversations.c.created_at).where(*mine)


def _parts(one: Comparison, *, sqlite: bool) -> Sequence[ColumnElement[bool]]:
    """What the noted value is, of all values for which this may be true: one stretch of the index each."""
    value, given = notes.c.value, one.value
    text = str(given)[:LONGEST]
    match one.op:
        case Op.EQ:
            return [value == text]
        case Op.NEQ:
            return [value < text, value > text, *([value == text] if len(text) == LONGEST else [])]
        case Op.IN:
            many = given if isinstance(given, tuple) else (given,)
            return [one_of(value, sorted({str(each)[:LONGEST] for each in many}), sqlite=sqlite)]
        case Op.GT | Op.GTE:
            return [value >= text]
        case Op.LT | Op.LTE:
            return [value <= text]
        case Op.LIKE | Op.ILIKE:
            return [and_(*_beginning(one), _like((one,), value, sqlite=sqlite))]
        case Op.IS:
            return [value == ""]


def _like(same: Sequence[Comparison], noted: ColumnElement[str], *, sqlite: bool) -> ColumnElement[bool]:
    # Of what is longer, the rest may be as it should.
    return or_(*(spelled(one, noted, sqlite=sqlite) for one in same), func.length(noted) >= LONGEST)


def _beginning(one: Comparison) -> list[ColumnElement[bool]]:
    """The stretch of the index in which everything begins as the pattern does."""
    if one.op is Op.ILIKE:
        return []
    start = _start(one)[:LONGEST]
    found = [notes.c.value >= start] if start else []
    if end := _behind(start):
        found.append(notes.c.value < end)
    return found


def _start(one: Comparison) -> str:
    """What comes before the first sign of a pattern that stands for something else."""
    return "".join(takewhile(lambda sign: sign not in "%_\\", str(one.value)))


def _behind(start: str) -> str:
    """The first text, by code points, behind all that begin so; nothing where there is none."""
    kept = start.rstrip(_LAST)
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    # There are no characters between these two.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def values_like(tx: Tx, org: str, same: Sequence[Comparison]) -> Comparison | None:
    """Patterns of one field as the values that there are and that are like one of them; None where there are too many
    to look at each.

    Each value is looked up behind the one before, however many conversations have it.
    """
    name = name_of(same[0].field)
    if name is None:
        return None
    mine = _noted(org, name, same)
    known = select(func.min(notes.c.value).label("value")).where(*mine).cte("known", recursive=True)
    following = select(func.min(notes.c.value)).where(*mine, notes.c.value > known.c.value).scalar_subquery()
    known = known.union_all(select(following).where(known.c.value.is_not(None)))
    matches = _like(same, known.c.value, sqlite=tx.dialect.name == "sqlite")
    query = select(known.c.value, matches.label("matches")).where(known.c.value.is_not(None)).limit(VALUES + 1)
    rows = tx.execute(query).all()
    return _as_one_of(same, [row.value for row in rows if row.matches]) if len(rows) <= VALUES else None


def values_like_of_many(tx: Tx, org: str, same: Sequence[Comparison]) -> Comparison | None:
    """The same, however many values there are: all that is noted of the field is read. None where very many match."""
    name = name_of(same[0].field)
    if name is None:
        return None
    # The limit keeps the databases from comparing every note instead of every value.
    known = select(notes.c.value).where(*_noted(org, name, same)).group_by(notes.c.value).limit(_ALL).subquery()
    matches = _like(same, known.c.value, sqlite=tx.dialect.name == "sqlite")
    values = tx.execute(select(known.c.value).where(matches).limit(VALUES + 1)).scalars().all()
    return _as_one_of(same, values) if len(values) <= VALUES else None


def _noted(org: str, name: str, same: Sequence[Comparison]) -> list[ColumnElement[bool]]:
    return [notes.c.org == org, notes.c.name == name, *(_beginning(same[0]) if len(same) == 1 else [])]


def _as_one_of(same: Sequence[Comparison], values: Sequence[str]) -> Comparison:
    return Comparison(same[0].field, Op.IN, tuple(values))


def first_by(tx: Tx, org: str, orders: Sequence[Order], timed: Filter, most: int) -> Sequence[str] | None:
    """The ids of the ``most`` conversations that come first in an order that begins with a noted field, and of others
    that may; those that lack it come last. None where too many have the same value to be put into the rest of the
    order."""
    sqlite = tx.dialect.name == "sqlite"
    name = name_of(orders[0].field)
    if name is None:
        return None
    value, ids = notes.c.value, notes.c.conversation_id
    mine = [notes.c.org == org, notes.c.name == name, *conditions(timed, sqlite=sqlite, of=notes)]
    rank = value.desc() if orders[0].descending else value.asc()
    cut = tx.execute(select(value).where(*mine).order_by(rank).limit(1).offset(most - 1)).scalar()
    if cut is None:
        # All that have it, and of the others as many as are left: some of them are met again.
        found = tx.execute(select(ids).where(*mine)).scalars().all()
        rest = in_time(org, timed, sqlite=sqlite).with_only_columns(conversations.c.id)
        began, id_, again = conversations.c.created_at, conversations.c.id, len(found)
    else:
        before = value > cut if orders[0].descending else value < cut
        found = tx.execute(select(ids).where(*mine, before)).scalars().all()
        rest, began, id_, again = select(ids).where(*mine, value == cut), notes.c.created_at, ids, 0
    left = most - len(found)
    # An index has them in this order, and all of the value is noted.
    ordered = (len(orders) == 1 or (len(orders) == 2 and orders[1].field == BEGAN)) and len(cut or "") < LONGEST
    if ordered:
        newest = len(orders) == 1 or orders[1].descending
        rest = rest.order_by(began.desc() if newest else began.asc(), id_.desc())
    known = set(found)
    some = tx.execute(rest.limit(again + (left if ordered else GROUP + 1))).scalars()
    others = [one for one in some if one not in known]
    if ordered:
        return [*found, *others[:left]]
    return [*found, *others] if len(others) <= GROUP else None
