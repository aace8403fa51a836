"""Assistants and their versions, kept."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from vivavoce.core.assistant import Assistant, Origin, Version
from vivavoce.core.event import Millis
from vivavoce.storage.codec import version_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.tables import assistants, versions


def _assistant(row: Row[Any]) -> Assistant:
    origin = Origin(row.origin, row.origin_id) if row.origin else None
    return Assistant(row.id, version_codec.loads(row.body), row.created_at, tuple(row.tags), origin, row.deleted_at)


_with_main = select(assistants, versions.c.body).join(
    versions, (versions.c.assistant_id == assistants.c.id) & (versions.c.id == assistants.c.main_id)
)


def add(tx: Tx, org: str, assistant: Assistant) -> None:
    """Keep a new assistant with its first version."""
    main, origin = assistant.main, assistant.origin
    tx.execute(
        insert(assistants).values(
            id=assistant.id,
            org=org,
            main_id=main.id,
            created_at=assistant.created_at,
            tags=list(assistant.tags),
            origin=origin.provider if origin else None,
            origin_id=origin.id if origin else None,
        )
    )
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


def get(tx: Tx, org: str, assistant_id: str, *, lock: bool = False, deleted: bool = False) -> Assistant | None:
    """The assistant with its main version, or None. ``lock`` holds it against other writers until the commit;
    ``deleted`` looks among those that were deleted softly, and only there."""
    gone = assistants.c.deleted_at.is_not(None) if deleted else assistants.c.deleted_at.is_(None)
    mine = (assistants.c.org == org, assistants.c.id == assistant_id, gone)
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


def get_deleted(tx: Tx, org: str, after: Millis, window: Window) -> Page[Assistant]:
    """A page of the assistants that were deleted softly later than ``after``, the last deleted first."""
    mine = (assistants.c.org == org, assistants.c.deleted_at > after)
    total = tx.execute(select(func.count()).select_from(assistants).where(*mine)).scalar_one()
    query = _with_main.where(*mine).order_by(assistants.c.deleted_at.desc(), assistants.c.id.desc())
    rows = tx.execute(query.limit(window.size).offset((window.number - 1) * window.size))
    return Page(tuple(_assistant(row) for row in rows), total, window)


def find(tx: Tx, org: str, origin: Origin) -> Assistant | None:
    """The newest assistant that was imported from there and is not deleted, held against other writers, or None."""
    mine = (assistants.c.org == org, assistants.c.origin == origin.provider, assistants.c.origin_id == origin.id)
    query = select(assistants.c.id).where(*mine, assistants.c.deleted_at.is_(None))
    id_ = tx.execute(query.order_by(assistants.c.created_at.desc(), assistants.c.id.desc()).limit(1)).scalar()
    return get(tx, org, id_, lock=True) if id_ else None


def get_tags(tx: Tx, org: str) -> tuple[str, ...]:
    """Every tag of an assistant that is not deleted, in order."""
    query = select(assistants.c.tags).where(assistants.c.org == org, assistants.c.deleted_at.is_(None))
    return tuple(sorted({tag for tags in tx.execute(query).scalars() for tag in tags}))


def set_main(tx: Tx, assistant_id: str, version_id: str) -> None:
    """Make the version the one that answers."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(main_id=version_id))


def set_tags(tx: Tx, assistant_id: str, tags: Sequence[str]) -> None:
    """Overwrite the tags."""
    tx.execute(update(assistants).where(assistants.c.id == assistant_id).values(tags=list(tags)))


def set_deleted(tx: Tx, assistant_id: str, at: Millis | None) -> None:
    """Delete softly: it leaves every list, its versions stay. None brings it back."""
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


def put_version(tx: Tx, version: Version) -> None:
    """Overwrite a version in its place."""
    mine = (versions.c.assistant_id == version.assistant_id, versions.c.id == version.id)
    tx.execute(update(versions).where(*mine).values(body=version_codec.dumps(version)))


def drop_version(tx: Tx, assistant_id: str, version_id: str) -> None:
    """Remove a version."""
    tx.execute(delete(versions).where(versions.c.assistant_id == assistant_id, versions.c.id == version_id))
