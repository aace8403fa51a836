"""A conversation as a page tells it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pages import EVIL, check, read
from tests.support.store import a_run, a_scenario

from vivavoce.core.event import (
    Ending,
    HandedOver,
    Left,
    Message,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Quote
from vivavoce.web.pages import Pages
from vivavoce.web.telling import ENDINGS, answer, because, marked, pretty, reason, told, why

CALLER, ASSISTANT = Speaker.CALLER, Speaker.ASSISTANT


def shown(transcript: Transcript, *quotes: Quote) -> str:
    """What the template makes of it."""
    source = '{% from "talk.html" import talk with context %}<h1>a</h1>{{ talk(transcript, quotes) }}'
    body = Pages()._environment.from_string(source).render(transcript=transcript, quotes=quotes)
    check(read(body))
    return body


def test_quotes_that_overlap_are_one_mark() -> None:
    pieces, missing = marked("one two three", ["two three", "one two"])
    assert [(one.text, one.marked) for one in pieces] == [("one two three", True)]
    assert not missing
    pieces, missing = marked("schöne Grüße 👋 dir", ["Grüße 👋", "nicht da"])
    assert [(one.text, one.marked) for one in pieces] == [("schöne ", False), ("Grüße 👋", True), (" dir", False)]
    assert missing
    assert marked("", [""]) == ((), True)


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=5))
def test_marks_lose_no_letter_and_cover_what_is_quoted(text: str, cuts: list[tuple[int, int]]) -> None:
    quotes = [text[first : first + many] for first, many in cuts]
    pieces, missing = marked(text, quotes)
    assert "".join(one.text for one in pieces) == text
    assert missing == ("" in quotes)
    joined = [one.text for one in pieces if one.marked]
    assert all(any(quote in one for one in joined) for quote in quotes if quote)
    assert all(one.marked != two.marked for one, two in pairwise(pieces))


def test_a_result_stands_with_its_call_and_keeps_its_own_turn() -> None:
    call = ToolCall("c", "look", {"id": "A-1"})
    transcript = Transcript(
        (
            Message(CALLER, "where?", 1_000),
            ToolCalled(call, 2_000),
            Message(ASSISTANT, "One moment.", 2_100, fills=True),
            ToolReturned("c", "look", '{"eta": "Friday"}', False, 3_000, took_ms=900, status_code=500, mocked=True),
            ToolReturned("elsewhere", "other", "fine", True, 3_000),
            Message(ASSISTANT, "Friday.", 4_000, took_ms=1_200),
        )
    )
    found = told(transcript, [Quote(3, "Friday")])
    assert [(one.turn, one.kind) for one in found] == [
        (0, "message"),
        (1, "tool_called"),
        (2, "message"),
        (4, "tool_returned"),
        (5, "message"),
    ]
    assert found[1].result is not None
    assert (found[1].result.turn, found[1].result.quoted, found[1].quoted) == (3, True, False)
    assert [one.after_ms for one in found] == [0, 1_000, 1_100, 2_000, 3_000]
    root = read(shown(transcript, Quote(3, "Friday")))
    assert {f"turn-{turn}" for turn in range(6)} <= {
        one.attributes.get("id") for one in root.all("li") + root.all("div")
    }
    details = root.one("li", id="turn-1").one("details")
    assert "open" in details.attributes
    assert [one.text for one in root.all("mark")] == ["Friday"]
    for words in ("failed", "mocked", "HTTP 500", "900 ms", "while a tool works", "took 1.2 s"):
        assert words in root.text
    assert "open" not in root.one("li", id="turn-0").attributes


def test_quotes_that_are_not_there_mean_the_whole_turn() -> None:
    root = read(shown(Transcript((Message(ASSISTANT, "Friday.", 0),)), Quote(0, "Monday"), Quote(7, "Friday")))
    assert root.one("li", id="turn-0").has("class_", "quoted")
    assert root.all("mark") == []


def test_every_kind_of_event_and_every_ending_has_words() -> None:
    events = (
        Moved("a", 0, name="Welcome"),
        Moved("b", 0, edge="asked"),
        HandedOver("assistant-1", "v", "Billing", 0),
        Recalled(("first", "second"), 0),
        Message(ASSISTANT, "", 0),
        ToolCalled(ToolCall("c", "look", {}), 0),
    )
    text = read(shown(Transcript(events), Quote(3, "second"))).text
    for words in ("stands at Welcome", "went to b", "over asked", "Billing", "2 passages", "said nothing", "no result"):
        assert words in text
    assert set(ENDINGS) == set(Ending)
    for ending, words in ENDINGS.items():
        assert words in read(shown(Transcript((Left(ending, 0),)))).text
    assert "because of that" in shown(Transcript((Left(Ending.LOOP, 0, reason="because of that"),)))
    assert reason(Left(Ending.HANGUP, 0, reason="the assistant hung up")) == ""


def test_what_came_behind_the_end_is_told_so_and_a_hang_up_needs_no_result() -> None:
    events = (
        ToolCalled(ToolCall("c", "hangup", {}), 0),
        Left(Ending.HANGUP, 0),
        Message(ASSISTANT, "Anybody there?", 0),
    )
    text = read(shown(Transcript(events))).text
    assert "nobody heard it" in text
    assert "no result" not in text
    assert read(shown(Transcript())).all("li") == []


def test_nothing_that_was_said_becomes_markup() -> None:
    call = ToolCall("c", EVIL, {EVIL: EVIL})
    events = (
        Message(CALLER, EVIL, 0),
        ToolCalled(call, 0),
        ToolReturned("c", EVIL, EVIL, True, 0, variables={EVIL: EVIL}),
        Moved(EVIL, 0, edge=EVIL, name=EVIL),
        HandedOver(EVIL, EVIL, EVIL, 0),
        Recalled((EVIL,), 0),
        Left(Ending.GOODBYE, 0, reason=EVIL),
    )
    for quotes in ((), tuple(Quote(turn, EVIL[5:12]) for turn in range(7))):
        body = shown(Transcript(events), *quotes)
        assert "<script" not in body
        assert "<b onclick" not in body


def test_answers_and_json_are_read_as_they_come() -> None:
    assert answer('{"score": "Good", "solved": true, "why": null}') == (
        ("score", "Good"),
        ("solved", "true"),
        ("why", "not answered"),
    )
    assert answer("plain words") == (("", "plain words"),)
    assert answer("[1]") == (("", "[1]"),)
    assert pretty('{"a":1}') == '{\n  "a": 1\n}'
    assert pretty("not json") == "not json"
    assert pretty("12") == "12"


def test_what_a_tool_returned_is_laid_out_where_the_quote_stands_in_that_too() -> None:
    def result(quote: str) -> str:
        events = (
            ToolCalled(ToolCall("c", "look", {}), 0),
            ToolReturned("c", "look", '{"day":"Friday","at":[1]}', True, 0),
        )
        root = read(shown(Transcript(events), Quote(1, quote)))
        assert [one.text for one in root.all("mark")] == [quote]
        return "".join(root.all("pre")[-1].words)

    assert '\n  "day": "' in result("Friday")
    assert result('"day":"Friday"') == '{"day":"Friday","at":[1]}'


@pytest.mark.parametrize(
    ("ending", "written", "words", "rest"),
    [
        (None, "the queue was closed", "the queue was closed", "the queue was closed"),
        (Ending.GOODBYE, "unmet: kind", "unmet: kind", "unmet: kind"),
        (Ending.SILENCE, "the conversation ended by silence", "The assistant did not answer.", ""),
        (
            Ending.INFRASTRUCTURE_FAULT,
            "the conversation ended by infrastructure_fault: HTTP 529",
            "Something that the conversation needs was away: HTTP 529",
            "HTTP 529",
        ),
    ],
)
def test_why_a_run_came_out_as_it_did(ending: Ending | None, written: str, words: str, rest: str) -> None:
    run = a_run(a_scenario(), ending=ending, reason=written)
    assert why(run) == words
    assert because(run) == rest
