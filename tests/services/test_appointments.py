from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.support.duties import Carrier, do, taken, work_off
from tests.support.outages import WHENS, Outage, When, weaken
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.channels.dialer import NO_CARRIER, CallOrder, CallResult
from vivavoce.channels.messenger import NotSent
from vivavoce.core.appointment import Appointment, CallStatus, Standing
from vivavoce.core.assistant import Assistant, Templating, Version
from vivavoce.core.mind import Mind
from vivavoce.core.scenario import Medium
from vivavoce.core.text import TextStatus
from vivavoce.engine.duties import TRIES
from vivavoce.services import appointments, assistants, conversations, messaging
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound
from vivavoce.storage import appointments as kept
from vivavoce.storage import assistants as rows
from vivavoce.storage.appointments import AppointmentFilter
from vivavoce.storage.page import Window
from vivavoce.storage.texts import TextFilter

AGENT, USER = "+15550100001", "+15550100002"
IN_S = 3600


def anything(_version: Version) -> None:
    """The rules that are looked at elsewhere."""


async def made(ctx: Context, **given: Any) -> Assistant:
    draft = a_version(**{"mind": Mind("scripted"), "templating": Templating("x_"), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, anything))


async def arranged(ctx: Context, assistant: Assistant, medium: Medium, **given: Any) -> Appointment:
    """An appointment in an hour."""
    draft = Appointment("", assistant.id, medium, AGENT, USER, ctx.clock.now() + IN_S * 1000, 0, **given)
    return await ctx.database.write(lambda tx: appointments.create(ctx, tx, ORG, draft))


async def text_at(ctx: Context, assistant: Assistant, words: str = "Hi", **given: Any) -> Appointment:
    return await arranged(ctx, assistant, Medium.SMS_CHAT, text=words, **given)


async def call_at(ctx: Context, assistant: Assistant, **given: Any) -> Appointment:
    return await arranged(ctx, assistant, Medium.PHONE_CALL, **given)


async def now(ctx: Context, appointment: Appointment) -> Appointment:
    return await appointments.retrieve(ctx, ORG, appointment.assistant_id, appointment.id)


@dataclass
class Exchange:
    """A dialer that answers from a list; a call takes a minute."""

    clock: Hand
    results: list[CallResult]
    orders: list[CallOrder] = field(default_factory=list[CallOrder])

    async def dial(self, order: CallOrder) -> CallResult:
        self.orders.append(order)
        self.clock.turn(60)
        return self.results.pop(0)


# --- messages -------------------------------------------------------------------------------------------------------


async def test_a_message_goes_out_at_its_time_once(ctx: Context, hand: Hand) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    assistant = await made(ctx)
    appointment = await text_at(ctx, assistant, metadata={"order": "A-1", "vip": True, "count": 2})
    assert (appointment.standing, appointment.created_at) == (Standing.PENDING, NOW)
    hand.turn(IN_S - 0.001)
    assert await work_off(ctx) == []
    assert carrier.sent == []
    hand.turn(0.001)
    assert await work_off(ctx) == []
    [sent] = carrier.sent
    assert (sent.sender, sent.recipient, sent.text) == (AGENT, USER, "Hi")
    after = await now(ctx, appointment)
    assert (after.standing, after.errors, after.dispatched_at) == (Standing.COMPLETED, (), hand.ms)
    conversation = await conversations.retrieve(ctx, ORG, after.conversation_id or "")
    found = conversation.metadata
    assert (found["order"], found["vip"], found["count"]) == ("A-1", "true", "2")
    assert (found["assistant_id"], found["x_conversation_channel"]) == (assistant.id, "sms_chat")
    assert await taken(ctx) == ()


async def test_inline_variables_are_those_of_the_conversation(ctx: Context, hand: Hand) -> None:
    assistant = await made(ctx, variables={"name": "you", "shop": "Birch"})
    given = {"name": "Ann", "x_agent_target": "no"}
    inline = await text_at(ctx, assistant, "Hi {{name}}, {{shop}} here.", variables=given)
    plain = await text_at(ctx, assistant, "Hi {{name}}.")
    hand.turn(IN_S)
    await work_off(ctx)
    page = await messaging.get_page(ctx, ORG, TextFilter(), Window())
    assert {text.body for text in page.items} == {"Hi Ann, Birch here.", "Hi you."}
    opening = (await conversations.retrieve(ctx, ORG, (await now(ctx, inline)).conversation_id or "")).opening
    assert opening is not None  # nobody is asked for variables any more
    assert (opening.variables["name"], opening.variables["x_agent_target"]) == ("Ann", AGENT)
    found = (await conversations.retrieve(ctx, ORG, (await now(ctx, plain)).conversation_id or "")).opening
    assert found is not None
    assert found.variables["name"] == "you"


async def test_each_message_has_a_conversation_of_its_own(ctx: Context, hand: Hand) -> None:
    assistant = await made(ctx)
    both = [await text_at(ctx, assistant) for _ in range(2)]
    hand.turn(IN_S)
    await work_off(ctx)
    assert len({(await now(ctx, one)).conversation_id for one in both}) == 2


async def test_a_message_that_is_not_taken_fails_with_the_reason(ctx: Context, hand: Hand) -> None:
    ctx = replace(ctx, messenger=Carrier([NotSent("no such number", final=True)]))
    appointment = await text_at(ctx, await made(ctx))
    hand.turn(IN_S)
    assert await work_off(ctx) == []
    after = await now(ctx, appointment)
    assert (after.standing, after.errors) == (Standing.FAILED, ("the message was not sent: no such number",))


async def test_a_carrier_that_is_away_is_asked_again_with_the_same_message(ctx: Context, hand: Hand) -> None:
    carrier = Carrier([NotSent("later", final=False)])
    ctx = replace(ctx, messenger=carrier)
    appointment = await text_at(ctx, await made(ctx))
    hand.turn(IN_S)
    assert len(await work_off(ctx)) == 1
    half = await now(ctx, appointment)
    assert half.standing is Standing.IN_PROGRESS
    hand.turn(2)
    assert await work_off(ctx) == []
    after = await now(ctx, appointment)
    assert after == replace(half, standing=Standing.COMPLETED)
    assert [sent.key for sent in carrier.sent] == [half.text_id]
    assert (await messaging.get_page(ctx, ORG, TextFilter(), Window())).total == 1


async def test_a_worker_that_dies_after_sending_does_not_send_again(
    ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    appointment = await text_at(ctx, await made(ctx))
    hand.turn(IN_S)
    [duty] = await taken(ctx)

    def dies(*_given: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(appointments, "_after_text", dies)
        assert isinstance(await do(ctx, duty), RuntimeError)
    hand.turn(60)
    assert await work_off(ctx) == []
    assert (await now(ctx, appointment)).standing is Standing.COMPLETED
    assert len(carrier.sent) == 1


async def test_an_assistant_that_is_gone_is_told(ctx: Context, hand: Hand) -> None:
    assistant = await made(ctx)
    both = [await text_at(ctx, assistant), await call_at(ctx, assistant)]
    await ctx.database.write(lambda tx: rows.set_deleted(tx, assistant.id, NOW))
    hand.turn(IN_S)
    assert await work_off(ctx) == []
    for one in both:
        after = await ctx.database.read(lambda tx, of=one: kept.get(tx, ORG, of.id))
        assert after is not None
        assert after.standing is Standing.FAILED
        assert assistant.id in after.errors[0]


# --- calls ----------------------------------------------------------------------------------------------------------


async def test_rule_6_6_without_a_carrier_a_call_fails_and_says_so(ctx: Context, hand: Hand) -> None:
    appointment = await call_at(ctx, await made(ctx))
    hand.turn(IN_S)
    assert await work_off(ctx) == []
    after = await now(ctx, appointment)
    assert after.standing is Standing.FAILED
    assert [attempt.status for attempt in after.attempts] == [CallStatus.FAILED]
    assert NO_CARRIER in after.errors[0]


async def test_rule_6_6_retries_wait_from_the_terminal_status_until_the_budget_is_gone(
    ctx: Context, hand: Hand
) -> None:
    exchange = Exchange(hand, [CallResult(status) for status in (CallStatus.BUSY, CallStatus.NO_ANSWER)] * 2)
    ctx = replace(ctx, dialer=exchange)
    appointment = await call_at(ctx, await made(ctx), most_retries=3, retry_interval_s=120)
    hand.turn(IN_S)
    for dispatches in (1, 2, 3):
        await work_off(ctx)
        after = await now(ctx, appointment)
        assert (after.standing, after.retries) == (Standing.PENDING, dispatches)
        assert after.due_at == hand.ms + 120_000
        hand.turn(119.999)
        assert await taken(ctx) == ()
        hand.turn(0.001)
    await work_off(ctx)
    after = await now(ctx, appointment)
    assert (after.standing, after.retries, len(after.attempts), len(exchange.orders)) == (Standing.FAILED, 3, 4, 4)
    assert "4 calls" in after.errors[0]
    assert len({order.key for order in exchange.orders}) == 4
    hand.turn(10_000)
    assert await taken(ctx) == ()


async def test_rule_6_6_a_retry_that_completes_is_a_success(ctx: Context, hand: Hand) -> None:
    answers = [CallResult(CallStatus.CANCELED), CallResult(CallStatus.COMPLETED, 44, "call-1", "talk-1")]
    exchange = Exchange(hand, answers)
    ctx = replace(ctx, dialer=exchange)
    given = {"most_retries": 3, "retry_interval_s": 60, "region": "Europe", "metadata": {"n": 1}}
    appointment = await call_at(ctx, await made(ctx), variables={"name": "Ann"}, **given)
    hand.turn(IN_S)
    await work_off(ctx)
    hand.turn(60)
    sent_at = hand.ms
    await work_off(ctx)
    after = await now(ctx, appointment)
    assert (after.standing, after.errors, after.conversation_id) == (Standing.COMPLETED, (), "talk-1")
    last = after.attempts[1]
    assert (last.number, last.at, last.duration_s, last.call_id) == (2, sent_at, 44, "call-1")
    order = exchange.orders[0]
    assert (order.caller, order.callee, order.region, order.org) == (AGENT, USER, "Europe", ORG)
    assert (order.variables, order.metadata) == ({"name": "Ann"}, {"n": "1"})


@pytest.mark.parametrize("when", WHENS)
async def test_a_call_whose_end_the_database_misses_is_not_made_again(ctx: Context, hand: Hand, when: When) -> None:
    outage = Outage()

    class Cuts(Exchange):
        async def dial(self, order: CallOrder) -> CallResult:
            outage.begins(1, when)
            return await super().dial(order)

    exchange = Cuts(hand, [CallResult(CallStatus.COMPLETED)])
    ctx = replace(ctx, dialer=exchange)
    appointment = await call_at(ctx, await made(ctx), most_retries=1, retry_interval_s=60)
    hand.turn(IN_S)
    weaken(ctx.database, outage)
    assert await work_off(ctx) == []
    assert outage.ends()
    assert (await now(ctx, appointment)).standing is Standing.COMPLETED
    assert len(exchange.orders) == 1


async def test_a_call_that_the_server_did_not_survive_is_an_attempt_that_failed(ctx: Context, hand: Hand) -> None:
    class Dies:
        async def dial(self, order: CallOrder) -> CallResult:
            raise RuntimeError(f"killed while calling {order.callee}")

    appointment = await call_at(ctx, await made(ctx), most_retries=1, retry_interval_s=60)
    hand.turn(IN_S)
    [duty] = await taken(ctx)
    assert isinstance(await do(replace(ctx, dialer=Dies()), duty), RuntimeError)
    assert (await now(ctx, appointment)).standing is Standing.IN_PROGRESS
    hand.turn(2)
    exchange = Exchange(hand, [CallResult(CallStatus.COMPLETED)])
    ctx = replace(ctx, dialer=exchange)
    assert await work_off(ctx) == []
    assert exchange.orders == []  # perhaps it was made: it is not made again at once
    half = await now(ctx, appointment)
    assert (half.standing, half.attempts[0].status) == (Standing.PENDING, CallStatus.FAILED)
    hand.turn(60)
    await work_off(ctx)
    assert (await now(ctx, appointment)).standing is Standing.COMPLETED


# --- deleting, listing ----------------------------------------------------------------------------------------------


async def test_rule_6_6_deleting_cancels_what_is_pending(ctx: Context, hand: Hand) -> None:
    carrier = Carrier()
    ctx = replace(ctx, messenger=carrier)
    assistant, other = await made(ctx), await made(ctx)
    appointment = await text_at(ctx, assistant)
    for org, assistant_id in (("org-b", assistant.id), (ORG, other.id), (ORG, "x")):
        with pytest.raises(NotFound):
            await appointments.delete(ctx, org, assistant_id, appointment.id)
    await appointments.delete(ctx, ORG, assistant.id, appointment.id)
    with pytest.raises(NotFound):
        await now(ctx, appointment)
    hand.turn(IN_S)
    assert await work_off(ctx) == []
    assert carrier.sent == []


async def test_rule_6_6_deleting_what_was_begun_removes_the_record_only(ctx: Context, hand: Hand) -> None:
    carrier = Carrier([NotSent("later", final=False)])
    ctx = replace(ctx, messenger=carrier)
    assistant = await made(ctx)
    appointment = await text_at(ctx, assistant)
    hand.turn(IN_S)
    await work_off(ctx)
    await appointments.delete(ctx, ORG, assistant.id, appointment.id)
    hand.turn(60)
    assert await work_off(ctx) == []
    assert len(carrier.sent) == 1
    page = await messaging.get_page(ctx, ORG, TextFilter(), Window())
    assert [text.status for text in page.items] == [TextStatus.SENT]


async def test_deleting_while_it_is_done_disturbs_nobody(ctx: Context, hand: Hand) -> None:
    assistant = await made(ctx)
    appointment = await call_at(ctx, assistant)

    class Deletes:
        async def dial(self, order: CallOrder) -> CallResult:
            await appointments.delete(ctx, ORG, order.assistant_id, appointment.id)
            return CallResult(CallStatus.BUSY)

    hand.turn(IN_S)
    assert await work_off(replace(ctx, dialer=Deletes())) == []
    assert await ctx.database.read(lambda tx: kept.get(tx, ORG, appointment.id)) is None


async def test_an_assistant_s_appointments_are_listed(ctx: Context) -> None:
    assistant, other = await made(ctx), await made(ctx)
    text, call = await text_at(ctx, assistant), await call_at(ctx, assistant)
    await text_at(ctx, other)
    page = await appointments.get_page(ctx, ORG, AppointmentFilter(assistant.id), Window())
    assert page.items == (call, text)
    with pytest.raises(NotFound):
        await appointments.get_page(ctx, "org-b", AppointmentFilter(assistant.id), Window())
    with pytest.raises(NotFound):
        await text_at(ctx, replace(assistant, id="x"))


async def test_a_message_whose_words_nobody_writes_is_given_up_at_some_time(
    ctx: Context, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to stay pending for ever when its duty was given up."""

    async def broken(*_given: Any) -> None:
        raise Broken("The assistant's model: it is away")

    monkeypatch.setattr(messaging, "compose", broken)
    appointment = await text_at(ctx, await made(ctx))
    hand.turn(IN_S)
    (duty,) = await taken(ctx)
    assert isinstance(await do(ctx, duty), Broken)
    assert (await now(ctx, appointment)).standing is Standing.PENDING
    assert await do(ctx, replace(duty, attempts=TRIES)) is None
    found = await now(ctx, appointment)
    assert (found.standing, found.errors) == (Standing.FAILED, ("The assistant's model: it is away",))
