"""Parts of flows that several flows share, kept."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from vivavoce.core.assistant import Form, Version
from vivavoce.core.component import Component
from vivavoce.storage.codec import component_codec, version_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span, fetch_slice
from vivavoce.storage.tables import assistants, components, versions

_NAMING = '"kind":"component"'
"""Stands in the text of every version whose flow goes through a component; the rest need not be read."""


def add(tx: Tx, org: str, component: Component) -> None:
    """Keep a new component."""
    body = component_codec.dumps(component)
    times = {"created_at": component.created_at, "changed_at": component.changed_at}
    tx.execute(insert(components).values(id=component.id, org=org, body=body, **times))


def put(tx: Tx, org: str, component: Component) -> None:
    """Overwrite a component."""
    mine = (components.c.org == org, components.c.id == component.id)
    body = component_codec.dumps(component)
    tx.execute(update(components).where(*mine).values(body=body, changed_at=component.changed_at))


def get(tx: Tx, org: str, component_id: str, *, lock: bool = False) -> Component | None:
    """One component, or None. ``lock`` holds it against other writers until the commit."""
    query = select(components.c.body).where(components.c.org == org, components.c.id == component_id)
    body = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    return component_codec.loads(body) if body else None


def get_many(tx: Tx, org: str, ids: Collection[str], *, keep: bool = False) -> dict[str, Component]:
    """The components with these ids that exist, by id. ``keep`` holds them against deletion until the commit."""
    if not ids:
        return {}
    query = select(components.c.id, components.c.body).where(components.c.org == org, components.c.id.in_(ids))
    query = query.order_by(components.c.id)
    rows = tx.execute(query.with_for_update(read=True, key_share=True) if keep else query)
    return {row.id: component_codec.loads(row.body) for row in rows}


def drop(tx: Tx, org: str, component_id: str) -> bool:
    """Remove a component. False when there is none."""
    mine = (components.c.org == org, components.c.id == component_id)
    return tx.execute(delete(components).where(*mine)).rowcount > 0


def get_slice(tx: Tx, org: str, span: Span) -> Slice[Component]:
    """A stretch of the components."""
    rows, more = fetch_slice(tx, components, [components.c.org == org], span)
    return Slice(tuple(component_codec.loads(row.body) for row in rows), more)


def get_all(tx: Tx, org: str) -> tuple[Component, ...]:
    """Every component, newest first."""
    rows = tx.execute(select(components.c.body).where(components.c.org == org).order_by(components.c.id.desc()))
    return tuple(component_codec.loads(body) for body in rows.scalars())


def get_users(tx: Tx, org: str, component_id: str | None = None) -> tuple[tuple[str, Version], ...]:
    """(assistant, version) of the newest version of every flow that goes through components, or that may go through
    this one, oldest flow first."""
    query = _versions(org).where(versions.c.id == assistants.c.main_id)
    if component_id is not None:
        query = query.where(versions.c.body.contains(component_id))
    return tuple((row.assistant_id, version_codec.loads(row.body)) for row in tx.execute(query))


def held_users(tx: Tx, org: str, component_id: str) -> tuple[Version, ...]:
    """All versions, not only the newest, whose flows may go through this component. Their assistants are held against
    other writers until the commit."""
    naming = versions.c.body.contains(component_id)
    named = {row.assistant_id for row in tx.execute(_versions(org).where(naming))}
    # Locked first and read after: PostgreSQL looks anew at a row it had to wait for, not at what is joined to it.
    mine = (assistants.c.org == org, assistants.c.id.in_(named))
    tx.execute(select(assistants.c.id).where(*mine).order_by(assistants.c.id).with_for_update())
    return tuple(version_codec.loads(row.body) for row in tx.execute(_versions(org).where(naming)))


def _versions(org: str) -> Select[Any, Any]:
    mine = (assistants.c.org == org, assistants.c.deleted_at.is_(None), assistants.c.form == Form.FLOW.value)
    query = select(versions.c.assistant_id, versions.c.body).join(
        assistants, versions.c.assistant_id == assistants.c.id
    )
    return query.where(*mine, versions.c.body.contains(_NAMING)).order_by(assistants.c.id, versions.c.position)
