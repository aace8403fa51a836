from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, Seen, serving
from tests.support.duties import Carrier, do, taken, work_off
from tests.support.store import NOW, ORG, Hand, a_version, commits

from vivavoce.assistant.prompt import OPENING
from vivavoce.channels.messenger import NotSent
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Opener, Templating, Version
from vivavoce.core.event import Message, Speaker
from vivavoce.core.mind import Mind
from vivavoce.core.model import Answer, ModelFailure, Prompt, Reply, T, Trouble
from vivavoce.core.scenario import Medium
from vivavoce.core.text import Text, TextStatus
from vivavoce.core.tool import OtherTool
from vivavoce.outbound.fetch import open_session
from vivavoce.services import assistants, composing, conversations, messaging
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.messaging import Wish
from vivavoce.storage import conversations as talks
from vivavoce.storage import texts
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Window
from vivavoce.storage.texts import TextFilter

AGENT, USER, THIRD = "+15550100001", "+15550100002", "+15550100003"
TEMPLATE = "approved_template"


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, **given: Any) -> Assistant:
    chosen = {"instructions": 'on start: say "Written."', "mind": Mind("scripted"), "templating": Templating("x_")}
    draft = a_version(**{**chosen, **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, anything))


async def send(ctx: Context, assistant: Assistant, words: str | None = "Hi", **given: Any) -> Text:
    return await messaging.send(ctx, ORG, assistant.id, Wish(AGENT, USER, words, **given))


async def metadata(ctx: Context, text: Text) -> dict[str, str]:
    return dict((await conversations.retrieve(ctx, ORG, text.conversation_id or "")).metadata)


async def now(ctx: Context, text: Text) -> Text:
    return await messaging.retrieve(ctx, ORG, text.id)


@dataclass
class Played:
    """A model that answers from a list."""

    answers: list[Reply | ModelFailure]
    prompts: list[Prompt] = field(default_factory=list[Prompt])
    name: str = "played"

    async def reply(self, prompt: Prompt) -> Reply:
        self.prompts.append(prompt)
        answer = self.answers.pop(0)
        if isinstance(answer, ModelFailure):
            raise answer
        return answer

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        raise AssertionError("nobody decides here")

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        raise AssertionError("nobody streams here")
        yield ""


def played(monkeypatch: pytest.MonkeyPatch, *answers: Reply | ModelFailure) -> Played:
    model = Played(list(answers))

    async def chosen(*_given: Any) -> Played:
        return model

    monkeypatch.setattr(composing.Minds, "chosen", chosen)
    return model


# --- send_sms, rule by rule (contract, section 5.1) -----------------------------------------------------------------


async def test_rule_5_1_send_sms_1_the_assistant_exists(ctx: Context) -> None:
    with pytest.raises(NotFound):
        await messaging.send(ctx, ORG, "assistant-x", Wish(AGENT, USER, "Hi"))
    assistant = await made(ctx)
    with pytest.raises(NotFound):
        await messaging.send(ctx, "org-b", assistant.id, Wish(AGENT, USER, "Hi"))


async def test_rule_5_1_send_sms_2_a_new_conversation_gets_the_metadata(ctx: Context) -> None:
    assistant = await made(ctx)
    first = await send(ctx, assistant, metadata={"order": "A-1", "assistant_id": "mine", "x_agent_target": "mine"})
    assert await metadata(ctx, first) == {
        "order": "A-1",
        "assistant_id": assistant.id,
        "assistant_version_id": assistant.main.id,
        "x_conversation_channel": "sms_chat",
        "x_agent_target": AGENT,
        "x_end_user_target": USER,
    }
    second = await send(ctx, assistant, anew=True)
    assert second.conversation_id != first.conversation_id


async def test_rule_5_1_send_sms_2_otherwise_the_running_one_goes_on(ctx: Context) -> None:
    assistant, other = await made(ctx), await made(ctx)
    first = await send(ctx, assistant)
    assert (await send(ctx, assistant)).conversation_id == first.conversation_id
    assert (await send(ctx, other)).conversation_id != first.conversation_id
    to_third = await messaging.send(ctx, ORG, assistant.id, Wish(AGENT, THIRD, "Hi"))
    assert to_third.conversation_id != first.conversation_id
    assert (await send(ctx, assistant)).conversation_id == first.conversation_id


@pytest.mark.parametrize(("own", "minutes"), [(None, 30), (2, 2)])
async def test_rule_2_1_unless_nobody_said_anything_for_longer(
    ctx: Context, hand: Hand, own: int | None, minutes: int
) -> None:
    assistant = await made(ctx, idle_minutes=own)
    first = await send(ctx, assistant)
    hand.turn(minutes * 60)
    assert (await send(ctx, assistant)).conversation_id == first.conversation_id
    hand.turn(minutes * 60 + 0.001)
    assert (await send(ctx, assistant)).conversation_id != first.conversation_id


async def test_a_conversation_that_is_over_does_not_go_on(ctx: Context) -> None:
    assistant = await made(ctx)
    first = await send(ctx, assistant)
    await ctx.database.write(lambda tx: talks.set_ended(tx, first.conversation_id or "", NOW))
    assert (await send(ctx, assistant)).conversation_id != first.conversation_id


async def test_rule_5_1_send_sms_3_the_text_else_the_greeting_else_the_model(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = await made(ctx, greeting="Hello from {{shop}}, {{x_end_user_target}}!", variables={"shop": "Birch"})
    assert (await send(ctx, assistant, "As it {{is}}")).body == "As it {{is}}"
    greeted = await send(ctx, assistant, None, anew=True)
    assert greeted.body == f"Hello from Birch, {USER}!"
    model = played(monkeypatch, Reply("And now?"))
    more = await send(ctx, assistant, None)
    assert (more.body, more.conversation_id) == ("And now?", greeted.conversation_id)
    [prompt] = model.prompts
    assert [(line.role, line.text) for line in prompt.lines[1:]] == [
        ("assistant", greeted.body),
        ("user", composing.GO_ON),
    ]
    assert prompt.tools == ()


@pytest.mark.parametrize("greeting", [None, "", "  ", MODEL_OPENS])
async def test_rule_6_4_the_model_writes_the_opening_where_there_is_no_greeting(
    ctx: Context, greeting: str | None
) -> None:
    assert (await send(ctx, await made(ctx, greeting=greeting), None)).body == "Written."


async def test_the_opening_is_asked_for_with_the_instructions(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    model = played(monkeypatch, Reply("Hello!"))
    await send(ctx, await made(ctx, instructions="You are {{name}}.", variables={"name": "Ann"}), None)
    assert [line.text for line in model.prompts[0].lines] == ["You are Ann.", OPENING]


async def test_a_model_that_fails_sends_nothing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = await made(ctx)
    played(monkeypatch, ModelFailure(Trouble.UNAVAILABLE, "it is away"), Reply(" "))
    for told in ("it is away", "wrote nothing"):
        with pytest.raises(Broken, match=told):
            await send(ctx, assistant, None)
    page = await messaging.get_page(ctx, ORG, TextFilter(), Window())
    assert page.total == 0
    assert await taken(ctx) == ()


async def test_rule_5_1_send_sms_4_metadata_is_merged(ctx: Context) -> None:
    assistant = await made(ctx)
    await send(ctx, assistant, metadata={"a": "1", "b": "1"})
    second = await send(ctx, assistant, metadata={"b": "2", "c": "2", "x_agent_target": "no", "assistant_id": "no"})
    found = await metadata(ctx, second)
    assert [found[key] for key in "abc"] == ["1", "2", "2"]
    assert (found["x_agent_target"], found["assistant_id"]) == (AGENT, assistant.id)


async def test_what_is_sent_is_an_event_of_its_conversation(ctx: Context, hand: Hand) -> None:
    assistant = await made(ctx)
    text = await send(ctx, assistant, "Hi")
    hand.turn(5)
    await send(ctx, assistant, "Hello?")
    transcript = await conversations.get_transcript(ctx, ORG, text.conversation_id or "")
    assert transcript.events[0] == Message(Speaker.ASSISTANT, "Hi", NOW, extra={messaging.TEXT_ID: text.id})
    conversation = await conversations.retrieve(ctx, ORG, text.conversation_id or "")
    assert conversation.last_message_at == NOW + 5000


async def test_a_deleted_conversation_leaves_no_words_in_the_inbox(ctx: Context) -> None:
    assistant = await made(ctx)
    gone = await send(ctx, assistant, "Hi")
    await work_off(ctx)
    going = await send(ctx, assistant, "Hello?")
    await conversations.delete(ctx, ORG, gone.conversation_id or "")
    await work_off(ctx)
    assert [(await now(ctx, one)).body for one in (gone, going)] == ["", ""]


# --- kept before it goes out, and carried ---------------------------------------------------------------------------


async def test_nothing_goes_out_before_it_is_kept_and_one_transaction_keeps_it_all(ctx: Context) -> None:
    carrier, woken = Carrier(), list[bool]()
    ctx = replace(ctx, messenger=carrier, wake=lambda: woken.append(True))
    assistant = await made(ctx)
    with commits(ctx.database) as seen:
        text = await send(ctx, assistant)
    assert seen.count == 1
    assert (text.status, carrier.sent, woken) == (TextStatus.SENDING, [], [True])
    assert await work_off(ctx) == []
    [sent] = carrier.sent
    assert (sent.sender, sent.recipient, sent.text, sent.key) == (AGENT, USER, "Hi", text.id)
    assert await now(ctx, text) == replace(text, status=TextStatus.SENT, provider_id="carrier-1")


async def test_what_was_carried_is_not_carried_again(ctx: Context) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    text = await send(ctx, await made(ctx))
    await work_off(ctx)
    assert await messaging.deliver(ctx, ORG, text.id, last=False) == await now(ctx, text)
    assert len(carrier.sent) == 1


async def test_a_worker_that_dies_after_sending_sends_again_under_the_same_key(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    await send(ctx, await made(ctx))
    [duty] = await taken(ctx)

    def dies(*_given: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(messaging, "_note", dies)
        assert isinstance(await do(ctx, duty), RuntimeError)
    assert isinstance(ctx.clock, Hand)
    ctx.clock.turn(60)
    assert await work_off(ctx) == []
    assert len({sent.key for sent in carrier.sent}) == 1
    assert len(carrier.sent) == 2


async def test_a_carrier_that_is_away_is_asked_again(ctx: Context, hand: Hand) -> None:
    carrier = Carrier([NotSent("try later", final=False)] * 2)
    ctx = replace(ctx, messenger=carrier)
    text = await send(ctx, await made(ctx))
    assert len(await work_off(ctx)) == 1
    hand.turn(1.999)
    assert await work_off(ctx) == []
    hand.turn(0.001)
    assert len(await work_off(ctx)) == 1
    assert (await now(ctx, text)).status is TextStatus.SENDING
    hand.turn(4)
    assert await work_off(ctx) == []
    assert (await now(ctx, text)).status is TextStatus.SENT


@pytest.mark.parametrize(("final", "tries"), [(True, 1), (False, 8)])
async def test_a_carrier_that_refuses_or_stays_away_is_believed(
    ctx: Context, hand: Hand, final: bool, tries: int
) -> None:
    carrier = Carrier([NotSent("no such number", final=final)] * 20)
    ctx = replace(ctx, messenger=carrier)
    text = await send(ctx, await made(ctx))
    for _ in range(20):
        await work_off(ctx)
        hand.turn(3600)
    found = await now(ctx, text)
    assert (found.status, found.reason) == (TextStatus.FAILED, "no such number")
    assert len(carrier.troubles) == 20 - tries


async def test_a_carrier_s_id_that_is_taken_is_not_kept_twice(ctx: Context) -> None:
    assistant = await made(ctx)
    ctx = replace(ctx, messenger=Carrier())
    await send(ctx, assistant)
    await work_off(ctx)
    again = replace(ctx, messenger=Carrier())
    text = await send(again, assistant)
    assert await work_off(again) == []
    assert await now(ctx, text) == replace(text, status=TextStatus.SENT, provider_id=None)


async def test_what_the_messenger_does_not_carry_is_refused(ctx: Context) -> None:
    ctx = replace(ctx, messenger=Carrier(media=(Medium.SMS_CHAT,)))
    with pytest.raises(Rejected, match="does not carry"):
        await send(ctx, await made(ctx), medium=Medium.WHATSAPP_CHAT)


async def test_two_that_begin_at_once_begin_one(ctx: Context) -> None:
    assistant = await made(ctx)
    drafts = [await messaging.compose(ctx, ORG, assistant.id, Wish(AGENT, USER, words)) for words in ("one", "two")]
    kept = [await ctx.database.write(lambda tx, of=draft: messaging.keep(ctx, tx, ORG, of)) for draft in drafts]
    assert len({text.conversation_id for text in kept}) == 1


async def test_a_conversation_that_vanished_or_is_written_to_right_now(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = await made(ctx)
    await send(ctx, assistant)
    draft = await messaging.compose(ctx, ORG, assistant.id, Wish(AGENT, USER, "two"))

    def keep(tx: Tx) -> Text:
        return messaging.keep(ctx, tx, ORG, draft)

    def taken_by_another(*_given: Any) -> None:
        raise talks.TurnTaken("c")

    with monkeypatch.context() as patched:
        patched.setattr(talks, "append", taken_by_another)
        with pytest.raises(Busy):
            await ctx.database.write(keep)
    await ctx.database.write(lambda tx: talks.drop(tx, ORG, draft.conversation.id))
    with pytest.raises(NotFound):
        await ctx.database.write(keep)
    assert (await messaging.get_page(ctx, ORG, TextFilter(), Window())).total == 1


# --- what a tool sends ----------------------------------------------------------------------------------------------


async def test_a_tool_s_message_goes_to_whoever_is_talked_to_once(ctx: Context) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    assistant = await made(ctx)
    text = await send(ctx, assistant)
    await work_off(ctx)
    for _ in range(2):
        assert await messaging.say(ctx, ORG, text.conversation_id or "", "The link", "run:1:call_3")
    await work_off(ctx)
    assert [(one.recipient, one.text) for one in carrier.sent] == [(USER, "Hi"), (USER, "The link")]
    transcript = await conversations.get_transcript(ctx, ORG, text.conversation_id or "")
    assert len(transcript.events) == 1  # the tool call is the event


async def test_a_tool_needs_somebody_to_write_to(ctx: Context) -> None:
    with pytest.raises(NotFound):
        await messaging.say(ctx, ORG, "nothing", "x", "k")
    assistant = await made(ctx)
    text = await send(ctx, assistant)
    found = await conversations.retrieve(ctx, ORG, text.conversation_id or "")
    bare = replace(found, metadata={"assistant_id": assistant.id})
    await ctx.database.write(lambda tx: talks.set_metadata(tx, bare))
    with pytest.raises(Rejected):
        await messaging.say(ctx, ORG, bare.id, "x", "k")


async def test_a_tool_s_message_goes_the_way_the_conversation_goes(ctx: Context) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    text = await send(ctx, await made(ctx), medium=Medium.WHATSAPP_CHAT)
    await messaging.say(ctx, ORG, text.conversation_id or "", "The link", "k")
    await work_off(ctx)
    assert [one.medium for one in carrier.sent] == [Medium.WHATSAPP_CHAT] * 2


# --- what follows ---------------------------------------------------------------------------------------------------


async def test_rule_6_3_the_variables_of_a_conversation_are_found_when_its_greeting_is_written(ctx: Context) -> None:
    seen: list[Seen] = []

    def tells(request: Seen) -> web.StreamResponse:
        seen.append(request)
        told = {"dynamic_variables": {"shop": "Birch"}, "conversation": {"metadata": {"tier": "gold"}}}
        return web.json_response(told)

    async with serving(tells) as server, open_session(LOCAL, ticks=lambda: 0.0) as session:
        ctx = replace(ctx, outbound=session)
        assistant = await made(ctx, greeting="Hello from {{shop}}.", opener=Opener(f"{server.url}/variables"))
        text = await send(ctx, assistant, None)
        assert text.body == "Hello from Birch."
        assert (await metadata(ctx, text))["tier"] == "gold"
        conversation = await conversations.retrieve(ctx, ORG, text.conversation_id or "")
        assert conversation.opening is not None
        assert conversation.opening.variables["shop"] == "Birch"
        told = seen[0].json["data"]["payload"]
        assert (told["x_agent_target"], told["x_end_user_target"]) == (AGENT, USER)
        inline = await send(ctx, assistant, None, anew=True, variables={"shop": "Oak"})
        assert inline.body == "Hello from Oak."
        assert len(seen) == 1  # whoever gives variables has nobody else asked


async def test_what_is_not_to_be_kept_is_forgotten_when_it_is_over(ctx: Context, hand: Hand) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    assistant = await made(ctx, keeps=False, idle_minutes=5)
    text = await send(ctx, assistant)
    await work_off(ctx)
    assert (await now(ctx, text)).body == "Hi"
    last = await send(ctx, assistant, "Bye")
    conversation_id = text.conversation_id or ""

    def over(tx: Tx) -> None:
        talks.set_ended(tx, conversation_id, ctx.clock.now())
        talks.forget(tx, conversation_id)

    await ctx.database.write(over)
    await work_off(ctx)
    assert [one.text for one in carrier.sent] == ["Hi", "Bye"]
    assert [(await now(ctx, one)).body for one in (text, last)] == ["", ""]
    hand.turn(5 * 60)
    assert [duty.kind for duty in await taken(ctx)] == ["idle"]


# --- WhatsApp -------------------------------------------------------------------------------------------------------


async def whatsapp(ctx: Context, assistant: Assistant, content: str = "Code 482913", **given: Any) -> Text:
    wish = Wish(AGENT, USER, medium=Medium.WHATSAPP_CHAT, **given)
    draft = await messaging.start_whatsapp(ctx, ORG, assistant.id, wish, content, TEMPLATE)
    return await ctx.database.write(lambda tx: messaging.keep(ctx, tx, ORG, draft))


async def test_rule_5_1_whatsapp_opens_a_conversation_of_its_own(ctx: Context) -> None:
    assistant = await made(ctx)
    first, second = [await whatsapp(ctx, assistant, metadata={"order": "A-1"}) for _ in range(2)]
    assert first.conversation_id != second.conversation_id
    assert first.body == "Code 482913"
    found = await metadata(ctx, first)
    assert (found["x_conversation_channel"], found["order"]) == ("whatsapp_chat", "A-1")
    sms = await send(ctx, assistant)
    assert sms.conversation_id not in (first.conversation_id, second.conversation_id)


@pytest.mark.parametrize("key", ["assistant_id", "x_agent_target", "x_anything"])
async def test_rule_5_1_whatsapp_reserved_metadata_is_refused(ctx: Context, key: str) -> None:
    with pytest.raises(Rejected) as refused:
        await whatsapp(ctx, await made(ctx), metadata={key: "x"})
    assert refused.value.part == "conversation_metadata"


async def test_rule_5_1_whatsapp_needs_history(ctx: Context) -> None:
    with pytest.raises(Rejected, match="history"):
        await whatsapp(ctx, await made(ctx, keeps=False))


async def test_rule_5_1_whatsapp_the_sender_is_this_assistant_s(ctx: Context) -> None:
    assistant, other = await made(ctx), await made(ctx)
    ours = replace(ctx, numbers={AGENT: assistant.id})
    assert (await whatsapp(ours, assistant)).sender == AGENT
    with pytest.raises(Rejected) as refused:
        await whatsapp(ours, other)
    assert refused.value.part == "from"
    with pytest.raises(Rejected):  # a real carrier's number that is nobody's
        await whatsapp(replace(ctx, messenger=Carrier()), assistant)
    assert (await whatsapp(replace(ours, messenger=Carrier()), assistant)).sender == AGENT


async def test_rule_5_1_whatsapp_the_model_fills_in_a_template(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = OtherTool(TEMPLATE, {"templates": [{"name": "code", "body": "Your code is {{1}}."}]}, name=TEMPLATE)
    assistant = await made(ctx, tools=(OtherTool("else", {"secret": 1}), tool))
    model = played(monkeypatch, Reply("Your code is 482913."))
    assert (await whatsapp(ctx, assistant)).body == "Your code is 482913."
    lines = [line.text for line in model.prompts[0].lines]
    assert "Your code is {{1}}." in lines[1]
    assert "secret" not in lines[1]
    assert lines[2] == "Code 482913"


async def test_one_text_message_is_read(ctx: Context) -> None:
    text = await send(ctx, await made(ctx))
    assert await messaging.retrieve(ctx, ORG, text.id) == text
    for org, id_ in (("org-b", text.id), (ORG, "x")):
        with pytest.raises(NotFound):
            await messaging.retrieve(ctx, org, id_)
    assert await ctx.database.read(lambda tx: texts.get(tx, ORG, text.id)) == text


async def test_a_conversation_that_ended_while_the_words_were_found_is_not_written_into(ctx: Context) -> None:
    """What was said in it, and was to be forgotten, would have stayed for ever."""
    assistant = await made(ctx)
    text = await send(ctx, assistant)
    draft = await messaging.compose(ctx, ORG, assistant.id, Wish(AGENT, USER, "more"))
    await ctx.database.write(lambda tx: talks.set_ended(tx, text.conversation_id or "", ctx.clock.now()))
    with pytest.raises(Busy):
        await ctx.database.write(lambda tx: messaging.keep(ctx, tx, ORG, draft))
