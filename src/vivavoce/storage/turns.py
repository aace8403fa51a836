"""Whose turn it is in a conversation, where several servers share a database. Times are the database's own."""

from typing import Any

from sqlalchemy import or_, select, update

from vivavoce.core.event import Millis
from vivavoce.storage.database import Tx
from vivavoce.storage.tables import conversations
from vivavoce.storage.times import database_now


def take(tx: Tx, conversation_id: str, token: str, lease_ms: Millis) -> bool | None:
    """Take the turn for so long. False while somebody else has it; None where there is no such conversation."""
    now = database_now(tx)
    free = or_(conversations.c.turn_until.is_(None), conversations.c.turn_until < now)
    mine = update(conversations).where(conversations.c.id == conversation_id, free)
    if tx.execute(mine.values(turn_token=token, turn_until=now + lease_ms)).rowcount:
        return True
    there = select(conversations.c.id).where(conversations.c.id == conversation_id)
    return False if tx.execute(there).first() is not None else None


def renew(tx: Tx, conversation_id: str, token: str, lease_ms: Millis) -> bool:
    """Keep the turn for so long from now on. False where it was lost: it ran out, and somebody else took it."""
    return _change(tx, conversation_id, token, turn_until=database_now(tx) + lease_ms)


def give_back(tx: Tx, conversation_id: str, token: str) -> None:
    """It is anybody's turn again; one that was lost is left to whoever has it."""
    _change(tx, conversation_id, token, turn_token=None, turn_until=None)


def _change(tx: Tx, conversation_id: str, token: str, **changes: Any) -> bool:
    mine = (conversations.c.id == conversation_id, conversations.c.turn_token == token)
    return tx.execute(update(conversations).where(*mine).values(**changes)).rowcount > 0
