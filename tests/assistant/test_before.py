"""Flows that look where to go before the assistant answers: nodes that talk, and the ways between them."""

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.support.scenes import DEFAULT, agent, before, edge, told, when

from vivavoce.assistant.before import MAX_MOVES
from vivavoce.assistant.ports import AssistantTask, Routing, RoutingTask
from vivavoce.assistant.prompt import OPENING, SAY
from vivavoce.assistant.step import step
from vivavoce.core.equation import Equation
from vivavoce.core.event import Ending, Left, Message, Moved, Speaker, ToolCall
from vivavoce.core.flow import (
    BranchNode,
    Condition,
    Edge,
    EndNode,
    EquationCondition,
    Flow,
    HeardCondition,
    NodeTarget,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
)
from vivavoce.core.mind import Mind
from vivavoce.core.model import Reply
from vivavoce.core.passage import Recall
from vivavoce.core.tool import FunctionTool

LOOK = FunctionTool("look_up")
HELLO = PromptNode("hello", "Greet.", says="Hello.")
ASK, TELL, LAST = PromptNode("ask", "Ask."), PromptNode("tell", "Tell."), PromptNode("last", "Last.")


# --- who speaks first -----------------------------------------------------------------------------------------------


async def test_section_3_2_where_the_assistant_speaks_first_fixed_words_are_said_as_they_are_written() -> None:
    play = agent(before(PromptNode("hello", "Greet.", says="Hello {{name}}, {{nobody}}.")), given={"name": "Ada"})
    assert await play.play() == ["at hello", "assistant: Hello Ada, {{nobody}}."]
    assert not play.model.prompts


async def test_section_3_2_where_the_assistant_speaks_first_without_fixed_words_its_model_opens() -> None:
    play = agent(before(ASK), Reply("Well?"))
    assert await play.play() == ["at ask", "assistant: Well?"]
    assert [line.text for line in play.model.prompts[0].lines] == ["Ask.", OPENING]


@pytest.mark.parametrize("first", [HELLO, SpeakNode("hello", "Hello."), BranchNode("hello"), EndNode("hello", "Bye.")])
async def test_section_3_2_where_the_caller_speaks_first_nothing_happens_until_then(
    first: PromptNode | SpeakNode | BranchNode | EndNode,
) -> None:
    play = agent(before(first), greeting="")
    assert await play.play() == ["at hello"]
    assert play.steps[-1].rests


@pytest.mark.parametrize("opens", [True, False])
async def test_section_3_2_a_caller_who_speaks_first_is_heard_by_the_first_node(opens: bool) -> None:
    made = before(HELLO, TELL, edges=[edge("hello", "tell", "It is urgent.")])
    urgent = await agent(made, Routing((1,)), Reply("I hurry."), greeting="").play("Fire!", opens=opens)
    assert sorted(urgent) == sorted(["at hello", "caller: Fire!", "at tell over hello>tell", "assistant: I hurry."])
    calm = agent(made, Routing(()), Routing(()), Reply("Yes?"), greeting="")
    assert (await calm.play("Hi", "And?", opens=opens))[2:] == [
        "at hello",
        "assistant: Hello.",
        "caller: And?",
        "at hello",
        "assistant: Yes?",
    ]


async def test_a_fixed_greeting_is_said_before_the_first_node_which_then_waits() -> None:
    play = agent(before(HELLO), Reply("Yes?"), greeting="Welcome.")
    assert await play.play("Hi") == ["assistant: Welcome.", "at hello", "caller: Hi", "assistant: Hello."]


async def test_a_flow_that_starts_nowhere_says_so() -> None:
    play = agent(Flow("gone", (), routes="before"))
    assert await play.play() == ["left assistant_fault: the flow has no node to start at"]


# --- nodes that talk ------------------------------------------------------------------------------------------------


async def test_section_7_3_fixed_words_are_said_once_and_later_turns_are_generated() -> None:
    play = agent(before(HELLO), Reply("It is open."))
    assert (await play.play("When?"))[1:] == ["assistant: Hello.", "caller: When?", "assistant: It is open."]
    assert play.model.prompts[0].lines[0].text == "Greet."
    assert isinstance(play.model.prompts[0].subject, AssistantTask)


@pytest.mark.parametrize("words", ["{{empty}}", " "])
async def test_fixed_words_that_become_nothing_are_not_said(words: str) -> None:
    play = agent(before(PromptNode("hello", "Greet.", says=words)), Reply("Hello."), given={"empty": ""})
    assert await play.play() == ["at hello", "assistant: Hello."]
    silent = before(SpeakNode("say", words), EndNode("end", words), edges=[edge("say", "end")])
    assert (await agent(silent, given={"empty": ""}).play())[1:] == [
        "at end over say>end",
        "left hangup: the flow came to its end at 'end'",
    ]


async def test_section_7_2_a_node_has_the_assistants_instructions_before_its_own_and_a_mind_of_its_own() -> None:
    node = PromptNode("ask", "Ask {{what}}.", instructions_mode="append", mind=Mind("clever", temperature=0.5))
    play = agent(before(node), Reply("Well?"), given={"what": "why"}, mind=Mind("plain"))
    await play.play()
    assert play.model.prompts[0].lines[0].text == "Be kind.\n\nAsk why."
    assert play.model.prompts[0].temperature == 0.5
    assert play.models.chosen_for == [(Mind("clever", temperature=0.5), None)]


async def test_section_7_3_a_node_has_tools_of_its_own_and_goes_on_until_it_has_spoken() -> None:
    node = PromptNode("ask", "Ask.", tools=("t1",), inline=(FunctionTool("inline"),))
    made = before(HELLO, node, edges=[edge("hello", "ask", HeardCondition())], tools={"t1": LOOK})
    calls = (ToolCall("0", "look_up", {}),)
    play = agent(made, Reply("One moment.", calls), Reply("It is shipped."), tools=(FunctionTool("other"),))
    assert (await play.play("Where?"))[3:] == [
        "at ask over hello>ask",
        "assistant: One moment.",
        "call look_up {}",
        "look_up gave: shipped",
        "assistant: It is shipped.",
    ]
    assert [[tool.name for tool in asked.tools] for asked in play.model.prompts] == [["look_up", "inline"]] * 2


async def test_section_4_documents_are_searched_with_what_was_said_before_each_answer() -> None:
    made = before(HELLO, PromptNode("ask", "Ask.", recall=Recall(("own",))), edges=[edge("hello", "ask", "It is.")])
    play = agent(made, Routing(()), Reply("Open."), Routing((1,)), Reply("Ada."), recall=Recall(("all",)))
    assert (await play.play("When?", "Who?"))[3:] == [
        "at hello",
        "recalled 1",
        "assistant: Open.",
        "caller: Who?",
        "at ask over hello>ask",
        "recalled 1",
        "assistant: Ada.",
    ]
    shown = [asked.lines[0].text for asked in play.model.prompts if not isinstance(asked.subject, RoutingTask)]
    assert "all: Hello.\nWhen?" in shown[0]
    assert "own: Hello.\nWhen?\nOpen.\nWho?" in shown[1]


@pytest.mark.parametrize("silent", [False, True])
async def test_section_7_4_the_default_way_is_not_taken_before_the_node_has_said_or_done_anything(
    silent: bool,
) -> None:
    node = replace(HELLO, silent=silent, says="" if silent else "Hello.")
    made = before(node, TELL, edges=[edge("hello", "tell"), edge("hello", "tell", "They agree.", "yes")])
    play = agent(made, Routing(()), *[Reply("")] * silent, Routing(()), Reply("Told."), greeting="")
    words = "" if silent else "Hello."
    assert (await play.play("Hi", "No.")) == [
        "at hello",
        "caller: Hi",
        "at hello",
        f"assistant: {words}",
        "caller: No.",
        "at tell over hello>tell",
        "assistant: Told.",
    ]


async def test_section_4_a_round_of_tool_calls_later_nobody_searches_again() -> None:
    made = before(PromptNode("ask", "Ask.", inline=(LOOK,), recall=Recall(("own",))))
    calls = Reply("", (ToolCall("0", "look_up", {}),))
    play = agent(made, calls, calls, Reply("Shipped."), calls, Reply("Still."), greeting="")
    told_ = await play.play("Where?", "And now?")
    assert [one for one in told_ if one.startswith(("recalled", "caller"))] == [
        "caller: Where?",
        "recalled 1",
        "caller: And now?",
        "recalled 1",
    ]
    shown = [asked.lines[0].text for asked in play.model.prompts]
    assert all("own: Where?" in text for text in shown)
    assert ["And now?" in text for text in shown] == [False] * 3 + [True] * 2


async def test_section_7_3_a_node_whose_response_is_skipped_is_left_as_soon_as_it_has_spoken() -> None:
    made = before(HELLO, ASK, edges=[edge("hello", "ask", SpokenCondition())])
    assert await agent(made, Reply("Well?")).play() == [
        "at hello",
        "assistant: Hello.",
        "at ask over hello>ask",
        "assistant: Well?",
    ]
    # Also behind later turns, and behind silence.
    made = before(ASK, TELL, edges=[edge("ask", "tell", SpokenCondition())])
    assert (await agent(made, Reply(" "), Reply("So.")).play())[1:] == [
        "assistant: ",
        "at tell over ask>tell",
        "assistant: So.",
    ]


async def test_section_7_3_the_always_edge_is_taken_after_the_callers_answer_whatever_it_is() -> None:
    made = before(
        HELLO, ASK, TELL, edges=[edge("hello", "tell", when("1", "==", "1")), edge("hello", "ask", HeardCondition())]
    )
    play = agent(made, Reply("Well?"), Reply("And?"))
    assert (await play.play("Whatever", "More"))[2:] == [
        "caller: Whatever",
        "at ask over hello>ask",
        "assistant: Well?",
        "caller: More",
        "assistant: And?",
    ]


async def test_the_always_edge_waits_until_the_node_has_spoken() -> None:
    made = before(HELLO, ASK, edges=[edge("hello", "ask", HeardCondition())])
    assert (await agent(made, Reply("Well?"), greeting="").play("Hi", "More"))[2:] == [
        "assistant: Hello.",
        "caller: More",
        "at ask over hello>ask",
        "assistant: Well?",
    ]


# --- the order of ways ----------------------------------------------------------------------------------------------


async def choose(*ways: tuple[str, Condition | str], answer: object = None, **given: str) -> list[str]:
    """Where the node goes from when the caller has spoken, and how often a model was asked."""
    made = before(
        HELLO,
        *(PromptNode(end, end, says=end) for end, _ in ways),
        edges=[edge("hello", end, condition) for end, condition in ways],
    )
    play = agent(made, *([answer] if answer else []), Reply("Stayed."), given=given)
    said = await play.play("Hi")
    asked = [one for one in play.model.prompts if isinstance(one.subject, RoutingTask)]
    return [said[-1].removeprefix("assistant: "), str(len(asked))]


YES, NO = when("1", "==", "1"), when("1", "==", "2")


async def test_section_7_4_equations_go_first_and_the_first_that_holds_wins() -> None:
    assert await choose(("a", "Asked."), ("b", NO), ("c", YES), ("d", YES)) == ["c", "0"]
    assert await choose(("a", when("{{city}}", "==", "Rome")), ("b", YES), city="Rome") == ["a", "0"]
    assert await choose(("a", when("{{city}}", "!=", "Rome")), ("b", when("{{x}}", "exists"))) == ["a", "0"]


async def test_section_7_4_then_one_model_decides_all_questions_and_the_first_that_holds_is_taken() -> None:
    assert await choose(("a", "One?"), ("b", NO), ("c", "Two?"), ("d", "Three?"), answer=Routing((2, 3))) == ["c", "1"]


async def test_section_7_4_where_nothing_holds_the_conversation_stays() -> None:
    assert await choose(("a", "One?"), ("b", NO), answer=Routing(())) == ["Stayed.", "1"]
    assert await choose(("b", NO)) == ["Stayed.", "0"]


async def test_section_7_3_the_default_edge_is_taken_when_nothing_else_holds_wherever_it_stands() -> None:
    assert await choose(("a", DEFAULT), ("b", YES)) == ["b", "0"]
    assert await choose(("a", DEFAULT), ("b", "One?"), answer=Routing((1,))) == ["b", "1"]
    assert await choose(("a", DEFAULT), ("b", "One?"), answer=Routing(())) == ["a", "1"]
    assert await choose(("a", DEFAULT), ("b", ResultCondition(False))) == ["a", "0"]


async def test_section_7_4_equations_are_joined_by_and_or_or() -> None:
    true, false = Equation("{{age}}", ">", "8"), Equation("{{age}}", "contains", "x")
    both, either = EquationCondition((true, false)), EquationCondition((false, true), "or")
    assert await choose(("a", both), ("b", either), age="9") == ["b", "0"]
    assert await choose(("a", either), age="7") == ["Stayed.", "0"]


async def test_section_7_4_equations_with_a_question_are_asked_only_where_they_hold() -> None:
    sure, never = when("1", "==", "1", prompt="Really?"), when("1", "==", "2", prompt="Never?")
    assert await choose(("a", never), ("b", sure), answer=Routing((1,))) == ["b", "1"]
    assert await choose(("a", sure), answer=Routing(())) == ["Stayed.", "1"]
    assert await choose(("a", never)) == ["Stayed.", "0"]


async def test_questions_are_templates_and_the_node_answers_with_its_own_model() -> None:
    node = PromptNode("hello", "Greet.", says="Hello.", mind=Mind("clever"))
    made = before(node, ASK, edges=[edge("hello", "ask", "Is it {{name}}?")])
    play = agent(made, Routing((1,)), Reply("Well?"), given={"name": "Ada"})
    await play.play("Yes")
    subject = play.model.prompts[0].subject
    assert isinstance(subject, RoutingTask)
    assert subject.conditions == ("Is it Ada?",)
    assert [mind for mind, _ in play.models.chosen_for] == [Mind("clever"), Mind()]


async def test_a_node_is_asked_once_for_each_answer_of_the_caller() -> None:
    made = before(HELLO, ASK, edges=[edge("hello", "ask", "Asked?")])
    play = agent(made, Routing(()), Reply("Yes?"), Routing((1,)), Reply("Well?"))
    assert (await play.play("Hi", "Ask"))[2:] == [
        "caller: Hi",
        "at hello",
        "assistant: Yes?",
        "caller: Ask",
        "at ask over hello>ask",
        "assistant: Well?",
    ]
    assert [isinstance(one, Moved) and one.edge for one in play.events if isinstance(one, Moved)] == [
        "",
        "",
        "hello>ask",
    ]


# --- nodes that do not talk -----------------------------------------------------------------------------------------


async def test_section_7_3_a_branch_decides_at_once_and_says_nothing() -> None:
    made = before(
        HELLO,
        BranchNode("fork", "Fork", mind=Mind("clever")),
        ASK,
        TELL,
        LAST,
        edges=[
            edge("hello", "fork", HeardCondition()),
            edge("fork", "ask", when("{{plan}}", "==", "gold")),
            edge("fork", "tell", "They are in a hurry."),
            edge("fork", "last"),
        ],
    )
    gold = agent(made, Reply("Well?"), given={"plan": "gold"})
    assert (await gold.play("Hi"))[3:] == ["at fork over hello>fork", "at ask over fork>ask", "assistant: Well?"]
    hurry = agent(made, Routing((1,)), Reply("Quick."))
    assert (await hurry.play("Hi"))[-2:] == ["at tell over fork>tell", "assistant: Quick."]
    assert hurry.models.chosen_for[0] == (Mind("clever"), None)
    other = agent(made, Routing(()), Reply("So."))
    assert (await other.play("Hi"))[-2:] == ["at last over fork>last", "assistant: So."]


@pytest.mark.parametrize(("ways", "answers"), [((), ()), (("Asked?",), (Routing(()),))])
async def test_section_7_4_a_dead_end_is_the_assistants_fault_and_says_where(
    ways: tuple[str, ...], answers: tuple[object, ...]
) -> None:
    edges = [edge("hello", "fork", HeardCondition()), *(edge("fork", "hello", way) for way in ways)]
    play = agent(before(HELLO, BranchNode("fork", "The fork"), edges=edges), *answers)
    await play.play("Hi")
    left = play.events[-1]
    assert isinstance(left, Left)
    assert (left.ending, left.speaker) == (Ending.ASSISTANT_FAULT, Speaker.ASSISTANT)
    assert left.reason == "the flow has no way to go on from 'The fork'"


async def test_section_7_4_a_flow_that_goes_round_without_coming_to_rest_is_ended() -> None:
    made = before(BranchNode("a"), BranchNode("b"), edges=[edge("a", "b"), edge("b", "a")])
    play = agent(made)
    said = await play.play()
    assert said[-1].startswith("left assistant_fault: the flow goes round without coming to rest")
    assert f"it moved {MAX_MOVES} times since the caller spoke" in said[-1]
    assert len(said) == 1 + MAX_MOVES + 1


async def test_section_7_4_movements_are_counted_anew_when_the_caller_has_spoken() -> None:
    nodes = [BranchNode(f"n{number}") for number in range(MAX_MOVES - 2)]
    path = [HELLO, *nodes, ASK]
    edges = [edge(one.id, two.id, HeardCondition() if one is HELLO else DEFAULT) for one, two in pairwise(path)]
    made = before(*path, edges=[*edges, edge("ask", "hello", HeardCondition())])
    play = agent(made, Reply("Well?"), Reply("Well?"))
    assert (await play.play("Hi", "Again", "Hi"))[-1] == "assistant: Well?"


async def test_section_7_3_a_node_that_speaks_says_its_words_and_goes_on() -> None:
    made = before(SpeakNode("say", "Hello {{name}}."), ASK, edges=[edge("say", "ask")])
    play = agent(made, Reply("Well?"), given={"name": "Ada"})
    assert (await play.play())[1:] == ["assistant: Hello Ada.", "at ask over say>ask", "assistant: Well?"]


async def test_section_7_3_words_of_a_node_may_be_generated() -> None:
    made = before(
        SpeakNode("say", "Greet {{name}}.", generated=True, mind=Mind("clever")),
        EndNode("end", "Say goodbye.", "The end", generated=True),
        edges=[edge("say", "end")],
    )
    play = agent(made, Reply("Hello Ada!"), Reply(" Goodbye. "), given={"name": "Ada"})
    assert await play.play() == [
        "at say",
        "assistant: Hello Ada!",
        "at end over say>end",
        "assistant: Goodbye.",
        "left hangup: the flow came to its end at 'The end'",
    ]
    first, second = play.model.prompts
    assert [line.text for line in first.lines] == ["Be kind.", SAY.format(wish="Greet Ada.")]
    assert isinstance(first.subject, AssistantTask)
    assert first.subject.says == "Greet Ada."
    assert not first.tools
    assert second.lines[-1].text == SAY.format(wish="Say goodbye.")
    assert [mind for mind, _ in play.models.chosen_for] == [Mind("clever"), Mind()]
    assert not any(isinstance(one, Message) and one.fills for one in play.events)


async def test_words_that_a_model_does_not_find_are_not_asked_for_again() -> None:
    made = before(SpeakNode("say", "Greet.", generated=True), EndNode("end"), edges=[edge("say", "end")])
    assert (await agent(made, Reply("")).play())[1:] == [
        "assistant: ",
        "at end over say>end",
        "left hangup: the flow came to its end at 'end'",
    ]


async def test_who_listens_hears_generated_words_while_they_come() -> None:
    made = before(SpeakNode("say", "Greet.", generated=True), EndNode("end"), edges=[edge("say", "end")])
    play = agent(made, Reply("Hello you."))
    state = play.state
    for _ in range(2):
        done = await step(
            play.cast, state, (), models=play.models, tools=play.tools, clock=play.clock, listener=play.listener
        )
        state = done.state
    assert play.heard == ["Hello", "you."]
    assert told(state.transcript.events)[-1].startswith("left hangup")


def test_edges_of_a_flow_are_found_by_where_they_start() -> None:
    one = Edge("e", "ask", DEFAULT, NodeTarget("tell"))
    assert before(ASK, TELL, edges=[one]).leaving("ask") == (one,)
