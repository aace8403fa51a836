"""Conversations and their events, kept."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.event import Event, Millis
from vivavoce.core.filter import Filter
from vivavoce.core.transcript import Transcript
from vivavoce.storage.codec import event_codec, opening_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.finding import conditions, orders
from vivavoce.storage.tables import conversations, events


class TurnTaken(Exception):
    """Somebody else wrote the same turn of the conversation first."""


def _conversation(row: Row[Any]) -> Conversation:
    opening = opening_codec.loads(row.opening) if row.opening else None
    return Conversation(
        row.id, row.created_at, row.last_message_at, row.name, dict(row.metadata), opening, row.ended_at
    )


def add(tx: Tx, org: str, wanted: Sequence[Conversation]) -> None:
    """Keep new conversations."""
    rows = [
        {
            "id": one.id,
            "org": org,
            "name": one.name,
            "metadata": dict(one.metadata),
            "created_at": one.created_at,
            "last_message_at": one.last_message_at,
            "opening": opening_codec.dumps(one.opening) if one.opening else None,
            "ended_at": one.ended_at,
        }
        for one in wanted
    ]
    tx.execute(insert(conversations), rows)


def get(tx: Tx, org: str, conversation_id: str, *, lock: bool = False) -> Conversation | None:
    """One conversation, or None. ``lock`` holds it against other writers until the commit."""
    query = select(conversations).where(conversations.c.org == org, conversations.c.id == conversation_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _conversation(row) if row else None


def get_filtered(tx: Tx, org: str, wanted: Filter, most: int) -> tuple[Conversation, ...]:
    """The conversations that match, in the filter's order, at most ``most`` of them."""
    sqlite = tx.dialect.name == "sqlite"
    where = conditions(wanted, sqlite=sqlite)
    query = select(conversations).where(conversations.c.org == org, *where).order_by(*orders(wanted, sqlite=sqlite))
    rows = tx.execute(query.limit(min(wanted.limit or most, most)))
    return tuple(_conversation(row) for row in rows)


def set_metadata(tx: Tx, conversation: Conversation) -> None:
    """Overwrite name and metadata."""
    query = update(conversations).where(conversations.c.id == conversation.id)
    tx.execute(query.values(name=conversation.name, metadata=dict(conversation.metadata)))


def set_opening(tx: Tx, conversation_id: str, opening: Opening) -> None:
    """Keep what it started with."""
    query = update(conversations).where(conversations.c.id == conversation_id)
    tx.execute(query.values(opening=opening_codec.dumps(opening)))


def set_ended(tx: Tx, conversation_id: str, at: Millis | None) -> None:
    """It is over; None says that it goes on after all."""
    tx.execute(update(conversations).where(conversations.c.id == conversation_id).values(ended_at=at))


def forget(tx: Tx, conversation_id: str) -> None:
    """Remove all that was said and all that it started with; the conversation itself stays."""
    tx.execute(delete(events).where(events.c.conversation_id == conversation_id))
    tx.execute(update(conversations).where(conversations.c.id == conversation_id).values(opening=None))


def is_forgotten(tx: Tx, conversation_id: str) -> bool:
    """Whether it is over and nothing of what was said is left, or it was deleted."""
    row = tx.execute(select(conversations.c.ended_at).where(conversations.c.id == conversation_id)).first()
    said = select(events.c.turn).where(events.c.conversation_id == conversation_id).limit(1)
    return row is None or (row.ended_at is not None and tx.execute(said).first() is None)


def drop(tx: Tx, org: str, conversation_id: str) -> bool:
    """Remove a conversation with all that was said. False when there is none."""
    mine = (conversations.c.org == org, conversations.c.id == conversation_id)
    return tx.execute(delete(conversations).where(*mine)).rowcount > 0


def get_transcript(tx: Tx, conversation_id: str) -> Transcript:
    """Everything that was recorded of it."""
    query = select(events.c.body).where(events.c.conversation_id == conversation_id).order_by(events.c.turn)
    return Transcript(tuple(event_codec.loads(body) for body in tx.execute(query).scalars()))


def rows_of(conversation_id: str, first_turn: int, new: Sequence[Event]) -> list[dict[str, object]]:
    """Events as rows, beginning at that turn."""
    return [
        {"conversation_id": conversation_id, "turn": first_turn + place, "body": event_codec.dumps(event)}
        for place, event in enumerate(new)
    ]


def append(tx: Tx, conversation_id: str, new: Sequence[Event], at: Millis, *, turn: int | None = None) -> None:
    """Write events behind those that are there; ``turn`` is how many there should be, where whoever writes knows.

    Raises ``TurnTaken``, also where it is wrong about that; the transaction is then of no more use."""
    last = select(func.max(events.c.turn)).where(events.c.conversation_id == conversation_id)
    first = tx.execute(last).scalar_one()
    free = 0 if first is None else first + 1
    if turn is not None and turn != free:
        raise TurnTaken(conversation_id)
    if new:
        rows = rows_of(conversation_id, free, new)
        try:
            tx.execute(insert(events), rows)
        except IntegrityError as failure:
            raise TurnTaken(conversation_id) from failure
    query = update(conversations).where(conversations.c.id == conversation_id)
    tx.execute(query.values(last_message_at=at))
