"""Assistants and their versions, kept."""

from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.event import Millis
from vivavoce.storage.codec import version_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import assistants, versions


def _assistant(row: Row[Any, Any, Any]) -> Assistant:
    return Assistant(row.id, version_codec.loads(row.body), row.created_at)


_with_main = select(assistants.c.id, assistants.c.created_at, versions.c.body).join(
    versions, (versions.c.assistant_id == assistants.c.id) & (versions.c.id == assistants.c.main_id)
)


def add(tx: Tx, org: str, assistant: Assistant) -> None:
    """Keep a new assistant with its first version."""
    main = assistant.main
    tx.execute(insert(assistants).values(id=assistant.id, org=org, main_id=main.id, created_at=assistant.created_at))
    add_version(tx, main)


def add_version(tx: Tx, version: Version) -> None:
    """Keep a new version of an assistant, as its newest."""
    newest = select(func.coalesce(func.max(versions.c.position), 0)).where(
        versions.c.assistant_id == version.assistant_id
    )
    position = tx.execute(newest).scalar_one() + 1
    tx.execute(
        insert(versions).values(
            assistant_id=version.assistant_id,
            id=version.id,
            position=position,
            body=version_codec.dumps(version),
            created_at=version.created_at,
        )
    )


def get(tx: Tx, org: str, assistant_id: str, *, lock: bool = False) -> Assistant | None:
    """The assistant with its main version, or None. ``lock`` holds it against other writers until the commit."""
    mine = (assistants.c.org == org, assistants.c.id == assistant_id, assistants.c.deleted_at.is_(None))
    if lock:
        # Locked first and read after: PostgreSQL looks anew at a row it had to wait for, not at what is joined to it.
        tx.execute(select(assistants.c.id).where(*mine).with_for_update())
    row = tx.execute(_with_main.where(*mine)).first()
    return _assistant(row) if row else None


def get_all(tx: Tx, org: str) -> tuple[Assistant, ...]:
    """Every assistant that is not deleted, newest first."""
    query = _with_main.where(assistants.c.org == org, assistants.c.deleted_at.is_(None))
    rows = tx.execute(query.order_by(assistants.c.created_at.desc(), assistants.c.id.desc()))
    return tuple(_assistant(row) for row in rows)


def set_main(tx: Tx, assistant_id: str, version_id: str) -> None:
    """Make the version the one that answers."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(main_id=version_id))


def set_deleted(tx: Tx, assistant_id: str, at: Millis) -> None:
    """Delete softly: it leaves every list, its versions stay."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(deleted_at=at))


def erase(tx: Tx, org: str, assistant_id: str) -> bool:
    """Delete for good, with all versions, also one that was deleted softly. False when there is none."""
    done = tx.execute(delete(assistants).where(assistants.c.org == org, assistants.c.id == assistant_id))
    return done.rowcount > 0


def get_version(tx: Tx, assistant_id: str, version_id: str) -> Version | None:
    """One version, or None."""
    query = select(versions.c.body).where(versions.c.assistant_id == assistant_id, versions.c.id == version_id)
    body = tx.execute(query).scalar_one_or_none()
    return version_codec.loads(body) if body else None


def get_versions(tx: Tx, assistant_id: str) -> tuple[Version, ...]:
    """All versions, newest first."""
    query = select(versions.c.body).where(versions.c.assistant_id == assistant_id)
    rows = tx.execute(query.order_by(versions.c.position.desc()))
    return tuple(version_codec.loads(body) for body in rows.scalars())


def drop_version(tx: Tx, assistant_id: str, version_id: str) -> None:
    """Remove a version."""
    tx.execute(delete(versions).where(versions.c.assistant_id == assistant_id, versions.c.id == version_id))
