"""Chat with an assistant of this server: one message in, everything the assistant does until it rests."""

from dataclasses import dataclass, replace

from vivavoce.assistant.step import Listener, State, step
from vivavoce.core.assistant import Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Event, Message, Speaker
from vivavoce.core.model import Model, ModelFailure
from vivavoce.core.scenario import Medium
from vivavoce.core.transcript import Transcript
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.variables import about, starting
from vivavoce.storage import assistants, conversations, runs
from vivavoce.storage.conversations import TurnTaken
from vivavoce.storage.database import Tx
from vivavoce.tools.toolbox import Toolbox

DISABLED = "ai_disabled"
"""Metadata that silences the assistant in a conversation (contract, section 5.15)."""

OVER = "This conversation is over: the assistant has left it."


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that is about to go on."""

    conversation: Conversation
    version: Version
    transcript: Transcript
    model: Model


async def begin(ctx: Context, org: str, assistant_id: str, conversation_id: str) -> Talk:
    """Look everything up before anything is said.

    Raises ``NotFound`` for an unknown assistant or conversation, and for a conversation of another assistant;
    ``Rejected`` where the conversation is a run's or over, or its assistant is switched off; ``Broken`` where the
    assistant's model is not served here.
    """

    def look_up(tx: Tx) -> tuple[Conversation, Version, Transcript]:
        assistant = assistants.get(tx, org, assistant_id)
        if assistant is None:
            raise NotFound("assistant", assistant_id)
        conversation = conversations.get(tx, org, conversation_id)
        owner = conversation.metadata.get("assistant_id", assistant_id) if conversation else ""
        if conversation is None or owner != assistant_id:
            raise NotFound("conversation", conversation_id)
        if runs.holds(tx, conversation_id):
            raise Rejected("This conversation belongs to a test run; nobody else can speak in it.", "conversation_id")
        if conversation.metadata.get(DISABLED, "").lower() == "true":
            raise Rejected("The assistant is disabled in this conversation (metadata ai_disabled).", "conversation_id")
        version_id = conversation.metadata.get("assistant_version_id", assistant.main.id)
        version = assistants.get_version(tx, assistant_id, version_id) or assistant.main
        return conversation, version, conversations.get_transcript(tx, conversation_id)

    conversation, version, transcript = await ctx.database.read(look_up)
    if transcript.ending is not None:
        raise Rejected(OVER, "conversation_id")
    try:
        model = ctx.models.resolve(version.model, "assistant")
    except ModelFailure as failure:
        raise Broken(str(failure)) from failure
    return Talk(conversation, version, transcript, model)


async def reply(ctx: Context, talk: Talk, content: str, listener: Listener | None = None) -> str:
    """Say this to the assistant and return all it said, pieces going to the listener while they come.

    Every event is kept before the next call goes out. A message that was kept and not answered, because the model
    failed, is answered when it is sent again. Raises ``Broken`` where the model fails, ``Busy`` where somebody else
    talks in the same conversation on another server, and ``Rejected`` where the conversation ended meanwhile.
    """
    async with ctx.turns.of(talk.conversation.id):
        transcript = await ctx.database.read(lambda tx: conversations.get_transcript(tx, talk.conversation.id))
        if transcript.ending is not None:
            raise Rejected(OVER, "conversation_id")
        if not _waits_for_an_answer(transcript, content):
            heard = Message(Speaker.CALLER, content, ctx.clock.now())
            await _keep(ctx, talk, (heard,), first=not transcript.events)
            transcript = transcript.plus((heard,))
        version = talk.version
        variables = starting(version, {}, conversation_id=talk.conversation.id, started_at=talk.conversation.created_at)
        state = State(transcript, variables, talk.conversation.id)
        said: list[str] = []
        while True:
            try:
                done = await step(
                    version,
                    state,
                    (),
                    model=talk.model,
                    tools=Toolbox(ctx.outbound),
                    clock=ctx.clock,
                    listener=listener,
                )
            except ModelFailure as failure:
                raise Broken(f"The assistant's model: {failure}") from failure
            await _keep(ctx, talk, done.events)
            said += [event.text for event in done.events if isinstance(event, Message) and event.text]
            state = done.state
            if done.rests:
                return "\n".join(said)


def _waits_for_an_answer(transcript: Transcript, content: str) -> bool:
    """Whether this was said last, and the assistant's answer broke off, perhaps after some tool calls."""
    said = transcript.said(Speaker.CALLER)
    last = transcript.events[-1] if transcript.events else None
    rested = isinstance(last, Message) and last.speaker is Speaker.ASSISTANT
    return bool(said) and said[-1][1].text == content and not rested


async def _keep(ctx: Context, talk: Talk, events: tuple[Event, ...], *, first: bool = False) -> None:
    def work(tx: Tx) -> None:
        conversations.append(tx, talk.conversation.id, events, ctx.clock.now())
        if first:
            known = about(talk.version, medium=Medium.WEB_CHAT)
            metadata = {**known, **talk.conversation.metadata}
            conversations.set_metadata(tx, replace(talk.conversation, metadata=metadata))

    try:
        await ctx.database.write(work)
    except TurnTaken as failure:
        raise Busy("Another message of this conversation is being answered.") from failure
