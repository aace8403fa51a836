"""Sessions of people who look at the dashboard, kept as hashes of what their browsers hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, insert, select, update

from vivavoce.core.event import Millis
from vivavoce.core.scope import Scope
from vivavoce.storage.database import Tx
from vivavoce.storage.keys import hashed
from vivavoce.storage.tables import keys, orgs
from vivavoce.storage.work import sessions


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who showed a key: whose it is, what it may do, and until when the browser is believed. ``org_name`` is
    None for the organisation that there always is."""

    id: str
    org: str
    org_name: str | None
    key_id: str
    key_name: str
    scope: Scope
    used_at: Millis
    expires_at: Millis


def add(tx: Tx, org: str, key_id: str, token: str, now: Millis, expires_at: Millis) -> None:
    """Keep a session that this token opens, and forget those of the organisation that are over."""
    tx.execute(delete(sessions).where(sessions.c.org == org, sessions.c.expires_at <= now))
    made = {"id": hashed(token), "org": org, "key_id": key_id, "created_at": now, "used_at": now}
    tx.execute(insert(sessions).values(**made, expires_at=expires_at))


def find(tx: Tx, token: str, now: Millis, idle_since: Millis) -> Session | None:
    """The session that this token opens; None where there is none, it is over, nobody used it since ``idle_since``, or
    its key was revoked."""
    query = (
        select(
            sessions.c.id,
            sessions.c.org,
            orgs.c.name.label("org_name"),
            sessions.c.key_id,
            keys.c.name.label("key_name"),
            keys.c.scope,
            sessions.c.used_at,
            sessions.c.expires_at,
        )
        .join(keys, keys.c.id == sessions.c.key_id)
        .outerjoin(orgs, orgs.c.id == sessions.c.org)
        .where(sessions.c.id == hashed(token), *_lasting(now, idle_since))
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    return Session(
        row.id, row.org, row.org_name, row.key_id, row.key_name, Scope(row.scope), row.used_at, row.expires_at
    )


def is_open(tx: Tx, session_id: str, now: Millis, idle_since: Millis) -> bool:
    """Whether it still is one that ``find`` would find."""
    query = select(sessions.c.id).join(keys, keys.c.id == sessions.c.key_id)
    query = query.where(sessions.c.id == session_id, *_lasting(now, idle_since))
    return tx.execute(query).first() is not None


def _lasting(now: Millis, idle_since: Millis) -> Sequence[ColumnElement[bool]]:
    return sessions.c.expires_at > now, sessions.c.used_at > idle_since, keys.c.revoked_at.is_(None)


def touch(tx: Tx, session_id: str, now: Millis) -> None:
    """Somebody uses it."""
    tx.execute(update(sessions).where(sessions.c.id == session_id).values(used_at=now))


def end(tx: Tx, session_id: str) -> None:
    """It opens nothing any more."""
    tx.execute(delete(sessions).where(sessions.c.id == session_id))
