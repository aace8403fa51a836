"""Organisations, kept. Everything else names the one that it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
from vivavoce.storage.snapshots import FREEZING, drop_loose
from vivavoce.storage.tables import conversations, keys, metadata, notes, orgs, runs

DEFAULT = "default"
"""The organisation that there always is."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """Names are unique too, so that people can use them."""

    id: str
    name: str
    created_at: Millis


class NameTaken(Exception):
    """There is an organisation with this name."""


def _organisation(row: Row[Any]) -> Organisation:
    return Organisation(row.id, row.name, row.created_at)


def add(tx: Tx, made: Organisation) -> None:
    """Keep a new one. Raises ``NameTaken``; the transaction is then of no more use."""
    try:
        tx.execute(insert(orgs).values(id=made.id, name=made.name, created_at=made.created_at))
    except IntegrityError as failure:
        raise NameTaken(made.name) from failure


def find(tx: Tx, name_or_id: str, *, keep: bool = False) -> Organisation | None:
    """The organisation with this id, or else with this name. ``keep`` holds it against deletion until the commit."""
    query = select(orgs).where(or_(orgs.c.id == name_or_id, orgs.c.name == name_or_id))
    query = query.order_by((orgs.c.id == name_or_id).desc()).limit(1)
    row = tx.execute(query.with_for_update(read=True, key_share=True) if keep else query).first()
    return _organisation(row) if row else None


def get_all(tx: Tx) -> tuple[Organisation, ...]:
    """Every organisation, oldest first."""
    return tuple(_organisation(row) for row in tx.execute(select(orgs).order_by(orgs.c.created_at, orgs.c.id)))


def owned() -> tuple[Table, ...]:
    """The tables whose rows say whose they are; whoever refers to another comes first."""
    return tuple(table for table in reversed(metadata.sorted_tables) if "org" in table.c)


def counts(tx: Tx, org_id: str) -> Mapping[str, int]:
    """How many rows an organisation has in which tables; those where it has any, but for what the database notes."""
    mine = [table for table in owned() if table is not notes]
    queries = {table.name: select(func.count()).where(table.c.org == org_id) for table in mine}
    found = {name: tx.execute(query).scalar_one() for name, query in queries.items()}
    return {name: many for name, many in sorted(found.items()) if many}


def shut(tx: Tx, org_id: str, at: Millis) -> None:
    """Revoke all its keys."""
    tx.execute(update(keys).where(keys.c.org == org_id, keys.c.revoked_at.is_(None)).values(revoked_at=at))


def drop_some(tx: Tx, org_id: str, most: int) -> bool:
    """Remove so many of its runs, or where there are none so many of its conversations. False when there is nothing
    left of either."""
    query = select(runs.c.id, runs.c.conversation_id, *FREEZING).where(runs.c.org == org_id)
    # In the order in which the journal takes them, a run before its conversation, or both could wait for each other.
    found = tx.execute(query.order_by(runs.c.id).limit(most).with_for_update()).all()
    if found:
        talks = [row.conversation_id for row in found]
        tx.execute(delete(conversations).where(conversations.c.org == org_id, conversations.c.id.in_(talks)))
        tx.execute(delete(runs).where(runs.c.id.in_([row.id for row in found])))
        # What others froze as well stays.
        drop_loose(tx, {digest for row in found for digest in row[2:] if digest})
        return True
    mine = select(conversations.c.id).where(conversations.c.org == org_id).order_by(conversations.c.id).limit(most)
    left = tx.execute(mine.with_for_update()).scalars().all()
    tx.execute(delete(conversations).where(conversations.c.id.in_(left)))
    return bool(left)


def drop(tx: Tx, org_id: str) -> bool:
    """Remove an organisation with everything that is left of it. False when there is none."""
    while drop_some(tx, org_id, 1000):
        pass
    for table in owned():
        tx.execute(delete(table).where(table.c.org == org_id))
    return tx.execute(delete(orgs).where(orgs.c.id == org_id)).rowcount > 0
