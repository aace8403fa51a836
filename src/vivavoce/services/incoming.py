"""Text messages that come in: kept at once, answered by a duty, one after the other in each conversation.

The duty for a message is taken by one worker at a time, and only the oldest message of a conversation that waits for an
answer is told to the assistant. That it was told is written down together with the words, so that a worker that dies is
followed by one that goes on from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Event, Left, Message, Speaker
from vivavoce.core.scenario import Medium
from vivavoce.core.telemetry import plainly
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.core.transcript import Transcript
from vivavoce.engine.duties import TRIES
from vivavoce.services import chat, closing, messaging, threads
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.messaging import TEXT_ID
from vivavoce.storage import assistants, conversations, duties, texts
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.texts import AlreadyKept

REPLY = "reply"
"""The duty to answer a text message; its subject is the message's id."""
WAIT_MS = 1_000
"""How long a message waits before it looks again whether the one before it is answered."""
NOBODY = "no assistant answers this number"
SILENCED = "the assistant is switched off in this conversation"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A text message as a carrier reports it. ``medium`` None is that of the last message between the two numbers."""

    sender: str
    recipient: str
    words: str
    provider_id: str | None = None
    medium: Medium | None = None


async def receive(ctx: Context, org: str, arrival: Arrival) -> Text:
    """Keep a text message, and have it answered; one that was kept already is only returned.

    It belongs to the conversation that goes on between the two numbers. Otherwise it begins one with the assistant that
    its recipient is mapped to, or that last used the number; where there is none, nobody answers.
    """

    def work(tx: Tx) -> Text:
        known = texts.of_provider(tx, org, arrival.provider_id) if arrival.provider_id else None
        if known is not None:
            return known
        medium = arrival.medium or _medium(tx, org, arrival)
        conversation = _placed(ctx, tx, org, medium, ours=arrival.recipient, theirs=arrival.sender)
        text = Text(
            ctx.new_id(),
            Direction.INBOUND,
            medium,
            arrival.sender,
            arrival.recipient,
            arrival.words,
            TextStatus.RECEIVED if conversation else TextStatus.FAILED,
            ctx.clock.now(),
            conversation.id if conversation else None,
            "" if conversation else NOBODY,
            arrival.provider_id,
        )
        texts.add(tx, org, text)
        if conversation is not None:
            conversations.append(tx, conversation.id, (), ctx.clock.now())
            duties.want(tx, Wanted(ctx.new_id(), org, REPLY, text.id, ctx.clock.now()))
        return text

    try:
        text = await ctx.database.write(work)
    except AlreadyKept:  # in this very moment, by another server
        text = await ctx.database.write(work)
    ctx.wake()
    return text


def _medium(tx: Tx, org: str, arrival: Arrival) -> Medium:
    last = texts.last_between(tx, org, arrival.recipient, arrival.sender)
    return last.medium if last else Medium.SMS_CHAT


def _placed(ctx: Context, tx: Tx, org: str, medium: Medium, *, ours: str, theirs: str) -> Conversation | None:
    """The conversation that goes on between the numbers, or a new one; None where no assistant has the number."""

    def going_on(*, lock: bool = True) -> Conversation | None:
        return threads.running(ctx, tx, org, ours, theirs, medium=medium, lock=lock)

    # One that is over is not locked: an assistant is locked before its conversations.
    found = going_on() if going_on(lock=False) is not None else None
    if found is not None:
        return found
    assistant_id = ctx.numbers.get(ours) or _last_user(tx, org, ours)
    # Locked, or two messages that come in at once would begin two conversations.
    assistant = assistants.get(tx, org, assistant_id, lock=True) if assistant_id else None
    found = going_on()
    if assistant is None or found is not None:
        return found
    version = threads.chosen(ctx, tx, org, assistant, theirs=theirs, metadata={})
    begun = threads.drafted(ctx, version, medium=medium, ours=ours, theirs=theirs, metadata={})
    conversations.add(tx, org, [begun])
    return begun


def _last_user(tx: Tx, org: str, ours: str) -> str | None:
    """The assistant whose number this last was."""
    last = texts.last_of(tx, org, ours)
    conversation = conversations.get(tx, org, last.conversation_id) if last and last.conversation_id else None
    return conversation.metadata.get(threads.ASSISTANT) if conversation else None


async def owner(ctx: Context, arrival: Arrival) -> str | None:
    """Whose text message this is: the organisation of the assistant that the recipient is mapped to, or else the one in
    which the two numbers last spoke, or that last used the number. None where nobody knows it."""

    def work(tx: Tx) -> str | None:
        everybody = texts.orgs(tx)
        mapped = ctx.numbers.get(arrival.recipient)
        between = {org: texts.last_between(tx, org, arrival.recipient, arrival.sender) for org in everybody}
        used = {org: texts.last_of(tx, org, arrival.recipient) for org in everybody}
        # What is mapped comes first, or somebody could send from a number once and get what others are answered on it.
        return (assistants.owner(tx, mapped) if mapped else None) or _newest(between) or _newest(used)

    return await ctx.database.read(work)


def _newest(found: Mapping[str, Text | None]) -> str | None:
    newest = max(((text.id, org) for org, text in found.items() if text is not None), default=None)
    return newest[1] if newest else None


async def note_delivery(ctx: Context, provider_id: str, status: TextStatus, reason: str = "") -> bool:
    """What the carrier says of a message that it took: ``DELIVERED`` or ``FAILED``. False where it is not known."""

    def work(tx: Tx) -> bool:
        for org in texts.orgs(tx):
            text = texts.of_provider(tx, org, provider_id)
            if text is not None and text.direction is Direction.OUTBOUND:
                texts.put(tx, org, replace(text, status=status, reason=reason))
                return True
        return False

    return await ctx.database.write(work)


async def perform(ctx: Context, duty: Duty) -> None:
    """Answer a text message when it is its turn. Raises ``Broken`` or ``Busy`` where it should be tried again."""
    text = await ctx.database.read(lambda tx: texts.get(tx, duty.org, duty.subject))
    if text is None or text.conversation_id is None:
        return
    async with ctx.turns.of(text.conversation_id):
        heard = await ctx.database.write(lambda tx: _tell(ctx, tx, duty))
    if heard is None:
        return
    reason = ""
    try:
        words = await _answered(ctx, duty.org, heard)
    except Rejected as failure:
        words, reason = "", str(failure)
    except (NotFound, Broken, Busy) as failure:
        if not isinstance(failure, NotFound) and duty.attempts < TRIES:
            raise
        given_up = str(failure)
        log.warning("a text message was not answered", text=heard.id, reason=plainly(failure))
        await ctx.database.write(lambda tx: _settle(ctx, tx, duty.org, heard, TextStatus.FAILED, given_up))
        return
    await ctx.database.write(lambda tx: _settle(ctx, tx, duty.org, heard, TextStatus.HANDLED, reason, words))
    ctx.wake()


def _tell(ctx: Context, tx: Tx, duty: Duty) -> Text | None:
    """Write down that the assistant was told; None where there is nothing to answer, or not yet."""
    text = texts.get(tx, duty.org, duty.subject, lock=True)
    if text is None or text.status not in (TextStatus.RECEIVED, TextStatus.HEARD):
        return None
    assert text.conversation_id is not None
    if text.status is TextStatus.HEARD:
        return text
    conversation = conversations.get(tx, duty.org, text.conversation_id, lock=True)
    if conversation is None or _over(tx, conversation):
        conversation = _placed(ctx, tx, duty.org, text.medium, ours=text.ours, theirs=text.theirs)
        if conversation is None:
            texts.put(tx, duty.org, replace(text, status=TextStatus.FAILED, reason=NOBODY))
            return None
        text = replace(text, conversation_id=conversation.id)
        texts.put(tx, duty.org, text)
    if texts.first_waiting(tx, duty.org, conversation.id, REPLY) != text.id:
        # Wanted anew rather than failed: it waits as long as it takes.
        duties.want(tx, Wanted(duty.id, duty.org, REPLY, text.id, ctx.clock.now() + WAIT_MS))
        return None
    silenced = conversation.metadata.get(chat.DISABLED, "").lower() == "true"
    told = replace(text, status=TextStatus.HANDLED if silenced else TextStatus.HEARD, reason=SILENCED * silenced)
    try:
        said = Message(Speaker.CALLER, text.body, ctx.clock.now(), extra={TEXT_ID: text.id})
        conversations.append(tx, conversation.id, (said,), ctx.clock.now())
    except TurnTaken as failure:
        raise Busy("Another message of this conversation is being written.") from failure
    assistant = threads.assistant_of(tx, duty.org, conversation)
    if assistant is not None:
        version = threads.version_of(tx, assistant, conversation)
        closing.waits(ctx, tx, duty.org, conversation.id, version)
    texts.put(tx, duty.org, told)
    return None if silenced else told


def _over(tx: Tx, conversation: Conversation) -> bool:
    return conversation.ended_at is not None or conversations.get_transcript(tx, conversation.id).ending is not None


async def _answered(ctx: Context, org: str, heard: Text) -> str:
    """What the assistant answers to what it was told; an answer that is there already is not asked for again."""
    assert heard.conversation_id is not None
    id_ = heard.conversation_id
    words = _answer(await ctx.database.read(lambda tx: conversations.get_transcript(tx, id_)))
    if words is None:
        conversation = await ctx.database.read(lambda tx: conversations.get(tx, org, id_))
        assistant_id = conversation.metadata.get(threads.ASSISTANT, "") if conversation else ""
        talk = await chat.begin(ctx, org, assistant_id, id_)
        said = await chat.reply(ctx, talk, heard.body)
        words = _answer(await ctx.database.read(lambda tx: conversations.get_transcript(tx, id_)))
        words = [said] if words is None else words
    return "\n".join(words)


def _answer(transcript: Transcript) -> list[str] | None:
    """What the assistant said since the caller last spoke, without what only filled the time; None while it has not
    come to rest. What somebody else had it send meanwhile is no answer."""
    since: list[Event] = []
    for event in reversed(transcript.events):
        if isinstance(event, Message) and event.speaker is Speaker.CALLER:
            break
        if not (isinstance(event, Message) and event.extra and TEXT_ID in event.extra):
            since.append(event)
    # Words that fill the time are no answer, and where a flow moved after its answer changes nothing of it.
    if not isinstance(Transcript(tuple(reversed(since))).last_act, Message | Left):
        return None
    spoken = (event for event in reversed(since) if isinstance(event, Message) and not event.fills)
    return [event.text for event in spoken if event.text]


def _settle(ctx: Context, tx: Tx, org: str, heard: Text, status: TextStatus, reason: str, words: str = "") -> None:
    """It is answered, or given up; the answer goes out, and the next message's turn comes."""
    current = texts.get(tx, org, heard.id, lock=True)
    if current is None or current.status is not TextStatus.HEARD:
        return
    texts.put(tx, org, replace(current, status=status, reason=reason))
    if words.strip():
        messaging.hand_over(ctx, tx, org, messaging.answer_to(ctx, current, words))
    if current.conversation_id:
        if conversations.is_forgotten(tx, current.conversation_id):
            texts.forget(tx, org, current.conversation_id)
        following = texts.first_waiting(tx, org, current.conversation_id, REPLY)
        if following is not None:
            duties.hasten(tx, REPLY, following, ctx.clock.now())
