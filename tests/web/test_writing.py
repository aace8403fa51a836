"""A test as a form writes it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from tests.support.store import NOW, a_scenario

from vivavoce.core.scenario import Criterion, Medium
from vivavoce.core.tool import ToolMock
from vivavoce.files.scenarios import blank, laid_over
from vivavoce.web import writing
from vivavoce.web.writing import MOST_ROWS, Row, Written, read
from vivavoce.web.writing import blank as empty

_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=30).filter(str.strip)
_LINES = st.lists(_WORDS | st.sampled_from([None, "free", "hang_up", "say: free", " indented", "two\n  lines"]))


def filled(*rows: Row, **fields: str) -> Written:
    """A form that says enough, changed by the keywords."""
    written = empty(name="Order", assistant="a-1", scenario="Ask for the order.")
    return Written({**written.fields, **fields}, rows or (Row(text="is kind"),))


@given(_LINES, st.booleans())
@settings(max_examples=60, deadline=None)
def test_turns_come_back_as_they_were(lines: list[str | None], hangs_up: bool) -> None:
    """But for white space around words that would not be said."""
    text = writing.turns_text(lines, hangs_up=hangs_up)
    found = read(filled(turns=text))
    assert found.document is not None, found.errors
    again = laid_over(blank(NOW), found.document, "a-1", None)
    assert (again.lines, again.hangs_up) == (tuple(lines), hangs_up)


@given(_LINES, st.lists(_WORDS.map(str.strip), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_form_that_is_sent_as_it_stands_changes_nothing(lines: list[str | None], names: list[str]) -> None:
    criteria = tuple(Criterion(name, "is kind") for name in names)
    scenario = a_scenario(
        name="Order",
        target="a-1",
        suite="s",
        persona="Dana,\n  who waits",
        brief="Ask.\n\n  Twice.",
        lines=tuple(lines),
        criteria=(*criteria, Criterion("quick", "The assistant responds within 2 seconds", computed=True)),
        medium=Medium.PHONE_CALL,
        description="d",
        variables={"a": [1, {"b": None}], "c: d": "yes", "e": "1"},
        mocks=(ToolMock("look_up", "x: 1", {"n": 1}, False), ToolMock("b", '{"a": 1}')),
        max_duration_s=60,
        turn_limit=len(lines) + 5,
        utterance_limit=len(lines) + 9,
        tester_model="m",
        repeats=3,
    )
    written = writing.of_scenario(scenario, here=True)
    sent = [(name, text) for name, text in written.fields.items()]
    for row in written.rows:
        sent += [("criterion_name", row.name), ("criterion_text", row.text), ("criterion_kind", row.kind)]
    found = read(writing.of_form(ImmutableMultiDict(sent)))
    assert found.document is not None, found.errors
    assert laid_over(scenario, found.document, "a-1", found.document.suite) == scenario


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"name": "  "}, {"name": "A test needs a name."}),
        ({"name": "x" * 2_000}, {"name": "This should have at most 1000 characters."}),
        ({"assistant": ""}, {"assistant": "Choose an assistant, or write the address of one that is elsewhere."}),
        (
            {"destination": "https://x.test"},
            {"destination": "Leave this empty, or choose “Elsewhere” in the list of assistants."},
        ),
        ({"scenario": " "}, {"scenario": writing.NO_BRIEF}),
        ({"scenario": "", "turns": "Hello\nfree\nhang_up"}, {"scenario": writing.NO_BRIEF}),
        ({"turns": "hang_up\nHello"}, {"turns": "Turn 1: The caller can hang up at the last turn only."}),
        ({"turns": "a\n" + "x" * 30_000}, {"turns": "Turn 2: This should have at most 20000 characters."}),
        ({"turns": "a\nb\nc", "turn_limit": "2"}, {"turn_limit": "It should be 3 at least: there are so many turns."}),
        ({"turn_limit": "many"}, {"turn_limit": "This should be a valid integer."}),
        ({"repeats": "0"}, {"repeats": "This should be greater than or equal to 1."}),
        ({"max_duration_seconds": "1e3"}, {"max_duration_seconds": "This should be a valid integer."}),
        ({"medium": "pigeon"}, None),
        ({"variables": "a: [1"}, None),
        ({"variables": "- 1"}, None),
        ({"variables": "a: 1\n---\nb: 2"}, {"variables": "This should be one document."}),
        ({"variables": 'a: "\\u0000"'}, None),
        ({"mocks": "- tool: a"}, {"mocks": "0: 'output' is missing."}),
        ({"mocks": "- {tool: a, output: b, outpt: c}"}, None),
        ({"mocks": "tool: a"}, None),
        ({"suite": "a\nb"}, None),
    ],
)
def test_what_is_wrong_is_said_at_its_field(fields: dict[str, str], errors: dict[str, str] | None) -> None:
    found = read(filled(**fields))
    assert found.document is None
    if errors is None:
        # The words are the validator's.
        (name,) = set(found.errors) & set(fields) or set(found.errors)
        assert name in fields
        assert found.errors[name].endswith(".")
    else:
        assert found.errors == errors


def test_what_is_wrong_with_a_criterion_is_said_at_its_row() -> None:
    rows = (Row(), Row(text="is kind"), Row("quick", "is quick", "computed"), Row(), Row("x" * 2_000, "y"), Row("only"))
    errors = dict(read(filled(*rows)).errors)
    assert set(errors) == {"row-2", "row-4", "row-5"}
    assert "docs/reference/checks.md" in errors["row-2"]
    assert read(filled(Row(), Row())).errors == {
        "criteria": "Without a criterion there is nothing to decide. Write one at least."
    }


def test_criteria_keep_their_names_and_their_judges() -> None:
    rows = (Row(text="  is kind "), Row("quick", "The assistant responds within 2 seconds", "computed"), Row())
    document = read(filled(*rows)).document
    assert document is not None
    made = laid_over(blank(NOW), document, "a-1", None)
    assert made.criteria == (
        Criterion("is kind", "is kind"),
        Criterion("quick", "The assistant responds within 2 seconds", computed=True),
    )


def test_criteria_are_named_in_the_order_of_the_rows() -> None:
    """Two of the same text, one of each kind: the first has the name."""
    text = "The assistant responds within 2 seconds"
    kinds = (Row(text=text, kind="computed"), Row(text=text), Row(text, "is kind"), Row(text=text, kind="computed"))
    found = read(filled(Row(), *kinds))
    assert found.document is not None
    assert found.order == (2, 0, 1, 3)
    made = laid_over(blank(NOW), found.document, "a-1", None).criteria
    assert [(made[place].name, made[place].text, made[place].computed) for place in found.order] == [
        (text, text, True),
        (f"{text} (2)", text, False),
        (text, "is kind", False),
        (f"{text} (3)", text, True),
    ]


def test_a_form_is_sent_as_browsers_send_it() -> None:
    shown = writing.of_scenario(
        a_scenario(name="two\nlines", brief="a\rb\r\nc", criteria=(Criterion("n\nm", "x\r\ny"),)), here=True
    )
    sent = Written({**shown.fields, "name": "twolines", "scenario": "a\nb\nc"}, (Row("nm", "x\ny"),))
    assert writing.same(sent, shown)
    for other in ({"scenario": "ab\nc"}, {"name": "two"}, {"medium": "phone_call"}):
        assert not writing.same(Written({**sent.fields, **other}, sent.rows), shown)
    assert not writing.same(sent.plus(), shown)
    assert not writing.same(Written(sent.fields, (Row("nm", "x\ny", "computed"),)), shown)


def test_a_form_that_nobody_made_is_read_too() -> None:
    many: list[tuple[str, Any]] = [("criterion_text", "x")] * 3_000
    assert writing.of_form(ImmutableMultiDict(many)).rows == ()
    both = many + [("criterion_name", "n"), ("criterion_kind", "k")] * 3_000
    written = writing.of_form(ImmutableMultiDict(both))
    assert len(written.rows) == MOST_ROWS == len(written.plus().rows)
    assert read(written).document is None
