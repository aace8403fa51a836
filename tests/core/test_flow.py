import pytest

from vivavoce.core.flow import DefaultCondition, Edge, Flow, NodeTarget, SpeakNode


def test_a_flow_knows_its_nodes_and_what_leaves_them_in_order() -> None:
    a, b = SpeakNode("a", "A."), SpeakNode("b", "B.")
    edges = tuple(
        Edge(id_, start, DefaultCondition(), NodeTarget("b")) for id_, start in (("2", "a"), ("3", "b"), ("1", "a"))
    )
    made = Flow("a", (a, b), edges)
    assert (made.node("a"), made.node("b")) == (a, b)
    assert [edge.id for edge in made.leaving("a")] == ["2", "1"]
    with pytest.raises(KeyError, match="c"):
        made.node("c")
