"""Flows that look where to go before the assistant answers: pressing keys, leaving, handing over, states."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from tests.support.scenes import NESTED, Stage, agent, before, edge, flow, ok, version
from tests.support.tool_nodes import FAILED, HELLO, LOOK, TELL, at_a_tool, behind, calls

from vivavoce.assistant.calls import MAX_HANDOVERS
from vivavoce.assistant.ports import Routing
from vivavoce.assistant.state import MAX_ROUNDS
from vivavoce.assistant.step import step
from vivavoce.core.assistant import MODEL_OPENS
from vivavoce.core.event import Message, Speaker
from vivavoce.core.flow import (
    AssistantTarget,
    CallCondition,
    DefaultCondition,
    Edge,
    EndNode,
    Flow,
    HeardCondition,
    PromptNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.model import Reply
from vivavoce.core.tool import (
    Act,
    HandoffTarget,
    HandoffTool,
    LineTarget,
    LineTool,
)

# --- leaving and handing over ---------------------------------------------------------------------------------------

TRANSFER = LineTool(Act.TRANSFER, "transfer", (LineTarget("+1{{tail}}", "Ann"),))


async def test_section_3_4_a_transfer_ends_it_and_one_that_fails_goes_on() -> None:
    play = agent(at_a_tool(TRANSFER, "I put you through."), table={"transfer": ok("ringing")})
    assert await behind(play, "A person!") == [
        "assistant: I put you through.",
        'call transfer {"target": "Ann"}',
        "transfer gave: ringing",
        "left transfer: the caller was put through to Ann",
    ]
    play = agent(at_a_tool(TRANSFER), Reply("I am sorry."), table={"transfer": FAILED})
    assert (await behind(play, "A person!"))[-1] == "assistant: I am sorry."


async def test_whom_there_is_only_one_of_needs_no_model_to_choose() -> None:
    several = replace(TRANSFER, targets=(*TRANSFER.targets, LineTarget("+2", "Bo")))
    play = agent(at_a_tool(several), calls("transfer", target="Bo"), table={"transfer": ok("ringing")})
    assert (await behind(play, "Bo!"))[0] == 'call transfer {"target": "Bo"}'
    keys = LineTool(Act.TONES, "press")
    play = agent(at_a_tool(keys), calls("press", digits="1"), Reply("Pressed."), table={"press": ok()})
    assert (await behind(play, "One!"))[0] == 'call press {"digits": "1"}'
    nobody = replace(TRANSFER, targets=())
    play = agent(at_a_tool(nobody), Reply("I am sorry."), table={"transfer": FAILED})
    assert (await behind(play, "Ann!"))[0] == "call transfer {}"


SWAP = HandoffTool((HandoffTarget("b", "Bill"),))
BILL = version(
    before(PromptNode("hey", "Hey.", says="Bill here, {{name}}."), EndNode("end"), edges=[edge("hey", "end", "Done.")]),
    id="v2",
    assistant_id="b",
    name="Bill",
    variables={"name": "you"},
    templating=NESTED,
)


async def test_section_7_3_another_agent_takes_over_with_a_flow_of_its_own() -> None:
    play = agent(at_a_tool(SWAP), Routing((1,)), others=[BILL])
    assert await behind(play, "Bill!", "Bye") == [
        'call handoff {"assistant": "Bill"}',
        "handoff gave: Bill goes on with the conversation.",
        "to b",
        "at hey",
        "assistant: Bill here, you.",
        "caller: Bye",
        "at end over hey>end",
        "left hangup: the flow came to its end at 'end'",
    ]


async def test_section_7_3_an_agent_that_cannot_be_reached_takes_the_way_of_what_failed() -> None:
    assert (await behind(agent(at_a_tool(SWAP), Reply("I am sorry.")), "Bill!"))[-3:] == [
        "handoff failed: The assistant 'Bill' cannot be reached: it does not exist any more.",
        "at sorry over tool>sorry",
        "assistant: I am sorry.",
    ]


@pytest.mark.parametrize("prompted", [True, False])
async def test_another_agent_may_have_states_or_none_and_speaks_at_once(prompted: bool) -> None:
    states = flow(PromptNode("one", "State one."), edges=[]) if prompted else None
    other = version(states, id="v2", assistant_id="b", name="Bill", instructions="I am Bill.")
    play = agent(at_a_tool(SWAP), Reply("Bill here."), others=[other])
    assert (await behind(play, "Bill!"))[-1] == "assistant: Bill here."
    assert play.model.prompts[-1].lines[0].text == ("State one." if prompted else "I am Bill.")


@pytest.mark.parametrize("routes", ["before", "after"])
async def test_agents_that_hand_over_to_each_other_for_ever_are_stopped(routes: Literal["before", "after"]) -> None:
    def handing(to: str) -> Flow:
        node = ToolNode("swap", "t1", filled_by="model")
        return Flow("swap", (node,), routes=routes, tools={"t1": HandoffTool((HandoffTarget(to, to),))})

    other = version(handing("a"), id="v2", assistant_id="b", name="Bill", templating=NESTED, greeting=MODEL_OPENS)
    play = agent(handing("b"), *([Reply("Well.")] if routes == "after" else []), others=[other])
    said = await play.play()
    assert sum(one.startswith("to ") for one in said) == MAX_HANDOVERS
    assert "handoff failed: The conversation was handed over too often since the caller spoke." in said
    assert play.steps[-1].rests


async def test_an_edge_may_lead_to_another_agent_and_is_not_there_without_it() -> None:
    way = Edge("e", "hello", HeardCondition(), AssistantTarget("b"))
    made = before(HELLO, TELL, edges=[way, edge("hello", "tell", DefaultCondition())])
    assert (await agent(made, others=[BILL]).play("Hi"))[3:] == ["to b over e", "at hey", "assistant: Bill here, you."]
    assert (await agent(made, Reply("Well.")).play("Hi"))[3:] == ["at tell over hello>tell", "assistant: Well."]


# --- a model's own ways ---------------------------------------------------------------------------------------------


async def test_section_4_states_are_changed_by_calls_whose_arguments_become_variables() -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}}
    start = PromptNode("start", "State one.", instructions_mode="append", inline=(LOOK,), tools_mode="append")
    late = PromptNode("late", "Book for {{day}}, from {{previous_agent_state}}.", instructions_mode="append")
    states = flow(
        start, late, edges=[edge("start", "late", CallCondition("transition_to_late", "When {{who}} is late.", schema))]
    )
    answer = calls("transition_to_late", day="Friday")
    play = agent(states, Reply("Hello."), answer, Reply("Friday it is."), Reply("Yes?"), given={"who": "Ada"})
    assert await play.play("I am late", "Right") == [
        "at start",
        "assistant: Hello.",
        "caller: I am late",
        'call transition_to_late {"day": "Friday"}',
        "transition_to_late gave: Done.",
        "at late over start>late",
        "assistant: Friday it is.",
        "caller: Right",
        "assistant: Yes?",
    ]
    first, second, third, _ = play.model.prompts
    assert [(tool.name, tool.description) for tool in second.tools] == [
        ("look_up", ""),
        ("transition_to_late", "When Ada is late."),
    ]
    assert first.lines[0].text == "Be kind.\n\nState one."
    assert third.lines[0].text == "Be kind.\n\nBook for Friday, from start."
    assert not third.tools


async def test_a_way_that_is_called_can_be_taken_in_a_flow_of_either_kind() -> None:
    made = before(HELLO, TELL, edges=[edge("hello", "tell", CallCondition("go", "Go."))])
    play = agent(made, calls("go"), Reply("There."))
    assert (await play.play("Go!"))[3:] == [
        "call go {}",
        "go gave: Done.",
        "at tell over hello>tell",
        "assistant: There.",
    ]


# --- silent nodes ---------------------------------------------------------------------------------------------------

KEYS = LineTool(Act.TONES, "press_digit")
MENU = PromptNode("menu", "Press keys.", inline=(KEYS, LOOK), tools=(), silent=True)


def menu(*answers: object, **more: Any) -> Stage:
    made = before(MENU, TELL, edges=[edge("menu", "tell", "A person answers.")])
    return agent(made, *answers, table={"press_digit": ok("pressed")}, **more)


async def test_section_7_3_a_silent_node_presses_keys_after_what_it_hears_and_says_nothing() -> None:
    play = menu(Routing(()), Reply("I press.", calls("press_digit", digits="1").calls), Routing((1,)), Reply("Hello."))
    assert await play.play("Press 1 for sales.", "Sales, hello?") == [
        "at menu",
        "caller: Press 1 for sales.",
        "at menu",
        'call press_digit {"digits": "1"}',
        "press_digit gave: pressed",
        "assistant: (press_digit 1)",
        "caller: Sales, hello?",
        "at tell over menu>tell",
        "assistant: Hello.",
    ]


async def test_section_7_3_a_silent_node_whose_model_calls_nothing_is_silent() -> None:
    play = menu(Routing(()), Reply("I only think."), Routing(()), Reply(""))
    assert [one for one in await play.play("Wait.", "Still.") if one.startswith("assistant")] == ["assistant: "] * 2


@pytest.mark.parametrize("greeting", ["", None])
async def test_a_silent_node_waits_for_something_to_hear(greeting: str | None) -> None:
    more = {} if greeting is None else {"greeting": greeting}
    play = menu(**more)
    assert await play.play() == ["at menu"]
    assert play.steps[-1].rests
    # Behind words of the assistant it does so too; behind those of the caller it acts at once.
    made = before(HELLO, MENU, edges=[edge("hello", "menu", SpokenCondition())])
    assert (await agent(made).play())[-1] == "at menu over hello>menu"
    made = before(HELLO, MENU, edges=[edge("hello", "menu", HeardCondition())])
    play = agent(made, calls("press_digit", digits="2"), table={"press_digit": ok()})
    assert (await play.play("Press 2."))[-1] == "assistant: (press_digit 2)"


async def test_nobody_hears_what_the_model_of_a_silent_node_thinks() -> None:
    play = menu(Routing(()), Reply("I only think."))
    await play.play()
    state, heard = play.state, (Message(Speaker.CALLER, "Wait.", 0),)
    for _ in range(2):
        done = await step(
            play.cast, state, heard, models=play.models, tools=play.tools, clock=play.clock, listener=play.listener
        )
        state, heard = done.state, ()
    assert play.heard == []


async def test_several_keys_are_written_and_what_failed_or_is_no_key_is_not() -> None:
    presses = [calls("press_digit", digits="1"), calls("look_up"), calls("press_digit", digits=" 2 ")]
    play = menu(Routing(()), Reply("", tuple(call for one in presses for call in one.calls)))
    assert (await play.play("Press 1 and 2."))[-1] == "assistant: (press_digit 1) (press_digit 2)"
    play = menu(Routing(()), calls("press_digit", digits="x"), calls("look_up"), Reply("Hm."))
    play.tools.table = {"press_digit": FAILED, "look_up": ok()}
    assert (await play.play("Press."))[3:] == [
        'call press_digit {"digits": "x"}',
        "press_digit failed: no",
        "call look_up {}",
        "look_up gave: ok",
        "assistant: ",
    ]


async def test_a_silent_node_gives_up_after_so_many_rounds() -> None:
    play = menu(Routing(()), *[calls("look_up")] * MAX_ROUNDS, Reply("I give up.", calls("look_up").calls))
    said = await play.play("Press.")
    assert said[-1] == "assistant: "
    assert not play.model.prompts[-1].tools
