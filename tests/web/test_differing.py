"""What changed between two versions, for people; and a flow drawn."""

from random import Random
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes import edge, flow

from vivavoce.core.flow import BranchNode, EndNode, PromptNode
from vivavoce.services.differing import Difference
from vivavoce.web import drawing
from vivavoce.web.aligning import Effort, aligned
from vivavoce.web.differing import MOST_ROWS, Budget, Row, rows, told, words
from vivavoce.web.telling import Piece


def text_of(pieces: tuple[Piece, ...]) -> str:
    return "".join(one.text for one in pieces)


def beside(left: str, right: str) -> tuple[Row, ...]:
    return tuple(rows(left, right, Budget()))


def test_unchanged_lines_are_folded_and_changed_words_marked() -> None:
    left = "\n".join(f"line {number}" for number in range(20))
    right = left.replace("line 10", "line ten")
    found = beside(left, right)
    assert [one.kind for one in found] == ["folded", "same", "same", "changed", "same", "same", "folded"]
    assert [one.folded for one in found if one.kind == "folded"] == [8, 7]
    changed = found[3]
    assert [(one.text, one.marked) for one in changed.left or ()] == [("line ", False), ("10", True)]
    assert [(one.text, one.marked) for one in changed.right or ()] == [("line ", False), ("ten", True)]


def test_lines_that_only_one_side_has_stand_alone() -> None:
    found = beside("a", "a\nb")
    assert [(one.kind, one.left is None) for one in found] == [("same", False), ("changed", True)]
    assert beside("", "b")[0].left is None
    assert beside("b", "")[0].right is None


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30))
def test_nothing_is_lost_but_what_is_folded(left: str, right: str) -> None:
    found = beside(left, right)
    if all(one.kind != "folded" for one in found):
        assert "\n".join(text_of(one.left) for one in found if one.left is not None) == left
        assert "\n".join(text_of(one.right) for one in found if one.right is not None) == right
    folded = sum(one.folded for one in found)
    kept = sum(one.kind != "folded" and one.left is not None for one in found)
    assert folded + kept == (left.count("\n") + 1 if left else 0)


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")), st.integers(0, 20_000))
def test_what_is_aligned_is_the_same_and_in_order(left: list[str], right: list[str], effort: int) -> None:
    found, whole = aligned(left, right, Effort(effort))
    a1 = b1 = 0
    for a, b, many in found:
        assert a >= a1
        assert b >= b1
        assert many > 0
        assert left[a : a + many] == right[b : b + many]
        a1, b1 = a + many, b + many
    assert whole or effort < 20_000
    if left == right:
        assert sum(many for _, _, many in found) == len(left)


def test_without_effort_what_stands_once_holds_two_sequences_together() -> None:
    found, whole = aligned("ax1bxx2cxx", "xa1yb2zzczz", Effort(0))
    assert [("ax1bxx2cxx"[a : a + many]) for a, _, many in found] == ["a", "1", "b", "2", "c"]
    assert whole is False
    # Of those that changed their places as many as possible.
    assert aligned("912345", "234591", Effort(0))[0] == ((2, 0, 4),)


def test_where_words_are_too_many_whole_lines_are_marked() -> None:
    budget = Budget(words=Effort(5_000))
    assert words("one a", "one b", budget)[0] == (Piece("one "), Piece("a", marked=True))
    assert not budget.rough
    # What is the same at the ends is found for nothing.
    assert words("a b " * 20, "a c " * 20, budget)[1] == (
        Piece("a "),
        Piece("c " + "a c " * 18 + "a c", marked=True),
        Piece(" "),
    )
    assert budget.rough
    assert words("one a", "one b", Budget(words=Effort(0)))[0] == (Piece("one a", marked=True),)


_DRAWN = Random(1)
_WORDS = [f"word{number}" for number in range(3_000)]


def _prose(words: int) -> str:
    return " ".join(_DRAWN.choices(_WORDS, k=words))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param("a\nb\n" * 500, "a\na\nb\nb\n" * 250, id="alternating"),
        pytest.param("a\nb\n" * 100, "a\na\nb\nb\n" * 50, id="alternating, fewer"),
        pytest.param(
            "\n".join(_prose(95) for _ in range(1_000)), "\n".join(_prose(95) for _ in range(1_000)), id="rewritten"
        ),
        pytest.param("\n".join(["a b " * 40] * 1_000), "\n".join(["a a b b " * 20] * 1_000), id="alternating words"),
        pytest.param("\n".join(_WORDS * 6), "\n".join(_DRAWN.sample(_WORDS * 6, 18_000)), id="shuffled"),
        pytest.param(_prose(100_000), _prose(100_000), id="one line"),
        pytest.param("a\n" * 500_000, "b\n" * 500_000, id="many lines"),
    ],
)
def test_no_text_takes_long_to_compare(left: str, right: str) -> None:
    before = process_time()
    found = told([Difference("a", left, right), Difference("b", right, left)])
    # It takes a third of a second at most; without a limit each of these would take many.
    assert process_time() - before < 2
    assert any(one.rough or one.cut for one in found) or len(left) < 1_000
    assert sum(len(one.rows) for one in found) <= MOST_ROWS


def test_of_too_many_rows_the_first_are_shown() -> None:
    many = "\n".join(f"line {number}" for number in range(MOST_ROWS - 10))
    one, two, three = told([Difference(name, many, many.replace("line", "row")) for name in "abc"])
    assert [(len(field.rows), field.cut) for field in (one, two, three)] == [
        (MOST_ROWS - 10, False),
        (10, True),
        (0, True),
    ]


def test_short_values_stand_beside_each_other_and_long_ones_line_by_line() -> None:
    short, long, data = told(
        [
            Difference("mind.model", "a", None),
            Difference("instructions", "x" * 100, "y"),
            Difference("tools[look]", None, {"name": "look", "url": "https://a.example/a/rather/long/address"}),
        ]
    )
    assert (short.left, short.right, short.rows) == ("a", None, ())
    assert long.rows
    assert data.left is None
    assert any('"name": "look"' in text_of(row.right) for row in data.rows if row.right)


def test_a_flow_is_drawn_in_rows_from_its_start() -> None:
    nodes = (PromptNode("hello", "", name="A name that is far too long"), BranchNode("where"), EndNode("bye"))
    made = flow(*nodes, edges=[edge("hello", "where"), edge("where", "bye"), edge("where", "hello", "again")])
    drawn = drawing.drawn(made)
    assert drawn is not None
    assert [one.title for one in drawn.boxes] == ["A name that is far …", "where", "bye"]
    assert [one.y for one in drawn.boxes] == sorted({one.y for one in drawn.boxes})
    assert len(drawn.lines) == 3
    assert [one.start for one in drawn.boxes] == [True, False, False]


def test_what_nothing_leads_to_is_below_and_large_flows_are_not_drawn() -> None:
    drawn = drawing.drawn(flow(EndNode("a"), EndNode("lonely")))
    assert drawn is not None
    assert drawn.boxes[1].y > drawn.boxes[0].y
    assert drawing.drawn(flow(*(EndNode(str(number)) for number in range(drawing.MOST + 1)))) is None
