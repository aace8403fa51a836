"""API keys, kept as hashes: the key itself is shown once and never stored."""

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
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


def hashed(secret: str) -> str:
    """The stored form. Keys are 256 random bits, so a plain SHA-256 is enough; no password is hashed here."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class SecretTaken(Exception):
    """There is a key with this secret already, perhaps a revoked one."""


def add(tx: Tx, key: Key, secret: str) -> None:
    """Keep a key. Raises ``SecretTaken``; the transaction is then of no more use."""
    query = insert(keys).values(
        id=key.id, org=key.org, name=key.name, digest=hashed(secret), hint=key.hint, created_at=key.created_at
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
    return Key(row.id, row.org, row.name, row.hint, row.created_at)


def get_all(tx: Tx) -> tuple[Key, ...]:
    """Every key, oldest first, revoked ones too."""
    rows = tx.execute(select(keys).order_by(keys.c.created_at, keys.c.id))
    return tuple(Key(row.id, row.org, row.name, row.hint, row.created_at, row.revoked_at) for row in rows)


def any_active(tx: Tx) -> bool:
    """Whether somebody can log in."""
    return (tx.execute(select(func.count()).select_from(keys).where(keys.c.revoked_at.is_(None)))).scalar_one() > 0


def revoke(tx: Tx, key_id: str, at: Millis) -> bool:
    """End a key for good. False when there is no such active key."""
    done = tx.execute(update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=at))
    return done.rowcount > 0
