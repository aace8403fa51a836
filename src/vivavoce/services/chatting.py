"""Somebody tries an assistant: a chat with one of whatever form, as an examination would lead it.

It runs as ``services.chat`` says. ``Conversation.extra`` tells these from conversations that others began.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vivavoce.core.assistant import Assistant, Cast, Form, Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Event, Left, Speaker
from vivavoce.core.scenario import Medium
from vivavoce.core.transcript import Transcript
from vivavoce.services import chat, closing, engines, rollouts, threads
from vivavoce.services.assistants import cast as everybody
from vivavoce.services.chat import GOES_ON, Talk
from vivavoce.services.context import Context
from vivavoce.services.errors import Busy, NotFound, Rejected
from vivavoce.services.playground import check
from vivavoce.services.variables import about
from vivavoce.storage import assistants, conversations
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import Tx

_EXTRA = {"tried": True}


@dataclass(frozen=True, slots=True)
class Start:
    """With whom to chat. ``version_id`` None is the version that a new conversation gets; ``variables`` win over those
    of the assistant."""

    assistant_id: str
    version_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Since:
    """What happened since somebody spoke last: (turn, event) in order. ``over`` where nobody can go on with it."""

    id: str
    version: Version
    events: tuple[tuple[int, Event], ...]
    over: bool


async def begin(ctx: Context, org: str, start: Start) -> Since:
    """Begin a chat, and have the assistant open it where it speaks first. Nothing is left of one whose opening failed.

    Raises ``NotFound`` for an unknown assistant; ``Rejected`` for a version that it does not have, and where it has
    nothing to say; ``Broken`` where its model is not served here, or fails.
    """
    draw = ctx.draw()

    def look_up(tx: Tx) -> tuple[Assistant, Version, Cast]:
        assistant = assistants.get(tx, org, start.assistant_id, forms=tuple(Form))
        if assistant is None:
            raise NotFound("assistant", start.assistant_id)
        version = _version(ctx, tx, org, assistant, start, draw)
        if assistant.form in engines.AGENTS:
            check(tx, org, version)
        return assistant, version, everybody(tx, org, version)

    assistant, version, speakers = await ctx.database.read(look_up)
    medium = Medium.WEB_CALL if assistant.form is Form.VOICE_AGENT else Medium.WEB_CHAT
    now = ctx.clock.now()
    conversation = Conversation(ctx.new_id(), now, now, metadata=about(version, medium=medium), extra=_EXTRA)
    talk = Talk(org, conversation, version)
    events = await chat.start(ctx, talk, speakers.first, medium=medium, given=start.variables)
    return _since(conversation.id, version, Transcript(events), 0)


def _version(ctx: Context, tx: Tx, org: str, assistant: Assistant, start: Start, draw: float) -> Version:
    if start.version_id is not None:
        found = assistants.get_version(tx, assistant.id, start.version_id)
        if found is None:
            raise Rejected(f"Assistant {assistant.id!r} has no version {start.version_id!r}.", "body/version_id")
        return found
    if assistant.form is not Form.ASSISTANT:
        return assistant.main
    return rollouts.chosen(ctx, tx, org, assistant, user_target=None, metadata={}, draw=draw)


async def reply(ctx: Context, org: str, id_: str, text: str) -> Since:
    """Say this, and wait for what the assistant does until it rests.

    A message that was kept and not answered, because the model failed, is answered when it is sent again. Raises
    ``NotFound``, also for conversations that were not begun here; ``Rejected`` where it is over or the assistant is
    gone; ``Broken`` where a model fails, and ``Busy``.
    """

    def look_up(tx: Tx) -> tuple[Talk, Transcript]:
        conversation = _get(tx, org, id_)
        assistant = threads.assistant_of(tx, org, conversation)
        if assistant is None:
            raise Rejected("The assistant of this conversation is gone.")
        version = threads.version_of(tx, assistant, conversation)
        if assistant.form in engines.AGENTS:
            check(tx, org, version)
        return chat.current(tx, Talk(org, conversation, version))

    async with ctx.turns.of(id_):
        talk, transcript = await ctx.database.read(look_up)
        if transcript.ending not in GOES_ON or _ended(talk.conversation, transcript):
            raise Rejected(chat.OVER)
        transcript = await chat.heard(ctx, talk, transcript, text)
        events = await chat.answered(ctx, talk, transcript)
    return _since(id_, talk.version, transcript.plus(events), len(transcript.events))


def _ended(conversation: Conversation, transcript: Transcript) -> bool:
    """Whether it is over and forgotten: what kept no history cannot go on."""
    return conversation.ended_at is not None and not transcript.events


async def end(ctx: Context, org: str, id_: str) -> None:
    """Hang up; what is over stays as it is. Raises ``NotFound``, and ``Busy`` where somebody speaks in it on another
    server."""

    def work(tx: Tx) -> None:
        conversation = _get(tx, org, id_, lock=True)
        transcript = conversations.get_transcript(tx, id_)
        if transcript.ending is not None or conversation.ended_at is not None:
            return
        now = ctx.clock.now()
        left = Left(Ending.GOODBYE, now, Speaker.CALLER, "whoever tried the assistant ended it")
        conversations.append(tx, id_, (left,), now, turn=len(transcript.events))
        assistant = threads.assistant_of(tx, org, conversation)
        if assistant is None:
            conversations.set_ended(tx, id_, now)
            return
        speakers = everybody(tx, org, threads.version_of(tx, assistant, conversation))
        closing.rested(ctx, tx, org, id_, closing.speaker(speakers, transcript), over=True)

    async with ctx.turns.of(id_):
        try:
            await ctx.database.write(work)
        except TurnTaken as failure:
            raise Busy("A message of this conversation is being answered.") from failure
    ctx.wake()


def _since(id_: str, version: Version, transcript: Transcript, first: int) -> Since:
    events = tuple((turn, event) for turn, event in enumerate(transcript.events) if turn >= first)
    return Since(id_, version, events, transcript.ending not in GOES_ON)


def _get(tx: Tx, org: str, id_: str, *, lock: bool = False) -> Conversation:
    found = conversations.get(tx, org, id_, lock=lock)
    if found is None or not is_tried(found):
        raise NotFound("conversation", id_)
    return found


def is_tried(conversation: Conversation) -> bool:
    """Whether it was begun here."""
    return conversation.extra == _EXTRA
