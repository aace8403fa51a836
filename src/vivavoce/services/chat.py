"""Chat with an assistant of this server: one message in, everything the assistant does until it rests."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vivavoce.assistant.state import Listener, State
from vivavoce.assistant.step import step
from vivavoce.core.assistant import Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Event, Left, Message, Speaker
from vivavoce.core.model import ModelFailure
from vivavoce.core.scenario import Medium
from vivavoce.core.transcript import Transcript
from vivavoce.services import casting, closing, messaging, openings, rollouts, threads
from vivavoce.services.assistants import cast
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.minds import Minds
from vivavoce.services.tooling import ToolsOf
from vivavoce.services.variables import about
from vivavoce.storage import assistants, conversations, duties, runs
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import DatabaseAway, Tx
from vivavoce.storage.insisting import insist

DISABLED = "ai_disabled"
"""Metadata that silences the assistant in a conversation (contract, section 5.15)."""

GOES_ON = (None, Ending.IDLE)
"""What has not ended, or only counted as over because nobody said anything for a while, goes on."""
ENDING = "ending"
"""In the extra of a conversation that ends for good: how it ended."""
_WITHIN_S = 4.0
"""For how long an answer is written again: not for longer than the conversation is surely this one's to speak in."""
OVER = "This conversation is over: the assistant has left it."


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that is about to go on with this version. ``ends``: silence ends it for good; otherwise it goes on
    when somebody speaks again."""

    org: str
    conversation: Conversation
    version: Version
    ends: bool = False

    @property
    def medium(self) -> Medium:
        """How it is led, as its metadata say."""
        return medium_of(self.version, self.conversation.metadata)


def medium_of(version: Version, metadata: Mapping[str, str]) -> Medium:
    """The medium that a conversation's metadata name, or chat."""
    named = metadata.get(f"{version.templating.prefix}conversation_channel", "")
    return Medium(named) if named in set(Medium) else Medium.WEB_CHAT


async def begin(ctx: Context, org: str, assistant_id: str, conversation_id: str) -> Talk:
    """Look everything up before anything is said.

    A conversation that has not begun gets its version now: the one that a canary rule gives it, or main (contract,
    section 6.2). Raises ``NotFound`` for an unknown assistant or conversation, and for a conversation of another
    assistant; ``Rejected`` where the conversation is a run's or over, or its assistant is switched off; ``Broken``
    where the assistant's model is not served here.
    """
    draw = ctx.draw()

    def look_up(tx: Tx) -> Talk:
        assistant = assistants.get(tx, org, assistant_id)
        if assistant is None:
            raise NotFound("assistant", assistant_id)
        conversation = conversations.get(tx, org, conversation_id)
        owner = conversation.metadata.get(threads.ASSISTANT, assistant_id) if conversation else ""
        if conversation is None or owner != assistant_id:
            raise NotFound("conversation", conversation_id)
        if runs.holds(tx, conversation_id):
            raise Rejected("This conversation belongs to a test run; nobody else can speak in it.", "conversation_id")
        if conversation.metadata.get(DISABLED, "").lower() == "true":
            raise Rejected("The assistant is disabled in this conversation (metadata ai_disabled).", "conversation_id")
        if conversations.get_transcript(tx, conversation_id).ending not in GOES_ON:
            raise Rejected(OVER, "conversation_id")
        known = conversation.metadata
        if known.get(threads.VERSION):  # drawn once: where it is gone main goes on, and nobody draws again
            version = threads.version_of(tx, assistant, conversation)
        else:
            version = rollouts.chosen(ctx, tx, org, assistant, user_target=None, metadata=known, draw=draw)
        return Talk(org, conversation, version)

    talk = await ctx.database.read(look_up)
    try:
        await Minds(ctx, org).chosen(talk.version.mind, talk.version.fallback, {})
    except ModelFailure as failure:
        raise Broken(str(failure)) from failure
    return talk


async def reply(ctx: Context, talk: Talk, content: str, listener: Listener | None = None) -> str:
    """Say this to the assistant and return all it said, pieces going to the listener while they come.

    Every event is kept before the next call goes out. A message that was kept and not answered, because the model
    failed, is answered when it is sent again. Raises ``Broken`` where the model fails, ``Busy`` where somebody else
    talks in the same conversation on another server, and ``Rejected`` where the conversation ended meanwhile.
    """
    async with ctx.turns.of(talk.conversation.id):
        talk, transcript = await ctx.database.read(lambda tx: current(tx, talk))
        if transcript.ending not in GOES_ON:
            raise Rejected(OVER, "conversation_id")
        transcript = await heard(ctx, talk, transcript, content)
        events = await answered(ctx, talk, transcript, listener)
    return "\n".join(event.text for event in events if isinstance(event, Message) and event.text)


async def heard(ctx: Context, talk: Talk, transcript: Transcript, content: str) -> Transcript:
    """The transcript in which the caller has said this, which is kept; one that was kept and not answered is not said
    twice. Whoever calls holds the conversation. Raises ``Busy``."""
    if _waits_for_an_answer(transcript, content):
        return transcript
    message = Message(Speaker.CALLER, content, ctx.clock.now())
    await _keep(ctx, talk, (message,), at=transcript, first=talk.conversation.opening is None)
    return transcript.plus((message,))


def current(tx: Tx, talk: Talk) -> tuple[Talk, Transcript]:
    """The talk as it is now, and all that was said: much can have happened since somebody waits for its turn."""
    id_ = talk.conversation.id
    conversation = conversations.get(tx, talk.org, id_)
    if conversation is None:
        raise NotFound("conversation", id_)
    # Whoever spoke first drew the version for everybody.
    named = conversation.metadata.get(threads.VERSION, talk.version.id)
    version = assistants.get_version(tx, talk.version.assistant_id, named) if named != talk.version.id else None
    now = replace(talk, conversation=conversation, version=version or talk.version)
    return now, conversations.get_transcript(tx, id_)


async def answered(
    ctx: Context,
    talk: Talk,
    transcript: Transcript,
    listener: Listener | None = None,
    *,
    variables: Mapping[str, Any] | None = None,
) -> tuple[Event, ...]:
    """All that the assistant does until it rests, each step kept before the next. Whoever calls holds the conversation.

    ``variables`` win over those that it started with. Raises ``Broken`` and ``Busy``.
    """
    org, version = talk.org, talk.version
    conversation = await opened(ctx, talk)
    assert conversation.opening is not None
    everybody = await ctx.database.read(lambda tx: cast(tx, org, version))
    everybody, _ = await casting.attached(ctx, org, everybody)
    minds = Minds(ctx, org)
    prefix, noted = version.templating.prefix, conversation.metadata
    numbered = noted.get(f"{prefix}agent_target") and noted.get(f"{prefix}end_user_target")
    send = partial(messaging.say, ctx, org, conversation.id) if numbered else None
    tools = ToolsOf(ctx, org, prefix, conversation_id=conversation.id, send=send, cast=everybody)
    opening = conversation.opening
    known = {**opening.variables, **(variables or {})}
    state = State(transcript, known, conversation.id, talk.medium.spoken, opening.memory)
    events: list[Event] = []
    while True:
        try:
            done = await step(everybody, state, (), models=minds, tools=tools, clock=ctx.clock, listener=listener)
        except ModelFailure as failure:
            raise Broken(f"The assistant's model: {failure}") from failure
        speaker = closing.speaker(everybody, done.state.transcript)
        await _keep(ctx, talk, done.events, at=state.transcript, speaker=speaker, rests=done.rests)
        events += done.events
        state = done.state
        if done.rests:
            return tuple(events)


async def start(
    ctx: Context, talk: Talk, first: Version, *, medium: Medium, given: Mapping[str, Any]
) -> tuple[Event, ...]:
    """Keep a conversation that begins, and have the assistant open it where it speaks first; ``first`` is who speaks,
    complete, and ``given`` are variables of whoever begins. Nothing is left of one whose opening failed.

    Raises ``Broken`` where a model is not served here, or fails; ``Rejected`` where there is nothing to say.
    """
    org, id_ = talk.org, talk.conversation.id
    try:
        await Minds(ctx, org).chosen(first.mind, first.fallback, {})
    except ModelFailure as failure:
        raise Broken(str(failure)) from failure
    conversation = await openings.found(
        ctx, org, first, talk.conversation, medium=medium, agent_target=None, user_target=None, given=given
    )
    await ctx.database.write(lambda tx: conversations.add(tx, org, [conversation]))
    try:
        async with ctx.turns.of(id_):
            return await answered(ctx, replace(talk, conversation=conversation), Transcript())
    except Exception:
        # Whoever began it hears that it failed, and knows no id of it. While the database is away it has to stay.
        with suppress(*DatabaseAway):
            await ctx.database.write(lambda tx: drop(tx, org, id_))
        raise


def drop(tx: Tx, org: str, conversation_id: str) -> None:
    """Remove a conversation, with what waits for its end."""
    duties.forget(tx, closing.IDLE, conversation_id)
    conversations.drop(tx, org, conversation_id)


async def opened(ctx: Context, talk: Talk) -> Conversation:
    """The conversation with what it started with."""
    conversation, prefix = talk.conversation, talk.version.templating.prefix
    return await openings.opened(
        ctx,
        talk.org,
        talk.version,
        conversation,
        medium=talk.medium,
        agent_target=conversation.metadata.get(f"{prefix}agent_target"),
        user_target=conversation.metadata.get(f"{prefix}end_user_target"),
    )


def _waits_for_an_answer(transcript: Transcript, content: str) -> bool:
    """Whether this was said last, and the assistant's answer broke off, perhaps after some tool calls."""
    said, last = transcript.said(Speaker.CALLER), transcript.last_act
    if not said or transcript.ending is not None:
        return False
    # A flow that moved on after its answer has answered all the same.
    rested = isinstance(last, Message) and last.speaker is Speaker.ASSISTANT
    return said[-1][1].text == content and not rested


async def _keep(
    ctx: Context,
    talk: Talk,
    events: tuple[Event, ...],
    *,
    at: Transcript,
    first: bool = False,
    speaker: Version | None = None,
    rests: bool = False,
) -> None:
    """Write events down behind ``at``, which is all that was written before; what follows is wanted with them.

    What a ``speaker`` answered was paid for, and is written again while the database is away.
    """
    version = speaker or talk.version

    def work(tx: Tx) -> None:
        now = ctx.clock.now()
        conversations.append(tx, talk.conversation.id, events, now, turn=len(at.events))
        if first:
            # As it is now: somebody else may have changed it since this one waited for its turn.
            current = conversations.get(tx, talk.org, talk.conversation.id, lock=True) or talk.conversation
            metadata = {**about(talk.version, medium=talk.medium), **current.metadata}
            conversations.set_metadata(tx, replace(current, metadata=metadata))
        if talk.conversation.ended_at is not None and not rests:
            conversations.set_ended(tx, talk.conversation.id, None)
        if rests:
            left = next((event for event in events if isinstance(event, Left)), None)
            closing.rested(ctx, tx, talk.org, talk.conversation.id, version, over=left is not None, always=talk.ends)
            if left is not None and talk.ends:
                note_ending(tx, talk.org, talk.conversation.id, left)
        elif speaker is None:
            # Also where no answer ever comes: the conversation must count as over some day.
            closing.waits(ctx, tx, talk.org, talk.conversation.id, version, always=talk.ends)

    try:
        await (ctx.database.write(work) if speaker is None else insist(ctx.database, work, within_s=_WITHIN_S))
    except TurnTaken as failure:
        raise Busy("Another message of this conversation is being answered.") from failure
    if rests:
        ctx.wake()


def note_ending(tx: Tx, org: str, conversation_id: str, left: Left) -> None:
    """Note how it ended where lists can see it, in its ``extra``."""
    found = conversations.get(tx, org, conversation_id, lock=True)
    if found is not None:
        conversations.set_extra(tx, replace(found, extra={**(found.extra or {}), ENDING: left.ending.value}))
