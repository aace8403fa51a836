"""Conversations by text message: which one a message between two numbers belongs to, and how a new one begins."""

from collections.abc import Mapping
from dataclasses import replace

from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.scenario import Medium
from vivavoce.core.text import silent_too_long
from vivavoce.services import rollouts
from vivavoce.services.context import Context
from vivavoce.services.variables import about, is_noted
from vivavoce.storage import assistants, conversations, texts
from vivavoce.storage.database import Tx

ASSISTANT = "assistant_id"
VERSION = "assistant_version_id"


def assistant_of(tx: Tx, org: str, conversation: Conversation) -> Assistant | None:
    """The assistant that a conversation began with, if it is still there."""
    id_ = conversation.metadata.get(ASSISTANT)
    return assistants.get(tx, org, id_, forms=tuple(Form)) if id_ else None


def version_of(tx: Tx, assistant: Assistant, conversation: Conversation) -> Version:
    """The version that speaks in it: the one it began with or, where that is gone, main."""
    id_ = conversation.metadata.get(VERSION)
    return (assistants.get_version(tx, assistant.id, id_) if id_ else None) or assistant.main


def goes_on(ctx: Context, tx: Tx, org: str, conversation: Conversation) -> bool:
    """Whether the next message belongs to it: it is not over, its assistant is there, and nobody was silent for too
    long (contract, section 2.1, Messaging)."""
    assistant = assistant_of(tx, org, conversation)
    if assistant is None or conversation.ended_at is not None:
        return False
    idle = version_of(tx, assistant, conversation).idle_minutes or ctx.limits.idle_minutes
    if silent_too_long(conversation.last_message_at, ctx.clock.now(), idle):
        return False
    return conversations.get_transcript(tx, conversation.id).ending is None


def running(
    ctx: Context,
    tx: Tx,
    org: str,
    ours: str,
    theirs: str,
    *,
    medium: Medium | None = None,
    assistant_id: str | None = None,
    lock: bool = False,
) -> Conversation | None:
    """The conversation that goes on between the two numbers, or None. ``lock`` holds it until the commit."""
    last = texts.last_between(tx, org, ours, theirs, medium=medium, assistant_id=assistant_id)
    if last is None or last.conversation_id is None:
        return None
    conversation = conversations.get(tx, org, last.conversation_id, lock=lock)
    return conversation if conversation is not None and goes_on(ctx, tx, org, conversation) else None


def chosen(
    ctx: Context, tx: Tx, org: str, assistant: Assistant, *, theirs: str, metadata: Mapping[str, str]
) -> Version:
    """The version that a new conversation gets: a rollout's, or main."""
    return rollouts.chosen(ctx, tx, org, assistant, user_target=theirs, metadata=metadata, draw=ctx.draw())


def drafted(
    ctx: Context, version: Version, *, medium: Medium, ours: str, theirs: str, metadata: Mapping[str, str]
) -> Conversation:
    """A conversation that is about to begin. What the server itself says of it wins over the ``metadata``."""
    known = about(version, medium=medium, agent_target=ours, user_target=theirs)
    now = ctx.clock.now()
    return merged(Conversation(ctx.new_id(), now, now, metadata=known), version, metadata)


def merged(conversation: Conversation, version: Version, metadata: Mapping[str, str]) -> Conversation:
    """The conversation with more metadata; what the server itself says of it stays."""
    new = {key: value for key, value in metadata.items() if not is_noted(key, version.templating.prefix)}
    return replace(conversation, metadata={**conversation.metadata, **new})


def reserved(key: str, prefix: str) -> bool:
    """Whether a key of the metadata is the server's own (contract, section 5.1, whatsapp)."""
    return key == ASSISTANT or (bool(prefix) and key.startswith(prefix))
