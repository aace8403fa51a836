"""Text messages, kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from vivavoce.core.scenario import Medium
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.outbound.answer import storable
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window, fetch_page
from vivavoce.storage.tables import conversations, duties, keys, texts


class AlreadyKept(Exception):
    """There is a text message with this provider's id."""


@dataclass(frozen=True, slots=True)
class TextFilter:
    """``number`` is that of either side, ``pair`` that of the assistant and that of the other side. None matches
    everything."""

    number: str | None = None
    direction: Direction | None = None
    conversation_id: str | None = None
    pair: tuple[str, str] | None = None


def _text(row: Row[Any]) -> Text:
    return Text(
        row.id,
        Direction(row.direction),
        Medium(row.medium),
        row.sender,
        row.recipient,
        row.body,
        TextStatus(row.status),
        row.created_at,
        row.conversation_id,
        row.reason,
        row.provider_id,
    )


def add(tx: Tx, org: str, text: Text) -> None:
    """Keep a new text message. Raises ``AlreadyKept``; the transaction is then of no more use."""
    try:
        tx.execute(
            insert(texts).values(
                id=text.id,
                org=org,
                conversation_id=text.conversation_id,
                direction=text.direction.value,
                medium=text.medium.value,
                sender=text.sender,
                recipient=text.recipient,
                body=storable(text.body),
                status=text.status.value,
                reason=storable(text.reason),
                provider_id=text.provider_id,
                created_at=text.created_at,
            )
        )
    except IntegrityError as failure:
        raise AlreadyKept(text.provider_id) from failure


def get(tx: Tx, org: str, text_id: str, *, lock: bool = False) -> Text | None:
    """One text message, or None. ``lock`` holds it against other writers until the commit."""
    query = select(texts).where(texts.c.org == org, texts.c.id == text_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _text(row) if row else None


def of_provider(tx: Tx, org: str, provider_id: str) -> Text | None:
    """The text message that the provider calls so, or None."""
    row = tx.execute(select(texts).where(texts.c.org == org, texts.c.provider_id == provider_id)).first()
    return _text(row) if row else None


def get_page(tx: Tx, org: str, wanted: TextFilter, window: Window) -> Page[Text]:
    """A page of text messages, newest first."""
    where: list[ColumnElement[bool]] = [texts.c.org == org]
    if wanted.number is not None:
        where.append(or_(texts.c.sender == wanted.number, texts.c.recipient == wanted.number))
    if wanted.direction is not None:
        where.append(texts.c.direction == wanted.direction.value)
    if wanted.conversation_id is not None:
        where.append(texts.c.conversation_id == wanted.conversation_id)
    if wanted.pair is not None:
        where += _between(org, *wanted.pair)
    rows, total = fetch_page(tx, texts, where, window, [texts.c.id.desc()])
    return Page(tuple(_text(row) for row in rows), total, window)


def put(tx: Tx, org: str, text: Text) -> None:
    """Overwrite what may change of a text message: its conversation, its status and the provider's id."""
    values = {"conversation_id": text.conversation_id, "status": text.status.value, "reason": storable(text.reason)}
    mine = (texts.c.org == org, texts.c.id == text.id)
    tx.execute(update(texts).where(*mine).values(**values, provider_id=text.provider_id))


def last_between(
    tx: Tx, org: str, ours: str, theirs: str, *, medium: Medium | None = None, assistant_id: str | None = None
) -> Text | None:
    """The newest text message of any conversation between the two numbers, or None."""
    where = [*_between(org, ours, theirs), texts.c.conversation_id == conversations.c.id]
    where += [texts.c.medium == medium.value] if medium is not None else []
    if assistant_id is not None:
        where.append(conversations.c.metadata["assistant_id"].as_string() == assistant_id)
    query = select(texts).where(conversations.c.org == org, *where).order_by(texts.c.id.desc()).limit(1)
    row = tx.execute(query).first()
    return _text(row) if row else None


def _between(org: str, ours: str, theirs: str) -> list[ColumnElement[bool]]:
    out, in_ = Direction.OUTBOUND.value, Direction.INBOUND.value
    went = and_(texts.c.direction == out, texts.c.sender == ours, texts.c.recipient == theirs)
    came = and_(texts.c.direction == in_, texts.c.sender == theirs, texts.c.recipient == ours)
    return [texts.c.org == org, or_(went, came)]


def last_of(tx: Tx, org: str, ours: str) -> Text | None:
    """The newest text message of any conversation in which this was the assistant's number, or None."""
    went = and_(texts.c.direction == Direction.OUTBOUND.value, texts.c.sender == ours)
    came = and_(texts.c.direction == Direction.INBOUND.value, texts.c.recipient == ours)
    where = (texts.c.org == org, texts.c.conversation_id.is_not(None), or_(went, came))
    row = tx.execute(select(texts).where(*where).order_by(texts.c.id.desc()).limit(1)).first()
    return _text(row) if row else None


def first_waiting(tx: Tx, org: str, conversation_id: str, kind: str) -> str | None:
    """The oldest inbound text message of the conversation that somebody still has the duty to answer, or None."""
    waiting = (TextStatus.RECEIVED.value, TextStatus.HEARD.value)
    where = (
        texts.c.org == org,
        texts.c.conversation_id == conversation_id,
        texts.c.direction == Direction.INBOUND.value,
        texts.c.status.in_(waiting),
        duties.c.kind == kind,
        duties.c.subject == texts.c.id,
    )
    return tx.execute(select(texts.c.id).where(*where).order_by(texts.c.id).limit(1)).scalar_one_or_none()


def forget(tx: Tx, org: str, conversation_id: str) -> None:
    """Keep that there were text messages in the conversation, and nothing of what they said; one that is still on its
    way is forgotten when it has gone."""
    under_way = (TextStatus.SENDING.value, TextStatus.RECEIVED.value, TextStatus.HEARD.value)
    mine = (texts.c.org == org, texts.c.conversation_id == conversation_id, texts.c.status.not_in(under_way))
    tx.execute(update(texts).where(*mine).values(body=""))


def orgs(tx: Tx) -> Sequence[str]:
    """Every organisation: a carrier's webhook names a number, and no organisation."""
    return tx.execute(select(keys.c.org).distinct().order_by(keys.c.org)).scalars().all()
