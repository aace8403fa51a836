"""A search for conversations: a filter answered by whatever index finds its answer soonest.

No planner of a database knows how many conversations a filter matches. Few that match are looked up one by one; many
are soon met among those that come first. What is left, a filter that matches many of which none come first, is walked
through from the first to the last.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select, union_all

from vivavoce.core.conversation import Conversation
from vivavoce.core.filter import AnyOf, Comparison, Filter, Op
from vivavoce.storage.conversations import of_row
from vivavoce.storage.database import Tx
from vivavoce.storage.finding import BEGAN, by_beginning, conditions, is_indexed, one_of, orders, timely
from vivavoce.storage.notes import alike, candidates, first_by, in_time, is_pattern, values_like, values_like_of_many
from vivavoce.storage.tables import conversations

NEAREST = 2_000
"""How many conversations are looked through for what is frequent."""

FARTHER = 5
"""How many times as many as are wanted, where that is more."""

FEW = 500
"""How many conversations are looked up one after the other because what they have in common is rare."""

MANY = 5_000
"""How many are looked up rather than that all are looked through."""

PATTERNS = 5
"""How many conditions are looked up by the values that are like their patterns, and of how many fields with very many
values the patterns of one may be."""


def get_filtered(tx: Tx, org: str, wanted: Filter, most: int) -> tuple[Conversation, ...]:
    """The conversations that match, in the filter's order, at most ``most`` of them."""
    most = min(wanted.limit or most, most)
    return tuple(map(of_row, _found(tx, org, wanted, most)))


def _found(tx: Tx, org: str, wanted: Filter, most: int) -> Sequence[Row[Any]]:
    sqlite, timed = tx.dialect.name == "sqlite", by_beginning(wanted)
    times = timely(wanted)
    others = [one for one in wanted.conditions if one not in times.conditions]
    if not others and is_indexed(wanted.orders):
        return _walk(tx, org, wanted, most)
    queries = [candidates(org, one, timed, sqlite=sqlite) for one in others if not _is_like(one)]
    if not is_indexed(wanted.orders) and times.conditions:
        queries.append([in_time(org, times, sqlite=sqlite)])
    for query in filter(None, queries):
        if (few := _few(tx, query, max(FEW, most))) is not None:
            return _among(tx, org, wanted, few, most)
    # Nothing is wanted but one thing, and that in an order in which it may be noted.
    alone = len(wanted.conditions) == len(timed.conditions) + 1 and _is_by_beginning(wanted)
    if alone and _is_one(others[0]) and queries[0] and (found := _first(tx, org, wanted, queries[0], most)) is not None:
        return found
    if (found := _nearest(tx, org, wanted, most)) is not None:
        return found
    for one in islice(filter(_is_like, others), PATTERNS):
        query = candidates(org, spelt, timed, sqlite=sqlite) if (spelt := _as_values(tx, org, one)) else None
        queries.append(query)
        if query and (few := _few(tx, query, max(FEW, most))) is not None:
            return _among(tx, org, wanted, few, most)
    if alone and queries[0] and (found := _first(tx, org, wanted, queries[0], most)) is not None:
        return found
    for query in filter(None, queries):
        if (few := _few(tx, query, MANY)) is not None:
            return _among(tx, org, wanted, few, most)
    return _walk(tx, org, wanted, most)


def _is_one(one: Comparison | AnyOf) -> bool:
    """Whether whatever matches has the same value."""
    return isinstance(one, Comparison) and one.op in (Op.EQ, Op.IS)


def _is_like(one: Comparison | AnyOf) -> bool:
    return any(map(is_pattern, one.options if isinstance(one, AnyOf) else (one,)))


def _as_values(tx: Tx, org: str, one: Comparison | AnyOf) -> Comparison | AnyOf | None:
    """The same without patterns, as far as there are few values that are like them; None where it takes less to walk
    than to read all values of so many fields."""
    options = one if isinstance(one, AnyOf) else AnyOf((one,))
    patterns = [same for same in alike(options) if is_pattern(same[0])]
    found = [values_like(tx, org, same) for same in patterns]
    if found.count(None) > PATTERNS:
        return None
    spelt: list[Comparison] = [option for option in options.options if not is_pattern(option)]
    for same, few in zip(patterns, found, strict=True):
        values = few or values_like_of_many(tx, org, same)
        spelt += [values] if values else same
    return AnyOf(tuple(spelt))


def _is_by_beginning(wanted: Filter) -> bool:
    return not wanted.orders or (len(wanted.orders) == 1 and wanted.orders[0].field == BEGAN)


def _few(tx: Tx, queries: Sequence[Select[Any, Any]], most: int) -> Sequence[str] | None:
    """The ids that these find; None where they are more than ``most``."""
    found: set[str] = set()
    for query in queries:
        column = query.selected_columns["conversation_id"]
        found.update(tx.execute(query.with_only_columns(column).limit(most + 1)).scalars())
        if len(found) > most:
            return None
    return sorted(found)


def _among(tx: Tx, org: str, wanted: Filter, ids: Sequence[str], most: int) -> Sequence[Row[Any]]:
    """Those of these conversations that match, in the filter's order."""
    if not ids:
        return ()
    sqlite = tx.dialect.name == "sqlite"
    # Not by the indexes of organisations, which a planner could take for the order and walk through to their end.
    mine = (one_of(conversations.c.id, ids, sqlite=sqlite), conversations.c.org.concat("") == org)
    query = select(conversations).where(*mine, *conditions(wanted, sqlite=sqlite))
    return tx.execute(query.order_by(*orders(wanted, sqlite=sqlite)).limit(most)).all()


def _first(
    tx: Tx, org: str, wanted: Filter, queries: Sequence[Select[Any, Any]], most: int
) -> Sequence[Row[Any]] | None:
    """What comes first by the time when it began, of a filter that wants nothing but what these queries find; None
    where they found what does not match."""
    newest = not wanted.orders or wanted.orders[0].descending
    together = queries[0].subquery() if len(queries) == 1 else union_all(*queries).subquery()
    began, id_ = together.c.created_at, together.c.conversation_id
    query = select(id_).group_by(id_, began) if len(queries) > 1 else select(id_)
    ids = tx.execute(query.order_by(began.desc() if newest else began.asc(), id_.desc()).limit(most)).scalars().all()
    found = _among(tx, org, wanted, ids, most)
    return found if len(found) == len(ids) else None


def _nearest(tx: Tx, org: str, wanted: Filter, most: int) -> Sequence[Row[Any]] | None:
    """What matches among those that come first in the filter's order; None where that is not enough."""
    near = max(NEAREST, FARTHER * most)
    if is_indexed(wanted.orders):
        return _nearest_by_index(tx, org, wanted, most, near)
    timed = by_beginning(wanted)
    # Where nothing else is wanted the first are the answer, and where it is frequent they nearly are.
    alone = len(timed.conditions) == len(wanted.conditions)
    for reach in (most,) if alone else (2 * most, near):
        ids = first_by(tx, org, wanted.orders, timed, reach)
        if ids is None:
            return None
        found = _among(tx, org, wanted, ids, most)
        if len(found) == most or len(ids) < reach:
            return found
    return None


def _nearest_by_index(tx: Tx, org: str, wanted: Filter, most: int, near: int) -> Sequence[Row[Any]] | None:
    sqlite = tx.dialect.name == "sqlite"
    name = wanted.orders[0].field.name if wanted.orders else "created_at"
    falling = not wanted.orders or wanted.orders[0].descending
    place = conversations.c.active_hour if name == "last_message_at" else conversations.c[name]
    mine = [conversations.c.org == org, *conditions(timely(wanted), sqlite=sqlite)]
    rank = place.desc() if falling else place.asc()
    last = tx.execute(select(place).where(*mine).order_by(rank).limit(1).offset(near - 1)).scalar()
    if last is None:
        return _walk(tx, org, wanted, most)
    # A walk from the first on, which ends where enough are found or at this place.
    found = _walk(tx, org, wanted, most, place >= last if falling else place <= last)
    return found if len(found) == most else None


def _walk(tx: Tx, org: str, wanted: Filter, most: int, *more: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """What matches, in the filter's order, however many have to be looked through."""
    sqlite = tx.dialect.name == "sqlite"
    query = select(conversations).where(conversations.c.org == org, *more, *conditions(wanted, sqlite=sqlite))
    return tx.execute(query.order_by(*orders(wanted, sqlite=sqlite)).limit(most)).all()
