import pytest

from vivavoce.core.flow import DefaultCondition, Edge, Flow, NodeTarget, PromptNode, SpeakNode
from vivavoce.core.tool import FunctionTool


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


def test_tools_of_a_flow_are_its_own_those_of_its_nodes_and_those_of_its_components() -> None:
    tools = [FunctionTool(name) for name in "abc"]
    part = Flow("p", (PromptNode("p", "", inline=(tools[2],)),))
    made = Flow(
        "a",
        (PromptNode("a", "", inline=(tools[1],)), SpeakNode("b", "")),
        tools={"t": tools[0]},
        components={"p": part},
    )
    assert list(made.own_tools()) == tools
