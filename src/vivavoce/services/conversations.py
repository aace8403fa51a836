"""Conversations: made, found, read."""

from dataclasses import replace

from vivavoce.core.conversation import Conversation
from vivavoce.core.filter import Filter
from vivavoce.core.transcript import Transcript
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage import conversations
from vivavoce.storage.database import Tx

MOST = 1000
"""The most conversations one list answers with; it has no pages."""


def create(ctx: Context, tx: Tx, org: str, draft: Conversation) -> Conversation:
    """Keep a conversation (its id and times are set here)."""
    now = ctx.clock.now()
    conversation = replace(draft, id=ctx.new_id(), created_at=now, last_message_at=now)
    conversations.add(tx, org, [conversation])
    return conversation


async def retrieve(ctx: Context, org: str, conversation_id: str) -> Conversation:
    """One conversation. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get(tx, org, conversation_id))


async def get_filtered(ctx: Context, org: str, wanted: Filter) -> tuple[Conversation, ...]:
    """The conversations that match, at most ``MOST``."""
    return await ctx.database.read(lambda tx: conversations.get_filtered(tx, org, wanted, MOST))


async def get_transcript(ctx: Context, org: str, conversation_id: str) -> Transcript:
    """Everything that was recorded of a conversation. Raises ``NotFound``."""

    def work(tx: Tx) -> Transcript:
        _get(tx, org, conversation_id)
        return conversations.get_transcript(tx, conversation_id)

    return await ctx.database.read(work)


def _get(tx: Tx, org: str, conversation_id: str) -> Conversation:
    conversation = conversations.get(tx, org, conversation_id)
    if conversation is None:
        raise NotFound("conversation", conversation_id)
    return conversation
