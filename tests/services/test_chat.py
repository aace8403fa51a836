import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from tests.support.outages import WHENS, Outage, When, weaken
from tests.support.store import NOW, ORG, Hand, a_conversation, a_version

from vivavoce.core.assistant import Assistant
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.flow import AskCondition, Edge, Flow, NodeTarget, PromptNode
from vivavoce.core.model import Answer, ModelFailure, Prompt, Reply, T, Trouble
from vivavoce.core.rollout import Rule, Slot
from vivavoce.core.tool import FunctionTool, HangupTool, SettableVariable, VariablesTool
from vivavoce.services import assistants, chat, conversations, rollouts
from vivavoce.services.chat import Talk
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.storage import conversations as kept_talks
from vivavoce.storage.database import Tx

ECHO = 'on hear /(.*)/: say "You said $1"'
LEAVES = 'on hear "bye": say "Goodbye."; hang up\n' + ECHO


async def an_assistant(ctx: Context, **given: Any) -> Assistant:
    draft = a_version(**{"instructions": LEAVES, "model": "scripted", "tools": (HangupTool(),), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))


async def a_talk(ctx: Context, org: str = ORG, **metadata: str) -> Conversation:
    draft = a_conversation(metadata=metadata)
    return await ctx.database.write(lambda tx: conversations.create(ctx, tx, org, draft))


async def begun(ctx: Context, assistant: Assistant, conversation: Conversation) -> Talk:
    return await chat.begin(ctx, ORG, assistant.id, conversation.id)


async def words(ctx: Context, conversation: Conversation) -> list[str]:
    transcript = await conversations.get_transcript(ctx, ORG, conversation.id)
    return [f"{event.speaker.value}: {event.text}" for event in transcript.events if isinstance(event, Message)]


@dataclass
class Played:
    """A model that answers from a list of replies and failures, and waits where it is told to."""

    answers: list[Reply | ModelFailure]
    prompts: list[Prompt] = field(default_factory=list[Prompt])
    before: Callable[[], Any] | None = None
    name: str = "played"

    async def reply(self, prompt: Prompt) -> Reply:
        self.prompts.append(prompt)
        if self.before is not None:
            await self.before()
        answer = self.answers.pop(0)
        if isinstance(answer, ModelFailure):
            raise answer
        return answer

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        raise AssertionError("nobody decides in a chat")

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        answer = await self.reply(prompt)
        for letter in answer.text:
            yield letter
        yield answer


@dataclass
class OnlyModel:
    """Serves one model under every name."""

    model: Played

    def resolve(self, _name: str | None, _role: str) -> Played:
        return self.model


async def played(ctx: Context, assistant: Assistant, conversation: Conversation, model: Played) -> tuple[Context, Talk]:
    """A talk, and the services' context in which this model answers."""
    return replace(ctx, models=cast("Any", OnlyModel(model))), await begun(ctx, assistant, conversation)


AWAY = ModelFailure(Trouble.UNAVAILABLE, "the provider is away")


async def test_a_message_is_answered_and_both_are_kept(ctx: Context, hand: Hand) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    talk = await begun(ctx, assistant, conversation)
    hand.turn(3)
    assert await chat.reply(ctx, talk, "hello") == "You said hello"
    assert await words(ctx, conversation) == ["caller: hello", "assistant: You said hello"]
    found = await conversations.retrieve(ctx, ORG, conversation.id)
    assert found.last_message_at == NOW + 3000


async def test_the_first_message_notes_whose_conversation_it_is(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx, topic="orders")
    assert (await conversations.retrieve(ctx, ORG, conversation.id)).metadata == {"topic": "orders"}
    await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello")
    assert (await conversations.retrieve(ctx, ORG, conversation.id)).metadata == {
        "topic": "orders",
        "conversation_channel": "web_chat",
        "assistant_id": assistant.id,
        "assistant_version_id": assistant.main.id,
    }


async def test_a_conversation_stays_with_the_version_it_began_with(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello")
    newer = await assistants.update(
        ctx,
        ORG,
        assistant.id,
        lambda main: replace(main, instructions='else: say "newer"'),
        lambda _: None,
        promote=True,
    )
    assert await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello") == "You said hello"
    fresh = await a_talk(ctx)
    assert await chat.reply(ctx, await begun(ctx, assistant, fresh), "hello") == "newer"
    # A version that had to make room is stood in for by main.
    for _ in range(12):
        await assistants.update(ctx, ORG, assistant.id, lambda main: main, lambda _: None, promote=True)
    assert (await begun(ctx, assistant, conversation)).version.instructions == newer.main.instructions


async def test_pieces_go_to_the_listener_while_they_come(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    talk = await played(ctx, assistant, conversation, Played([Reply("abc")]))
    heard: list[str] = []

    async def listen(piece: str) -> None:
        heard.append(piece)

    assert await chat.reply(*talk, "hello", listen) == "abc"
    assert heard == ["a", "b", "c"]


async def test_tools_are_called_until_the_assistant_rests(ctx: Context) -> None:
    assistant = await an_assistant(ctx, tools=(FunctionTool("find"),))
    conversation = await a_talk(ctx)
    model = Played([Reply("One moment.", (ToolCall("x", "find", {"n": 1}),)), Reply("Here it is.")])
    talk = await played(ctx, assistant, conversation, model)
    assert await chat.reply(*talk, "find it") == "One moment.\nHere it is."
    transcript = await conversations.get_transcript(ctx, ORG, conversation.id)
    assert [type(event) for event in transcript.events] == [Message, Message, ToolCalled, ToolReturned, Message]


@pytest.mark.parametrize("calls_before", [0, 1])
async def test_an_unanswered_message_is_answered_when_it_is_sent_again(ctx: Context, calls_before: int) -> None:
    assistant = await an_assistant(ctx, tools=(FunctionTool("find"),))
    conversation = await a_talk(ctx)
    calling = [Reply("", (ToolCall("x", "find", {}),))] * calls_before
    model = Played([*calling, AWAY, AWAY, Reply("Here it is.")])
    talk = await played(ctx, assistant, conversation, model)
    for _ in range(2):
        with pytest.raises(Broken, match="the provider is away"):
            await chat.reply(*talk, "find it")
    assert await chat.reply(*talk, "find it") == "Here it is."
    assert await words(ctx, conversation) == ["caller: find it", "assistant: Here it is."]
    transcript = await conversations.get_transcript(ctx, ORG, conversation.id)
    assert len(transcript.tool_calls()) == calls_before


@pytest.mark.parametrize("when", WHENS)
async def test_an_answer_that_the_database_misses_is_kept_once_and_paid_for_once(ctx: Context, when: When) -> None:
    outage = Outage()
    weaken(ctx.database, outage)

    async def cut() -> None:
        outage.begins(1, when)

    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    model = Played([Reply("Here it is.")], before=cut)
    assert await chat.reply(*await played(ctx, assistant, conversation, model), "find it") == "Here it is."
    assert outage.ends()
    assert await words(ctx, conversation) == ["caller: find it", "assistant: Here it is."]


async def test_the_same_words_said_twice_are_two_messages(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    for _ in range(2):
        await chat.reply(ctx, await begun(ctx, assistant, conversation), "yes")
    silent = await played(ctx, assistant, conversation, Played([Reply(""), Reply("yes?")]))
    assert await chat.reply(*silent, "yes") == ""
    assert await chat.reply(*silent, "yes") == "yes?"
    assert (await words(ctx, conversation)).count("caller: yes") == 4


async def test_other_words_after_a_failure_are_a_message_of_their_own(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    talk = await played(ctx, assistant, conversation, Played([AWAY, Reply("Fine.")]))
    with pytest.raises(Broken):
        await chat.reply(*talk, "find it")
    assert await chat.reply(*talk, "never mind") == "Fine."
    assert await words(ctx, conversation) == ["caller: find it", "caller: never mind", "assistant: Fine."]


async def test_messages_of_one_conversation_are_answered_one_after_the_other(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    other = await a_talk(ctx)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await go_on.wait()

    slow = await played(ctx, assistant, conversation, Played([Reply("one")], before=wait))
    quick = await played(ctx, assistant, conversation, Played([Reply("two")]))
    first = asyncio.create_task(chat.reply(*slow, "first"))
    await asked.wait()
    second = asyncio.create_task(chat.reply(*quick, "second"))
    # Another conversation does not wait.
    assert await chat.reply(ctx, await begun(ctx, assistant, other), "hello") == "You said hello"
    assert not second.done()
    go_on.set()
    assert await asyncio.gather(first, second) == ["one", "two"]
    assert await words(ctx, conversation) == ["caller: first", "assistant: one", "caller: second", "assistant: two"]


async def test_who_talks_on_another_server_is_told(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)

    class Stale:
        """A database in which somebody else always writes the turn first."""

        def __init__(self) -> None:
            self.read = ctx.database.read

        async def write(self, work: Callable[[Any], Any]) -> Any:
            raise kept_talks.TurnTaken(conversation.id)

    talk = await begun(ctx, assistant, conversation)
    with pytest.raises(Busy):
        await chat.reply(replace(ctx, database=Stale()), talk, "hello")  # type: ignore[arg-type]


async def test_what_does_not_exist_is_not_found(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    theirs = await a_talk(ctx, "org-b")
    for org, assistant_id, conversation_id, noun in (
        (ORG, "none", conversation.id, "assistant"),
        ("org-b", assistant.id, theirs.id, "assistant"),
        (ORG, assistant.id, "none", "conversation"),
        (ORG, assistant.id, theirs.id, "conversation"),
    ):
        with pytest.raises(NotFound) as failure:
            await chat.begin(ctx, org, assistant_id, conversation_id)
        assert failure.value.noun == noun


async def test_a_conversation_of_another_assistant_is_not_found(ctx: Context) -> None:
    one, two, conversation = await an_assistant(ctx), await an_assistant(ctx), await a_talk(ctx)
    await chat.reply(ctx, await begun(ctx, one, conversation), "hello")
    with pytest.raises(NotFound) as failure:
        await begun(ctx, two, conversation)
    assert (failure.value.noun, failure.value.id) == ("conversation", conversation.id)


@pytest.mark.parametrize(("value", "silenced"), [("true", True), ("True", True), ("false", False), ("", False)])
async def test_an_assistant_can_be_switched_off_in_a_conversation(ctx: Context, value: str, silenced: bool) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx, ai_disabled=value)
    if silenced:
        with pytest.raises(Rejected) as failure:
            await begun(ctx, assistant, conversation)
        assert failure.value.part == "conversation_id"
    else:
        assert await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello") == "You said hello"


async def test_after_the_assistant_left_nothing_more_is_said(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    talk = await begun(ctx, assistant, conversation)
    assert await chat.reply(ctx, talk, "bye") == "Goodbye."
    transcript = await conversations.get_transcript(ctx, ORG, conversation.id)
    assert transcript.ending is Ending.HANGUP
    with pytest.raises(Rejected, match="over") as failure:
        await begun(ctx, assistant, conversation)
    assert failure.value.part == "conversation_id"
    # Nor by somebody who had begun before it left.
    with pytest.raises(Rejected, match="over"):
        await chat.reply(ctx, talk, "wait")
    after = await conversations.get_transcript(ctx, ORG, conversation.id)
    assert isinstance(after.events[-1], Left)


async def test_a_model_that_nobody_serves_is_told_before_anything_is_said(ctx: Context) -> None:
    assistant, conversation = await an_assistant(ctx, model="nowhere/model"), await a_talk(ctx)
    with pytest.raises(Broken, match="VIVA_"):
        await begun(ctx, assistant, conversation)
    assert await words(ctx, conversation) == []


def a_flow() -> Flow:
    edge = Edge("e", "desk", AskCondition("The caller is done."), NodeTarget("end"))
    return Flow("desk", (PromptNode("desk", ECHO), PromptNode("end", ECHO)), (edge,))


async def test_the_same_words_again_are_another_message_in_a_flow_too(ctx: Context) -> None:
    """A flow that looks where to go after its answer used to take them for a message that was not answered."""
    assistant, conversation = await an_assistant(ctx, flow=a_flow()), await a_talk(ctx)
    for _ in range(2):
        assert await chat.reply(ctx, await begun(ctx, assistant, conversation), "yes") == "You said yes"
    assert await words(ctx, conversation) == ["caller: yes", "assistant: You said yes"] * 2


async def test_the_same_words_again_begin_a_conversation_again_that_was_silent(ctx: Context) -> None:
    """They used to be taken for a message that was not answered, and the answer was empty."""
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello")

    def falls_silent(tx: Tx) -> None:
        kept_talks.append(tx, conversation.id, (Left(Ending.IDLE, NOW),), NOW)
        kept_talks.set_ended(tx, conversation.id, NOW)

    await ctx.database.write(falls_silent)
    assert await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello") == "You said hello"
    assert (await conversations.retrieve(ctx, ORG, conversation.id)).ended_at is None


async def test_whoever_waited_for_its_turn_sees_what_happened_meanwhile(ctx: Context) -> None:
    """Two first messages at once used to be answered by the versions that each of them had drawn."""
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    other = await assistants.update(
        ctx,
        ORG,
        assistant.id,
        lambda main: replace(main, instructions='else: say "newer"'),
        lambda _: None,
        promote=False,
    )
    first = await begun(ctx, assistant, conversation)
    second = replace(first, version=other.main)
    assert await chat.reply(ctx, first, "one") == "You said one"
    assert await chat.reply(ctx, second, "two") == "You said two"
    await conversations.delete(ctx, ORG, conversation.id)
    with pytest.raises(NotFound):
        await chat.reply(ctx, first, "three")


async def test_where_its_version_is_gone_main_goes_on_and_nobody_draws_again(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    conversation = await a_talk(ctx, assistant_version_id="gone")
    other = await assistants.update(
        ctx,
        ORG,
        assistant.id,
        lambda main: replace(main, instructions='else: say "newer"'),
        lambda _: None,
        promote=False,
    )
    rule = Rule(slots=(Slot(other.main.id, 99),))
    await ctx.database.write(lambda tx: rollouts.create(ctx, tx, ORG, assistant.id, (rule,)))
    assert await chat.reply(ctx, await begun(ctx, assistant, conversation), "hello") == "You said hello"


async def test_a_variable_that_is_no_text_can_be_read_again(ctx: Context) -> None:
    """It used to be written down and refused when it was read, and the conversation with it."""
    tool = VariablesTool("note", "", (SettableVariable("age", "integer"), SettableVariable("tags", "array")))
    assistant, conversation = await an_assistant(ctx, tools=(tool,)), await a_talk(ctx)
    call = ToolCall("a", "note", {"age": 5, "tags": ["x"]})
    model = Played([Reply("", (call,)), Reply("Noted."), Reply("Yes.")])
    ctx, talk = await played(ctx, assistant, conversation, model)
    assert await chat.reply(ctx, talk, "I am five") == "Noted."
    assert await chat.reply(ctx, talk, "Did you note it?") == "Yes."


async def test_somebody_who_writes_in_between_is_not_written_over(ctx: Context) -> None:
    """On another server, that is; on this one, whoever speaks waits for its turn."""
    assistant, conversation = await an_assistant(ctx), await a_talk(ctx)
    model = Played([Reply("Hello.")])
    ctx, talk = await played(ctx, assistant, conversation, model)

    async def meanwhile() -> None:
        heard = Message(Speaker.CALLER, "and", NOW)
        await ctx.database.write(lambda tx: kept_talks.append(tx, conversation.id, (heard,), NOW))

    model.before = meanwhile
    with pytest.raises(Busy):
        await chat.reply(ctx, talk, "hello")
    assert await words(ctx, conversation) == ["caller: hello", "caller: and"]
