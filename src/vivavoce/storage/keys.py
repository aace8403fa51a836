"""API keys, kept as hashes: the key itself is shown once and never stored."""

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vivavoce.core.event import Millis
from vivavoce.core.scope import Scope
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import keys


@dataclass(frozen=True, slots=True)
class Key:
    """``hint`` are the last characters of the key, so that people can tell theirs apart."""

    id: str
    org: str
    name: str
    hint: str
    created_at: Millis
    revoked_at: Millis | None = None
    scope: Scope = Scope.ADMIN


def _key(row: Row[Any]) -> Key:
    return Key(row.id, row.org, row.name, row.hint, row.created_at, row.revoked_at, Scope(row.scope))


def hashed(secret: str) -> str:
    """The stored form. Keys are 256 random bits, so a plain SHA-256 is enough; no password is hashed here."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class SecretTaken(Exception):
    """There is a key with this secret already, perhaps a revoked one."""


def add(tx: Tx, key: Key, secret: str) -> None:
    """Keep a key. Raises ``SecretTaken``; the transaction is then of no more use."""
    query = insert(keys).values(
        id=key.id,
        org=key.org,
        name=key.name,
        digest=hashed(secret),
        hint=key.hint,
        created_at=key.created_at,
        scope=key.scope.value,
    )
    try:
        tx.execute(query)
    except IntegrityError as failure:
        raise SecretTaken(key.name) from failure


def find(tx: Tx, secret: str) -> Key | None:
    """The key that this secret opens, or None when there is none or it was revoked.

    The look-up is by the hash, and the hashes are compared in constant time.
    """
    wanted = hashed(secret)
    row = tx.execute(select(keys).where(keys.c.digest == wanted, keys.c.revoked_at.is_(None))).first()
    if row is None or not compare_digest(row.digest, wanted):
        return None
    return _key(row)


def get_all(tx: Tx) -> tuple[Key, ...]:
    """Every key, oldest first, revoked ones too."""
    return tuple(_key(row) for row in tx.execute(select(keys).order_by(keys.c.created_at, keys.c.id)))


def get_page(tx: Tx, org: str, window: Window) -> Page[Key]:
    """A page of an organisation's keys, newest first, revoked ones too."""
    rows, total = fetch_page(tx, keys, [keys.c.org == org], window, [keys.c.id.desc()])
    return Page(tuple(_key(row) for row in rows), total, window)


def get_active(tx: Tx, org: str, *, lock: bool = False) -> tuple[Key, ...]:
    """An organisation's keys that open something. ``lock`` holds them against other writers until the commit."""
    query = select(keys).where(keys.c.org == org, keys.c.revoked_at.is_(None)).order_by(keys.c.id)
    return tuple(_key(row) for row in tx.execute(query.with_for_update() if lock else query))


def any_active(tx: Tx) -> bool:
    """Whether somebody can log in."""
    return (tx.execute(select(func.count()).select_from(keys).where(keys.c.revoked_at.is_(None)))).scalar_one() > 0


def revoke(tx: Tx, key_id: str, at: Millis) -> bool:
    """End a key for good. False when there is no such active key."""
    done = tx.execute(update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=at))
    return done.rowcount > 0
