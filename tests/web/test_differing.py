"""What changed between two versions, for people; and a flow drawn."""

from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes import edge, flow

from vivavoce.core.flow import BranchNode, EndNode, PromptNode
from vivavoce.services.differing import Difference
from vivavoce.web import drawing
from vivavoce.web.differing import rows, told, words
from vivavoce.web.telling import Piece


def text_of(pieces: tuple[Piece, ...]) -> str:
    return "".join(one.text for one in pieces)


def test_unchanged_lines_are_folded_and_changed_words_marked() -> None:
    left = "\n".join(f"line {number}" for number in range(20))
    right = left.replace("line 10", "line ten")
    found = rows(left, right)
    assert [one.kind for one in found] == ["folded", "same", "same", "changed", "same", "same", "folded"]
    assert [one.folded for one in found if one.kind == "folded"] == [8, 7]
    changed = found[3]
    assert [(one.text, one.marked) for one in changed.left or ()] == [("line ", False), ("10", True)]
    assert [(one.text, one.marked) for one in changed.right or ()] == [("line ", False), ("ten", True)]


def test_lines_that_only_one_side_has_stand_alone() -> None:
    found = rows("a", "a\nb")
    assert [(one.kind, one.left is None) for one in found] == [("same", False), ("changed", True)]
    assert rows("", "b")[0].left is None
    assert rows("b", "")[0].right is None


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30))
def test_nothing_is_lost_but_what_is_folded(left: str, right: str) -> None:
    found = rows(left, right)
    if all(one.kind != "folded" for one in found):
        assert "\n".join(text_of(one.left) for one in found if one.left is not None) == left
        assert "\n".join(text_of(one.right) for one in found if one.right is not None) == right
    folded = sum(one.folded for one in found)
    kept = sum(one.kind != "folded" and one.left is not None for one in found)
    assert folded + kept == (left.count("\n") + 1 if left else 0)


def test_long_lines_are_not_compared_word_by_word() -> None:
    left, right = words("a b " * 200, "a c " * 200)
    assert (len(left), len(right)) == (1, 1)


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
