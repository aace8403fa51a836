import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vivavoce.core.event import (
    Ending,
    Event,
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
from vivavoce.examination.quotes import find, text_of


def desk(text: str) -> Message:
    return Message(Speaker.ASSISTANT, text, 0)


def quoted(words: str, *texts: str, turn: int | None = None) -> Quote | None:
    return find(words, turn, Transcript(tuple(map(desk, texts))))


CALL = ToolCalled(ToolCall("1", "book", {"who": "Zoë", "day": 3}), 0)
RESULT = ToolReturned("1", "book", '{"ok": true}', True, 0)


def test_words_calls_with_their_arguments_and_results_can_be_quoted() -> None:
    assert text_of(desk("Hello.")) == "Hello."
    assert text_of(CALL) == 'book({"day": 3, "who": "Zoë"})'
    assert text_of(RESULT) == '{"ok": true}'


def test_where_a_flow_or_a_handover_led_can_be_quoted() -> None:
    talk = Transcript((Moved("n1", 0, "e", "Billing desk"), Moved("n2", 0), HandedOver("b", "v", "Bill", 0)))
    assert [text_of(event) for event in talk.events] == ["Billing desk", "n2", "Bill"]
    assert find("Bill", None, talk) == Quote(2, "Bill")


def test_documents_that_the_assistant_was_shown_can_be_quoted() -> None:
    talk = Transcript((Recalled(("Open at 9.", "Closed on Sunday."), 0),))
    assert find("Closed on Sunday", None, talk) == Quote(0, "Closed on Sunday")


def test_why_somebody_left_was_never_said_and_cannot_be_quoted() -> None:
    left = Left(Ending.GOODBYE, 0, Speaker.CALLER, "I have my refund.")
    assert text_of(left) == ""
    assert find("I have my refund", None, Transcript((left,))) is None


def test_the_named_turn_is_looked_at_first() -> None:
    texts = ("Yes.", "No.", "Yes.")
    assert quoted("Yes", *texts, turn=2) == Quote(2, "Yes")
    assert quoted("Yes", *texts) == Quote(0, "Yes")


@pytest.mark.parametrize("turn", [None, -1, 0, 2, 99])
def test_where_the_words_stand_elsewhere_the_quote_carries_the_turn_they_stand_in(turn: int | None) -> None:
    assert quoted("It ships today", "Hi.", "It ships today.", "Bye.", turn=turn) == Quote(1, "It ships today")


@pytest.mark.parametrize(
    ("words", "text", "verbatim"),
    [
        ("it SHIPS today", "It ships Today.", "It ships Today"),
        ("It ships\ttoday", "It ships\n  today.", "It ships\n  today"),
        ("It's here", "It’s here.", "It’s here"),
        ("It‘s here", "It's here.", "It's here"),
        ('say "yes" now', "say “yes” now", "say “yes” now"),
        ("9-5 on weekdays", "9–5 on weekdays", "9–5 on weekdays"),
        ('"It ships today."', "It ships today!", "It ships today"),
        ("…ships today…", "It ships today, I think.", "ships today"),
        ("a.c", "abc a.c", "a.c"),
        ("(free)", "It is (free).", "(free)"),
    ],
)
def test_white_space_case_and_the_kind_of_marks_may_differ(words: str, text: str, verbatim: str) -> None:
    assert quoted(words, text) == Quote(0, verbatim)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("It ships tomorrow", "It ships today."),
        ("It ships today", "It today ships."),
        ("a.c", "abc"),
        ("It ships today", "It ships, today."),
        ("ship s", "ships"),
        ("ships", "ship s"),
    ],
)
def test_the_words_may_not_differ(words: str, text: str) -> None:
    assert quoted(words, text) is None


@pytest.mark.parametrize("text", ["It is $100.", "It is $12.", "It is $1st."])
def test_a_number_is_not_cut(text: str) -> None:
    assert quoted("It is $1", text) is None
    assert quoted("It is $1", f"{text} It is $1.") == Quote(0, "It is $1")


@pytest.mark.parametrize(("words", "text"), [("no", "I know."), ("no", "Nobody."), ("can", "toucan"), ("да", "когда")])
def test_a_word_is_not_cut(words: str, text: str) -> None:
    assert quoted(words, text) is None


def test_words_that_overlap_a_cut_word_are_found() -> None:
    assert quoted("a a", "xa a a") == Quote(0, "a a")


def test_scripts_that_are_written_without_spaces_can_be_quoted_in_part() -> None:
    assert quoted("明日届きます", "ご注文は明日届きます。") == Quote(0, "明日届きます")


@pytest.mark.parametrize("words", ["", "  ", '""', "…", "...", "—", "“ ”", "?!"])
def test_what_holds_no_word_is_no_evidence(words: str) -> None:
    assert quoted(words, f"Well {words} then ... … — ?!") is None


def test_nothing_stands_in_an_empty_transcript() -> None:
    assert find("yes", 0, Transcript()) is None


WORDS = st.lists(st.text(string.ascii_lowercase[:3] + "1", min_size=1, max_size=3), min_size=1, max_size=8)
TEXTS = st.lists(WORDS, max_size=4)
GAPS = st.sampled_from([" ", "  ", "\n", "\t", "\u00a0"])


@given(TEXTS, WORDS, st.none() | st.integers(-1, 5), GAPS)
def test_words_are_found_exactly_where_they_stand(
    texts: list[list[str]], wanted: list[str], turn: int | None, gap: str
) -> None:
    talk = Transcript(tuple(desk(gap.join(words)) for words in texts))
    holding = [
        place
        for place, words in enumerate(texts)
        if any(words[at : at + len(wanted)] == wanted for at in range(len(words)))
    ]
    found = find(" ".join(wanted).upper(), turn, talk)
    if not holding:
        assert found is None
    else:
        assert found == Quote(turn if turn in holding else holding[0], gap.join(wanted))


PROSE = st.text(st.sampled_from("aAbß1 \n.,'’\"“-–…（）你好İ"), max_size=30)


def happening(kind: int, text: str) -> Event:
    return (desk(text), ToolCalled(ToolCall("1", "t", {"x": text}), 0), ToolReturned("1", "t", text, True, 0))[kind]


@given(st.lists(st.builds(happening, st.integers(0, 2), PROSE), min_size=1, max_size=4), st.data())
def test_a_quote_is_always_a_verbatim_part_of_the_event_it_names(events: list[Event], data: st.DataObject) -> None:
    source = text_of(data.draw(st.sampled_from(events)))
    start = data.draw(st.integers(0, len(source)))
    change = data.draw(st.sampled_from([str.upper, str.lower, str]))
    words = data.draw(st.just(change(source[start : data.draw(st.integers(start))])) | PROSE)
    turn = data.draw(st.none() | st.integers(-1, 5))
    found = find(words, turn, Transcript(tuple(events)))
    if found is not None:
        assert found.text in text_of(events[found.turn])
        assert letters(found.text) == letters(words) != ""


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.replace("İ", "i").lower()))


@given(PROSE, st.data())
def test_whatever_is_copied_between_two_spaces_is_found(text: str, data: st.DataObject) -> None:
    words = text.split()
    assume(any(letter.isalnum() for letter in text))
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    copied = " ".join(words[start:end])
    assume(any(letter.isalnum() for letter in copied))
    found = quoted(copied, text)
    assert found is not None
    assert found.turn == 0
