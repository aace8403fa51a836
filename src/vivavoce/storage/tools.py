"""The library of shared tools, kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from vivavoce.core.assistant import Version
from vivavoce.core.library import SharedTool
from vivavoce.core.tool import Tool
from vivavoce.storage import rollouts
from vivavoce.storage.codec import tool_codec, version_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import assistants, tools, versions


def _shared(row: Row[Any]) -> SharedTool:
    return SharedTool(row.id, row.name, row.type, tool_codec.loads(row.body), row.created_at)


def add(tx: Tx, org: str, tool: SharedTool) -> None:
    """Keep a new tool."""
    body = tool_codec.dumps(tool.tool)
    values = {"id": tool.id, "org": org, "type": tool.type, "name": tool.name, "body": body}
    tx.execute(insert(tools).values(**values, created_at=tool.created_at))


def put(tx: Tx, org: str, tool: SharedTool) -> None:
    """Overwrite a tool."""
    mine = (tools.c.org == org, tools.c.id == tool.id)
    tx.execute(update(tools).where(*mine).values(type=tool.type, name=tool.name, body=tool_codec.dumps(tool.tool)))


def get(tx: Tx, org: str, tool_id: str, *, lock: bool = False) -> SharedTool | None:
    """One tool, or None."""
    query = select(tools).where(tools.c.org == org, tools.c.id == tool_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _shared(row) if row else None


def get_page(tx: Tx, org: str, window: Window, *, type: str | None = None, name: str | None = None) -> Page[SharedTool]:  # noqa: A002
    """A page of tools, newest first; filters are exact."""
    where: list[ColumnElement[bool]] = [tools.c.org == org]
    where += [tools.c.type == type] if type is not None else []
    where += [tools.c.name == name] if name is not None else []
    rows, total = fetch_page(tx, tools, where, window, [tools.c.id.desc()])
    return Page(tuple(_shared(row) for row in rows), total, window)


def drop(tx: Tx, org: str, tool_id: str) -> bool:
    """Remove a tool. False when there is none."""
    return tx.execute(delete(tools).where(tools.c.org == org, tools.c.id == tool_id)).rowcount > 0


def get_many(tx: Tx, org: str, ids: Sequence[str]) -> dict[str, Tool]:
    """The tools with these ids that exist, by id."""
    if not ids:
        return {}
    rows = tx.execute(select(tools.c.id, tools.c.body).where(tools.c.org == org, tools.c.id.in_(ids)))
    return {row.id: tool_codec.loads(row.body) for row in rows}


def hold(tx: Tx, org: str, ids: Sequence[str]) -> list[str]:
    """Keep these tools as they are until the commit: whoever changes one waits. Returns those that exist."""
    mine = select(tools.c.id).where(tools.c.org == org, tools.c.id.in_(ids)).order_by(tools.c.id)
    return list(tx.execute(mine.with_for_update(read=True)).scalars()) if ids else []


def completed(tx: Tx, org: str, version: Version) -> Version:
    """The version with the shared tools that it and its flow name, as they are now. One that is gone is left out."""
    wanted = version.library_ids()
    return replace(version, library=get_many(tx, org, wanted)) if wanted else version


def users(tx: Tx, org: str, tool_id: str) -> tuple[tuple[str, Version], ...]:
    """(assistant, version) of everybody who speaks with this tool: main versions, and versions that a rollout serves.

    Versions that nobody speaks with and assistants that are deleted are not asked.
    """
    query = (
        select(assistants.c.id, assistants.c.main_id, versions.c.body)
        .join(versions, versions.c.assistant_id == assistants.c.id)
        # A version that names the tool has its id in its text; the rest need not be read.
        .where(assistants.c.org == org, assistants.c.deleted_at.is_(None), versions.c.body.contains(tool_id))
        .order_by(assistants.c.id, versions.c.position)
    )
    found: list[tuple[str, Version]] = []
    for row in tx.execute(query):
        version = version_codec.loads(row.body)
        speaks = version.id == row.main_id or version.id in rollouts.served(tx, row.id)
        if speaks and tool_id in version.library_ids():
            found.append((row.id, version))
    return tuple(found)
