"""Conversations from the newest back, a bounded stretch at a time, however many there are and however few match."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Millis
from vivavoce.core.filter import Filter
from vivavoce.storage.conversations import of_row
from vivavoce.storage.database import Tx
from vivavoce.storage.finding import conditions, timely
from vivavoce.storage.tables import conversations

REACH = 20_000
"""How many conversations are looked through at once for those that match."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of conversations from the newest back: behind the one with this time and id."""

    at: Millis
    id: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """What matched, newest first. ``rest`` is where to look on, None where there is nothing more; ``looked`` says that
    the search ended there though fewer matched than were wanted."""

    items: tuple[Conversation, ...]
    rest: Place | None
    looked: bool = False


def look_back(tx: Tx, org: str, wanted: Filter, most: int, behind: Place | None = None, reach: int = REACH) -> Stretch:
    """At most so many conversations that match, newest first, from that place on; the filter's orders and limit are
    not heeded."""
    sqlite = tx.dialect.name == "sqlite"
    columns = conversations.c
    within: list[ColumnElement[bool]] = [columns.org == org, *conditions(timely(wanted), sqlite=sqlite)]
    if behind is not None:
        within += [columns.created_at <= behind.at, or_(columns.created_at < behind.at, columns.id < behind.id)]
    order = (columns.created_at.desc(), columns.id.desc())
    known = (columns.id, columns.name, columns.metadata, columns.created_at)
    near = select(*known, columns.last_message_at, columns.active_hour).where(*within).order_by(*order)
    bounded = near.limit(reach).subquery()
    found = (
        select(bounded.c.id)
        .where(*conditions(wanted, sqlite=sqlite, of=bounded))
        .order_by(bounded.c.created_at.desc(), bounded.c.id.desc())
        .limit(most + 1)
    )
    if wanted == timely(wanted):
        # All of them match: the index has them in this order.
        found = near.with_only_columns(columns.id).limit(most + 1)
    ids = tx.execute(found).scalars().all()
    rows = tx.execute(select(conversations).where(columns.id.in_(ids[:most])).order_by(*order))
    items = tuple(of_row(row) for row in rows)
    if len(ids) > most:
        return Stretch(items, Place(items[-1].created_at, items[-1].id))
    if wanted == timely(wanted):
        return Stretch(items, None)
    last = near.with_only_columns(columns.created_at, columns.id).limit(1).offset(reach - 1)
    row = tx.execute(last).first()
    return Stretch(items, Place(row.created_at, row.id) if row else None, looked=row is not None)
