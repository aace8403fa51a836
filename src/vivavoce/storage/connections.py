"""An organisation's connections to integrations, kept."""

from sqlalchemy import delete, insert, select, update

from vivavoce.core.integration import Connection
from vivavoce.storage.codec import Codec
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import connections

_codec: Codec[Connection] = Codec(Connection)


def put(tx: Tx, org: str, connection: Connection) -> None:
    """Keep a connection, in the place of one with the same id."""
    values = {"integration_id": connection.integration_id, "body": _codec.dumps(connection)}
    mine = (connections.c.org == org, connections.c.id == connection.id)
    if not tx.execute(update(connections).where(*mine).values(**values)).rowcount:
        row = {"id": connection.id, "org": org, "created_at": connection.created_at}
        tx.execute(insert(connections).values(**row, **values))


def get(tx: Tx, org: str, connection_id: str) -> Connection | None:
    """One connection, or None."""
    query = select(connections.c.body).where(connections.c.org == org, connections.c.id == connection_id)
    body = tx.execute(query).scalar_one_or_none()
    return None if body is None else _codec.loads(body)


def get_all(tx: Tx, org: str) -> tuple[Connection, ...]:
    """Every connection, newest first; there is one of an integration at most."""
    query = select(connections.c.body).where(connections.c.org == org).order_by(connections.c.id.desc())
    return tuple(_codec.loads(body) for body in tx.execute(query).scalars())


def drop(tx: Tx, org: str, connection_id: str) -> bool:
    """Remove a connection. False when there is none."""
    mine = (connections.c.org == org, connections.c.id == connection_id)
    return tx.execute(delete(connections).where(*mine)).rowcount > 0
