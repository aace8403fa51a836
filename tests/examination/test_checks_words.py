"""What the scripted judge reads off the words."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled
from vivavoce.core.scenario import Criterion
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.examination.checks import compute_words
from vivavoce.examination.checks.grammar import read_claims
from vivavoce.examination.checks.literals import LiteralError, mask
from vivavoce.examination.checks.texts import find, quoted, sentences

MET, UNMET, INCONCLUSIVE = Decision.MET, Decision.UNMET, Decision.INCONCLUSIVE


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, at=0)


def desk(text: str) -> Message:
    return Message(Speaker.ASSISTANT, text, at=0, took_ms=10)


def words(text: str, *events: Event, **options: bool) -> Verdict | None:
    return compute_words(Criterion("it", text), Transcript(events), **options)


def decision(text: str, *events: Event, **options: bool) -> Decision | None:
    verdict = words(text, *events, **options)
    return verdict and verdict.decision


TALK = (
    desk("Hello, Birch & Sons. How can I help?"),
    caller("Hi! I “love” your lamps."),
    ToolCalled(ToolCall("1", "lookup_order", {"n": 1}), at=0),
    desk("Your order A-1001 arrives  on\nFriday. It isn’t late!"),
    caller("Great, bye."),
    Left(Ending.GOODBYE, at=0, speaker=Speaker.CALLER),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('says "arrives on Friday"', MET),
        ('The assistant should say "HOW CAN I HELP?"', MET),
        ("mentions 'it isn't late'", MET),
        ("mentions `order a-1001`", MET),
        ('asks for "order"', MET),
        ('says "orders"', UNMET),
        ('says "rder"', UNMET),
        ('says "great"', UNMET),
        ('the caller says "great"', MET),
        ('The user mentions “"love" your”', MET),
        ('says "refund" or "Friday"', MET),
        ('says "refund" or "money"', UNMET),
        ('says "refund", "Monday" or "Friday"', MET),
        ('says "Friday" and "order"', MET),
        ('says "Friday" and "refund"', UNMET),
        ('says "Friday", "order", and "hello"', MET),
        ('never says "refund"', MET),
        ('does not say "Friday"', UNMET),
        ('must not mention "refund" or "Friday"', UNMET),
        (r"says /\b[A-Z]-\d{4}\b/", MET),
        (r"says /\b[a-z]-\d{4}\b/", UNMET),
        (r"says /\b[a-z]-\d{4}\b/i", MET),
        (r"says /lamps/ or /FRIDAY/i", MET),
        (r"never says /\d{5}/", MET),
        (r"says /24\/7/", UNMET),
        ('says "hello" before "Friday"', MET),
        ('says "Friday" before "hello"', UNMET),
        ('says "Friday" before saying "late"', MET),
        ('says "late" before "Friday"', UNMET),
        ('says "hello" before calling lookup_order', MET),
        ('says "Friday" before calling lookup_order', UNMET),
        ('says "refund" before "Friday"', UNMET),
        ('says "refund" or "hello" before the caller says "bye"', MET),
        ('the caller says "hi" before the assistant calls lookup_order', MET),
        ('the caller says "hi" before "bye"', MET),
        ('calls lookup_order before saying "Friday"', MET),
        ("responds within 2 seconds", MET),
        ('calls lookup_order and says "Friday"', MET),
        ('calls lookup_order with n = 1 and says "Friday" and "late" and never says "refund"', MET),
        ('calls lookup_order, and says "refund"; hangs up', UNMET),
        ('The caller says "bye" and hangs up', MET),
        ('the caller says "bye" and the assistant hangs up', UNMET),
        ('responds within 5 s and the conversation ends within 2 turns and says "late"', MET),
    ],
)
def test_words(text: str, expected: Decision) -> None:
    assert decision(text, *TALK) is expected


@pytest.mark.parametrize(
    "text",
    [
        'says "Friday" nicely',
        'says "Friday" and is polite',
        "says hello",
        'says ""',
        'says "\u200b"',
        "says /x*/",
        "says /(/",
        "says /Friday/x",
        "says /Friday",
        "says / Friday/",
        'says {"a": 1}',
        'says "Friday',
        'says "a" and "b" or "c"',
        'says "a", "b"',
        'never says "a" and "b"',
        'never says "a" before "b"',
        'says "a" and "b" before "c"',
        'says "Friday" before "refund"',
        'says "Friday" before leaving',
        'says "Friday" before refund',
        'asks whether "Friday" is fine',
        "is friendly and helpful",
        "calls lookup_order and helps",
        " and ".join(['says "Friday"'] * 9),
    ],
)
def test_what_is_not_computed(text: str) -> None:
    assert words(text, *TALK) is None


def test_quotes_are_sentences_as_they_were_said() -> None:
    assert words('says "arrives on friday"', *TALK) == Verdict(
        "it",
        MET,
        'the assistant said "arrives on friday" (turn 3)',
        "computed",
        Quote(3, "Your order A-1001 arrives  on\nFriday."),
    )
    verdict = words('says "help" and "late"', *TALK)
    assert verdict is not None
    assert verdict.quote == Quote(0, "How can I help?")
    assert verdict.reason == 'the assistant said "help" (turn 0), "late" (turn 3)'
    verdict = words('says "late" or "help"', *TALK)
    assert verdict is not None
    assert verdict.quote == Quote(0, "How can I help?")


def test_offending_words_are_quoted() -> None:
    assert words('never says "late" or "arrives on friday"', *TALK) == Verdict(
        "it", UNMET, 'the assistant said "late" (turn 3)', "computed", Quote(3, "late")
    )


def test_what_was_never_said_is_named() -> None:
    verdict = words('says "refund" and /x+y/ and "late"', *TALK)
    assert verdict == Verdict("it", UNMET, 'the assistant never said "refund" or /x+y/', "computed")
    verdict = words('never says "refund"', *TALK)
    assert verdict == Verdict("it", MET, 'the assistant never said "refund"', "computed")


def test_an_empty_match_is_no_quote() -> None:
    verdict = words(r"never says /\b/", desk("Hi"))
    assert verdict == Verdict("it", UNMET, r"the assistant said /\b/ (turn 0)", "computed")
    spaces = words(r"says /\s+/", desk("   "))
    assert spaces == Verdict("it", MET, r"the assistant said /\s+/ (turn 0)", "computed")


def test_clauses_are_weighed_together() -> None:
    open_ = (caller("Hi"), desk("Hello"))
    assert decision('says "hello" and hangs up', *open_) is INCONCLUSIVE
    assert decision('says "bye" and hangs up', *open_) is UNMET
    assert decision('says "hello" and says "hello" before "bye"', *open_) is None
    assert decision('says "bye" and says "hello" before "bye"', *open_) is UNMET
    both = words('says "bye" and the caller says "no"', *open_)
    assert both is not None
    assert both.reason == 'the assistant never said "bye"; the caller never said "no"'


def test_tools_that_nobody_recorded_are_not_missed() -> None:
    assert decision('says "hello" and calls lookup_order', desk("Hello"), tools_recorded=False) is None
    assert decision('says "bye" and calls lookup_order', desk("Hello"), tools_recorded=False) is UNMET


def test_a_message_too_long_for_its_pattern_is_not_computed() -> None:
    assert words("says /a[bc]{200}/", desk("a" * 100_000)) is None


PHRASES = st.text("abAB ß’'\"é\u0301.-1\u3042\n", min_size=1, max_size=8)


@given(st.lists(PHRASES, max_size=4), st.lists(PHRASES, max_size=3), st.sampled_from(["a b", "ß", "a", "1-", "あ"]))
def test_more_messages_never_unsay_anything(said: list[str], more: list[str], phrase: str) -> None:
    before = decision(f'says "{phrase}"', *map(desk, said))
    after = decision(f'says "{phrase}"', *map(desk, said), *map(caller, more), *map(desk, more))
    assert before in (MET, UNMET)
    assert after is MET or before is UNMET


@given(st.lists(st.one_of(PHRASES.map(desk), PHRASES.map(caller)), max_size=4), PHRASES.filter(lambda p: '"' not in p))
def test_never_says_is_the_negation_of_says(events: list[Message], phrase: str) -> None:
    says, never = decision(f'says "{phrase}"', *events), decision(f'never says "{phrase}"', *events)
    assert (says, never) in {(MET, UNMET), (UNMET, MET), (None, None)}


@given(st.lists(PHRASES, max_size=3), st.sampled_from(["a", "b a", "é", "1", "あ", "SS"]))
def test_quotes_stand_in_their_turn(said: list[str], phrase: str) -> None:
    for text in (f'says "{phrase}"', f'never says "{phrase}"'):
        verdict = words(text, *map(desk, said))
        assert verdict is not None
        if verdict.quote:
            assert verdict.quote.text in said[verdict.quote.turn]


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("order", "my ORDER, please", "ORDER"),
        ("order", "border order", "order"),
        ("it's", "No, it’s  fine", "it’s"),
        ("a b", "x A\u00a0\n B y", "A\u00a0\n B"),
        ("straße", "Die STRASSE hier", "STRASSE"),
        ("cafe\u0301", "un café noir", "café"),
        ("café", "un cafe\u0301 noir", "cafe\u0301"),
        ("cafe", "un cafe\u0301 noir", None),
        ("ﬁve", "five", "five"),
        ("A‑1001", "It is A-1001.", "A-1001"),
        ("don't", "I don\u200b't", "don\u200b't"),
        ("注文", "ご注文の番号", "注文"),
        ("가", "\u1100\u1161 나", "\u1100\u1161"),
        ("order_", "order_id", None),
        ("yes", "ｙｅｓ", "ｙｅｓ"),
        ("क", "की", None),
        ("  ", "a  b", None),
        ("", "a", None),
    ],
)
def test_words_are_found_whatever_their_type(phrase: str, text: str, expected: str | None) -> None:
    span = find(phrase, text)
    assert (text[slice(*span)] if span else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs 3.50 now.", ["It costs 3.50 now."]),
        ('He said "no." Then left', ['He said "no."', "Then left"]),
        ("はい。いいえ。", ["はい。", "いいえ。"]),
        ("a\n\nb", ["a", "b"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_quote_of_an_endless_sentence_is_cut_around_the_words() -> None:
    text = "x " * 400 + "here " + "y " * 400
    span = find("here", text)
    assert span is not None
    quote = quoted(text, span)
    assert "here" in quote
    assert len(quote) <= 300
    assert quoted(text, (0, len(text))) == text.strip()


def test_words_across_sentences_are_quoted_with_both() -> None:
    text = "Zero. One two. Three four. Five."
    span = find("two. Three", text)
    assert span is not None
    assert quoted(text, span) == "One two. Three four."


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\x00", "null character"),
        ('say "a', "is not closed"),
        ("x `a", "is not closed"),
        ("/a", "not closed by a /"),
        ("/a\\/", "not closed by a /"),
        ("/a/ig", "unknown pattern flags 'ig'"),
        ("/a(/", "pattern refused"),
        ("{{name}}", "not a JSON object"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "brackets"),
        ('{"a": ' + "[" * 100_000, "not a JSON object"),
    ],
)
def test_literals_that_are_broken_say_so(text: str, complaint: str) -> None:
    with pytest.raises(LiteralError, match=complaint):
        mask(text)


@pytest.mark.parametrize("text", ["the caller's and/or the agent's", "'tis", "1 / 2", "it 'is", "a 'b'c d"])
def test_apostrophes_and_slashes_in_prose_are_no_literals(text: str) -> None:
    assert mask(text).text == text


def test_quotations_may_hold_quotation_marks() -> None:
    masked = mask(r'say "a \"b\" \n \x", ' + "‘it isn’t’ „so“ «da»")
    assert [getattr(literal, "text", None) for literal in masked.literals] == ['a "b" \n \\x', "it isn’t", "so", "da"]


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "checks.md"


def test_the_forms_of_the_documentation_are_read() -> None:
    rows = re.findall(r"^\| (`.+?) \| [^|]+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    forms = [form for row in rows for form in re.findall(r"`((?:calls|says|the|never|responds) [^`]+)`", row)]
    assert len(forms) > 30
    assert [form for form in forms if read_claims(form) is None] == []
