"""Flows that look where to go before the assistant answers: nodes that call tools, press keys and hand over."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.scenes import Stage, agent, before, edge, ok, told
from tests.support.tool_nodes import FAILED, FIND, HELLO, LOOK, SCHEMA, TELL, at_a_tool, behind, calls

from vivavoce.assistant.ports import AssistantTask, Routing
from vivavoce.assistant.prompt import CALL, OPENING, SAY
from vivavoce.assistant.state import MAX_ROUNDS
from vivavoce.core.event import Message, Moved, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.flow import (
    HeardCondition,
    PromptNode,
    ResultCondition,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.mind import Mind
from vivavoce.core.model import Reply
from vivavoce.core.tool import (
    CodeTool,
    Filler,
    FunctionTool,
    RemoteTool,
    SettableVariable,
    Tool,
    VariablesTool,
    WebhookTool,
)
from vivavoce.core.transcript import Transcript

# --- calling --------------------------------------------------------------------------------------------------------


async def test_section_7_3_a_tool_without_parameters_is_called_at_once_and_its_result_is_told() -> None:
    play = agent(at_a_tool(LOOK), Reply("It is shipped."))
    assert await behind(play, "Where?") == [
        "call look_up {}",
        "look_up gave: shipped",
        "at tell over tool>tell",
        "assistant: It is shipped.",
    ]
    assert play.tools.uses[0].key == "run:1:call_4"


async def test_section_7_3_the_model_of_the_node_fills_the_arguments_in() -> None:
    play = agent(at_a_tool(FIND), calls("look_up", number="A-1"), Reply("Shipped."))
    assert (await behind(play, "A-1"))[:2] == ['call look_up {"number": "A-1"}', "look_up gave: shipped"]
    asked = play.model.prompts[0]
    assert asked.must_call
    assert [tool.name for tool in asked.tools] == ["look_up"]
    assert [line.text for line in asked.lines] == ["Be kind.", "Hello.", "A-1", CALL.format(name="look_up")]
    assert isinstance(asked.subject, AssistantTask)
    assert asked.subject.calls == "look_up"
    assert play.models.chosen_for[0] == (Mind("clever"), None)
    called = next(event for event in play.events if isinstance(event, ToolCalled))
    assert called.usage is not None


@pytest.mark.parametrize("answer", [Reply("I cannot."), calls("other", number="A-1")])
async def test_a_model_that_does_not_call_it_leaves_the_arguments_out(answer: Reply) -> None:
    assert (await behind(agent(at_a_tool(FIND), answer, Reply("?")), "A-1"))[0] == "call look_up {}"


async def test_at_the_start_of_a_flow_nothing_but_the_call_is_asked_for() -> None:
    node = ToolNode("tool", "t1", filled_by="model")
    made = before(node, TELL, edges=[edge("tool", "tell")], tools={"t1": FIND})
    play = agent(made, calls("look_up"), Reply("Hello."))
    assert (await play.play())[-1] == "assistant: Hello."
    assert OPENING not in [line.text for line in play.model.prompts[0].lines]
    spoken = replace(node, message="Say hi.", generated=True)
    play = agent(replace(made, nodes=(spoken, TELL)), Reply("Hi!"), calls("look_up"), Reply("Hello."))
    await play.play()
    assert [line.text for line in play.model.prompts[0].lines] == ["Be kind.", SAY.format(wish="Say hi.")]


async def test_arguments_may_come_from_variables_instead() -> None:
    made = before(ToolNode("tool", "t1"), TELL, edges=[edge("tool", "tell")], tools={"t1": FIND})
    play = agent(made, Reply("Hello."), given={"number": "A-1", "other": "x"})
    assert (await play.play())[1] == 'call look_up {"number": "A-1"}'


async def test_a_tool_whose_name_no_provider_takes_is_known_to_models_by_another() -> None:
    tool = FunctionTool("Look it up!", "", SCHEMA)
    play = agent(at_a_tool(tool), calls("Look_it_up_", number="A-1"), Reply("Yes."), table={"Look it up!": ok("found")})
    assert (await behind(play, "A-1"))[:2] == ['call Look it up! {"number": "A-1"}', "Look it up! gave: found"]
    assert [tool.name for tool in play.model.prompts[0].tools] == ["Look_it_up_"]
    assert [call.name for line in play.model.prompts[1].lines for call in line.calls] == ["Look_it_up_"]


async def test_section_7_3_the_result_decides_where_it_goes() -> None:
    play = agent(at_a_tool(LOOK), Reply("I am sorry."), table={"look_up": FAILED})
    assert (await behind(play, "Where?"))[-2:] == ["at sorry over tool>sorry", "assistant: I am sorry."]
    both = (edge("tool", "sorry", ResultCondition(False)), edge("tool", "tell", ResultCondition(True)))
    play = agent(at_a_tool(LOOK, edges=both), Reply("Shipped."))
    assert (await behind(play, "Where?"))[-1] == "assistant: Shipped."


async def test_section_7_3_a_model_may_be_asked_where_the_result_leads() -> None:
    onward = (edge("tool", "sorry", "It is lost."), edge("tool", "tell"))
    play = agent(at_a_tool(LOOK, edges=onward), Routing((1,)), Reply("I am sorry."))
    assert (await behind(play, "Where?"))[-1] == "assistant: I am sorry."
    assert play.models.chosen_for[0] == (Mind("clever"), None)


async def test_what_a_tool_sets_decides_equations() -> None:
    made = at_a_tool(LOOK, edges=(edge("tool", "sorry", "Never?"), edge("tool", "tell")))
    play = agent(made, Routing(()), Reply("{{state}}"), table={"look_up": ok("{}", variables={"state": "lost"})})
    await play.play("Where?")
    assert play.state.current() == {"state": "lost"}


async def test_a_tool_that_is_gone_fails() -> None:
    play = agent(at_a_tool(None), Reply("I am sorry."))
    assert await behind(play, "Where?") == [
        "call t1 {}",
        "t1 failed: There is no tool named 't1'.",
        "at sorry over tool>sorry",
        "assistant: I am sorry.",
    ]


async def test_a_shared_tool_is_found_in_the_library() -> None:
    play = agent(at_a_tool(None), Reply("Shipped."), library={"t1": LOOK})
    assert (await behind(play, "Where?"))[1] == "look_up gave: shipped"


# --- words before a tool --------------------------------------------------------------------------------------------


async def test_section_7_3_fixed_words_are_said_before_the_tool_is_called() -> None:
    play = agent(at_a_tool(LOOK, "One moment, {{name}}."), Reply("Shipped."), given={"name": "Ada"})
    assert (await behind(play, "Where?"))[:2] == ["assistant: One moment, Ada.", "call look_up {}"]
    play = agent(at_a_tool(LOOK, "{{name}}"), Reply("Shipped."), given={"name": ""})
    assert (await behind(play, "Where?"))[0] == "call look_up {}"


async def test_section_7_3_generated_words_are_said_before_the_tool_is_called() -> None:
    play = agent(
        at_a_tool(FIND, "Say you look.", generated=True), Reply("I look."), calls("look_up"), Reply("Shipped.")
    )
    assert (await behind(play, "Where?"))[:3] == ["assistant: I look.", "call look_up {}", "look_up gave: shipped"]
    play = agent(at_a_tool(LOOK, "Say you look.", generated=True), Reply(""), Reply("Shipped."))
    assert (await behind(play, "Where?"))[:2] == ["assistant: ", "call look_up {}"]


def talking(tool: Tool, *answers: object, **more: Any) -> Stage:
    """A node whose model may call this tool."""
    return agent(before(PromptNode("ask", "Ask.", says="Hello.", inline=(tool,))), *answers, **more)


SPEAKING = WebhookTool(
    "look_up", "", "https://a.example", fillers=(Filler("Say you look for {{what}}.", generated=True),)
)


async def test_section_5_generated_words_while_a_tool_works_are_said_before_it_does() -> None:
    play = talking(SPEAKING, calls("look_up"), Reply("I look."), Reply("Shipped."), given={"what": "it"})
    assert (await play.play("Where?"))[3:] == [
        "call look_up {}",
        "filler: I look.",
        "look_up gave: shipped",
        "assistant: Shipped.",
    ]
    asked = play.model.prompts[1]
    assert not asked.tools
    # Providers refuse a call without a result.
    assert not any(line.calls for line in asked.lines)
    assert asked.lines[-1].text == SAY.format(wish="Say you look for it.")
    assert "I look." not in [line.text for line in play.model.prompts[2].lines]


async def test_section_5_who_has_spoken_with_the_call_needs_no_other_words() -> None:
    play = talking(SPEAKING, Reply("Let me see.", calls("look_up").calls), Reply("Shipped."))
    assert (await play.play("Where?"))[3:] == [
        "assistant: Let me see.",
        "call look_up {}",
        "look_up gave: shipped",
        "assistant: Shipped.",
    ]


async def test_section_5_one_line_is_enough_for_several_tools_and_fixed_words_come_first() -> None:
    play = talking(SPEAKING, Reply("", calls("look_up").calls * 2), Reply("I look."), Reply("Shipped."))
    assert [one for one in await play.play("Where?") if one.startswith("filler")] == ["filler: I look."]
    fixed = replace(SPEAKING, fillers=(Filler("Hold on."), *SPEAKING.fillers))
    play = talking(fixed, calls("look_up"), Reply("Shipped."))
    assert [one for one in await play.play("Where?") if one.startswith("filler")] == ["filler: Hold on."]


async def test_section_5_after_a_cut_before_or_behind_those_words_nothing_is_said_twice() -> None:
    play = talking(SPEAKING, calls("look_up"), Reply("I look."), Reply("Shipped."))
    whole = await play.play("Where?")
    for cut, answers in ((4, [Reply("I look."), Reply("Shipped.")]), (5, [Reply("Shipped.")])):
        again = talking(SPEAKING, *answers)
        again.state = again.state.plus(play.events[:cut])
        await again.settle()
        assert told(again.events) == whole


async def test_a_tool_nodes_tool_may_have_words_of_its_own() -> None:
    code = CodeTool("look_up", "", fillers=(Filler("Say you compute.", generated=True),))
    play = agent(at_a_tool(code), Reply("I compute."), Reply("Shipped."))
    assert (await behind(play, "Where?"))[:3] == ["call look_up {}", "filler: I compute.", "look_up gave: shipped"]
    play = agent(at_a_tool(code, "One moment."), Reply("Shipped."))
    assert (await behind(play, "Where?"))[:3] == ["assistant: One moment.", "call look_up {}", "look_up gave: shipped"]


# --- quiet tools ----------------------------------------------------------------------------------------------------

QUIET = WebhookTool("look_up", "", "https://a.example", quiet=True)


@pytest.mark.parametrize(
    "tool", [QUIET, CodeTool("look_up", "", quiet=True), RemoteTool("look_up", "", {}, "s", "look_up", quiet=True)]
)
async def test_section_5_after_a_quiet_tool_the_assistant_waits_for_the_caller(tool: Tool) -> None:
    play = talking(tool, calls("look_up"), Reply("Yes?"))
    assert (await play.play("Where?", "And?"))[3:] == [
        "call look_up {}",
        "look_up gave: shipped",
        "assistant: ",
        "caller: And?",
        "assistant: Yes?",
    ]


async def test_section_5_beside_a_tool_that_is_not_quiet_it_speaks() -> None:
    node = PromptNode("ask", "Ask.", says="Hello.", inline=(QUIET, FunctionTool("other")))
    both = Reply("", (*calls("look_up").calls, *calls("other").calls))
    play = agent(before(node), both, Reply("Shipped."), table={"other": ok()})
    assert (await play.play("Where?"))[-1] == "assistant: Shipped."


async def test_a_node_that_calls_a_quiet_tool_goes_on() -> None:
    assert (await behind(agent(at_a_tool(QUIET), Reply("Shipped.")), "Where?"))[-1] == "assistant: Shipped."


# --- variables ------------------------------------------------------------------------------------------------------

EXTRACT = VariablesTool(
    "extract",
    "",
    (
        SettableVariable("plan", choices=("gold", "tin")),
        SettableVariable("count", "number"),
        SettableVariable("new", "boolean"),
    ),
)


@pytest.mark.parametrize(
    ("given", "kept", "result"),
    [
        (
            {"plan": "gold", "count": "3", "new": "true"},
            {"plan": "gold", "count": 3, "new": True},
            "gave: Set: plan, count, new.",
        ),
        ({"plan": "gold", "count": None}, {"plan": "gold"}, "gave: Set: plan."),
        ({}, {}, "gave: Nothing was said that could be set."),
        ({"plan": None}, {}, "gave: Nothing was said that could be set."),
        (
            {"plan": "iron", "count": 2},
            {"count": 2},
            "failed: Set: count. Not set: plan must be one of gold, tin.",
        ),
        ({"count": "many"}, {}, "failed: Nothing was set: count must be of type number."),
    ],
)
async def test_section_7_3_a_node_sets_those_variables_that_were_said(
    given: dict[str, Any], kept: dict[str, Any], result: str
) -> None:
    onward = (edge("tool", "tell"),)
    play = agent(at_a_tool(EXTRACT, edges=onward), calls("extract", **given), Reply("I see."))
    assert (await behind(play, "Gold."))[1:] == [f"extract {result}", "at tell over tool>tell", "assistant: I see."]
    assert play.state.current() == kept


# --- rounds ---------------------------------------------------------------------------------------------------------


async def test_a_node_calls_its_tool_however_many_rounds_there_were() -> None:
    talks = PromptNode("hello", "Greet.", inline=(LOOK,))
    made = at_a_tool(FIND)
    ways = (edge("hello", "tool", SpokenCondition()), *made.edges[1:])
    made = replace(made, nodes=(talks, *made.nodes[1:]), edges=ways)
    rounds = [calls("look_up")] * MAX_ROUNDS
    play = agent(made, *rounds, Reply("I looked."), calls("look_up", number="A-1"), Reply("Told."), greeting="")
    assert (await play.play("Where?"))[-4:] == [
        'call look_up {"number": "A-1"}',
        "look_up gave: shipped",
        "at tell over tool>tell",
        "assistant: Told.",
    ]
    assert [bool(asked.tools) for asked in play.model.prompts[-3:]] == [False, True, False]


async def test_calls_that_somebody_else_left_open_are_answered_wherever_the_flow_stands() -> None:
    made = before(ToolNode("tool", "t1"), TELL, edges=[edge("tool", "tell")], tools={"t1": LOOK})
    play = agent(made, Reply("Told."))
    open_call = ToolCalled(ToolCall("x", "elsewhere", {}), 0)
    play.state = play.state.plus((Message(Speaker.CALLER, "Hi", 0), open_call, Moved("tool", 0)))
    await play.settle()
    assert told(play.events)[3:] == [
        "elsewhere failed: There is no tool named 'elsewhere'.",
        "call look_up {}",
        "look_up gave: shipped",
        "at tell over tool>tell",
        "assistant: Told.",
    ]
    done = ToolReturned("call_1", "look_up", "shipped", True, 0)
    events = (Moved("tool", 0), ToolCalled(ToolCall("call_1", "look_up", {}), 0), done, open_call)
    play = agent(made, Reply("Told."))
    play.state = replace(play.state, transcript=Transcript((Message(Speaker.CALLER, "Hi", 0), *events)))
    await play.settle()
    assert told(play.events)[-1] == "assistant: Told."


async def test_section_5_a_node_behind_many_that_call_tools_has_its_own() -> None:
    tools = [ToolNode(f"t{number}", "t1", filled_by="model") for number in range(MAX_ROUNDS + 1)]
    ways = [edge(one.id, other.id) for one, other in zip(tools, [*tools[1:], PromptNode("ask", "Ask.")], strict=True)]
    ask = PromptNode("ask", "Ask.", inline=(LOOK,))
    made = before(HELLO, *tools, ask, edges=[edge("hello", "t0", HeardCondition()), *ways], tools={"t1": LOOK})
    play = agent(made, *[calls("look_up")] * MAX_ROUNDS, Reply("Enough."))
    assert (await play.play("Hi"))[-1] == "assistant: Enough."
    # What its own model does is bounded all the same.
    assert [bool(asked.tools) for asked in play.model.prompts] == [True] * MAX_ROUNDS + [False]
