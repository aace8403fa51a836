from dataclasses import replace
from typing import Any

import pytest
from tests.support.duties import Carrier, do, taken, work_off
from tests.support.store import ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.event import Event, Message, Moved, Speaker, ToolCall, ToolCalled
from vivavoce.core.mind import Mind
from vivavoce.core.scenario import Medium
from vivavoce.core.text import Direction, Text, TextStatus
from vivavoce.core.tool import HangupTool
from vivavoce.services import assistants, chat, conversations, incoming, messaging
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Rejected
from vivavoce.services.incoming import Arrival
from vivavoce.services.messaging import Wish
from vivavoce.storage import conversations as talks
from vivavoce.storage import keys, texts
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty
from vivavoce.storage.keys import Key
from vivavoce.storage.page import Window
from vivavoce.storage.texts import TextFilter

AGENT, USER, THIRD = "+15550100001", "+15550100002", "+15550100003"
ECHO = 'on hear "bye": say "Goodbye."; hang up\non hear /(.+)/: say "You said $1."'


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, org: str = ORG, **given: Any) -> Assistant:
    draft = a_version(**{"instructions": ECHO, "mind": Mind("scripted"), "tools": (HangupTool(),), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, org, draft, anything))


def mapped(ctx: Context, assistant: Assistant) -> Context:
    return replace(ctx, numbers={AGENT: assistant.id})


async def arrives(ctx: Context, words: str, *, sender: str = USER, **given: Any) -> Text:
    return await incoming.receive(ctx, ORG, Arrival(sender, AGENT, words, **given))


async def kept(ctx: Context, org: str = ORG) -> list[Text]:
    """Every text message, oldest first."""
    page = await ctx.database.read(lambda tx: texts.get_page(tx, org, TextFilter(), Window(1, 100)))
    return list(reversed(page.items))


async def lines(ctx: Context) -> list[str]:
    marks = {Direction.INBOUND: "<", Direction.OUTBOUND: ">"}
    return [f"{marks[text.direction]} {text.body} ({text.status.value})" for text in await kept(ctx)]


async def said(ctx: Context, conversation_id: str | None) -> list[str]:
    transcript = await conversations.get_transcript(ctx, ORG, conversation_id or "")
    return [f"{event.speaker.value}: {event.text}" for event in transcript.events if isinstance(event, Message)]


async def test_a_message_is_answered_in_a_conversation_of_its_own(ctx: Context) -> None:
    assistant = await made(ctx, templating=replace(a_version().templating, prefix="x_"))
    ctx = mapped(ctx, assistant)
    text = await arrives(ctx, "hello", provider_id="p1")
    assert await lines(ctx) == ["< hello (received)"]
    assert await work_off(ctx) == []
    assert await lines(ctx) == ["< hello (handled)", "> You said hello. (sent)"]
    answer = (await kept(ctx))[1]
    assert (answer.sender, answer.recipient) == (AGENT, USER)
    assert answer.conversation_id == text.conversation_id
    assert await said(ctx, text.conversation_id) == ["caller: hello", "assistant: You said hello."]
    conversation = await conversations.retrieve(ctx, ORG, text.conversation_id or "")
    assert conversation.metadata == {
        "assistant_id": assistant.id,
        "assistant_version_id": assistant.main.id,
        "x_conversation_channel": "sms_chat",
        "x_agent_target": AGENT,
        "x_end_user_target": USER,
    }


async def test_the_same_message_twice_is_one(ctx: Context) -> None:
    ctx = mapped(ctx, await made(ctx))
    first = await arrives(ctx, "hello", provider_id="p1")
    assert await arrives(ctx, "hello", provider_id="p1") == first
    await work_off(ctx)
    again = await arrives(ctx, "hello", provider_id="p1")
    assert again == replace(first, status=TextStatus.HANDLED)
    assert await work_off(ctx) == []
    assert await lines(ctx) == ["< hello (handled)", "> You said hello. (sent)"]


async def test_two_messages_in_a_row_are_answered_in_order(ctx: Context, hand: Hand) -> None:
    ctx = mapped(ctx, await made(ctx))
    one, two = await arrives(ctx, "one"), await arrives(ctx, "two")
    duties = {duty.subject: duty for duty in await taken(ctx)}
    assert await do(ctx, duties[two.id]) is None  # the later one is looked at first, and waits
    assert await said(ctx, one.conversation_id) == []
    assert await do(ctx, duties[one.id]) is None
    await work_off(ctx)  # the answer to the first hastens the second
    assert await said(ctx, one.conversation_id) == [
        "caller: one",
        "assistant: You said one.",
        "caller: two",
        "assistant: You said two.",
    ]
    assert await lines(ctx) == [
        "< one (handled)",
        "< two (handled)",
        "> You said one. (sent)",
        "> You said two. (sent)",
    ]
    assert hand.ms == (await kept(ctx))[-1].created_at


async def test_a_message_whose_worker_died_while_the_model_wrote_is_told_once(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = mapped(ctx, await made(ctx))
    text = await arrives(ctx, "hello")
    real = chat.reply

    async def dies(*_given: Any) -> str:
        raise Broken("the provider is away")

    monkeypatch.setattr(chat, "reply", dies)
    assert [str(failure) for failure in await work_off(ctx)] == ["the provider is away"]
    assert await lines(ctx) == ["< hello (heard)"]
    monkeypatch.setattr(chat, "reply", real)
    assert isinstance(ctx.clock, Hand)
    ctx.clock.turn(60)
    assert await work_off(ctx) == []
    assert await said(ctx, text.conversation_id) == ["caller: hello", "assistant: You said hello."]
    assert await lines(ctx) == ["< hello (handled)", "> You said hello. (sent)"]


async def test_an_answer_that_was_kept_and_not_sent_is_sent_and_not_asked_for_again(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = mapped(ctx, await made(ctx))
    text = await arrives(ctx, "hello")
    settle = incoming._settle

    def dies(*_given: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(incoming, "_settle", dies)
    assert len(await work_off(ctx)) == 1
    monkeypatch.setattr(incoming, "_settle", settle)
    assert isinstance(ctx.clock, Hand)
    ctx.clock.turn(60)
    monkeypatch.setattr(chat, "reply", None)
    assert await work_off(ctx) == []
    assert await said(ctx, text.conversation_id) == ["caller: hello", "assistant: You said hello."]
    assert await lines(ctx) == ["< hello (handled)", "> You said hello. (sent)"]


async def test_an_assistant_that_fails_for_good_does_not_block_what_follows(
    ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = mapped(ctx, await made(ctx))
    await arrives(ctx, "one")
    real = chat.reply

    async def fails(*_given: Any) -> str:
        raise Broken("the provider is away")

    monkeypatch.setattr(chat, "reply", fails)
    for _ in range(8):
        await work_off(ctx)
        hand.turn(16 * 60)
    first = (await kept(ctx))[0]
    assert (first.status, first.reason) == (TextStatus.FAILED, "the provider is away")
    monkeypatch.setattr(chat, "reply", real)
    await arrives(ctx, "two")
    assert await work_off(ctx) == []
    assert (await lines(ctx))[1:] == ["< two (handled)", "> You said two. (sent)"]


async def test_a_switched_off_assistant_keeps_the_message_and_says_nothing(ctx: Context) -> None:
    ctx = mapped(ctx, await made(ctx))
    text = await arrives(ctx, "one")
    await work_off(ctx)
    conversation = await conversations.retrieve(ctx, ORG, text.conversation_id or "")
    off = replace(conversation, metadata={**conversation.metadata, "ai_disabled": "true"})
    await ctx.database.write(lambda tx: talks.set_metadata(tx, off))
    await arrives(ctx, "two")
    assert await work_off(ctx) == []
    last = (await kept(ctx))[-1]
    assert (last.body, last.status, last.reason) == ("two", TextStatus.HANDLED, incoming.SILENCED)
    assert (await said(ctx, text.conversation_id))[-1] == "caller: two"


async def test_what_comes_after_the_end_begins_anew(ctx: Context) -> None:
    ctx = mapped(ctx, await made(ctx))
    bye, more = await arrives(ctx, "bye"), await arrives(ctx, "more")
    assert bye.conversation_id == more.conversation_id
    await work_off(ctx)
    assert isinstance(ctx.clock, Hand)
    ctx.clock.turn(2)
    await work_off(ctx)
    found = {text.body: text for text in await kept(ctx)}
    assert found["Goodbye."].conversation_id == bye.conversation_id
    moved = found["more"].conversation_id
    assert moved != bye.conversation_id
    assert await said(ctx, moved) == ["caller: more", "assistant: You said more."]


@pytest.mark.parametrize(("own", "minutes"), [(None, 30), (2, 2)])
async def test_rule_2_1_a_longer_silence_begins_a_new_conversation(
    ctx: Context, hand: Hand, own: int | None, minutes: int
) -> None:
    ctx = mapped(ctx, await made(ctx, idle_minutes=own))
    first = await arrives(ctx, "one")
    await work_off(ctx)
    hand.turn(minutes * 60)
    same = await arrives(ctx, "two")
    assert same.conversation_id == first.conversation_id
    await work_off(ctx)
    hand.turn(minutes * 60 + 0.001)
    assert (await arrives(ctx, "three")).conversation_id != first.conversation_id


async def test_an_answer_to_a_message_goes_to_whoever_sent_it(ctx: Context) -> None:
    mapped_to, sender = await made(ctx), await made(ctx)
    ctx = mapped(ctx, mapped_to)
    sent = await messaging.send(ctx, ORG, sender.id, Wish(AGENT, USER, "Are you there?"))
    answer = await arrives(ctx, "yes")
    assert answer.conversation_id == sent.conversation_id
    elsewhere = await arrives(ctx, "hello", sender=THIRD)
    conversation = await conversations.retrieve(ctx, ORG, elsewhere.conversation_id or "")
    assert conversation.metadata["assistant_id"] == mapped_to.id


async def test_a_number_that_is_not_mapped_is_its_last_user_s(ctx: Context, hand: Hand) -> None:
    nobody = await arrives(ctx, "hello")
    assert (nobody.status, nobody.reason, nobody.conversation_id) == (TextStatus.FAILED, incoming.NOBODY, None)
    assert await work_off(ctx) == []
    assistant = await made(ctx)
    sent = await messaging.send(ctx, ORG, assistant.id, Wish(AGENT, USER, "Hi"))
    hand.turn(3600)
    later = await arrives(ctx, "hello")
    assert later.conversation_id not in (None, sent.conversation_id)
    await assistants.delete(ctx, ORG, assistant.id, hard=False)
    assert (await arrives(ctx, "hello", sender=THIRD)).reason == incoming.NOBODY


async def test_the_medium_is_that_of_the_conversation(ctx: Context) -> None:
    assistant = await made(ctx)
    carrier = Carrier()
    ctx = replace(mapped(ctx, assistant), messenger=carrier)
    wish = Wish(AGENT, USER, "Hi", medium=Medium.WHATSAPP_CHAT)
    sent = await messaging.send(ctx, ORG, assistant.id, wish)
    answer = await arrives(ctx, "hello")
    assert (answer.medium, answer.conversation_id) == (Medium.WHATSAPP_CHAT, sent.conversation_id)
    other = await arrives(ctx, "hello", medium=Medium.SMS_CHAT)
    assert other.conversation_id != sent.conversation_id
    await work_off(ctx)
    assert [(one.text, one.medium) for one in carrier.sent] == [
        ("Hi", Medium.WHATSAPP_CHAT),
        ("You said hello.", Medium.WHATSAPP_CHAT),
        ("You said hello.", Medium.SMS_CHAT),
    ]


async def test_a_deleted_assistant_answers_nothing_more(ctx: Context) -> None:
    assistant = await made(ctx)
    ctx = mapped(ctx, assistant)
    await arrives(ctx, "hello")
    await assistants.delete(ctx, ORG, assistant.id, hard=False)
    assert await work_off(ctx) == []
    [text] = await kept(ctx)
    assert text.status is TextStatus.FAILED
    assert assistant.id in text.reason


async def test_what_somebody_had_it_send_is_no_answer(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = await made(ctx)
    ctx = mapped(ctx, assistant)
    await arrives(ctx, "hello")
    real = chat.reply

    async def fails(*_given: Any) -> str:
        raise Broken("the provider is away")

    monkeypatch.setattr(chat, "reply", fails)
    await work_off(ctx)
    monkeypatch.setattr(chat, "reply", real)
    await messaging.send(ctx, ORG, assistant.id, Wish(AGENT, USER, "One moment."))
    assert isinstance(ctx.clock, Hand)
    ctx.clock.turn(60)
    assert await work_off(ctx) == []
    assert [text.body for text in await kept(ctx)] == ["hello", "One moment.", "You said hello."]


async def organisation(ctx: Context, org: str) -> None:
    def work(tx: Tx) -> None:
        keys.add(tx, Key(f"key of {org}", org, "key", "hint", 0), f"secret of {org}")

    await ctx.database.write(work)


async def test_whose_message_it_is(ctx: Context) -> None:
    for org in ("org-a", "org-b", "org-c"):
        await organisation(ctx, org)
    assert await incoming.owner(ctx, Arrival(USER, AGENT, "x")) is None
    first = await made(ctx, "org-b")
    await messaging.send(ctx, "org-b", first.id, Wish(AGENT, THIRD, "Hi"))
    assert await incoming.owner(ctx, Arrival(USER, AGENT, "x")) == "org-b"
    ctx = mapped(ctx, await made(ctx, "org-c"))
    for sender in (USER, THIRD):
        assert await incoming.owner(ctx, Arrival(sender, AGENT, "x")) == "org-c"


async def test_nobody_sends_from_a_number_of_others(ctx: Context) -> None:
    theirs, ours = await made(ctx, "org-b"), await made(ctx)
    ctx = mapped(ctx, theirs)
    with pytest.raises(Rejected, match="somebody else"):
        await messaging.send(ctx, ORG, ours.id, Wish(AGENT, USER, "Hi"))
    sent = await messaging.send(ctx, "org-b", theirs.id, Wish(AGENT, USER, "Hi"))
    # Nor does a tool, whatever the conversation says of its numbers.
    talk = await conversations.retrieve(ctx, "org-b", sent.conversation_id or "")
    await ctx.database.write(lambda tx: talks.add(tx, ORG, [replace(talk, id="copy", metadata=talk.metadata)]))
    forged = {**talk.metadata, "assistant_id": ours.id}
    await ctx.database.write(lambda tx: talks.set_metadata(tx, replace(talk, id="copy", metadata=forged)))
    with pytest.raises(Rejected, match="somebody else"):
        await messaging.say(ctx, ORG, "copy", "Hi", "key-1")
    assert await kept(ctx) == []
    # What comes to the number does not come to them either.
    assert (await arrives(ctx, "hello")).reason == incoming.NOBODY


async def test_what_a_carrier_reports_of_what_it_took(ctx: Context) -> None:
    await organisation(ctx, ORG)
    assistant = await made(ctx)
    ctx = replace(ctx, messenger=Carrier())
    text = await messaging.send(ctx, ORG, assistant.id, Wish(AGENT, USER, "Hi"))
    assert not await incoming.note_delivery(ctx, "carrier-1", TextStatus.DELIVERED)
    await work_off(ctx)
    assert await incoming.note_delivery(ctx, "carrier-1", TextStatus.DELIVERED)
    assert (await messaging.retrieve(ctx, ORG, text.id)).status is TextStatus.DELIVERED
    assert await incoming.note_delivery(ctx, "carrier-1", TextStatus.FAILED, "no such number")
    found = await messaging.retrieve(ctx, ORG, text.id)
    assert (found.status, found.reason) == (TextStatus.FAILED, "no such number")


async def test_a_conversation_that_is_gone_is_replaced(ctx: Context) -> None:
    assistant = await made(ctx)
    ctx = mapped(ctx, assistant)
    text = await arrives(ctx, "hello")
    await ctx.database.write(lambda tx: talks.drop(tx, ORG, text.conversation_id or ""))
    assert await work_off(ctx) == []
    found = await kept(ctx)
    assert found[0].conversation_id not in (None, text.conversation_id)
    assert [one.body for one in found] == ["hello", "You said hello."]


async def heard(ctx: Context, *more: Event) -> tuple[Text, Duty]:
    """A message that the assistant was told of, and what it did before its worker died."""
    text = await arrives(ctx, "hello")
    (duty,) = await taken(ctx)
    told = Message(Speaker.CALLER, "hello", ctx.clock.now(), extra={messaging.TEXT_ID: text.id})

    def work(tx: Tx) -> None:
        talks.append(tx, text.conversation_id or "", (told, *more), ctx.clock.now())
        texts.put(tx, ORG, replace(text, status=TextStatus.HEARD))

    await ctx.database.write(work)
    return text, duty


async def test_words_that_filled_the_time_of_a_dead_worker_are_no_answer(ctx: Context) -> None:
    """They used to count as one, and nothing was answered."""
    assistant = await made(ctx, instructions='on result failed: say "I cannot find it."')
    called = ToolCalled(ToolCall("call_1", "find", {}), 0)
    filler = Message(Speaker.ASSISTANT, "One moment.", 0, fills=True)
    _, duty = await heard(mapped(ctx, assistant), called, filler)
    assert await do(mapped(ctx, assistant), duty) is None
    assert await lines(ctx) == ["< hello (handled)", "> I cannot find it. (sending)"]


async def test_an_answer_is_one_also_where_the_flow_moved_on_after_it(ctx: Context) -> None:
    """The message used to be told to the assistant, and answered, once more."""
    assistant = await made(ctx)
    answer = Message(Speaker.ASSISTANT, "Hello.", 0)
    text, duty = await heard(mapped(ctx, assistant), answer, Moved("desk", 0))
    assert await do(mapped(ctx, assistant), duty) is None
    assert await lines(ctx) == ["< hello (handled)", "> Hello. (sending)"]
    assert await said(ctx, text.conversation_id) == ["caller: hello", "assistant: Hello."]


async def test_what_is_not_kept_is_forgotten_also_where_nothing_was_answered(ctx: Context) -> None:
    """Without an answer that goes out nobody came to forget the message."""
    assistant = await made(ctx, keeps=False, instructions="else: hang up")
    ctx = mapped(ctx, assistant)
    text = await arrives(ctx, "hello")
    assert await work_off(ctx) == []
    assert await lines(ctx) == ["<  (handled)"]
    assert await said(ctx, text.conversation_id) == []


async def test_what_is_not_kept_is_forgotten_also_where_the_assistant_is_silenced(ctx: Context, hand: Hand) -> None:
    assistant = await made(ctx, keeps=False)
    ctx = mapped(ctx, assistant)
    text = await arrives(ctx, "hello")
    silence = {"ai_disabled": "true", "assistant_id": assistant.id}
    await conversations.update(ctx, ORG, text.conversation_id or "", silence, "")
    await work_off(ctx)
    assert await said(ctx, text.conversation_id) == ["caller: hello"]
    hand.turn(30 * 60)
    await work_off(ctx)
    assert await said(ctx, text.conversation_id) == []
    assert await lines(ctx) == ["<  (handled)"]
