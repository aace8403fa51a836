"""Components of flows: put in the place of the nodes that stand for them, and gone through."""

from dataclasses import replace

import pytest
from tests.support.scenes import DEFAULT, agent, back, before, edge

from vivavoce.assistant.ports import Routing
from vivavoce.assistant.spread import spread
from vivavoce.core.flow import (
    AskCondition,
    BranchNode,
    ComponentNode,
    EndNode,
    Flow,
    Global,
    HeardCondition,
    Inner,
    PromptNode,
    ToolNode,
)
from vivavoce.core.model import Reply
from vivavoce.core.tool import FunctionTool

HELLO, TELL = PromptNode("hello", "Greet.", says="Hello."), PromptNode("tell", "Tell.", says="Told.")
LOOK = FunctionTool("look_up")
ASKING = before(
    PromptNode("ask", "Ask.", says="Your number?", tools=("t1", "shared")),
    ToolNode("look", "t1"),
    EndNode("end", "Thank you."),
    edges=[edge("ask", "look", HeardCondition(), "e"), edge("look", "end", DEFAULT, "f")],
    tools={"t1": LOOK},
)
PART = ComponentNode("part", "asking", "The part")
AROUND = before(
    HELLO,
    PART,
    TELL,
    edges=[edge("hello", "part", HeardCondition()), edge("part", "hello", "Again?"), edge("part", "tell")],
)


async def test_section_7_3_a_component_is_gone_through_and_at_its_end_the_nodes_ways_are_looked_at() -> None:
    play = agent(spread(AROUND, {"asking": ASKING}), Routing(()))
    assert (await play.play("Hi", "A-1"))[3:] == [
        "at part over hello>part",
        "at part/ask over part/",
        "assistant: Your number?",
        "caller: A-1",
        "at part/look over part/e",
        "call look_up {}",
        "look_up gave: shipped",
        "at part/end over part/f",
        "assistant: Thank you.",
        "at tell over part/end/part>tell",
        "assistant: Told.",
    ]


async def test_section_7_3_a_component_may_end_without_a_word() -> None:
    quiet = replace(ASKING, nodes=(*ASKING.nodes[:2], EndNode("end", " ")))
    play = agent(spread(AROUND, {"asking": quiet}), Routing((1,)))
    assert (await play.play("Hi", "A-1"))[-3:] == [
        "at part/end over part/f",
        "at hello over part/end/part>hello",
        "assistant: Hello.",
    ]


async def test_section_7_3_words_at_its_end_may_be_generated() -> None:
    generated = replace(ASKING, nodes=(*ASKING.nodes[:2], EndNode("end", "Say thanks.", generated=True)))
    play = agent(spread(AROUND, {"asking": generated}), Reply("Thanks!"), Routing(()))
    assert (await play.play("Hi", "A-1"))[-3:] == [
        "assistant: Thanks!",
        "at tell over part/end/part>tell",
        "assistant: Told.",
    ]


async def test_section_7_3_one_component_may_be_used_twice() -> None:
    one, two = ComponentNode("one", "asking"), ComponentNode("two", "asking")
    twice = before(one, two, TELL, edges=[edge("one", "two"), edge("two", "tell")])
    made = spread(replace(twice, components={"asking": ASKING}), {})
    ids = [node.id for node in made.nodes] + [way.id for way in made.edges]
    assert len(ids) == len(set(ids))
    assert made.components == {}
    assert [line for line in await agent(made).play("A-1", "A-2") if line.startswith("assistant")] == [
        "assistant: Your number?",
        "assistant: Thank you.",
        "assistant: Your number?",
        "assistant: Thank you.",
        "assistant: Told.",
    ]


def test_section_7_2_tools_of_a_component_are_its_own() -> None:
    made = spread(replace(AROUND, tools={"t1": FunctionTool("other")}), {"asking": ASKING})
    assert made.tools == {"t1": FunctionTool("other"), "part/t1": LOOK}
    assert made.node("part/look") == ToolNode("part/look", "part/t1")
    asking = made.node("part/ask")
    assert isinstance(asking, PromptNode)
    assert asking.tools == ("part/t1", "shared")


def test_it_is_known_where_a_node_came_from() -> None:
    made = spread(AROUND, {"asking": ASKING})
    assert made.inner == {
        "part/ask": Inner("asking", "ask"),
        "part/look": Inner("asking", "look"),
        "part/end": Inner("asking", "end"),
    }
    assert made.node("part") == BranchNode("part", "The part")


def test_a_local_component_goes_before_a_shared_one() -> None:
    own = before(PromptNode("own", "Own."))
    made = spread(replace(AROUND, components={"asking": own}), {"asking": ASKING})
    assert [node.id for node in made.nodes] == ["hello", "part", "part/own", "tell"]


@pytest.mark.parametrize(
    "shared", [{}, {"asking": Flow("gone", (PromptNode("ask", "Ask."),))}, {"asking": Flow("", ())}]
)
async def test_a_component_that_is_nowhere_or_starts_nowhere_is_passed_through(shared: dict[str, Flow]) -> None:
    assert (await agent(spread(AROUND, shared), Routing(())).play("Hi"))[3:] == [
        "at part over hello>part",
        "at tell over part>tell",
        "assistant: Told.",
    ]


async def test_a_component_within_a_component_is_passed_through() -> None:
    nested = before(PART, EndNode("end"), edges=[edge("part", "end")])
    made = spread(before(ComponentNode("outer", "nested"), TELL, edges=[edge("outer", "tell")]), {"nested": nested})
    assert (await agent(made).play())[-1] == "assistant: Told."


def test_a_flow_without_components_is_as_it_was() -> None:
    assert spread(ASKING, {"asking": ASKING}) is ASKING


async def test_a_node_of_a_flow_that_was_not_spread_is_passed_through() -> None:
    assert (await agent(AROUND, Routing(())).play("Hi"))[-1] == "assistant: Told."


async def test_global_nodes_of_a_component_are_entered_and_left_like_others() -> None:
    helping = replace(
        ASKING,
        nodes=(*ASKING.nodes, PromptNode("help", "Help.", says="I help.")),
        edges=(*ASKING.edges[1:], back("help", HeardCondition())),
        globals=(Global("g", "help", AskCondition("Help?")),),
    )
    play = agent(spread(AROUND, {"asking": helping}), Routing((1,)), Reply("Your number, please."))
    assert (await play.play("Hi", "Help!", "Thanks"))[6:] == [
        "caller: Help!",
        "at part/help over part/g",
        "assistant: I help.",
        "caller: Thanks",
        "at part/ask over part/help<",
        "assistant: Your number, please.",
    ]


async def test_a_component_that_is_a_global_node_leads_back_to_where_it_was_entered_from() -> None:
    made = before(HELLO, PART, edges=[back("part")], globals=(Global("g", "part", AskCondition("Ask?")),))
    play = agent(spread(made, {"asking": ASKING}), Routing((1,)), Reply("Well?"))
    said = await play.play("Ask me", "A-1")
    assert said[-3:] == ["assistant: Thank you.", "at hello over part/end/part<", "assistant: Well?"]


async def test_from_within_a_component_it_is_not_entered_again() -> None:
    staying = replace(ASKING, edges=())
    made = before(HELLO, PART, globals=(Global("g", "part", AskCondition("Ask?")),))
    play = agent(spread(made, {"asking": staying}), Routing((1,)), Reply("Yes?"))
    assert (await play.play("Ask me", "A-1"))[-2:] == ["caller: A-1", "assistant: Yes?"]
