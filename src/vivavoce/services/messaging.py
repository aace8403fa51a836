"""Text messages that go out: written down together with what follows from them, and then carried.

What is to be sent is an event of its conversation, a row, and a duty to send it, in one transaction: nothing goes out
that is not kept, and what was kept goes out although the server is killed. Sending again has the same key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from vivavoce.assistant.templating import Filling, fill
from vivavoce.channels.messenger import Loopback, NotSent, Outgoing
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Message, Speaker
from vivavoce.core.scenario import Medium
from vivavoce.core.telemetry import plainly
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.core.tool import OtherTool
from vivavoce.core.transcript import Transcript
from vivavoce.engine.duties import TRIES
from vivavoce.services import closing, composing, openings, threads
from vivavoce.services.context import Context
from vivavoce.services.errors import Busy, NotFound, Rejected
from vivavoce.storage import assistants, conversations, duties, texts, tools
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.insisting import insist
from vivavoce.storage.page import Page, Window
from vivavoce.storage.texts import TextFilter

SEND = "text"
"""The duty to carry a text message; its subject is the message's id."""
TEXT_ID = "text_id"
"""In the extra of a message of a conversation: the text message that carries it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants an assistant to send.

    ``words`` None is the greeting, or what the model writes; with ``templated``, variables in the words are filled in.
    ``anew`` begins a new conversation. ``metadata`` is kept with the conversation. ``variables`` are those that a new
    conversation starts with, and then nobody else is asked for any; with None, the assistant's webhook is.
    """

    sender: str
    recipient: str
    words: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    anew: bool = False
    medium: Medium = Medium.SMS_CHAT
    variables: Mapping[str, Any] | None = None
    templated: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What will be sent, and the conversation it belongs to: ``begins`` where that does not exist yet."""

    wish: Wish
    version: Version
    conversation: Conversation
    begins: bool
    message: Message


async def compose(ctx: Context, org: str, assistant_id: str, wish: Wish) -> Draft:
    """Find the conversation and the words; nothing is kept yet.

    The words are the wish's own; else, for the first message of a conversation, the greeting; else what the model
    writes (contract, section 5.1, send_sms). Raises ``NotFound`` for an unknown assistant, ``Broken`` where the model
    fails, and ``Rejected`` where nobody here carries messages of this medium or the sender is somebody else's.
    """
    if not ctx.messenger.carries(wish.medium):
        raise Rejected(f"The messenger of this server ({ctx.messenger.name}) does not carry {wish.medium.value}.")

    def look_up(tx: Tx) -> tuple[Version, Conversation, bool, Transcript]:
        assistant = _assistant(tx, org, assistant_id)
        _check_sender(ctx, tx, org, wish.sender)
        found = None if wish.anew else _running(ctx, tx, org, assistant_id, wish)
        if found is not None:
            version = tools.completed(tx, org, threads.version_of(tx, assistant, found))
            return version, found, False, conversations.get_transcript(tx, found.id)
        version = threads.chosen(ctx, tx, org, assistant, theirs=wish.recipient, metadata=wish.metadata)
        begun = threads.drafted(
            ctx, version, medium=wish.medium, ours=wish.sender, theirs=wish.recipient, metadata=wish.metadata
        )
        return version, begun, True, Transcript()

    version, conversation, begins, transcript = await ctx.database.read(look_up)
    draft = Draft(wish, version, conversation, begins, Message(Speaker.ASSISTANT, wish.words or "", ctx.clock.now()))
    if wish.words is not None and not wish.templated:
        return draft
    draft = await _opened(ctx, org, draft)
    return replace(draft, message=await _words(ctx, org, draft, transcript))


def _running(
    ctx: Context, tx: Tx, org: str, assistant_id: str, wish: Wish, *, lock: bool = False
) -> Conversation | None:
    ours, theirs = wish.sender, wish.recipient
    return threads.running(ctx, tx, org, ours, theirs, medium=wish.medium, assistant_id=assistant_id, lock=lock)


async def _opened(ctx: Context, org: str, draft: Draft) -> Draft:
    """With the variables of the conversation; those of one that begins are kept together with it."""
    wish = draft.wish
    conversation = await (openings.found if draft.begins else openings.opened)(
        ctx,
        org,
        draft.version,
        draft.conversation,
        medium=wish.medium,
        agent_target=wish.sender,
        user_target=wish.recipient,
        given=wish.variables,
        ask=wish.variables is None,
    )
    return replace(draft, conversation=conversation)


def _variables(conversation: Conversation) -> Mapping[str, Any]:
    assert conversation.opening is not None
    return conversation.opening.variables


async def _words(ctx: Context, org: str, draft: Draft, transcript: Transcript) -> Message:
    version, wish, variables = draft.version, draft.wish, _variables(draft.conversation)
    filling = Filling(variables, version.templating, ctx.clock.now())
    if wish.words is not None:
        return replace(draft.message, text=fill(wish.words, filling))
    greeting = fill(version.greeting or "", filling) if version.greeting != MODEL_OPENS else ""
    if not transcript.events and greeting.strip():
        return replace(draft.message, text=greeting)
    return await composing.next_words(ctx, org, version, transcript, variables)


def keep(ctx: Context, tx: Tx, org: str, draft: Draft, *, sends: bool = True) -> Text:
    """Write the draft down; ``sends`` has it sent when the transaction is done: whoever calls wakes the duties then.

    Raises ``Busy`` where somebody else writes to the same conversation at this moment, or where it ended meanwhile.
    """
    wish = draft.wish
    if not draft.begins:
        current = conversations.get(tx, org, draft.conversation.id, lock=True)
        if current is None:
            raise NotFound("conversation", draft.conversation.id)
        if current.ended_at is not None:
            raise Busy("This conversation ended while the message was written.")
    elif not wish.anew:
        # Somebody else may have begun it meanwhile; locked, or two at once would begin two.
        assistants.get(tx, org, draft.version.assistant_id, lock=True)
        current = _running(ctx, tx, org, draft.version.assistant_id, wish, lock=True)
    else:
        current = None
    conversation = current or draft.conversation
    if current is None:
        conversations.add(tx, org, [conversation])
    elif wish.metadata:
        conversations.set_metadata(tx, threads.merged(current, draft.version, wish.metadata))
    text = _outgoing(ctx, wish.sender, wish.recipient, draft.message.text, conversation.id, wish.medium)
    try:
        event = replace(draft.message, extra={TEXT_ID: text.id})
        conversations.append(tx, conversation.id, (event,), ctx.clock.now())
    except TurnTaken as failure:
        raise Busy("Another message of this conversation is being written.") from failure
    closing.rested(ctx, tx, org, conversation.id, draft.version, over=False)
    hand_over(ctx, tx, org, text, sends=sends)
    return text


def _check_sender(ctx: Context, tx: Tx, org: str, number: str) -> None:
    """A number that is mapped is the organisation's whose assistant it is mapped to."""
    mapped = ctx.numbers.get(number)
    if mapped is not None and assistants.owner(tx, mapped) not in (None, org):
        raise Rejected(f"The number {number!r} belongs to somebody else.", "from")


def _outgoing(
    ctx: Context, ours: str, theirs: str, words: str, conversation_id: str, medium: Medium, key: str | None = None
) -> Text:
    id_, now = ctx.new_id(), ctx.clock.now()
    direction, status = Direction.OUTBOUND, TextStatus.SENDING
    return Text(id_, direction, medium, ours, theirs, words, status, now, conversation_id, provider_id=key)


def hand_over(ctx: Context, tx: Tx, org: str, text: Text, *, sends: bool = True) -> None:
    """Keep a text message and, unless somebody else sends it, the duty to send it."""
    texts.add(tx, org, text)
    if sends:
        duties.want(tx, Wanted(ctx.new_id(), org, SEND, text.id, ctx.clock.now()))


def answer_to(ctx: Context, heard: Text, words: str) -> Text:
    """The text message that answers another one, with words that the conversation holds already."""
    assert heard.conversation_id is not None
    return _outgoing(ctx, heard.ours, heard.theirs, words, heard.conversation_id, heard.medium)


async def send(ctx: Context, org: str, assistant_id: str, wish: Wish) -> Text:
    """Compose, keep and send. Raises as ``compose`` and ``keep`` do."""
    draft = await compose(ctx, org, assistant_id, wish)
    async with ctx.turns.of(draft.conversation.id):
        text = await ctx.database.write(lambda tx: keep(ctx, tx, org, draft))
    ctx.wake()
    return text


async def say(ctx: Context, org: str, conversation_id: str, words: str, key: str) -> str:
    """Send a text message to whoever an assistant talks to, because one of its tools asked for it; the same ``key``
    sends it once. Returns what became of it, for the model. Raises ``NotFound``, and ``Rejected`` where the
    conversation has no two numbers to send between."""

    def work(tx: Tx) -> None:
        conversation = conversations.get(tx, org, conversation_id)
        assistant = threads.assistant_of(tx, org, conversation) if conversation else None
        if conversation is None or assistant is None:
            raise NotFound("conversation", conversation_id)
        prefix = assistant.main.templating.prefix
        ours = conversation.metadata.get(f"{prefix}agent_target")
        theirs = conversation.metadata.get(f"{prefix}end_user_target")
        if not ours or not theirs:
            raise Rejected("There is no number to send a text message to in this conversation.")
        _check_sender(ctx, tx, org, ours)
        on_whatsapp = conversation.metadata.get(f"{prefix}conversation_channel") == Medium.WHATSAPP_CHAT
        medium = Medium.WHATSAPP_CHAT if on_whatsapp else Medium.SMS_CHAT
        if texts.of_provider(tx, org, key) is None:
            hand_over(ctx, tx, org, _outgoing(ctx, ours, theirs, words, conversation_id, medium, key))

    await ctx.database.write(work)
    ctx.wake()
    return "The message is on its way."


async def start_whatsapp(ctx: Context, org: str, assistant_id: str, wish: Wish, content: str, templates: str) -> Draft:
    """What opens a WhatsApp conversation: a template that the model fills in from the ``content``, where the assistant
    has tools of the type ``templates``, and otherwise the content itself.

    Raises ``Rejected`` for reserved metadata, for an assistant that keeps no history, and for a sender that is not this
    assistant's (contract, section 5.1, whatsapp); and what ``compose`` does. A number that is mapped to no assistant
    is anybody's where messages are carried nowhere.
    """
    assistant = await ctx.database.read(lambda tx: _assistant(tx, org, assistant_id))
    version = await ctx.database.read(lambda tx: tools.completed(tx, org, assistant.main))
    for key in wish.metadata:
        if threads.reserved(key, version.templating.prefix):
            raise Rejected(f"The metadata key {key!r} is reserved.", "conversation_metadata")
    if not version.keeps:
        raise Rejected("This assistant keeps no history, which a WhatsApp conversation needs.")
    owner = ctx.numbers.get(wish.sender)
    if owner != assistant_id and not (owner is None and isinstance(ctx.messenger, Loopback)):
        raise Rejected(f"The number {wish.sender!r} is not this assistant's.", "from")
    drafted = await compose(ctx, org, assistant_id, replace(wish, words=content, anew=True, templated=False))
    offered = [
        tool
        for tool in (*drafted.version.tools, *drafted.version.library.values())
        if isinstance(tool, OtherTool) and tool.type == templates
    ]
    if not offered:
        return drafted
    drafted = await _opened(ctx, org, drafted)
    message = await composing.filled(ctx, org, drafted.version, offered, content, _variables(drafted.conversation))
    return replace(drafted, message=message)


async def perform(ctx: Context, duty: Duty) -> None:
    """Send what waits to be sent; raises ``NotSent`` where it should be tried again."""
    await deliver(ctx, duty.org, duty.subject, last=duty.attempts >= TRIES)


async def deliver(ctx: Context, org: str, text_id: str, *, last: bool) -> Text | None:
    """Hand a kept text message to the carrier, and note what became of it; once it has gone out, only look it up.

    Raises ``NotSent`` where it should be tried again, which with ``last`` it is not.
    """
    text = await ctx.database.read(lambda tx: texts.get(tx, org, text_id))
    if text is None or text.status is not TextStatus.SENDING:
        return text
    try:
        carrier = await ctx.messenger.send(Outgoing(text.sender, text.recipient, text.body, text.id, text.medium))
    except NotSent as failure:
        if not (failure.final or last):
            raise
        log.warning("a text message was not sent", text=text_id, reason=plainly(failure))
        gone = replace(text, status=TextStatus.FAILED, reason=str(failure))
    else:
        gone = replace(text, status=TextStatus.SENT, provider_id=carrier)
    return await insist(ctx.database, lambda tx: _note(tx, org, gone))


def _note(tx: Tx, org: str, gone: Text) -> Text | None:
    current = texts.get(tx, org, gone.id, lock=True)
    if current is None or current.status is not TextStatus.SENDING:
        return current
    if gone.provider_id and texts.of_provider(tx, org, gone.provider_id) is not None:
        gone = replace(gone, provider_id=None)  # the carrier named two messages alike
    texts.put(tx, org, gone)
    if gone.conversation_id and conversations.is_forgotten(tx, gone.conversation_id):
        texts.forget(tx, org, gone.conversation_id)
    return gone


async def get_page(ctx: Context, org: str, wanted: TextFilter, window: Window) -> Page[Text]:
    """A page of text messages, newest first."""
    return await ctx.database.read(lambda tx: texts.get_page(tx, org, wanted, window))


async def retrieve(ctx: Context, org: str, text_id: str) -> Text:
    """One text message. Raises ``NotFound``."""
    text = await ctx.database.read(lambda tx: texts.get(tx, org, text_id))
    if text is None:
        raise NotFound("text message", text_id)
    return text


def _assistant(tx: Tx, org: str, assistant_id: str) -> Assistant:
    assistant = assistants.get(tx, org, assistant_id)
    if assistant is None:
        raise NotFound("assistant", assistant_id)
    return assistant
