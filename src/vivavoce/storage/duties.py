"""Duties: what is to be done once, at its time, although no request waits for it. Kept until it was done.

Times are the database's own where leases are concerned; ``due_at`` is the server's clock, as whoever asked meant it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import duties


@dataclass(frozen=True, slots=True)
class Wanted:
    """A duty to be kept. There is one of a ``kind`` for each ``subject``; ``body`` is JSON of whoever performs it."""

    id: str
    org: str
    kind: str
    subject: str
    due_at: Millis
    body: str = ""


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty that was taken. ``attempts`` counts this one; ``token`` is the right to finish it."""

    id: str
    org: str
    kind: str
    subject: str
    body: str
    attempts: int
    token: str


def _duty(row: Row[Any], token: str) -> Duty:
    return Duty(row.id, row.org, row.kind, row.subject, row.body, row.attempts + 1, token)


def want(tx: Tx, wanted: Wanted) -> None:
    """Keep a duty. One of the same kind for the same subject that waits already gets the new time and body; one that is
    being done is done again after that."""
    mine = (duties.c.kind == wanted.kind, duties.c.subject == wanted.subject)
    # Taken away from whoever does it now: finishing it must not take the new one along.
    changes = {"due_at": wanted.due_at, "body": wanted.body, "attempts": 0, "lease_token": None, "lease_until": None}
    if not tx.execute(update(duties).where(*mine).values(**changes)).rowcount:
        dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
        new = {"id": wanted.id, "org": wanted.org, "kind": wanted.kind, "subject": wanted.subject}
        # Somebody else may want the same in this very moment: the later one says when.
        query = dialect.insert(duties).values(**new, **changes)
        tx.execute(query.on_conflict_do_update(index_elements=["kind", "subject"], set_=changes))


def begin(tx: Tx, wanted: Wanted) -> None:
    """Keep a duty that comes back by itself, unless there is one of its kind for its subject."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    new = {"id": wanted.id, "org": wanted.org, "kind": wanted.kind, "subject": wanted.subject}
    query = dialect.insert(duties).values(**new, due_at=wanted.due_at, body=wanted.body, attempts=0)
    tx.execute(query.on_conflict_do_nothing(index_elements=["kind", "subject"]))


def forget(tx: Tx, kind: str, subject: str) -> None:
    """What nobody wants any more is not done; who is doing it finds out when it is finished."""
    tx.execute(delete(duties).where(duties.c.kind == kind, duties.c.subject == subject))


def take(
    tx: Tx,
    now: Millis,
    database_now: Any,
    token: str,
    lease_ms: int,
    most: int,
    held: Mapping[str, int] | None = None,
    kinds: Collection[str] | None = None,
) -> tuple[Duty, ...]:
    """The oldest duties that are due and that nobody does, or whose worker died, leased to the token: at most ``most``
    of each kind, together with those of it that are ``held`` already. ``kinds`` are those that can be done here: others
    are left to servers of another release."""
    free = or_(duties.c.lease_until.is_(None), duties.c.lease_until < database_now)
    found: list[Row[Any]] = []
    # Each kind by itself: however many of one are due, nobody walks past them to come to those of another.
    for kind in sorted(_all_kinds(tx) if kinds is None else kinds):
        room = most - (held or {}).get(kind, 0)
        if room > 0:
            query = select(duties).where(duties.c.kind == kind, duties.c.due_at <= now, free)
            query = query.order_by(duties.c.due_at, duties.c.id).limit(room).with_for_update(skip_locked=True)
            found += tx.execute(query)
    if found:
        changes = {"lease_token": token, "lease_until": database_now + lease_ms, "attempts": duties.c.attempts + 1}
        tx.execute(update(duties).where(duties.c.id.in_([row.id for row in found])).values(**changes))
    return tuple(_duty(row, token) for row in sorted(found, key=lambda row: (row.due_at, row.id)))


def _all_kinds(tx: Tx) -> Collection[str]:
    return tx.execute(select(duties.c.kind).distinct()).scalars().all()


def renew(tx: Tx, held: Sequence[Duty], database_now: Any, lease_ms: int) -> None:
    """Keep what is still being done; what was taken away is not brought back."""
    for token in {duty.token for duty in held}:
        ids = [duty.id for duty in held if duty.token == token]
        mine = (duties.c.id.in_(ids), duties.c.lease_token == token)
        tx.execute(update(duties).where(*mine).values(lease_until=database_now + lease_ms))


def finish(tx: Tx, duty: Duty) -> bool:
    """It is done. False when it is somebody else's by now, or was wanted anew meanwhile."""
    done = tx.execute(delete(duties).where(duties.c.id == duty.id, duties.c.lease_token == duty.token))
    return done.rowcount > 0


def postpone(tx: Tx, duty: Duty, due_at: Millis, *, counted: bool = True) -> None:
    """It is to be tried again then; what is not ``counted`` was no attempt."""
    mine = (duties.c.id == duty.id, duties.c.lease_token == duty.token)
    attempts = duty.attempts if counted else duty.attempts - 1
    changed = {"due_at": due_at, "attempts": attempts, "lease_token": None, "lease_until": None}
    tx.execute(update(duties).where(*mine).values(changed))


def hasten(tx: Tx, kind: str, subject: str, due_at: Millis) -> None:
    """It is due then; one that is being done, or that there is not, is left alone."""
    mine = (duties.c.kind == kind, duties.c.subject == subject, duties.c.lease_token.is_(None))
    tx.execute(update(duties).where(*mine).values(due_at=due_at))


def _of(kinds: Collection[str] | None) -> Sequence[ColumnElement[bool]]:
    return () if kinds is None else (duties.c.kind.in_(sorted(kinds)),)


def next_due(tx: Tx, kinds: Collection[str] | None = None) -> Millis | None:
    """When the next duty that nobody does is due, or None; of these kinds only, where they are given."""
    query = (
        select(duties.c.due_at).where(duties.c.lease_until.is_(None), *_of(kinds)).order_by(duties.c.due_at).limit(1)
    )
    return tx.execute(query).scalar_one_or_none()


def any_stale(tx: Tx, database_now: Any, kinds: Collection[str] | None = None) -> bool:
    """Whether somebody died doing one; of these kinds only, where they are given."""
    query = select(duties.c.id).where(duties.c.lease_until < database_now, *_of(kinds)).limit(1)
    return tx.execute(query).first() is not None
