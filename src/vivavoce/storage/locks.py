"""Locks on what has no row yet."""

from hashlib import sha256

from sqlalchemy import func, select

from vivavoce.storage.database import Tx


def hold(tx: Tx, *name: str) -> None:
    """Hold this name until the end of the transaction; others wait. SQLite has one writer, who holds everything."""
    if tx.dialect.name == "postgresql":
        key = sha256(" ".join(name).encode()).digest()[:8]
        tx.execute(select(func.pg_advisory_xact_lock(int.from_bytes(key, "big", signed=True))))
