"""Pages of runs, however many there are: totals and places in a list come from the tallies (``storage.tallies``)."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Row, Select, func, literal, select, union_all

from vivavoce.core.status import Status
from vivavoce.storage import tallies
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Window
from vivavoce.storage.tables import runs

SHALLOW = 1_000
"""Up to here a place in a list is found by walking there."""
_COUNTED = "counted"
"""Marks the sum of the tallies, where the others have the least of their ids."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Exact matches; None does not filter."""

    scenario_id: str | None = None
    suite: str | None = None
    batch_id: str | None = None
    statuses: frozenset[Status] | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is listed: ``where`` without the statuses; ``scope`` is the one that tallies count, where they count it."""

    org: str
    where: tuple[ColumnElement[bool], ...]
    hidden: tuple[ColumnElement[bool], ...]
    """The same in a form for which no index is of use but that of what was not counted."""
    statuses: tuple[Status, ...]
    scope: str | None


def fetch(tx: Tx, org: str, wanted: RunFilter, window: Window) -> tuple[Sequence[Row[Any]], int]:
    """The rows of one page of runs, newest first, and how many match in all."""
    asked = _asked(org, wanted)
    if not asked.statuses:
        return (), 0
    total, loose = _count(tx, asked)
    offset = (window.number - 1) * window.size
    if offset >= total:
        return (), total
    # Where nothing is in a tally, or the place is near, it is walked to.
    deep = offset > SHALLOW and total > loose.many
    below, skip = _start(tx, asked, loose, offset) if deep and asked.scope is not None else (None, offset)
    # The ids alone come from an index; a row is wide, and only those of the page are read.
    ids = _ids(asked, below, skip, window.size).subquery()
    rows = tx.execute(select(runs).where(runs.c.id.in_(select(ids.c.id))).order_by(runs.c.id.desc()))
    return rows.all(), total


def _asked(org: str, wanted: RunFilter) -> _Wanted:
    given = {name: getattr(wanted, name) for name in ("scenario_id", "suite", "batch_id")}
    given = {name: value for name, value in given.items() if value is not None}
    scope: str | None = None
    if not given:
        scope = tallies.ALL
    elif given.keys() == {"scenario_id"}:
        scope = tallies.of_scenario(given["scenario_id"])
    elif given.keys() == {"suite"}:
        scope = tallies.of_suite(given["suite"])
    where = (runs.c.org == org, *(runs.c[name] == value for name, value in given.items()))
    hidden = (runs.c.org == org, *(runs.c[name].concat("") == value for name, value in given.items()))
    return _Wanted(org, where, hidden, tuple(sorted(Status if wanted.statuses is None else wanted.statuses)), scope)


@dataclass(frozen=True, slots=True)
class _Loose:
    """What matches and is in no tally: how many, and the least of their ids."""

    many: int
    first_id: str | None


def _loose(asked: _Wanted, *within: ColumnElement[bool]) -> list[Select[Any]]:
    """How ``many`` match and are in no tally, and the ``least`` of their ids: one or two rows, to be put together."""
    final = [status for status in asked.statuses if status.final]
    moving = [status for status in asked.statuses if not status.final]
    chosen: list[ColumnElement[Any]] = [func.count().label("many"), func.min(runs.c.id).label("least")]
    query = select(*chosen).select_from(runs).where(*within)
    parts: list[Select[Any]] = []
    if final:
        parts.append(query.where(*asked.hidden, tallies.UNCOUNTED, runs.c.status.concat("").in_(final)))
    if moving:
        parts.append(query.where(*asked.where, runs.c.status.in_(moving)))
    return parts


def _count(tx: Tx, asked: _Wanted) -> tuple[int, _Loose]:
    """How many match in all, and what of it is in no tally."""
    if asked.scope is None:
        many = select(func.count()).select_from(runs).where(*asked.where, runs.c.status.in_(asked.statuses))
        return tx.execute(many).scalar_one(), _Loose(0, None)
    counted = tallies.counted(asked.org, asked.scope, asked.statuses).subquery()
    known: list[ColumnElement[Any]] = [
        func.coalesce(func.sum(counted.c.many), 0).label("many"),
        literal(_COUNTED).label("least"),
    ]
    rows = tx.execute(union_all(select(*known), *_loose(asked))).all()
    total = sum(int(row.many) for row in rows)
    loose = [row for row in rows if row.least != _COUNTED]
    least = min((row.least for row in loose if row.least is not None), default=None)
    return total, _Loose(sum(int(row.many) for row in loose), least)


def _start(tx: Tx, asked: _Wanted, loose: _Loose, offset: int) -> tuple[str | None, int]:
    """The id below which the place with this offset is near, and how many runs are to be skipped from there; None is
    the beginning of the list."""
    assert asked.scope is not None
    rows = tx.execute(tallies.counted(asked.org, asked.scope, asked.statuses)).all()
    rows = sorted(rows, key=lambda row: row.first_id, reverse=True)
    counted = list(accumulate(row.many for row in rows))
    # Mostly all that is in no tally is newer than what is looked for: there is nothing to search.
    place = bisect_right(counted, offset - loose.many) - 1
    if place >= 0 and (loose.first_id is None or loose.first_id >= rows[place].first_id):
        return rows[place].first_id, offset - loose.many - counted[place]
    # Everything from the tally at ``low`` on comes before the offset; ``newer`` of it is in no tally.
    low, high, newer = -1, len(rows), 0
    while high - low > 1:
        middle = (low + high) // 2
        more = _loose_between(tx, asked, rows[middle].first_id, rows[low].first_id if low >= 0 else None)
        if counted[middle] + newer + more <= offset:
            low, newer = middle, newer + more
        else:
            high = middle
    if low < 0:
        return None, offset
    return rows[low].first_id, offset - counted[low] - newer


def _loose_between(tx: Tx, asked: _Wanted, first_id: str, end: str | None) -> int:
    within = [runs.c.id >= first_id, *([runs.c.id < end] if end is not None else [])]
    return sum(row.many for row in tx.execute(union_all(*_loose(asked, *within))))


def _ids(asked: _Wanted, below: str | None, skip: int, most: int) -> Select[Any] | CompoundSelect[Any]:
    """The ids of so many that match, newest first, behind those that are skipped."""
    query = select(runs.c.id).where(*asked.where).order_by(runs.c.id.desc())
    if below is not None:
        query = query.where(runs.c.id < below)
    if asked.scope is None or len(asked.statuses) == 1:
        return query.where(runs.c.status.in_(asked.statuses)).limit(most).offset(skip)
    # An index has the runs of each status in this order: as many of each as the page may need are merged.
    parts = [query.where(runs.c.status == status.value).limit(skip + most).subquery() for status in asked.statuses]
    merged = union_all(*(select(part.c.id) for part in parts))
    return merged.order_by(merged.selected_columns.id.desc()).limit(most).offset(skip)
