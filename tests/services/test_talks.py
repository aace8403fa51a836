"""Chats with agents (section 9 of the testing contract)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import select
from tests.support.duties import work_off
from tests.support.outages import WHENS, Outage, When, weaken
from tests.support.players import ListModel
from tests.support.store import NOW, ORG, Hand, a_conversation, a_version

from vivavoce.core.assistant import MODEL_OPENS, Assistant, Form, Plays, Rules, Templating
from vivavoce.core.event import Ending, Event, Left, Message, Moved, Speaker, ToolCall, ToolReturned
from vivavoce.core.flow import BranchNode, Flow
from vivavoce.core.model import ModelFailure, Reply, Trouble
from vivavoce.core.tool import HangupTool, SettableVariable, VariablesTool
from vivavoce.core.transcript import Transcript
from vivavoce.services import chat, engines, talks
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.talks import Said, Start
from vivavoce.storage import conversations
from vivavoce.storage.conversations import TalkFilter
from vivavoce.storage.database import DatabaseAway, Tx
from vivavoce.storage.page import Span
from vivavoce.storage.tables import duties as duty_rows

ECHO = 'on hear "bye": say "Goodbye."; hang up\non hear /(.*)/: say "You said $1, {{name}}"'
NESTED = Templating("", Rules.NESTED, "America/Los_Angeles")
AWAY = ModelFailure(Trouble.UNAVAILABLE, "the provider is away")


async def an_agent(ctx: Context, form: Form = Form.CHAT_AGENT, **given: Any) -> Assistant:
    """A chat agent that plays prompts which the keywords change."""
    chosen: dict[str, Any] = {"instructions": ECHO, "model": "scripted", "greeting": "Hello, {{name}}.", **given}
    draft = a_version(
        variables={"name": "you"}, templating=NESTED, tools=chosen.pop("tools", (HangupTool(),)), **chosen
    )

    def work(tx: Tx) -> Assistant:
        engine = engines.create(ctx, tx, ORG, Form.FLOW if draft.flow else Form.PROMPTS, draft)
        spoken = a_version(plays=Plays(engine.id), idle_minutes=10, templating=NESTED)
        return engines.create(ctx, tx, ORG, form, spoken)

    return await ctx.database.write(work)


async def begun(ctx: Context, agent: Assistant, **given: Any) -> Said:
    return await talks.begin(ctx, ORG, Start(ctx.new_id(), agent.id, **given))


async def waiting(ctx: Context) -> list[str]:
    """The kinds of the duties that are kept."""
    return await ctx.database.read(lambda tx: list(tx.execute(select(duty_rows.c.kind)).scalars()))


def words(events: tuple[Event, ...]) -> list[str]:
    return [f"{event.speaker.value}: {event.text}" for event in events if isinstance(event, Message)]


def played(ctx: Context, *answers: object) -> tuple[Context, ListModel]:
    """The services' context in which a model gives these answers."""
    model = ListModel(list(answers))

    class Only:
        def resolve(self, *_: Any) -> ListModel:
            return model

    return replace(ctx, models=cast("Any", Only())), model


async def said(ctx: Context, chat_: Said, content: str) -> tuple[Event, ...]:
    """All that the agent did in answer."""
    now, first = await talks.reply(ctx, ORG, chat_.conversation.id, content)
    return now.transcript.events[first:]


# --- beginning ------------------------------------------------------------------------------------------------------


async def test_section_9_the_begin_message_is_the_first_entry(ctx: Context) -> None:
    agent = await an_agent(ctx)
    found = await begun(ctx, agent, variables={"name": "Kim"}, extra={"metadata": {"a": 1}})
    assert words(found.transcript.events) == ["assistant: Hello, Kim."]
    assert found.conversation.assistant_id == agent.id
    assert found.conversation.extra == {"metadata": {"a": 1}, "version": 0}
    assert found == await talks.retrieve(ctx, ORG, found.conversation.id)


async def test_an_agent_that_waits_says_nothing_and_one_whose_model_opens_is_asked(ctx: Context) -> None:
    assert (await begun(ctx, await an_agent(ctx, greeting=""))).transcript.events == ()
    agent = await an_agent(ctx, greeting=MODEL_OPENS)
    away, _ = played(ctx, Reply("Welcome!"))
    assert words((await begun(away, agent)).transcript.events) == ["assistant: Welcome!"]


async def test_nothing_is_left_of_a_chat_whose_opening_failed(ctx: Context) -> None:
    agent = await an_agent(ctx, greeting=MODEL_OPENS)
    away, _ = played(ctx, AWAY)
    with pytest.raises(Broken, match="away"):
        await begun(away, agent)
    assert (await talks.get_slice(ctx, ORG, TalkFilter(), Span()))[0].items == ()
    assert await waiting(ctx) == []


@pytest.mark.parametrize("when", WHENS)
async def test_nothing_is_left_of_a_chat_in_whose_opening_the_database_went_away(ctx: Context, when: When) -> None:
    agent, outage = await an_agent(ctx), Outage()
    weaken(ctx.database, outage)
    looks_up, begins, opens = 1, 2, 3
    for at in range(looks_up, opens + 1):
        outage.begins(at, when)
        with pytest.raises(DatabaseAway):
            await begun(ctx, agent)
        assert outage.ends()
        # What was kept without anybody's knowing stays.
        unknown = int(when == "after" and at >= begins and not ctx.database.sqlite)
        assert len((await talks.get_slice(ctx, ORG, TalkFilter(), Span()))[0].items) == unknown, at
        assert await waiting(ctx) == [], at


async def test_section_9_only_a_chat_agent_that_is_there_chats(ctx: Context) -> None:
    with pytest.raises(NotFound):
        await begun(ctx, await an_agent(ctx, Form.VOICE_AGENT))
    agent = await an_agent(ctx)
    with pytest.raises(NotFound, match="version '7'"):
        await begun(ctx, agent, number=7)
    alone = await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, Form.CHAT_AGENT, a_version()))
    with pytest.raises(Rejected, match="server of its own"):
        await begun(ctx, alone)
    await engines.delete(ctx, ORG, played_by(agent), engines.ENGINES, force=True)
    with pytest.raises(Rejected, match="gone"):
        await begun(ctx, agent)


def played_by(agent: Assistant) -> str:
    assert agent.main.plays is not None
    return agent.main.plays.assistant_id


async def test_a_model_that_nobody_serves_here_is_told_before_anything_is_kept(ctx: Context) -> None:
    agent = await an_agent(ctx, model="nobody/model")
    with pytest.raises(Broken):
        await begun(ctx, agent)
    assert (await talks.get_slice(ctx, ORG, TalkFilter(), Span()))[0].items == ()


# --- going on -------------------------------------------------------------------------------------------------------


async def test_section_9_a_completion_is_what_the_agent_did_in_this_turn(ctx: Context) -> None:
    found = await begun(ctx, await an_agent(ctx))
    assert words(await said(ctx, found, "one")) == ["assistant: You said one, you"]
    assert words(await said(ctx, found, "two")) == ["assistant: You said two, you"]
    now = await talks.retrieve(ctx, ORG, found.conversation.id)
    assert len(now.transcript.events) == 5


async def test_section_9_a_chat_that_has_ended_hears_nothing(ctx: Context) -> None:
    found = await begun(ctx, await an_agent(ctx))
    events = await said(ctx, found, "bye")
    assert [type(event) for event in events][-1] is Left
    with pytest.raises(Rejected, match="ended"):
        await said(ctx, found, "hello?")
    with pytest.raises(NotFound):
        await talks.reply(ctx, ORG, "nobody", "hello?")
    with pytest.raises(NotFound):
        await talks.reply(ctx, "org-b", found.conversation.id, "hello?")


async def test_a_message_that_broke_off_is_answered_when_it_is_sent_again(ctx: Context) -> None:
    found = await begun(ctx, await an_agent(ctx))
    away, _ = played(ctx, AWAY)
    with pytest.raises(Broken, match="away"):
        await said(away, found, "one")
    assert words(await said(ctx, found, "one")) == ["assistant: You said one, you"]
    now = await talks.retrieve(ctx, ORG, found.conversation.id)
    assert words(now.transcript.events).count("caller: one") == 1


async def test_messages_of_one_chat_are_answered_one_after_the_other(ctx: Context) -> None:
    found = await begun(ctx, await an_agent(ctx))
    await asyncio.gather(said(ctx, found, "one"), said(ctx, found, "two"))
    now = await talks.retrieve(ctx, ORG, found.conversation.id)
    assert [event.speaker for event in now.transcript.events if isinstance(event, Message)] == [
        Speaker.ASSISTANT,
        *[Speaker.CALLER, Speaker.ASSISTANT] * 2,
    ]


async def test_a_chat_stays_with_the_version_that_it_began_with(ctx: Context) -> None:
    agent = await an_agent(ctx)
    found = await begun(ctx, agent)
    await engines.branch(ctx, ORG, agent.id, talks.FORMS, 0)
    newer = 'else: say "x"'
    await engines.edit(ctx, ORG, played_by(agent), engines.ENGINES, lambda one: replace(one, instructions=newer))
    assert words(await said(ctx, found, "one")) == ["assistant: You said one, you"]
    assert words(await said(ctx, await begun(ctx, agent), "one")) == ["assistant: x"]


async def test_without_its_agent_a_chat_can_be_read_and_ended_and_not_gone_on_with(ctx: Context) -> None:
    agent = await an_agent(ctx)
    found = await begun(ctx, agent)
    await engines.delete(ctx, ORG, agent.id, talks.FORMS, force=True)
    with pytest.raises(Rejected, match="gone"):
        await said(ctx, found, "one")
    assert (await talks.retrieve(ctx, ORG, found.conversation.id)).cast is None
    await talks.end(ctx, ORG, found.conversation.id)
    assert (await talks.retrieve(ctx, ORG, found.conversation.id)).conversation.ended_at == NOW


# --- variables ------------------------------------------------------------------------------------------------------


def keep(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    return extra


async def test_section_9_overridden_variables_take_effect_in_the_next_turn(ctx: Context) -> None:
    sets = VariablesTool("note", "Notes.", (SettableVariable("name"),))
    found = await begun(ctx, await an_agent(ctx, tools=(sets,), instructions="Be kind to {{name}}."))
    id_ = found.conversation.id
    calling = Reply("", (ToolCall("x", "note", {"name": "Set"}),))

    async def told(*answers: object) -> str:
        model_ctx, model = played(ctx, *answers)
        await talks.reply(model_ctx, ORG, id_, "hi")
        return model.prompts[-1].lines[0].text

    assert "kind to you" in await told(Reply("ok"))
    assert "kind to Set" in await told(calling, Reply("ok"))
    await talks.update(ctx, ORG, id_, keep, override={"name": "Over"})
    assert "kind to Over" in await told(Reply("ok"))
    await talks.update(ctx, ORG, id_, keep, override={"other": "x"})  # what was overridden before stays so
    assert "kind to Over" in await told(Reply("ok"))
    assert "kind to Set" in await told(calling, Reply("ok"))  # a tool can still change it
    assert "kind to Set" in await told(Reply("ok"))
    await talks.update(ctx, ORG, id_, keep, override={"name": "Over"}, restore=True)
    assert "kind to Over" in await told(Reply("ok"))
    await talks.update(ctx, ORG, id_, keep, restore=True)
    assert "kind to Set" in await told(Reply("ok"))
    # What the tools answered is kept as it was.
    now = await talks.retrieve(ctx, ORG, id_)
    returned = [event.variables for event in now.transcript.events if isinstance(event, ToolReturned)]
    assert returned == [{"name": "Set"}] * 2


async def test_what_is_noted_of_a_chat_cannot_be_changed(ctx: Context) -> None:
    found = await begun(ctx, await an_agent(ctx))
    id_ = found.conversation.id
    await talks.update(ctx, ORG, id_, keep, override={"name": "Kim"})
    changed = await talks.update(ctx, ORG, id_, lambda _: {"metadata": 1, "version": 9})
    assert changed.conversation.extra == {
        "metadata": 1,
        "version": 0,
        "override": {"values": {"name": "Kim"}, "since": 1},
    }


# --- ending ---------------------------------------------------------------------------------------------------------


async def test_section_9_a_chat_is_ended_once(ctx: Context, hand: Hand) -> None:
    found = await begun(ctx, await an_agent(ctx))
    id_ = found.conversation.id
    hand.turn(5)
    await talks.end(ctx, ORG, id_)
    hand.turn(5)
    await talks.end(ctx, ORG, id_)
    now = await talks.retrieve(ctx, ORG, id_)
    assert now.conversation.ended_at == NOW + 5000
    assert now.transcript.ending is Ending.GOODBYE
    assert await waiting(ctx) == []
    with pytest.raises(NotFound):
        await talks.end(ctx, ORG, "nobody")


async def test_section_8_silence_ends_a_chat_for_good(ctx: Context, hand: Hand) -> None:
    found = await begun(ctx, await an_agent(ctx))
    id_ = found.conversation.id
    hand.turn(599)
    assert await work_off(ctx) == []
    assert words(await said(ctx, found, "one"))
    hand.turn(599)
    assert await work_off(ctx) == []
    assert (await talks.retrieve(ctx, ORG, id_)).conversation.ended_at is None
    hand.turn(2)
    assert await work_off(ctx) == []
    now = await talks.retrieve(ctx, ORG, id_)
    assert now.transcript.ending is Ending.IDLE
    assert now.conversation.ended_at == hand.now()
    with pytest.raises(Rejected, match="ended"):
        await said(ctx, found, "two")


async def test_a_chat_in_which_nobody_spoke_ends_too(ctx: Context, hand: Hand) -> None:
    found = await begun(ctx, await an_agent(ctx, greeting=""))
    hand.turn(601)
    assert await work_off(ctx) == []
    assert (await talks.retrieve(ctx, ORG, found.conversation.id)).transcript.ending is Ending.IDLE


async def test_a_chat_is_not_ended_under_the_hands_of_another_server(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await begun(ctx, await an_agent(ctx))

    def before(_tx: Tx, _id: str) -> Transcript:
        return Transcript()

    monkeypatch.setattr(conversations, "get_transcript", before)
    with pytest.raises(Busy):
        await talks.end(ctx, ORG, found.conversation.id)


# --- finding --------------------------------------------------------------------------------------------------------


async def test_section_9_chats_are_found_by_agent_state_and_time(ctx: Context, hand: Hand) -> None:
    one, other = await an_agent(ctx), await an_agent(ctx)
    stuck = await an_agent(ctx, flow=Flow("b", (BranchNode("b"),), routes="before"), greeting=MODEL_OPENS)
    going = await begun(ctx, one)
    hand.turn(1)
    over = await begun(ctx, other)
    await talks.end(ctx, ORG, over.conversation.id)
    hand.turn(1)
    failed = await begun(ctx, stuck)
    assert [type(event) for event in failed.transcript.events] == [Moved, Left]
    chats = {"going": going.conversation.id, "over": over.conversation.id, "failed": failed.conversation.id}
    # A conversation with nobody is none of them.
    await ctx.database.write(lambda tx: conversations.add(tx, ORG, [a_conversation()]))

    async def names(span: Span | None = None, *, skip: int = 0, **given: Any) -> list[str]:
        found, total = await talks.get_slice(ctx, ORG, TalkFilter(**given), span or Span(), skip=skip, counted=True)
        if span is None and not skip:
            assert total == len(found.items)
        by_id = {id_: name for name, id_ in chats.items()}
        return [by_id[item.id] for item in found.items]

    assert await names() == ["failed", "over", "going"]
    assert await names(Span(ascending=True)) == ["going", "over", "failed"]
    assert await names(Span(1, chats["over"])) == ["going"]
    assert await names(Span(1, chats["over"], ascending=True)) == ["failed"]
    assert await names(skip=1) == ["over", "going"]
    assert await names(agents=((one.id, ()), (other.id, (0, 3)))) == ["over", "going"]
    assert await names(agents=((one.id, (1,)),)) == []
    assert await names(agents=()) == []
    assert await names(ids=(chats["over"], "nobody")) == ["over"]
    assert await names(others=(chats["over"],)) == ["failed", "going"]
    assert await names(states=("ongoing",)) == ["going"]
    assert await names(states=("ended",)) == ["over"]
    assert await names(states=("failed", "ongoing")) == ["failed", "going"]
    assert await names(states=()) == []
    assert await names(started=(("gt", NOW), ("le", NOW + 1000.0))) == ["over"]
    assert await names(started=(("ge", NOW + 1000), ("lt", NOW + 2000))) == ["over"]
    assert await names(started=(("ne", NOW),)) == ["failed", "over"]
    assert await names(ended=(("eq", NOW + 1000),)) == ["over"]
    assert await names(ended=(("ge", NOW),)) == ["failed", "over"]
    found, total = await talks.get_slice(ctx, "org-b", TalkFilter(), Span())
    assert (found.items, total) == ((), None)
    everything = await talks.get_all(ctx, ORG, Span(2))
    assert [one.conversation.id for one in everything] == [chats["failed"], chats["over"]]
    assert everything[1].transcript.ending is Ending.GOODBYE


async def test_section_9_a_deleted_chat_is_gone(ctx: Context) -> None:
    found = await begun(ctx, await an_agent(ctx))
    await talks.delete(ctx, ORG, found.conversation.id)
    with pytest.raises(NotFound):
        await talks.retrieve(ctx, ORG, found.conversation.id)
    with pytest.raises(NotFound):
        await talks.delete(ctx, ORG, found.conversation.id)
    assert await waiting(ctx) == []


async def test_the_ending_of_a_chat_that_is_gone_is_noted_nowhere(ctx: Context) -> None:
    left = Left(Ending.HANGUP, NOW)
    await ctx.database.write(lambda tx: chat.note_ending(tx, ORG, "nobody", left))
