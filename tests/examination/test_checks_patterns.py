"""User's patterns: the same answers as ``re``, and never its waiting times."""

import re
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.examination.checks.patterns import MAX_PATTERN, MAX_WORK, PatternError, compile_pattern, search

ALPHABET = "abAB01 -_.\n"


def _spans(source: str, text: str, *, ignore_case: bool = False) -> tuple[tuple[int, int] | None, ...] | None:
    found = search(compile_pattern(source, ignore_case=ignore_case), text)
    return found.spans if found else None


def _expected(source: str, text: str, flags: int = 0) -> tuple[tuple[int, int] | None, ...] | None:
    found = re.search(source, text, flags)
    if found is None:
        return None
    return tuple(None if span == (-1, -1) else span for span in (found.span(n) for n in range(found.re.groups + 1)))


WRITTEN = r"a b A 0 \d \w \s \D \W \S . [ab] [^a] [a-b0-9] []a] [^]] [\d_-] [a\]-] \. \- \n [\n] [\Wa]"
ATOMS = st.sampled_from(WRITTEN.split())
# Whether \B stands in an empty text depends on the version of Python.
TEXTS = st.text(ALPHABET, min_size=1, max_size=12)
EDGES = st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\Z", ""])
COUNTS = st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{2,}", "*?", "+?", "??", "{1,2}?"])
# A repeated part always takes a character: what a repetition of nothing captures is not agreed between engines.
PATTERNS = st.recursive(
    st.tuples(ATOMS, COUNTS, EDGES).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "+?"])).map(lambda two: f"(?:a{two[0]}){two[1]}"),
        st.tuples(ATOMS, st.sampled_from(["*", "+", "{1,2}"])).map(lambda two: f"({two[0]}){two[1]}"),
    ),
    max_leaves=5,
)


@given(PATTERNS, TEXTS)
def test_finds_what_re_finds(source: str, text: str) -> None:
    assert _spans(source, text) == _expected(source, text)


@given(PATTERNS, TEXTS)
def test_ignores_case_as_re_does(source: str, text: str) -> None:
    assert _spans(source, text, ignore_case=True) == _expected(source, text, re.IGNORECASE)


@given(st.text(r"ab01()[]{}|*+?.^$\dwsbB-,:/n", max_size=20), st.text("ab01\n", min_size=1, max_size=8))
def test_arbitrary_patterns_are_read_or_refused(source: str, text: str) -> None:
    try:
        pattern = compile_pattern(source)
    except PatternError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # re warns of classes that may mean something else one day
        expected = re.search(source, text)
    assert (search(pattern, text) is None) is (expected is None)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\b([A-Z]-\d{4})\b", "my number is A-1001, really"),
        (r"(a)|(b)", "b"),
        (r"x{,}", "x{,}"),
        (r"x{y", "x{y"),
        (r"x{}", "x{}"),
        (r"x{1-2}", "x{1-2}"),
        (r"a{0}b", "ab"),
        (r"[a-]", "-"),
        (r"[\--0]", "."),
        (r"[+-\.]", "-"),
        (r"a|b|", "c"),
        (r"a$", "a\n"),
        (r"\t\r\f\v", "\t\r\f\v"),
        (r"[\x2d]".replace(r"\x2d", r"\-"), "-"),
    ],
)
def test_examples(source: str, text: str) -> None:
    assert _spans(source, text) == _expected(source, text)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("(", "a group is not closed"),
        (")", "a group is closed that was never opened"),
        ("[a", "the pattern ends too early"),
        ("\\", "the pattern ends too early"),
        ("*a", "nothing to repeat"),
        ("{2}a", "nothing to repeat"),
        (r"\b*", "nothing to repeat"),
        ("a**", "cannot be repeated without a group"),
        ("a*{2}", "cannot be repeated without a group"),
        ("a++", "cannot be repeated without a group"),
        ("a{3,2}", "wrong order"),
        ("a{9999}", "too large"),
        ("a{1,9999}", "too large"),
        ("[b-a]", "wrong order"),
        (r"[a-\d]", "a range must end in a character"),
        ("(?=a)", "not supported"),
        ("(?P<n>a)", "not supported"),
        (r"(a)\1", "not supported"),
        (r"\pL", "not supported"),
        ("(" * 21 + ")" * 21, "nested too deeply"),
        ("((a{500}){500}){500}", "too big"),
        ("a" * (MAX_PATTERN + 1), "at most"),
    ],
)
def test_refusals_say_why(source: str, complaint: str) -> None:
    with pytest.raises(PatternError, match=re.escape(complaint)):
        compile_pattern(source)


def test_a_repetition_of_nothing_ends() -> None:
    assert _spans("(?:(?:(?:){600}){600}){600}a", "a") == ((0, 1),)
    assert _spans("(?:a*)*b", "aab") == ((0, 3),)


@pytest.mark.parametrize("source", ["(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*x", "a*a*a*a*a*a*x"])
def test_patterns_that_stop_others_take_no_time(source: str) -> None:
    started = time.perf_counter()
    assert _spans(source, "a" * 300 + "!") is None
    assert time.perf_counter() - started < 5


def test_a_text_that_is_too_long_is_refused() -> None:
    pattern = compile_pattern("a")
    with pytest.raises(PatternError, match="too long"):
        search(pattern, "b" * (MAX_WORK // len(pattern.program) + 1))


def test_the_whole_match() -> None:
    found = search(compile_pattern("b+"), "abba")
    assert found is not None
    assert found.span == (1, 3)
