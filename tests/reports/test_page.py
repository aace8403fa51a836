"""The report as one HTML file."""

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.support.results import UNMET, a_report, a_test, failing

from vivavoce.client import Quote
from vivavoce.reports.page import page, pieces
from vivavoce.reports.results import Problem

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """The elements with their attributes, the text, and whether everything that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.marked = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if "mark" in self.open:
            self.marked += data


def read(text: str) -> Reader:
    reader = Reader(text)
    assert reader.open == []
    return reader


def test_it_shows_every_test_and_opens_those_that_did_not_pass() -> None:
    reader = read(page(a_report(failing(), a_test("passed", "passed", name="Fine"), problem=Problem("odd"))))
    assert [("open" in attributes) for tag, attributes in reader.found if tag == "details"] == [True, False]
    for said in ("2 tests: 1 failed, 1 passed", "asks for the number", "It never asked.", "the assistant", "odd"):
        assert said in reader.text
    assert "2 of 2 runs passed (100 %)" in reader.text
    assert reader.marked == "on Friday"


def test_it_needs_nothing_else() -> None:
    text = page(a_report(failing()))
    reader = read(text)
    assert {tag for tag, _ in reader.found} & {"script", "link", "img", "iframe", "object", "form"} == set()
    assert not any({"src", "href", "style", "onclick"} & attributes.keys() for _, attributes in reader.found)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = [given["content"] for _, given in reader.found if given.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in text


@given(st.text(alphabet="<>&\"'{}%ab/ \x00\x1b"))
def test_whatever_was_said_is_shown_and_does_nothing(said: str) -> None:
    plain = read(page(a_report(failing())))
    verdict = replace(UNMET, reason=said, quote=Quote(3, said))
    odd = read(page(a_report(failing(said, verdict=verdict, reason=said), suite=said)))
    assert [tag for tag, _ in odd.found if tag != "mark"] == [tag for tag, _ in plain.found if tag != "mark"]


@given(st.text(alphabet="abc"), st.lists(st.text(alphabet="abc", max_size=3), max_size=3))
def test_pieces_are_the_text(text: str, found: list[str]) -> None:
    made = pieces(text, tuple(found))
    assert "".join(piece for piece, _ in made) == text
    assert all(one[1] is not other[1] for one, other in pairwise(made))
    assert any(marked for _, marked in made) == any(words and words in text for words in found)
