"""The words of pages, of which any can come."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.tools.page import words_of


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("one<br>two", "one\n\ntwo"),
        ("a <b>bold</b> word", "a bold word"),
        ("<!doctype html><?xml?><!-- <p>no</p> -->yes", "yes"),
        ("<SCRIPT>if (a </b) x('</p>')</SCRIPT >after", "after"),
        ("<style>p > a {}</styles></style\n>after", "after"),
        ("before<script>let x", "before"),
        ("<a title=\"1 > 0\" href='x>y'>link</a>", "link"),
        ("<p title=it's>one</p><p id=it's>two</p>", "one\n\ntwo"),
        ("<a href = >x", "x"),
        ("3 < 4 and 5 <6 </ 7", "3 < 4 and 5 <6"),
        ("a &lt;b&gt; &amp; &#228; &#0;", "a <b> & ä \ufffd"),
        ("<svg><text>logo</text></svg>one<svg/>two", "onetwo"),
        ("<head><title>x<body>one", "one"),
        ("a</head></script>b", "ab"),
        ("<noscript>a < b</noscript>c", "c"),
        ('<a href="never closed>text', "text"),
        ("one<a href=never closed", "one"),
        ("<!-- never closed", ""),
    ],
)
def test_a_page_is_read_by_its_tags(page: str, words: str) -> None:
    assert words_of(page) == words


def test_a_character_with_a_number_beyond_all_bounds_stays_as_it_is() -> None:
    assert words_of(f"&#{'9' * 5000};") == f"&#{'9' * 5000};"


@given(st.text(alphabet="<>/!-[]?&#;=\"' ab\n", max_size=200))
def test_no_page_is_too_broken_to_be_read(page: str) -> None:
    assert "\r" not in words_of(page)


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<a b='", '<a b="', "<a =", "<!--", "<!", "<![", "</", "<?", "&#", "&#9", "<script>", "<p>", "="],
)
def test_no_page_takes_long(piece: str) -> None:
    began = time.process_time()
    words_of(piece * 100_000)
    words_of(f"<a {piece * 100_000}")
    assert time.process_time() - began < 5.0
