"""Tallies: how many final runs there are of everything that runs are listed by, kept by work in the background.

A list of a million runs cannot be counted for every page. What is final never changes any more, so it is counted once:
each tally is the number of final runs of one scope in a stretch of ids, from its ``first_id`` up to the next one's. The
runs beside them (those that are not final, and the few that were not counted yet) are counted when somebody asks, so
totals are exact at any time. Whoever deletes runs takes them off in the same transaction.
"""

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from vivavoce.core.event import Millis
from vivavoce.core.status import FINAL, Status
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import runs
from vivavoce.storage.work import tallies

SIZE = 2_000
"""How many runs a tally counts, about: it is cut when there are twice as many."""
ALL = ""
"""The scope of all runs of an organisation."""

COLUMNS: Mapping[Status, ColumnElement[int]] = {
    Status.PASSED: tallies.c.passed,
    Status.FAILED: tallies.c.failed,
    Status.ERROR: tallies.c.errors,
}
# As the index has it; other indexes are of no use for it.
UNCOUNTED = text("runs.tally IS NULL AND (runs.status || '') IN ('passed', 'failed', 'error')")
"""What is true of runs that are final and that no tally counts."""
_ALONE = 7_202_611_24
"""The advisory lock of those who change tallies. Whoever waits for it holds everything else that it needs."""
_PLACES = {Status.PASSED: 0, Status.FAILED: 1, Status.ERROR: 2}


@dataclass(frozen=True, slots=True)
class Stand:
    """How many final runs a scope has by status, and when the last of them changed."""

    many: Mapping[Status, int]
    last_at: Millis


NONE = Stand({}, 0)
"""Where nothing is counted."""


def of_scenario(scenario_id: str) -> str:
    """The scope of a scenario's runs."""
    return f"scenario:{scenario_id}"


def of_suite(suite: str) -> str:
    """The scope of the runs of a suite's scenarios."""
    return f"suite:{suite}"


def of_batch(batch_id: str) -> str:
    """The scope of a batch's runs."""
    return f"batch:{batch_id}"


def _scopes(row: Row[Any]) -> Iterable[str]:
    yield ALL
    yield of_scenario(row.scenario_id)
    if row.suite is not None:
        yield of_suite(row.suite)
    if row.batch_id is not None:
        yield of_batch(row.batch_id)


def _within(org: str, scope: str) -> list[ColumnElement[bool]]:
    kind, _, name = scope.partition(":")
    column = {"": None, "scenario": runs.c.scenario_id, "suite": runs.c.suite, "batch": runs.c.batch_id}[kind]
    return [runs.c.org == org] + ([column == name] if column is not None else [])


def counted(org: str, scope: str, statuses: Collection[Status]) -> Select[Any]:
    """The tallies of a scope: the ``first_id`` of each, and how many runs of these statuses it counts (``many``)."""
    columns = [COLUMNS[status] for status in sorted(FINAL & set(statuses))]
    many: ColumnElement[int] = sum(columns, literal_column("0", Integer))
    chosen: list[ColumnElement[Any]] = [tallies.c.first_id, many.label("many")]
    return select(*chosen).where(tallies.c.org == org, tallies.c.scope == scope)


def get_stands(tx: Tx, org: str, scopes: Collection[str]) -> Mapping[str, Stand]:
    """What is counted of these scopes."""
    given = {"org": org, "scopes": json.dumps([*scopes])}
    # What a sum is differs from driver to driver.
    return {
        scope: Stand({Status.PASSED: int(passed), Status.FAILED: int(failed), Status.ERROR: int(errors)}, last_at)
        for scope, last_at, passed, failed, errors in tx.execute(_STANDS[tx.dialect.name], given).all()
    }


def _stands(given: str) -> Select[str, Millis, Any, Any, Any]:
    query = select(
        tallies.c.scope,
        func.max(tallies.c.last_at),
        func.sum(COLUMNS[Status.PASSED]),
        func.sum(COLUMNS[Status.FAILED]),
        func.sum(COLUMNS[Status.ERROR]),
    ).where(tallies.c.org == bindparam("org"))
    return query.where(text(f"tallies.scope {given}")).group_by(tallies.c.scope)


# As JSON: a thousand parameters take longer than all the rest.
_STANDS: Mapping[str, Select[str, Millis, Any, Any, Any]] = {
    "postgresql": _stands("= ANY(ARRAY(SELECT json_array_elements_text(CAST(:scopes AS json))))"),
    "sqlite": _stands("IN (SELECT value FROM json_each(:scopes))"),
}


def count_new(tx: Tx, most: int, *, size: int = SIZE) -> int | None:
    """Count up to ``most`` runs that have become final; returns how many were, or None while somebody else counts."""
    if tx.dialect.name == "postgresql":
        alone = tx.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ALONE}).scalar_one()
        if not alone:
            return None
    query = select(*_WANTED).where(UNCOUNTED).order_by(runs.c.org, runs.c.id).limit(most)
    rows = tx.execute(query.with_for_update(skip_locked=True)).all()
    if rows:
        # Marked first: a tally that has grown too large is cut by what is marked.
        tx.execute(update(runs).where(runs.c.id.in_([row.id for row in rows])).values(tally=1))
        _change(tx, rows, 1, size)
    return len(rows)


_WANTED: Sequence[ColumnElement[Any]] = (
    runs.c.id,
    runs.c.org,
    runs.c.scenario_id,
    runs.c.suite,
    runs.c.batch_id,
    runs.c.status,
    runs.c.updated_at,
    runs.c.tally,
)


def lock(tx: Tx, which: ColumnElement[bool], *, skip_locked: bool = False) -> Sequence[Row[Any]]:
    """Hold these runs until the commit, to be deleted; ``subtract`` wants what this returns."""
    query = select(*_WANTED, runs.c.conversation_id).where(which).order_by(runs.c.id)
    return tx.execute(query.with_for_update(skip_locked=skip_locked)).all()


def subtract(tx: Tx, rows: Sequence[Row[Any]]) -> None:
    """Take runs off that were locked before and are deleted in this transaction. To be its last step."""
    gone = [row for row in rows if row.tally is not None]
    if not gone:
        return
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ALONE})
    _change(tx, gone, -1, SIZE)


_Key = tuple[str, str, str]
"""Organisation, scope and first id of a tally."""


@dataclass(slots=True)
class _Numbers:
    """What a tally counts, or by how much it changes."""

    many: list[int] = field(default_factory=lambda: [0, 0, 0])
    last_id: str = ""
    last_at: Millis = 0

    def add(self, row: Row[Any], sign: int = 1) -> None:
        self.many[_PLACES[Status(row.status)]] += sign
        self.last_id, self.last_at = max(self.last_id, row.id), max(self.last_at, row.updated_at)


def _change(tx: Tx, rows: Sequence[Row[Any]], sign: int, size: int) -> None:
    grouped: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in rows:
        for scope in _scopes(row):
            grouped.setdefault((row.org, scope), []).append(row)
    known = _known(tx, grouped)
    changes: dict[_Key, _Numbers] = {}
    for (org, scope), mine in grouped.items():
        first_ids = [one.first_id for one in known.get((org, scope), ())]
        for row in mine:
            place = bisect_right(first_ids, row.id) - 1
            key = (org, scope, first_ids[place] if place >= 0 else "")
            changes.setdefault(key, _Numbers()).add(row, sign)
    _put(tx, changes)
    if sign < 0:
        empty = (tallies.c.passed == 0, tallies.c.failed == 0, tallies.c.errors == 0)
        for org in {key[0] for key in changes}:
            scopes = sorted({key[1] for key in changes if key[0] == org})
            tx.execute(delete(tallies).where(tallies.c.org == org, tallies.c.scope.in_(scopes), *empty))
        return
    before = {(org, scope, one.first_id): one for (org, scope), mine in known.items() for one in mine}
    for key, change in changes.items():
        old = before.get(key)
        if sum(change.many) + (old.many if old else 0) > 2 * size:
            _cut(tx, key, max(change.last_id, old.last_id if old else ""), size)


def _known(tx: Tx, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[Row[Any]]]:
    """The tallies of these scopes in the order of their ids, each with how ``many`` runs it counts."""
    found: dict[tuple[str, str], list[Row[Any]]] = {}
    many = (tallies.c.passed + tallies.c.failed + tallies.c.errors).label("many")
    chosen: list[ColumnElement[Any]] = [tallies.c.scope, tallies.c.first_id, tallies.c.last_id, many]
    for org in sorted({org for org, _ in wanted}):
        scopes = sorted(scope for one, scope in wanted if one == org)
        query = select(*chosen).where(tallies.c.org == org, tallies.c.scope.in_(scopes))
        for row in tx.execute(query):
            found.setdefault((org, row.scope), []).append(row)
    # Sorted here, by code points, as they are searched here; ids are all of one form, so a database agrees.
    return {key: sorted(mine, key=lambda row: row.first_id) for key, mine in found.items()}


def _put(tx: Tx, changes: Mapping[_Key, _Numbers]) -> None:
    postgres = tx.dialect.name == "postgresql"
    query = (postgresql if postgres else sqlite).insert(tallies)
    later = func.greatest if postgres else func.max
    query = query.on_conflict_do_update(
        index_elements=["org", "scope", "first_id"],
        set_={
            "passed": tallies.c.passed + query.excluded.passed,
            "failed": tallies.c.failed + query.excluded.failed,
            "errors": tallies.c.errors + query.excluded.errors,
            "last_id": later(tallies.c.last_id, query.excluded.last_id),
            "last_at": later(tallies.c.last_at, query.excluded.last_at),
        },
    )
    tx.execute(query, [_row(key, change) for key, change in sorted(changes.items())])


def _row(key: _Key, numbers: _Numbers) -> dict[str, str | int]:
    (org, scope, first_id), (passed, failed, errors) = key, numbers.many
    return {
        "org": org,
        "scope": scope,
        "first_id": first_id,
        "passed": passed,
        "failed": failed,
        "errors": errors,
        "last_id": numbers.last_id,
        "last_at": numbers.last_at,
    }


def _cut(tx: Tx, key: _Key, last_id: str, size: int) -> None:
    """Count the runs of one tally anew, into as many as they fill."""
    org, scope, first_id = key
    final = runs.c.status.in_(sorted(FINAL))
    # Behind the greatest that was counted there may be very many that were not.
    within = (runs.c.id >= first_id, runs.c.id <= last_id, runs.c.tally.is_not(None))
    chosen: list[ColumnElement[Any]] = [runs.c.id, runs.c.status, runs.c.updated_at]
    rows = tx.execute(select(*chosen).where(*_within(org, scope), final, *within).order_by(runs.c.id)).all()
    pieces: list[dict[str, str | int]] = []
    for start in range(0, len(rows), size):
        numbers = _Numbers()
        for row in rows[start : start + size]:
            numbers.add(row)
        pieces.append(_row((org, scope, rows[start].id if start else first_id), numbers))
    mine = (tallies.c.org == org, tallies.c.scope == scope, tallies.c.first_id == first_id)
    tx.execute(delete(tallies).where(*mine))
    if pieces:
        tx.execute(insert(tallies), pieces)
