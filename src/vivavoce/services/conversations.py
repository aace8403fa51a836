"""Conversations: made, found, read, written into, removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Event, Message, Millis, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.filter import Filter
from vivavoce.core.transcript import Transcript
from vivavoce.services.context import Context
from vivavoce.services.errors import Busy, NotFound, Rejected
from vivavoce.services.variables import is_noted
from vivavoce.storage import conversations, runs, search, talk_pages, texts
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import Tx
from vivavoce.storage.talk_pages import Place, Stretch

MOST = 1000
"""The most conversations one list answers with; it has no pages."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message that somebody puts into a conversation instead of saying it. ``speaker`` None is a tool, which answers
    the call ``call_id``; only the assistant has ``calls``. ``extra`` is kept with it."""

    speaker: Speaker | None
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


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
    return await ctx.database.read(lambda tx: search.get_filtered(tx, org, wanted, MOST))


async def look_back(
    ctx: Context, org: str, wanted: Filter, most: int, behind: Place | None = None, reach: int = talk_pages.REACH
) -> Stretch:
    """Conversations that match, newest first, from that place on: at most so many, of at most ``reach`` that are looked
    through."""
    return await ctx.database.read(lambda tx: talk_pages.look_back(tx, org, wanted, most, behind, reach))


async def get_transcript(ctx: Context, org: str, conversation_id: str) -> Transcript:
    """Everything that was recorded of a conversation. Raises ``NotFound``."""

    def work(tx: Tx) -> Transcript:
        _get(tx, org, conversation_id)
        return conversations.get_transcript(tx, conversation_id)

    return await ctx.database.read(work)


async def update(
    ctx: Context, org: str, conversation_id: str, metadata: Mapping[str, str] | None, prefix: str
) -> Conversation:
    """Replace the metadata; None leaves it. Keys that the server noted itself (``is_noted``) stay where they are left
    out. Raises ``NotFound``."""

    def work(tx: Tx) -> Conversation:
        conversation = _get(tx, org, conversation_id, lock=True)
        if metadata is None:
            return conversation
        noted = {name: value for name, value in conversation.metadata.items() if is_noted(name, prefix)}
        changed = replace(conversation, metadata={**noted, **metadata})
        conversations.set_metadata(tx, changed)
        return changed

    return await ctx.database.write(work)


async def delete(ctx: Context, org: str, conversation_id: str) -> None:
    """Remove a conversation and all that was said in it, its text messages in the inbox included (that they went is
    kept). Raises ``NotFound``, and ``Rejected`` while a run needs it."""

    def work(tx: Tx) -> None:
        _get(tx, org, conversation_id, lock=True)
        run_id = runs.holder(tx, conversation_id)
        run = runs.get(tx, org, run_id) if run_id else None
        if run is not None and not run.status.final:
            raise Rejected("This conversation belongs to a test run that is not finished.", "conversation_id")
        texts.forget(tx, org, conversation_id)
        conversations.drop(tx, org, conversation_id)

    await ctx.database.write(work)


def add_message(ctx: Context, tx: Tx, org: str, conversation_id: str, written: Written) -> None:
    """Put a message behind what was said; nobody answers it.

    Raises ``NotFound``; ``Rejected`` where the conversation is a run's, or the message does not follow from what was
    said; ``Busy`` where somebody speaks in it at this moment.
    """
    _get(tx, org, conversation_id, lock=True)
    if runs.holds(tx, conversation_id):
        raise Rejected("This conversation belongs to a test run; nobody else can write in it.", "conversation_id")
    now = ctx.clock.now()
    events = _events(written, conversations.get_transcript(tx, conversation_id), now)
    try:
        conversations.append(tx, conversation_id, events, now)
    except TurnTaken as failure:
        raise Busy("Somebody is speaking in this conversation.") from failure


def _events(written: Written, transcript: Transcript, now: Millis) -> tuple[Event, ...]:
    if written.call_id is not None and written.speaker is not None:
        raise Rejected("Only a tool answers a call.", "tool_call_id")
    if written.calls and written.speaker is not Speaker.ASSISTANT:
        raise Rejected("Only the assistant calls tools.", "tool_calls")
    if written.speaker is None:
        pending = [call for call in transcript.pending_calls() if call.id == written.call_id]
        if not pending:
            raise Rejected(f"No call {written.call_id!r} waits for an answer.", "tool_call_id")
        return (ToolReturned(pending[0].id, pending[0].name, written.text, True, now, extra=written.extra),)
    ids = [call.id for _, call in transcript.tool_calls()] + [call.id for call in written.calls]
    if len(ids) > len(set(ids)):
        raise Rejected("A call's id is unique in its conversation.", "tool_calls")
    calls = (ToolCalled(call, now) for call in written.calls)
    return (Message(written.speaker, written.text, now, extra=written.extra), *calls)


def _get(tx: Tx, org: str, conversation_id: str, *, lock: bool = False) -> Conversation:
    conversation = conversations.get(tx, org, conversation_id, lock=lock)
    if conversation is None:
        raise NotFound("conversation", conversation_id)
    return conversation
