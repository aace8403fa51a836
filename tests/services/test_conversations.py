from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_conversation, pending_run, said, set_row

from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.filter import Comparison, Field, Filter, Op
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.services import conversations
from vivavoce.services.context import Context
from vivavoce.services.conversations import Written
from vivavoce.services.errors import Busy, NotFound, Rejected
from vivavoce.storage import conversations as kept_talks


async def test_a_new_conversation_gets_an_id_and_times(ctx: Context, hand: Hand) -> None:
    hand.turn(2)
    draft = a_conversation(id="x", created_at=1, last_message_at=1, name="n", metadata={"a": "b"})
    kept = await ctx.database.write(lambda tx: conversations.create(ctx, tx, ORG, draft))
    assert kept == replace(draft, id=kept.id, created_at=NOW + 2000, last_message_at=NOW + 2000)
    assert kept.id != "x"
    assert await conversations.retrieve(ctx, ORG, kept.id) == kept
    wanted = Filter((Comparison(Field("a", metadata=True), Op.EQ, "b"),))
    assert await conversations.get_filtered(ctx, ORG, wanted) == (kept,)
    assert await conversations.get_filtered(ctx, "org-b", wanted) == ()


async def test_a_list_has_a_limit(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "MOST", 3)
    some = [a_conversation() for _ in range(5)]
    await ctx.database.write(lambda tx: kept_talks.add(tx, ORG, some))
    assert len(await conversations.get_filtered(ctx, ORG, Filter())) == 3
    assert len(await conversations.get_filtered(ctx, ORG, Filter(limit=4))) == 3


async def test_a_transcript_is_its_organisations_own(ctx: Context) -> None:
    kept = a_conversation()
    await ctx.database.write(lambda tx: kept_talks.add(tx, ORG, [kept]))
    await ctx.database.write(lambda tx: kept_talks.append(tx, kept.id, [said("hello")], NOW))
    assert (await conversations.get_transcript(ctx, ORG, kept.id)).events == (said("hello"),)
    for org, id_ in (("org-b", kept.id), (ORG, "none")):
        for attempt in (conversations.get_transcript(ctx, org, id_), conversations.retrieve(ctx, org, id_)):
            with pytest.raises(NotFound) as failure:
                await attempt
            assert (failure.value.noun, failure.value.id) == ("conversation", id_)


# changed and removed


async def a_talk(ctx: Context, org: str = ORG, **given: Any) -> Conversation:
    conversation = a_conversation(**given)
    await ctx.database.write(lambda tx: kept_talks.add(tx, org, [conversation]))
    return conversation


async def test_rule_5_15_metadata_is_replaced_but_what_the_server_noted_stays(ctx: Context) -> None:
    noted = {"assistant_id": "a", "assistant_version_id": "v", "run_id": "r", "acme_agent_target": "+1"}
    talk = await a_talk(ctx, name="n", metadata={**noted, "ai_disabled": "true", "topic": "orders"})
    changed = await conversations.update(ctx, ORG, talk.id, {"topic": "returns"}, "acme_")
    assert changed == replace(talk, metadata={**noted, "topic": "returns"})
    assert await conversations.retrieve(ctx, ORG, talk.id) == changed
    assert await conversations.update(ctx, ORG, talk.id, None, "acme_") == changed
    moved = await conversations.update(ctx, ORG, talk.id, {"acme_agent_target": "+2"}, "acme_")
    assert moved.metadata == {**noted, "acme_agent_target": "+2"}
    unprefixed = await conversations.update(ctx, ORG, talk.id, {}, "")
    assert unprefixed.metadata == {"assistant_id": "a", "assistant_version_id": "v", "run_id": "r"}


async def test_a_conversation_is_removed_with_all_that_was_said(ctx: Context) -> None:
    talk, other = await a_talk(ctx), await a_talk(ctx)
    for one in (talk, other):
        await ctx.database.write(lambda tx, one=one: kept_talks.append(tx, one.id, [said("hi")], NOW))
    await conversations.delete(ctx, ORG, talk.id)
    assert await ctx.database.read(lambda tx: kept_talks.get_transcript(tx, talk.id)) == Transcript()
    assert len((await conversations.get_transcript(ctx, ORG, other.id)).events) == 1
    with pytest.raises(NotFound):
        await conversations.delete(ctx, ORG, talk.id)


async def test_a_run_keeps_its_conversation_until_it_is_finished(ctx: Context) -> None:
    run = await pending_run(ctx.database)
    for status in Status:
        await ctx.database.write(lambda tx, status=status: set_row(tx, run.id, status=status.value))
        if not status.final:
            with pytest.raises(Rejected, match="not finished"):
                await conversations.delete(ctx, ORG, run.conversation_id)
    await conversations.delete(ctx, ORG, run.conversation_id)


async def test_what_is_somebody_else_s_is_not_touched(ctx: Context) -> None:
    talk = await a_talk(ctx, "org-b", metadata={"a": "b"})
    with pytest.raises(NotFound):
        await conversations.update(ctx, ORG, talk.id, {}, "")
    with pytest.raises(NotFound):
        await conversations.delete(ctx, ORG, talk.id)
    with pytest.raises(NotFound):
        await write(ctx, talk, Written(Speaker.CALLER, "hi"))
    assert await conversations.retrieve(ctx, "org-b", talk.id) == talk


# written into


async def write(ctx: Context, talk: Conversation, *messages: Written) -> None:
    for one in messages:
        await ctx.database.write(lambda tx, one=one: conversations.add_message(ctx, tx, ORG, talk.id, one))


FIND, CHECK = ToolCall("f", "find", {"number": 1}), ToolCall("c", "check", {})


async def test_rule_5_15_messages_become_events(ctx: Context, hand: Hand) -> None:
    talk = await a_talk(ctx)
    hand.turn(1)
    await write(
        ctx,
        talk,
        Written(Speaker.CALLER, "Where is it?", extra={"name": "Ann"}),
        Written(Speaker.ASSISTANT, "", (FIND, CHECK)),
        Written(None, "checked", call_id="c", extra={"name": "x"}),
        Written(None, "found", call_id="f"),
    )
    hand.turn(1)
    await write(ctx, talk, Written(Speaker.ASSISTANT, "Here."))
    at = NOW + 1000
    assert (await conversations.get_transcript(ctx, ORG, talk.id)).events == (
        Message(Speaker.CALLER, "Where is it?", at, extra={"name": "Ann"}),
        Message(Speaker.ASSISTANT, "", at, extra={}),
        ToolCalled(FIND, at),
        ToolCalled(CHECK, at),
        ToolReturned("c", "check", "checked", True, at, extra={"name": "x"}),
        ToolReturned("f", "find", "found", True, at, extra={}),
        Message(Speaker.ASSISTANT, "Here.", at + 1000, extra={}),
    )
    assert (await conversations.retrieve(ctx, ORG, talk.id)).last_message_at == at + 1000


IMPOSSIBLE: list[tuple[str, Written, str]] = [
    ("no call", Written(None, "x"), "tool_call_id"),
    ("an unknown call", Written(None, "x", call_id="g"), "tool_call_id"),
    ("a call that was answered", Written(None, "x", call_id="c"), "tool_call_id"),
    ("a caller's answer", Written(Speaker.CALLER, "x", call_id="f"), "tool_call_id"),
    ("an assistant's answer", Written(Speaker.ASSISTANT, "x", call_id="f"), "tool_call_id"),
    ("a caller's call", Written(Speaker.CALLER, "x", (ToolCall("n", "n", {}),)), "tool_calls"),
    ("a tool's call", Written(None, "x", (ToolCall("n", "n", {}),), "f"), "tool_calls"),
    ("a call's id again", Written(Speaker.ASSISTANT, "x", (ToolCall("c", "n", {}),)), "tool_calls"),
    ("an id twice", Written(Speaker.ASSISTANT, "x", (ToolCall("n", "n", {}), ToolCall("n", "n", {}))), "tool_calls"),
]


@pytest.mark.parametrize(("what", "message", "part"), IMPOSSIBLE, ids=lambda one: one if isinstance(one, str) else "")
async def test_messages_that_do_not_follow_leave_everything_as_it_was(
    ctx: Context, hand: Hand, what: str, message: Written, part: str
) -> None:
    talk = await a_talk(ctx)
    await write(ctx, talk, Written(Speaker.ASSISTANT, "", (FIND, CHECK)), Written(None, "checked", call_id="c"))
    before = await conversations.get_transcript(ctx, ORG, talk.id)
    hand.turn(1)
    with pytest.raises(Rejected) as caught:
        await write(ctx, talk, message)
    assert caught.value.part == part, what
    assert await conversations.get_transcript(ctx, ORG, talk.id) == before
    assert (await conversations.retrieve(ctx, ORG, talk.id)).last_message_at == NOW


async def test_nobody_writes_into_a_run_s_conversation(ctx: Context) -> None:
    run = await pending_run(ctx.database)
    talk = await conversations.retrieve(ctx, ORG, run.conversation_id)
    with pytest.raises(Rejected, match="test run"):
        await write(ctx, talk, Written(Speaker.CALLER, "hi"))


async def test_somebody_who_speaks_at_the_same_moment_is_waited_for(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: Any) -> None:
        raise kept_talks.TurnTaken("x")

    talk = await a_talk(ctx)
    monkeypatch.setattr(kept_talks, "append", taken)
    with pytest.raises(Busy):
        await write(ctx, talk, Written(Speaker.CALLER, "hi"))
