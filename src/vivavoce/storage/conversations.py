"""Conversations and their events, kept."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.event import Ending, Event, Millis
from vivavoce.core.transcript import Transcript
from vivavoce.storage.codec import event_codec, opening_codec
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span
from vivavoce.storage.tables import conversations, events


class TurnTaken(Exception):
    """Somebody else wrote the same turn of the conversation first."""


State = Literal["ongoing", "ended", "failed"]
"""How a conversation that can be listed by whom it is with stands."""

FAULTS = (Ending.TESTER_FAULT, Ending.ASSISTANT_FAULT, Ending.INFRASTRUCTURE_FAULT)
"""Conversations that ended so have failed."""

Bound = tuple[Literal["eq", "ne", "gt", "ge", "lt", "le"], float]
"""A comparison with a time."""

_COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


@dataclass(frozen=True, slots=True)
class TalkFilter:
    """Which conversations with assistants are wanted; None leaves all, and all that is given must hold.

    ``agents`` are ids, each with the numbers of the versions that are wanted (none: all); ``ids`` are those of
    conversations, ``others`` those that are not wanted.
    """

    agents: tuple[tuple[str, tuple[int, ...]], ...] | None = None
    ids: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()
    states: tuple[State, ...] | None = None
    started: tuple[Bound, ...] = ()
    ended: tuple[Bound, ...] = ()


def of_row(row: Row[Any]) -> Conversation:
    """The conversation of a row of its table."""
    opening = opening_codec.loads(row.opening) if row.opening else None
    return Conversation(
        row.id,
        row.created_at,
        row.last_message_at,
        row.name,
        dict(row.metadata),
        opening,
        row.ended_at,
        row.assistant_id,
        row.extra,
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
            "assistant_id": one.assistant_id,
            "extra": dict(one.extra) if one.extra is not None else None,
        }
        for one in wanted
    ]
    tx.execute(insert(conversations), rows)


def get(tx: Tx, org: str, conversation_id: str, *, lock: bool = False) -> Conversation | None:
    """One conversation, or None. ``lock`` holds it against other writers until the commit."""
    query = select(conversations).where(conversations.c.org == org, conversations.c.id == conversation_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return of_row(row) if row else None


def get_many(tx: Tx, ids: Collection[str]) -> Mapping[str, Conversation]:
    """Those of these conversations that there are, by their ids, whoever they belong to."""
    rows = tx.execute(select(conversations).where(conversations.c.id.in_(sorted(set(ids)))))
    return {row.id: of_row(row) for row in rows}


def get_slice(tx: Tx, org: str, wanted: TalkFilter, span: Span, *, skip: int = 0) -> Slice[Conversation]:
    """A stretch of the conversations with assistants that match, by their ids, after ``skip`` more of them."""
    query: Select[Any] = select(conversations).where(*_wanted(org, wanted))
    if span.after is not None:
        query = query.where(conversations.c.id > span.after if span.ascending else conversations.c.id < span.after)
    order = conversations.c.id.asc() if span.ascending else conversations.c.id.desc()
    # What is skipped is skipped in the index; a row is wide, and only those of the stretch are read.
    ids = tx.execute(query.with_only_columns(conversations.c.id).order_by(order).limit(span.size + 1).offset(skip))
    found = ids.scalars().all()
    rows = tx.execute(select(conversations).where(conversations.c.id.in_(found[: span.size])).order_by(order))
    return Slice(tuple(of_row(row) for row in rows), len(found) > span.size)


def count(tx: Tx, org: str, wanted: TalkFilter) -> int:
    """How many conversations with assistants match."""
    return tx.execute(select(func.count()).select_from(conversations).where(*_wanted(org, wanted))).scalar_one()


def _wanted(org: str, wanted: TalkFilter) -> list[ColumnElement[bool]]:
    columns = conversations.c
    found: list[ColumnElement[bool]] = [columns.org == org, columns.assistant_id.is_not(None)]
    if wanted.agents is not None:
        found.append(or_(false(), *(_with(id_, numbers) for id_, numbers in wanted.agents)))
    if wanted.ids is not None:
        found.append(columns.id.in_(wanted.ids))
    if wanted.others:
        found.append(columns.id.not_in(wanted.others))
    if wanted.states is not None:
        failed = func.coalesce(columns.extra["ending"].as_string(), "").in_([one.value for one in FAULTS])
        ways: Mapping[str, ColumnElement[bool]] = {
            "ongoing": columns.ended_at.is_(None),
            "ended": and_(columns.ended_at.is_not(None), ~failed),
            "failed": and_(columns.ended_at.is_not(None), failed),
        }
        found.append(or_(false(), *(ways[state] for state in wanted.states)))
    # Not by the index of times, in which those that cannot be listed are by far the most.
    found += [_COMPARED[op](columns.created_at + 0, value) for op, value in wanted.started]
    found += [_COMPARED[op](columns.ended_at, value) for op, value in wanted.ended]
    return found


def _with(assistant_id: str, numbers: Sequence[int]) -> ColumnElement[bool]:
    mine = conversations.c.assistant_id == assistant_id
    return and_(mine, conversations.c.extra["version"].as_integer().in_(numbers)) if numbers else mine


def set_metadata(tx: Tx, conversation: Conversation) -> None:
    """Overwrite name and metadata."""
    query = update(conversations).where(conversations.c.id == conversation.id)
    tx.execute(query.values(name=conversation.name, metadata=dict(conversation.metadata)))


def set_extra(tx: Tx, conversation: Conversation) -> None:
    """Overwrite what an API keeps with it."""
    query = update(conversations).where(conversations.c.id == conversation.id)
    tx.execute(query.values(extra=dict(conversation.extra) if conversation.extra is not None else None))


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


def get_transcripts(tx: Tx, ids: Collection[str]) -> Mapping[str, Transcript]:
    """The same for many, by their ids: those of which something was recorded."""
    found: dict[str, list[Event]] = {}
    query = select(events.c.conversation_id, events.c.body).where(events.c.conversation_id.in_(sorted(set(ids))))
    for row in tx.execute(query.order_by(events.c.conversation_id, events.c.turn)):
        found.setdefault(row.conversation_id, []).append(event_codec.loads(row.body))
    return {id_: Transcript(tuple(happened)) for id_, happened in found.items()}


def get_openings(tx: Tx, ids: Collection[str]) -> Mapping[str, Opening]:
    """What these conversations started with, by their ids: those that have started."""
    mine = (conversations.c.id.in_(sorted(set(ids))), conversations.c.opening.is_not(None))
    rows = tx.execute(select(conversations.c.id, conversations.c.opening).where(*mine))
    return {row.id: opening_codec.loads(row.opening) for row in rows}


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
