"""Libraries of documents, kept; their documents are kept by ``storage.documents``."""

from sqlalchemy import delete, insert, select, update

from vivavoce.core.knowledge import Library
from vivavoce.storage.codec import library_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import libraries


def add(tx: Tx, org: str, library: Library) -> None:
    """Keep a new library."""
    values = {"status": library.standing.value, "body": library_codec.dumps(library), "changed_at": library.changed_at}
    tx.execute(insert(libraries).values(id=library.id, org=org, created_at=library.created_at, **values))


def put(tx: Tx, org: str, library: Library) -> None:
    """Overwrite a library."""
    values = {"status": library.standing.value, "body": library_codec.dumps(library), "changed_at": library.changed_at}
    tx.execute(update(libraries).where(libraries.c.org == org, libraries.c.id == library.id).values(**values))


def get(tx: Tx, org: str, library_id: str, *, lock: bool = False) -> Library | None:
    """One library, or None. ``lock`` holds it against other writers until the commit."""
    query = select(libraries.c.body).where(libraries.c.org == org, libraries.c.id == library_id)
    body = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return None if body is None else library_codec.loads(body)


def get_all(tx: Tx, org: str, most: int) -> tuple[Library, ...]:
    """The newest libraries, newest first."""
    query = select(libraries.c.body).where(libraries.c.org == org).order_by(libraries.c.id.desc()).limit(most)
    return tuple(library_codec.loads(body) for body in tx.execute(query).scalars())


def drop(tx: Tx, org: str, library_id: str) -> bool:
    """Remove a library. False when there is none."""
    return tx.execute(delete(libraries).where(libraries.c.org == org, libraries.c.id == library_id)).rowcount > 0
