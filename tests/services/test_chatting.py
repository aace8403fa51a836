from dataclasses import replace

import pytest
from tests.services.test_examinations import ASSISTANT, MOCKS, a_run, an_assistant, conducted
from tests.support.store import ORG, a_conversation, a_version

from vivavoce.core.assistant import MODEL_OPENS, Form, Plays
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Event, Left, Message, Speaker
from vivavoce.core.filter import Filter
from vivavoce.core.mind import Mind
from vivavoce.core.tool import HangupTool
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.services import assistants, chatting, conversations, engines
from vivavoce.services.chatting import Start
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound, Rejected
from vivavoce.storage import conversations as kept
from vivavoce.storage import search
from vivavoce.storage.database import Tx

ECHO = 'on hear "bye": call hangup {}\non hear /(.+)/: say "You said $1, {{who}}."'


def words(events: tuple[tuple[int, Event], ...]) -> list[tuple[int, str]]:
    return [(turn, event.text) for turn, event in events if isinstance(event, Message)]


async def test_an_assistant_greets_answers_and_leaves(ctx: Context) -> None:
    given = {"greeting": "Hello {{who}}.", "tools": (HangupTool(),), "variables": {"who": "you"}}
    assistant = await an_assistant(ctx, instructions=ECHO, **given)
    began = await chatting.begin(ctx, ORG, Start(assistant.id, variables={"who": "Ada"}))
    assert (words(began.events), began.over, began.version.id) == ([(0, "Hello Ada.")], False, assistant.main.id)
    said = await chatting.reply(ctx, ORG, began.id, "Hm")
    assert (words(said.events), said.over) == ([(2, "You said Hm, Ada.")], False)
    left = await chatting.reply(ctx, ORG, began.id, "bye")
    assert left.over
    assert isinstance(left.events[-1][1], Left)
    with pytest.raises(Rejected, match="over"):
        await chatting.reply(ctx, ORG, began.id, "Hello?")
    await chatting.end(ctx, ORG, began.id)  # changes nothing
    transcript = await conversations.get_transcript(ctx, ORG, began.id)
    assert transcript.ending is Ending.HANGUP


async def test_who_waits_for_the_caller_says_nothing_first(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    began = await chatting.begin(ctx, ORG, Start(assistant.id))
    assert words(began.events) == []
    said = await chatting.reply(ctx, ORG, began.id, "Where is my order?")
    assert [text for _, text in words(said.events)] == ["What is your order number?"]


async def test_a_version_can_be_named(ctx: Context) -> None:
    assistant = await an_assistant(ctx, instructions=ECHO, tools=())
    other = await assistants.update(
        ctx, ORG, assistant.id, lambda one: replace(one, greeting="New."), lambda _: None, promote=False
    )
    began = await chatting.begin(ctx, ORG, Start(assistant.id, other.main.id))
    assert (words(began.events), began.version.id) == ([(0, "New.")], other.main.id)
    assert (await chatting.begin(ctx, ORG, Start(assistant.id))).version.id == assistant.main.id
    with pytest.raises(Rejected, match="no version"):
        await chatting.begin(ctx, ORG, Start(assistant.id, "nobody's"))
    with pytest.raises(NotFound, match="assistant"):
        await chatting.begin(ctx, ORG, Start("nobody's"))
    with pytest.raises(NotFound):
        await chatting.begin(ctx, "org-b", Start(assistant.id))


async def test_prompts_and_the_agents_that_speak_as_them(ctx: Context) -> None:
    def work(tx: Tx) -> tuple[str, str, str]:
        draft = a_version(instructions=ECHO, greeting="Hi.", mind=Mind("scripted"))
        prompts = engines.create(ctx, tx, ORG, Form.PROMPTS, draft)
        agent = engines.create(ctx, tx, ORG, Form.VOICE_AGENT, a_version(instructions="", plays=Plays(prompts.id)))
        mute = engines.create(ctx, tx, ORG, Form.CHAT_AGENT, a_version(instructions=""))
        return prompts.id, agent.id, mute.id

    prompts, agent, mute = await ctx.database.write(work)
    for id_ in (prompts, agent):
        began = await chatting.begin(ctx, ORG, Start(id_, variables={"who": "Ada"}))
        assert words(began.events) == [(0, "Hi.")]
        said = await chatting.reply(ctx, ORG, began.id, "Hm")
        assert words(said.events) == [(2, "You said Hm, Ada.")]
    with pytest.raises(Rejected, match="server of its own"):
        await chatting.begin(ctx, ORG, Start(mute))


async def test_whoever_tries_it_can_hang_up(ctx: Context) -> None:
    assistant = await an_assistant(ctx, instructions=ECHO, tools=())
    began = await chatting.begin(ctx, ORG, Start(assistant.id))
    with pytest.raises(NotFound):
        await chatting.end(ctx, "org-b", began.id)
    await chatting.end(ctx, ORG, began.id)
    transcript = await conversations.get_transcript(ctx, ORG, began.id)
    (left,) = [event for event in transcript.events if isinstance(event, Left)]
    assert (left.ending, left.speaker) == (Ending.GOODBYE, Speaker.CALLER)
    before = len(transcript.events)
    await chatting.end(ctx, ORG, began.id)
    assert len((await conversations.get_transcript(ctx, ORG, began.id)).events) == before
    with pytest.raises(Rejected):
        await chatting.reply(ctx, ORG, began.id, "Hello?")


async def test_an_assistant_that_is_gone_answers_nothing_and_can_be_left(ctx: Context) -> None:
    assistant = await an_assistant(ctx, instructions=ECHO, tools=())
    began = await chatting.begin(ctx, ORG, Start(assistant.id))
    await assistants.delete(ctx, ORG, assistant.id, hard=True)
    with pytest.raises(Rejected, match="gone"):
        await chatting.reply(ctx, ORG, began.id, "Hello?")
    await chatting.end(ctx, ORG, began.id)
    found = await ctx.database.read(lambda tx: kept.get(tx, ORG, began.id))
    assert found is not None
    assert found.ended_at is not None


async def test_conversations_of_others_are_not_joined(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id, mocks=MOCKS)
    assert (await conducted(ctx, run)).status.value == "passed"
    other: Conversation = a_conversation(metadata={"assistant_id": assistant.id})
    await ctx.database.write(lambda tx: kept.add(tx, ORG, [other]))
    for id_ in (run.conversation_id, other.id, "nobody's"):
        with pytest.raises(NotFound):
            await chatting.reply(ctx, ORG, id_, "Hello?")
        with pytest.raises(NotFound):
            await chatting.end(ctx, ORG, id_)


async def test_where_no_model_serves_nothing_is_kept(ctx: Context) -> None:
    assistant = await an_assistant(ctx, instructions=ASSISTANT, mind=Mind("nobody/serves-this"))
    with pytest.raises(Broken, match="nobody/serves-this"):
        await chatting.begin(ctx, ORG, Start(assistant.id))
    nobody = Provider("nobody", "http://127.0.0.1:9", "key", max_attempts=1)
    models = Models(ModelSettings({"nobody": nobody}))
    silent = await an_assistant(ctx, greeting=MODEL_OPENS, mind=Mind("nobody/answers"))
    with pytest.raises(Broken, match="nobody"):
        await chatting.begin(replace(ctx, models=models), ORG, Start(silent.id))
    await models.close()
    left = await ctx.database.read(lambda tx: search.get_filtered(tx, ORG, Filter(), 9))
    assert left == ()
