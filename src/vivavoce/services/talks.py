"""Conversations in writing that have an end: with an agent, begun, gone on with and ended by whoever uses the API.

They run as ``services.chat`` says. ``Conversation.assistant_id`` says with whom they are; ``Conversation.extra`` holds
what the API keeps with them, and beside it what is noted here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from vivavoce.core.assistant import Assistant, Cast, Form, Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolReturned
from vivavoce.core.scenario import Medium
from vivavoce.core.transcript import Transcript
from vivavoce.services import chat, closing, engines, threads
from vivavoce.services.assistants import cast as everybody
from vivavoce.services.chat import ENDING, Talk
from vivavoce.services.context import Context
from vivavoce.services.errors import Busy, NotFound, Rejected
from vivavoce.services.playground import check
from vivavoce.services.variables import about
from vivavoce.storage import conversations, runs, texts
from vivavoce.storage.conversations import TalkFilter, TurnTaken
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span

FORMS = (Form.CHAT_AGENT,)
"""With whom one can begin."""
VERSION = "version"
"""In the extra: the number of the agent's version."""
OVER = "This chat has ended."
_OVERRIDE, _VALUES, _SINCE = "override", "values", "since"


@dataclass(frozen=True, slots=True)
class Start:
    """What a conversation begins with. ``id`` is its own; ``variables`` win over those of the agent; ``extra`` is kept
    with it."""

    id: str
    assistant_id: str
    number: int | None = None
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Said:
    """A conversation as it is now. ``cast`` is whoever speaks in it, None where its agent is gone."""

    conversation: Conversation
    transcript: Transcript
    cast: Cast | None


async def begin(ctx: Context, org: str, start: Start) -> Said:
    """Begin a conversation, and have the agent open it where it speaks first.

    Nothing is left of one whose opening failed. Raises ``NotFound`` for an unknown agent or version, and for an agent
    that does not write; ``Rejected`` where it has nothing to say; ``Broken`` where its model is not served here, or
    fails.
    """

    def look_up(tx: Tx) -> tuple[Assistant, Version, Cast]:
        assistant, version = engines.get(tx, org, start.assistant_id, FORMS, start.number)
        check(tx, org, version)
        return assistant, version, everybody(tx, org, version)

    assistant, version, speakers = await ctx.database.read(look_up)
    now = ctx.clock.now()
    conversation = Conversation(
        start.id,
        now,
        now,
        metadata=about(version, medium=Medium.WEB_CHAT),
        assistant_id=assistant.id,
        extra={**start.extra, VERSION: version.number},
    )
    talk = Talk(org, conversation, version, ends=True)
    await chat.start(ctx, talk, speakers.first, medium=Medium.WEB_CHAT, given=start.variables)
    return await retrieve(ctx, org, conversation.id)


async def reply(ctx: Context, org: str, id_: str, content: str) -> tuple[Said, int]:
    """Say this to the agent. Returns the conversation, and the turn behind what was said: what the agent did since.

    A message that was kept and not answered, because the model failed, is answered when it is sent again. Raises
    ``NotFound``; ``Rejected`` where the conversation is over or its agent has nothing to say any more; ``Broken`` where
    a model fails, and ``Busy``.
    """

    def look_up(tx: Tx) -> Talk:
        conversation = _get(tx, org, id_)
        assistant = threads.assistant_of(tx, org, conversation)
        if assistant is None:
            raise Rejected("The agent of this chat is gone.")
        version = threads.version_of(tx, assistant, conversation)
        check(tx, org, version)
        return Talk(org, conversation, version, ends=True)

    async with ctx.turns.of(id_):
        talk, transcript = await ctx.database.read(lambda tx: chat.current(tx, look_up(tx)))
        if talk.conversation.ended_at is not None or transcript.ending is not None:
            raise Rejected(OVER)
        transcript = await chat.heard(ctx, talk, transcript, content)
        over, seen = _overridden(talk.conversation, transcript)
        await chat.answered(ctx, talk, seen, variables=over)
    said = await retrieve(ctx, org, id_)
    last = [turn for turn, event in enumerate(said.transcript.events) if _of_caller(event)]
    return said, last[-1] + 1


def _of_caller(event: Event) -> bool:
    return isinstance(event, Message) and event.speaker is Speaker.CALLER


def _overridden(conversation: Conversation, transcript: Transcript) -> tuple[Mapping[str, Any], Transcript]:
    """The variables that were overridden, and the transcript in which nothing before had set them."""
    kept = cast("Mapping[str, Any]", (conversation.extra or {}).get(_OVERRIDE) or {})
    values, since = cast("Mapping[str, Any]", kept.get(_VALUES, {})), int(kept.get(_SINCE, 0))
    if not values:
        return {}, transcript

    def without(event: Event) -> Event:
        if not isinstance(event, ToolReturned):
            return event
        return replace(event, variables={name: one for name, one in event.variables.items() if name not in values})

    events = transcript.events
    return values, Transcript((*map(without, events[:since]), *events[since:]))


async def retrieve(ctx: Context, org: str, id_: str) -> Said:
    """A conversation and all that happened in it. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _said(tx, org, _get(tx, org, id_)))


def _said(tx: Tx, org: str, conversation: Conversation) -> Said:
    return Said(conversation, conversations.get_transcript(tx, conversation.id), _speakers(tx, org, conversation))


def _speakers(tx: Tx, org: str, conversation: Conversation) -> Cast | None:
    assistant = threads.assistant_of(tx, org, conversation)
    return everybody(tx, org, threads.version_of(tx, assistant, conversation)) if assistant else None


async def update(
    ctx: Context,
    org: str,
    id_: str,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    *,
    override: Mapping[str, str] | None = None,
    restore: bool = False,
) -> Said:
    """Change what is kept with a conversation: ``change`` makes a new extra of the old one.

    ``override`` are variables that have these values from the next message on, whatever set them before; a tool can
    still change them. They join those that were overridden before; ``restore`` drops these first. Raises ``NotFound``,
    ``Busy`` where another server does not finish with it, and what ``change`` raises.
    """

    def work(tx: Tx) -> None:
        conversation = _get(tx, org, id_, lock=True)
        old = dict(conversation.extra or {})
        noted = {name: old[name] for name in (VERSION, ENDING, _OVERRIDE) if name in old}
        extra = {**change(old), **noted}
        if restore:
            extra.pop(_OVERRIDE, None)
        if override:
            before = cast("Mapping[str, Any]", extra.get(_OVERRIDE) or {}).get(_VALUES, {})
            turn = len(conversations.get_transcript(tx, id_).events)
            extra[_OVERRIDE] = {_VALUES: {**before, **override}, _SINCE: turn}
        conversations.set_extra(tx, replace(conversation, extra=extra))

    # Whoever speaks is waited for: the turn would not be the one that is behind what was said.
    async with ctx.turns.of(id_):
        await ctx.database.write(work)
    return await retrieve(ctx, org, id_)


async def end(ctx: Context, org: str, id_: str) -> None:
    """End a conversation; one that is over stays as it is. Raises ``NotFound``, and ``Busy`` where somebody speaks in
    it on another server."""

    def work(tx: Tx) -> None:
        conversation = _get(tx, org, id_, lock=True)
        if conversation.ended_at is not None:
            return
        now = ctx.clock.now()
        transcript = conversations.get_transcript(tx, id_)
        left = Left(Ending.GOODBYE, now, Speaker.CALLER, "whoever uses the API ended it")
        conversations.append(tx, id_, (left,), now, turn=len(transcript.events))
        chat.note_ending(tx, org, id_, left)
        assistant = threads.assistant_of(tx, org, conversation)
        if assistant is None:
            conversations.set_ended(tx, id_, now)
        else:
            version = threads.version_of(tx, assistant, conversation)
            speaker = closing.speaker(everybody(tx, org, version), transcript)
            closing.rested(ctx, tx, org, id_, speaker, over=True)

    async with ctx.turns.of(id_):
        try:
            await ctx.database.write(work)
        except TurnTaken as failure:
            raise Busy("A message of this chat is being answered.") from failure
    ctx.wake()


async def get_slice(
    ctx: Context, org: str, wanted: TalkFilter, span: Span, *, skip: int = 0, counted: bool = False
) -> tuple[Slice[Conversation], int | None]:
    """A stretch of the conversations that match, after ``skip`` more of them; and how many match in all, if
    ``counted``."""

    def work(tx: Tx) -> tuple[Slice[Conversation], int | None]:
        found = conversations.get_slice(tx, org, wanted, span, skip=skip)
        return found, conversations.count(tx, org, wanted) if counted else None

    return await ctx.database.read(work)


async def get_all(ctx: Context, org: str, span: Span) -> tuple[Said, ...]:
    """A stretch of all conversations, with what happened in them."""

    def work(tx: Tx) -> tuple[Said, ...]:
        found = conversations.get_slice(tx, org, TalkFilter(), span).items
        transcripts = conversations.get_transcripts(tx, [one.id for one in found])
        # Most are with the same few agents.
        first = {_partner(one): one for one in found}
        casts = {partner: _speakers(tx, org, one) for partner, one in first.items()}
        return tuple(Said(one, transcripts.get(one.id, Transcript()), casts[_partner(one)]) for one in found)

    return await ctx.database.read(work)


def _partner(conversation: Conversation) -> tuple[str | None, str | None]:
    """The agent and its version."""
    return conversation.metadata.get(threads.ASSISTANT), conversation.metadata.get(threads.VERSION)


async def delete(ctx: Context, org: str, id_: str) -> None:
    """Remove a conversation and all that was said in it. Raises ``NotFound``, and ``Busy`` where another server does
    not finish with it."""

    def work(tx: Tx) -> None:
        _get(tx, org, id_, lock=True)
        texts.forget(tx, org, id_)
        chat.drop(tx, org, id_)

    async with ctx.turns.of(id_):
        await ctx.database.write(work)


def _get(tx: Tx, org: str, id_: str, *, lock: bool = False) -> Conversation:
    found = conversations.get(tx, org, id_, lock=lock)
    if found is None or found.assistant_id is None or found.extra is None or runs.holds(tx, id_):
        raise NotFound("chat", id_)
    return found
