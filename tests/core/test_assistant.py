from vivavoce.core.assistant import Version
from vivavoce.core.flow import (
    AssistantTarget,
    DefaultCondition,
    Edge,
    Flow,
    NodeTarget,
    PromptNode,
    SpeakNode,
    ToolNode,
)
from vivavoce.core.tool import HandoffTarget, HandoffTool, HangupTool

PLAIN = Version("v", "a", "Desk", "", 0)
NODES = (PromptNode("p", "", tools=("t1", "t3")), PromptNode("q", ""), SpeakNode("s", ""), ToolNode("t", "t2"))
EDGES = (
    Edge("e1", "s", DefaultCondition(), NodeTarget("p")),
    Edge("e2", "t", DefaultCondition(), AssistantTarget("c")),
)


def handoff(*ids: str) -> HandoffTool:
    return HandoffTool(tuple(HandoffTarget(id_, "") for id_ in ids))


def test_an_assistant_refers_to_others_by_tools_of_its_own_shared_tools_and_edges_each_once() -> None:
    made = Version(
        "v",
        "a",
        "Desk",
        "",
        0,
        tools=(HangupTool(), handoff("b")),
        library={"t1": handoff("d", "b")},
        flow=Flow("p", NODES, EDGES),
    )
    assert made.referred() == ("b", "d", "c")
    assert PLAIN.referred() == ()


def test_the_shared_tools_it_names_are_its_own_and_those_of_its_nodes_each_once() -> None:
    made = Version("v", "a", "Desk", "", 0, shared=("t1",), flow=Flow("p", NODES))
    assert made.library_ids() == ("t1", "t3", "t2")
    assert PLAIN.library_ids() == ()
