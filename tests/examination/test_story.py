import pytest

from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Millis,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
    Usage,
)
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Fault, Outcome, Quote, Verdict
from vivavoce.examination.story import retold, tell

START: Millis = 1_700_000_000_000


def told(event: Event) -> str:
    return tell("run", START, (), Transcript((event,))).split("\n")[1]


def test_a_story_is_told_from_the_heading_to_the_outcome() -> None:
    call = ToolCall("1", "look_up", {"id": 7})
    talk = Transcript(
        (
            Message(Speaker.ASSISTANT, "Hi.", START),
            Message(Speaker.CALLER, "Where is it?", START + 1200, 1200),
            ToolCalled(call, START + 1700, 500),
            ToolReturned("1", "look_up", '{"eta": 3}', True, START + 1800, 100),
            Message(Speaker.ASSISTANT, "Three days.", START + 2000, 200),
            Left(Ending.GOODBYE, START + 61_050, Speaker.CALLER, "I know enough", 50),
        )
    )
    verdicts = (
        Verdict("tells the time", Decision.MET, "it did", "some/model", Quote(4, "Three days")),
        Verdict("is quick", Decision.UNMET, "it took 3 s", "computed"),
    )
    outcome = Outcome(Status.FAILED, Fault.ASSISTANT, "unmet: is quick")
    assert (
        tell("run 5: order", START, ("resumed at turn 2",), talk, verdicts, outcome)
        == """\
2023-11-14 22:13:20 UTC  run 5: order
           resumed at turn 2
00:00.000  assistant: Hi.
00:01.200  caller: Where is it? [1.20 s]
00:01.700  assistant calls look_up({"id": 7}) [0.50 s]
00:01.800  look_up answered: {"eta": 3} [0.10 s]
00:02.000  assistant: Three days. [0.20 s]
01:01.050  end: caller goodbye: I know enough [0.05 s]
           met: tells the time — it did — [4] "Three days" (decided by: some/model)
           unmet: is quick — it took 3 s (decided by: computed)
           failed: unmet: is quick (fault: assistant)"""
    )


def test_a_pass_has_no_fault() -> None:
    story = tell("run", START, (), Transcript(), (), Outcome(Status.PASSED, None, "every criterion is met"))
    assert story.endswith("\n           passed: every criterion is met")


def test_tokens_are_told_where_any_were_spent() -> None:
    assert tell("run", START, (), Transcript(), usage=Usage("m", 30, 30)).endswith("\n           tokens: 30 in, 30 out")
    assert "tokens" not in tell("run", START, (), Transcript(), usage=Usage("m"))


def test_attempts_that_broke_off_are_told() -> None:
    assert retold([]) == []
    assert retold(["it was busy", "it was down"]) == [
        "attempt 2: the one before broke off: it was busy",
        "attempt 3: the one before broke off: it was down",
    ]


def test_a_story_without_anything_is_its_heading() -> None:
    assert tell("run", START, (), Transcript()) == "2023-11-14 22:13:20 UTC  run"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Message(Speaker.ASSISTANT, "", START), "assistant: (silence)"),
        (ToolReturned("1", "book", "no", False, START), "book failed: no"),
        (ToolReturned("1", "book", "ok", True, START, mocked=True), "book answered (mock): ok"),
        (ToolReturned("1", "book", "no", False, START, mocked=True), "book failed (mock): no"),
        (Left(Ending.SILENCE, START), "end: silence"),
        (Left(Ending.HANGUP, START, Speaker.ASSISTANT), "end: assistant hangup"),
        (Left(Ending.TURN_LIMIT, START, None, "too long"), "end: turn_limit: too long"),
        (Left(Ending.TRANSFER, START, Speaker.ASSISTANT, "to Ann"), "end: assistant transfer: to Ann"),
        (Message(Speaker.ASSISTANT, "One moment.", START, fills=True), "assistant (while a tool works): One moment."),
        (Recalled(("a", "b"), START, 500), "documents: 2 passages were found [0.50 s]"),
        (Moved("n1", START), "flow: n1"),
        (Moved("n1", START, "e1", "Billing", 500), "flow: Billing (over e1) [0.50 s]"),
        (HandedOver("b", "v", "Bill", START), "handed over to Bill"),
        (HandedOver("b", "v", "Bill", START, "e1", 500), "handed over to Bill (over e1) [0.50 s]"),
    ],
)
def test_everything_that_happened_has_its_line(event: Event, line: str) -> None:
    assert told(event) == f"00:00.000  {line}"


@pytest.mark.parametrize(
    ("after_ms", "clock"),
    [(-5, "00:00.000"), (59_999, "00:59.999"), (60_000, "01:00.000"), (6_000_000, "100:00.000")],
)
def test_times_are_minutes_and_seconds_from_the_start(after_ms: int, clock: str) -> None:
    assert told(Message(Speaker.CALLER, "x", START + after_ms)) == f"{clock}  caller: x"
