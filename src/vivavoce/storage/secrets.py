"""Secrets, kept sealed."""

from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from vivavoce.core.secret import Secret, SecretType
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import secrets


def _secret(row: Row[Any]) -> Secret:
    return Secret(row.id, row.identifier, row.type, row.created_at, row.updated_at)


def add(tx: Tx, org: str, secret: Secret, sealed: bytes) -> bool:
    """Keep a new secret. False when its identifier is taken, also by somebody who kept it at this very moment."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    values = {"id": secret.id, "org": org, "identifier": secret.identifier, "type": secret.type, "sealed": sealed}
    values |= {"created_at": secret.created_at, "updated_at": secret.updated_at}
    wanted = dialect.insert(secrets).values(values)
    wanted = wanted.on_conflict_do_nothing(index_elements=["org", "identifier"])
    # Not every driver counts the rows of such a statement.
    return tx.execute(wanted.returning(secrets.c.id)).first() is not None


def find(tx: Tx, org: str, identifier: str) -> bytes | None:
    """What is sealed under this name, or None."""
    query = select(secrets.c.sealed).where(secrets.c.org == org, secrets.c.identifier == identifier)
    return tx.execute(query).scalar_one_or_none()


def find_typed(tx: Tx, org: str, identifier: str) -> tuple[SecretType, bytes] | None:
    """The type of the secret of this name and what is sealed, or None."""
    query = select(secrets.c.type, secrets.c.sealed).where(secrets.c.org == org, secrets.c.identifier == identifier)
    row = tx.execute(query).first()
    return (row.type, row.sealed) if row else None


def get_page(tx: Tx, org: str, type_: SecretType | None, window: Window) -> Page[Secret]:
    """A page of secrets, newest first."""
    where: list[ColumnElement[bool]] = [secrets.c.org == org]
    where += [secrets.c.type == type_] if type_ is not None else []
    rows, total = fetch_page(tx, secrets, where, window, [secrets.c.id.desc()])
    return Page(tuple(_secret(row) for row in rows), total, window)


def drop(tx: Tx, org: str, secret_id: str) -> bool:
    """Remove a secret. False when there is none."""
    return tx.execute(delete(secrets).where(secrets.c.org == org, secrets.c.id == secret_id)).rowcount > 0
