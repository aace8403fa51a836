"""MCP servers, kept."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, insert, select, update

from vivavoce.core.server import McpServer
from vivavoce.storage.codec import Codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import servers

_codec: Codec[McpServer] = Codec(McpServer)


def add(tx: Tx, org: str, server: McpServer) -> None:
    """Keep a new server."""
    values = {"id": server.id, "org": org, "type": server.type, "url": server.url, "body": _codec.dumps(server)}
    tx.execute(insert(servers).values(**values, created_at=server.created_at))


def put(tx: Tx, org: str, server: McpServer) -> None:
    """Overwrite a server."""
    mine = (servers.c.org == org, servers.c.id == server.id)
    tx.execute(update(servers).where(*mine).values(type=server.type, url=server.url, body=_codec.dumps(server)))


def get(tx: Tx, org: str, server_id: str, *, lock: bool = False) -> McpServer | None:
    """One server, or None."""
    query = select(servers.c.body).where(servers.c.org == org, servers.c.id == server_id)
    body = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return None if body is None else _codec.loads(body)


def get_many(tx: Tx, org: str, ids: Sequence[str]) -> dict[str, McpServer]:
    """The servers with these ids that exist, by id."""
    if not ids:
        return {}
    rows = tx.execute(select(servers.c.id, servers.c.body).where(servers.c.org == org, servers.c.id.in_(ids)))
    return {row.id: _codec.loads(row.body) for row in rows}


def get_page(tx: Tx, org: str, window: Window, *, type: str | None = None, url: str | None = None) -> Page[McpServer]:  # noqa: A002
    """A page of servers, newest first; filters are exact."""
    where: list[ColumnElement[bool]] = [servers.c.org == org]
    where += [servers.c.type == type] if type is not None else []
    where += [servers.c.url == url] if url is not None else []
    rows, total = fetch_page(tx, servers, where, window, [servers.c.id.desc()])
    return Page(tuple(_codec.loads(row.body) for row in rows), total, window)


def drop(tx: Tx, org: str, server_id: str) -> bool:
    """Remove a server. False when there is none."""
    return tx.execute(delete(servers).where(servers.c.org == org, servers.c.id == server_id)).rowcount > 0
