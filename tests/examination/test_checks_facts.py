"""What is computed before any judge is asked, and above all what is not."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.scenario import Criterion
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.examination.checks import compute_fact, compute_words
from vivavoce.examination.quotes import text_of

MET, UNMET, INCONCLUSIVE = Decision.MET, Decision.UNMET, Decision.INCONCLUSIVE


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, at=0, took_ms=100)


def desk(text: str, took_ms: int = 1000) -> Message:
    return Message(Speaker.ASSISTANT, text, at=0, took_ms=took_ms)


def called(name: str, **arguments: Any) -> ToolCalled:
    return ToolCalled(ToolCall("1", name, arguments), at=0)


def returned(name: str, took_ms: int = 500) -> ToolReturned:
    return ToolReturned("1", name, "{}", ok=True, at=0, took_ms=took_ms)


def left(ending: Ending) -> Left:
    speaker = {Ending.GOODBYE: Speaker.CALLER, Ending.HANGUP: Speaker.ASSISTANT}.get(ending)
    return Left(ending, at=0, speaker=speaker)


def fact(text: str, *events: Event, **options: bool) -> Verdict | None:
    return compute_fact(Criterion("it", text), Transcript(events), **options)


def decision(text: str, *events: Event, **options: bool) -> Decision | None:
    verdict = fact(text, *events, **options)
    return verdict and verdict.decision


ORDER = (
    desk("Hello. How can I help?", 50),
    caller("Where is my order?"),
    desk("What is the number?", 2000),
    caller("A-1001"),
    called(
        "lookup_order", order_number="A-1001", country="DE", quantity=2, gift=True, note=None, box={"size": [1, 2.0]}
    ),
    returned("lookup_order"),
    desk("It arrives on Friday. Anything else?", 3000),
    caller("No, bye."),
    left(Ending.GOODBYE),
)

# --- what is prose --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "tells the caller the refund arrives within 30 days",
        "calls the caller by name",
        "calls Bob",
        "calls back within 5 minutes",
        "calls 911",
        "calls",
        "does not call refund",
        "calls the tool",
        "calls the tool correctly",
        "calls the tool once",
        "uses the required tool",
        "uses e-mail",
        "uses gpt4",
        'uses "please"',
        'calls "Mr. Smith"',
        "calls lookup_order if needed",
        "calls lookup_order with care",
        'calls lookup_order with order number "A-1001"',
        "calls lookup_order with a = ",
        "calls lookup_order twice twice",
        "calls lookup_order one and a half times",
        "calls lookup_order 1.5 times",
        "calls lookup_order 99999 times",
        "does not call lookup_order twice",
        "calls lookup_order before noon",
        "calls lookup_order before calling Bob",
        "calls lookup_order twice before refund_order",
        "never calls lookup_order before refund_order",
        "calls lookup_order before the caller leaves",
        "calls lookup_order before it calls refund_order twice",
        "calls lookup_order before refund_order before close_order",
        "hangs up before the caller hangs up",
        "the caller calls lookup_order",
        "the caller responds within 5 seconds",
        "responds politely within 30 seconds",
        "responds within 30 seconds to complaints",
        "responds within 30 days",
        "responds within 5 messages",
        "responds within 1,5 seconds",
        "responds quickly",
        "does not respond within 30 seconds",
        "answers the call within 5 seconds",
        "average response time is below 5 seconds",
        "the assistant hangs up politely",
        "the assistant and the caller hang up",
        "the conversation ends within 5 turns every time",
        "the conversation ends happily within 5 turns",
        "the conversation ends well",
        'says "hello"',
        'says "hello" before calling lookup_order',
        "responds within 30 seconds and hangs up",
        "Is it polite? Responds within 30 seconds",
        'calls lookup_order with {"order_number": ',
        'calls lookup_order with ["A-1001"]',
        'calls "lookup_order',
        "calls lookup_order\x00",
        "calls lookup_order " + "x" * 1000,
        "responds in time, within 30 seconds, when the system prompt says so",
    ],
)
def test_prose_is_left_to_the_judge(text: str) -> None:
    assert fact(text, *ORDER) is None


@given(st.text(st.sampled_from('callsrepondwithin _`"/{}.5 msec\x00-'), max_size=60))
def test_arbitrary_criteria_never_raise(text: str) -> None:
    for compute in (compute_fact, compute_words):
        verdict = compute(Criterion("it", text), Transcript(ORDER))
        assert verdict is None or verdict.decided_by == "computed"


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Agent responds within 30 seconds", MET),
        ("The assistant must respond within 30 seconds.", MET),
        ("Verify that the AI agent always replies in under 3 s", UNMET),
        ("it responds to the caller within 3.5 s", MET),
        ("  The  agent\nresponds within 4 seconds  ", MET),
        ("responds to every message within 3s", UNMET),
        ("responds to the first message in less than three seconds", MET),
        ("replies in 3500 ms", MET),
        ("replies in less than 3500 ms", UNMET),
        ("replied in no more than 3500 milliseconds", MET),
        ("answers within 1 minute", MET),
        ("answers within a minute every time", MET),
        ("answers in half a second", UNMET),
        ("every response takes less than 500 ms", UNMET),
        ("each reply comes within 5 sec", MET),
        ("all responses take at most 4 secs", MET),
        ("The first response arrives within 2 seconds", MET),
        ("the initial response took under 2 seconds", UNMET),
        ("response time is below 5 seconds", MET),
        ("The assistant's response time stays under 3 seconds", UNMET),
        ("the first response time is at most 2 s", MET),
        ("response times never exceed 3 s", UNMET),
        ("response time never exceeds 3 s", UNMET),
        ("the response time must not exceed 4 s", MET),
        ("response time: < 4 s", MET),
        ("max response time <= 3.5 s", MET),
        ("ensure the response time ≤ 2 mins", MET),
    ],
)
def test_response_times(text: str, expected: Decision) -> None:
    assert decision(text, *ORDER) is expected


def test_the_slowest_response_is_named() -> None:
    verdict = fact("responds within 3 seconds", *ORDER)
    assert verdict == Verdict(
        "it",
        UNMET,
        "the slowest of 2 responses took 3.5 s (turn 6); the limit is 3 s",
        "computed",
        Quote(6, "It arrives on Friday."),
    )
    verdict = fact("the first response takes less than 900 ms", caller("Hi"), desk("Hello.", 800))
    assert verdict is not None
    assert verdict.reason == "the first response took 800 ms (turn 1); the limit is less than 900 ms"


def test_one_response_is_no_plural() -> None:
    verdict = fact("responds within 3 seconds", caller("Hi"), desk("Hello.", 800))
    assert verdict is not None
    assert verdict.reason == "the slowest of 1 response took 800 ms (turn 1); the limit is 3 s"


def test_what_nobody_waited_for_is_no_response() -> None:
    assert decision("responds within 3 seconds", desk("Hello.", 9000)) is INCONCLUSIVE
    assert decision("responds within 3 seconds") is INCONCLUSIVE


def test_silence_is_no_response() -> None:
    silent = fact(
        "responds within 3 seconds", caller("Hi"), called("look_up"), desk(" ", 10), caller("Hello?"), desk("Yes", 1)
    )
    assert silent is not None
    assert (silent.decision, silent.reason) == (
        UNMET,
        "the assistant stayed silent when it was spoken to (turn 2, 10 ms)",
    )
    words_first = (caller("Hi"), desk("One moment.", 10), called("look_up"), desk("", 10))
    assert decision("responds within 3 seconds", *words_first) is MET
    assert fact("responds within 3 seconds", *words_first) == Verdict(
        "it", MET, "the slowest of 1 response took 20 ms (turn 3); the limit is 3 s", "computed"
    )


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=8),
    st.integers(0, 10_000),
    st.booleans(),
    st.booleans(),
)
def test_times_agree_with_a_direct_computation(
    turns: list[tuple[bool, int]], limit: int, strict: bool, first: bool
) -> None:
    transcript = Transcript(tuple(caller("Hi") if is_caller else desk("Yes.", ms) for is_caller, ms in turns))
    text = (
        f"{'the first response' if first else 'every response'} takes {'less than' if strict else 'at most'} {limit} ms"
    )
    verdict = compute_fact(Criterion("it", text), transcript)
    times = [took for _, took in transcript.response_times()][: 1 if first else None]
    assert verdict is not None
    if not times:
        assert verdict.decision is INCONCLUSIVE
    else:
        assert verdict.decision is (MET if (max(times) < limit if strict else max(times) <= limit) else UNMET)


# --- tools ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("calls lookup_order", MET),
        ("The assistant should call lookup_order.", MET),
        ("the agent invoked the tool lookup_order", MET),
        ("uses lookup_order", MET),
        ("uses the lookup_order tool", MET),
        ("calls the function `lookup_order`", MET),
        ("uses `lookup_order`", MET),
        ('calls "lookup_order"', MET),
        ("calls ‘lookup_order’", MET),
        ("calls look-up", UNMET),
        ("calls the tool refund", UNMET),
        ("does not call the tool refund", MET),
        ("never calls `refund`", MET),
        ("doesn’t call lookup_order", UNMET),
        ("must never call lookup_order", UNMET),
        ("calls lookup_order once", MET),
        ("calls lookup_order exactly one time", MET),
        ("calls lookup_order twice", UNMET),
        ("calls lookup_order at least twice", UNMET),
        ("calls lookup_order at most 2 times", MET),
        ("calls lookup_order no more than once", MET),
        ("calls lookup_order more than once", UNMET),
        ("never calls lookup_order more than once", MET),
        ('calls lookup_order with order_number "A-1001"', MET),
        ('calls lookup_order with order_number "a-1001"', UNMET),
        ('calls lookup_order with order_number = A-1001 and country = "DE"', MET),
        ("calls lookup_order with the arguments order_number: `A-1001`, quantity of 2 and gift = true", MET),
        ('calls lookup_order with "order_number" set to "A-1001"', MET),
        ("calls lookup_order with quantity 2 once", MET),
        ("calls lookup_order once with quantity = 3", UNMET),
        ('calls lookup_order with quantity = "2" and note = null', MET),
        ("calls lookup_order with quantity 2.0", UNMET),
        ("calls lookup_order with missing 2", UNMET),
        ("calls lookup_order with box.size.x = 2", UNMET),
        ("never calls lookup_order with quantity 3", MET),
        ('calls lookup_order with {"quantity": 2.0, "gift": true, "box": {"size": [1, 2]}}', MET),
        ('calls lookup_order with {"box": {"size": [1]}}', UNMET),
        ('calls lookup_order with {"box": {"size": {"x": 1}}}', UNMET),
        ('calls lookup_order with {"quantity": [2]}', UNMET),
        ('calls lookup_order with {"quantity": {}}', UNMET),
        ("calls lookup_order with {}", MET),
    ],
)
def test_tool_calls(text: str, expected: Decision) -> None:
    assert decision(text, *ORDER) is expected


def test_a_path_leads_into_the_arguments() -> None:
    nested = called("book_room", **{"guest": {"name": "Ada"}, "a.b": "whole"})
    assert decision('calls book_room with guest.name = "Ada"', nested) is MET
    assert decision('calls book_room with a.b = "whole"', nested) is MET


def test_reasons_name_turns_and_other_arguments() -> None:
    def reason(text: str, *events: Event) -> str:
        verdict = fact(text, *events)
        assert verdict is not None
        first = next(iter(events), None)
        assert verdict.quote == (Quote(0, text_of(first)) if first else None)
        return verdict.reason

    one, two = called("pay_bill", sum=1), called("pay_bill", sum=2)
    assert reason("calls pay_bill") == "pay_bill was never called"
    assert reason("calls pay_bill", one) == "pay_bill was called once (turn 0)"
    assert reason("calls pay_bill", one, two) == "pay_bill was called twice (turns 0, 1)"
    assert reason("calls pay_bill", one, two, two) == "pay_bill was called 3 times (turns 0, 1, 2)"
    assert (
        reason("calls pay_bill with sum = 1", one, two)
        == "pay_bill was called once (turn 0) with these arguments; and with others: turn 1: {'sum': 2}"
    )
    assert reason("calls pay_bill with sum = 2", two) == "pay_bill was called once (turn 0) with these arguments"


def test_a_plain_word_may_describe_a_tool() -> None:
    """'the weather tool' may be get_weather; only where that cannot be, or makes no difference, is it computed."""
    text = "calls the weather tool"
    assert decision(text, called("weather")) is MET
    assert decision(text) is UNMET
    assert decision(text, called("get_weather")) is None
    assert decision("calls the weather tool before calling book_trip", called("get_weather")) is None
    assert decision("calls get_weather before calling the booking tool", called("get_weather")) is None


def test_tools_that_nobody_recorded_are_not_missed() -> None:
    for text in ("calls lookup_order", "never calls lookup_order", "calls lookup_order before refund_order"):
        assert decision(text, desk("Hello"), tools_recorded=False) is None
    assert decision("the assistant hangs up", left(Ending.HANGUP), tools_recorded=False) is MET


A, B = called("verify_caller", pin="1"), called("refund_order")


@pytest.mark.parametrize(
    ("text", "events", "expected"),
    [
        ("calls verify_caller before refund_order", (A, B), MET),
        ("calls verify_caller before refund_order", (A, B, A), MET),
        ("calls verify_caller before calling refund_order", (B, A), UNMET),
        ("calls verify_caller before it calls the refund_order tool", (B,), UNMET),
        ("calls verify_caller before refund_order", (A,), None),
        ("calls verify_caller before refund_order", (), None),
        ("calls verify_caller with pin = 2 before refund_order", (A, B), UNMET),
        ("calls verify_caller with pin = 1 before using `refund_order`", (A, B), MET),
        ('calls verify_caller before saying "thank you"', (A, desk("Thank you, Ada.")), MET),
        ('calls verify_caller before saying "thank you"', (desk("Thank you."), A), UNMET),
        ('calls verify_caller before saying "thank you"', (A, caller("Thank you.")), None),
        ('calls verify_caller before the assistant mentions "Ada"', (A, desk("Hello Ada.")), MET),
        ('calls verify_caller before the caller says "1234"', (caller("1234"), A), UNMET),
        ('calls verify_caller before it never says "1234"', (A,), None),
        ('calls verify_caller before it says "1" and "2"', (A,), None),
    ],
)
def test_order(text: str, events: tuple[Event, ...], expected: Decision | None) -> None:
    assert decision(text, *events) is expected


def test_order_gives_both_turns() -> None:
    verdict = fact('calls verify_caller before saying "sure"', desk("Sure. One moment."), A)
    assert verdict == Verdict(
        "it",
        UNMET,
        'verify_caller was called in turn 1, the assistant said "sure" in turn 0',
        "computed",
        Quote(0, "Sure."),
    )
    verdict = fact("calls verify_caller before refund_order", B)
    assert verdict is not None
    assert verdict.reason == "refund_order was called in turn 0, and the other did not happen"


# --- endings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ending", "expected"),
    [
        ("the assistant hangs up", Ending.HANGUP, MET),
        ("hangs up", Ending.GOODBYE, UNMET),
        ("The agent ends the call.", Ending.HANGUP, MET),
        ("the assistant does not hang up", Ending.HANGUP, UNMET),
        ("the assistant never hangs up", Ending.GOODBYE, MET),
        ("the caller ends the conversation", Ending.GOODBYE, MET),
        ("the user left the chat", Ending.HANGUP, UNMET),
        ("the caller hangs up", Ending.LOOP, UNMET),
        ("the customer should not hang up", Ending.MAX_DURATION, MET),
        ("the caller hangs up", Ending.TRANSFER, UNMET),
        ("the assistant hangs up", Ending.IDLE, UNMET),
        ("the conversation ends within 1 turn", Ending.GOODBYE, MET),
        ("the conversation ends in fewer than 1 turns", Ending.GOODBYE, UNMET),
        ("The call lasts at most 2 messages", Ending.GOODBYE, MET),
        ("the chat is over within one message", Ending.GOODBYE, UNMET),
        ("the conversation ends within 2 seconds", Ending.GOODBYE, MET),
        ("the conversation takes less than 1100 ms", Ending.GOODBYE, UNMET),
    ],
)
def test_endings(text: str, ending: Ending, expected: Decision) -> None:
    assert decision(text, caller("Hi"), desk("Bye"), left(ending)) is expected


def test_whether_putting_through_is_hanging_up_a_judge_decides() -> None:
    assert decision("the assistant hangs up", caller("Hi"), left(Ending.TRANSFER)) is None


def test_what_stands_behind_the_end_does_not_move_it() -> None:
    verdict = fact("the caller hangs up", caller("Hi"), left(Ending.GOODBYE), called("save"), desk("done"))
    assert verdict is not None
    assert verdict.reason == "the caller ended the conversation (turn 1)"
    behind = (caller("Hi"), desk("Bye"), left(Ending.GOODBYE), called("save_note"), desk("done"))
    assert decision("the call lasts at most 2 messages", *behind) is MET
    assert decision("calls save_note", *behind) is MET


def test_words_that_fill_the_time_are_no_message_that_counts_and_no_response() -> None:
    wait = Message(Speaker.ASSISTANT, "One moment.", 0, fills=True)
    talk = (caller("Hi"), called("look_up"), wait, returned("look_up", 2000), desk("Here.", 100), left(Ending.GOODBYE))
    assert decision("the call lasts at most 2 messages", *talk) is MET
    assert decision("responds within 1 second", *talk) is UNMET
    silent = (caller("Hi"), called("look_up"), wait, returned("look_up"), desk(""), left(Ending.GOODBYE))
    assert decision("responds within 30 seconds", *silent) is UNMET


def test_endings_are_told() -> None:
    def reason(text: str, *events: Event) -> str:
        verdict = fact(text, *events)
        assert verdict is not None
        return verdict.reason

    assert reason("the caller hangs up", left(Ending.HANGUP)) == "the assistant ended the conversation (turn 0)"
    assert reason("the caller hangs up", left(Ending.SILENCE)) == "the conversation ended by silence (turn 0)"
    over = (caller("Hi"), desk("Bye"), left(Ending.HANGUP))
    assert reason("the call lasts at most 9 messages", *over) == "the conversation took 2 messages"
    assert reason("the call lasts at most 9 turns", *over) == "the conversation took 1 message of the caller"
    assert reason("the call lasts at most 9 s", *over) == "the conversation took 1.1 s"


def test_a_conversation_that_goes_on_may_still_change() -> None:
    open_ = (caller("Hi"), desk("Hello"))
    assert decision("the assistant hangs up", *open_) is INCONCLUSIVE
    assert decision("the conversation ends within 2 messages", *open_) is INCONCLUSIVE
    assert decision("the conversation ends within 1 message", *open_) is UNMET


def test_arguments_that_are_not_mappings_have_no_paths() -> None:
    arguments: Mapping[str, Any] = {"order": "A-1001"}
    assert decision("calls look_up with order.id = 1", called("look_up", **arguments)) is UNMET
