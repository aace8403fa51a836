"""What those who watch runs look for, in a few queries for all of them.

A run's ``step`` grows with every change of its status, whoever makes it, so two looks can be compared. What was changed
is found by its time: that of the host that changed it, and it is seen when it is committed, a little later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from vivavoce.core.event import Ending, Event, Millis
from vivavoce.core.status import Status
from vivavoce.storage.codec import event_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import events, keys, runs

_TOGETHER = 400
"""How many ids go into one query."""
_CONDITIONS = 50
_STEPS = {Status.PENDING: 0, Status.STARTING: 1, Status.RUNNING: 2}
_FINAL_STEP = 3
STEPS = 4
"""How many steps a run can take each time it is handed out."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A run at one look: just enough to see that it changed. ``state`` is its status, or ``cancelled``."""

    id: str
    org: str
    batch_id: str | None
    step: int
    state: str
    updated_at: Millis

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.step % STEPS == _FINAL_STEP


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands. ``decided`` says that the judge has spoken."""

    mark: Mark
    scenario_id: str
    suite: str | None
    conversation_id: str
    fault: str | None
    reason: str
    attempts: int
    decided: bool
    created_at: Millis
    started_at: Millis | None
    completed_at: Millis | None


_MARKS: Sequence[ColumnElement[Any]] = (
    runs.c.id,
    runs.c.org,
    runs.c.batch_id,
    runs.c.status,
    runs.c.ending,
    runs.c.dispatch,
    runs.c.updated_at,
)
_STATES: Sequence[ColumnElement[Any]] = (
    *_MARKS,
    runs.c.scenario_id,
    runs.c.suite,
    runs.c.conversation_id,
    runs.c.fault,
    runs.c.reason,
    runs.c.attempts,
    runs.c.verdicts.is_not(None).label("decided"),
    runs.c.created_at,
    runs.c.started_at,
    runs.c.completed_at,
)


def _mark(row: Row[Any]) -> Mark:
    step = row.dispatch * STEPS + _STEPS.get(row.status, _FINAL_STEP)
    state = "cancelled" if row.ending == Ending.CANCELLED.value else row.status
    return Mark(row.id, row.org, row.batch_id, step, state, row.updated_at)


def _state(row: Row[Any]) -> RunState:
    return RunState(
        _mark(row),
        row.scenario_id,
        row.suite,
        row.conversation_id,
        row.fault,
        row.reason,
        row.attempts,
        bool(row.decided),
        row.created_at,
        row.started_at,
        row.completed_at,
    )


def changed(
    tx: Tx, orgs: Collection[str], batch_ids: Collection[str], since: Millis, most: int | None = None
) -> tuple[Mark, ...]:
    """The runs of these organisations, and those of these batches, that were changed at or after this time, the oldest
    change first; at most so many."""
    # In a form for which no index is of use but that of the time: what was changed lately is little.
    mine: list[ColumnElement[bool]] = []
    if orgs:
        mine.append(runs.c.org.concat("").in_(sorted(orgs)))
    if batch_ids:
        mine.append(runs.c.batch_id.concat("").in_(sorted(batch_ids)))
    if not mine:
        return ()
    query = select(*_MARKS).where(runs.c.updated_at >= since, or_(*mine)).order_by(runs.c.updated_at, runs.c.id)
    return tuple(_mark(row) for row in tx.execute(query if most is None else query.limit(most)))


def of_batch(tx: Tx, org: str, batch_id: str) -> tuple[Mark, ...]:
    """All runs of a batch, the oldest change first."""
    rows = tx.execute(select(*_MARKS).where(runs.c.org == org, runs.c.batch_id == batch_id))
    return tuple(sorted((_mark(row) for row in rows), key=lambda one: (one.updated_at, one.id)))


def states(tx: Tx, ids: Sequence[str]) -> Mapping[str, RunState]:
    """How these runs stand, by their ids; those that there are."""
    found: dict[str, RunState] = {}
    for start in range(0, len(ids), _TOGETHER):
        rows = tx.execute(select(*_STATES).where(runs.c.id.in_(ids[start : start + _TOGETHER])))
        found |= {row.id: _state(row) for row in rows}
    return found


def turns(tx: Tx, first: Mapping[str, int]) -> Mapping[str, tuple[tuple[int, Event], ...]]:
    """What is recorded of these conversations from a turn on, by their ids: (turn, event) in order."""
    found: dict[str, list[tuple[int, Event]]] = {}
    last = _last_turns(tx, sorted(first))
    # Few have said anything since the last look, and a condition for each of them costs more than asking first.
    wanted = [(id_, turn) for id_, turn in sorted(first.items()) if last.get(id_, -1) >= turn]
    for start in range(0, len(wanted), _CONDITIONS):
        mine = [
            and_(events.c.conversation_id == id_, events.c.turn >= turn)
            for id_, turn in wanted[start : start + _CONDITIONS]
        ]
        query = select(events.c.conversation_id, events.c.turn, events.c.body).where(or_(*mine))
        for row in tx.execute(query.order_by(events.c.conversation_id, events.c.turn)):
            found.setdefault(row.conversation_id, []).append((row.turn, event_codec.loads(row.body)))
    return {id_: tuple(mine) for id_, mine in found.items()}


def _last_turns(tx: Tx, ids: Sequence[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(ids), _TOGETHER):
        query = select(events.c.conversation_id, func.max(events.c.turn).label("last"))
        query = query.where(events.c.conversation_id.in_(ids[start : start + _TOGETHER]))
        found |= {row.conversation_id: row.last for row in tx.execute(query.group_by(events.c.conversation_id))}
    return found


def good_keys(tx: Tx, ids: Collection[str]) -> set[str]:
    """Those of these keys that still open something."""
    query = select(keys.c.id).where(keys.c.id.in_(sorted(ids)), keys.c.revoked_at.is_(None))
    return set(tx.execute(query).scalars())
