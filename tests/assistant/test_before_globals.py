"""Flows that look where to go before the assistant answers: global nodes, and the ways back from them."""

import time
from dataclasses import replace

import pytest
from tests.support.scenes import DEFAULT, Stage, agent, back, before, edge, when

from vivavoce.assistant import before as before_rules
from vivavoce.assistant.moving import reached
from vivavoce.assistant.ports import Routing, RoutingTask
from vivavoce.assistant.step import scene_of
from vivavoce.core.event import HandedOver, Message, Moved, Speaker
from vivavoce.core.flow import (
    AskCondition,
    BackTarget,
    BranchNode,
    Condition,
    Edge,
    EndNode,
    Flow,
    Global,
    HeardCondition,
    PromptNode,
)
from vivavoce.core.model import Reply
from vivavoce.core.transcript import Transcript

HELLO = PromptNode("hello", "Greet.", says="Hello.")
HELP, RUDE = PromptNode("help", "Help.", says="I help."), PromptNode("rude", "Calm down.", says="Please.")
NEXT = PromptNode("next", "Next.", says="Next.")
TO_HELP = Global("g:help", "help", AskCondition("They want help."))
TO_RUDE = Global("g:rude", "rude", AskCondition("They are rude."))
NONE = Routing(())


def holds(*numbers: int) -> Routing:
    return Routing(numbers)


def asked(play: Stage) -> list[tuple[str, ...]]:
    """What models were asked, question by question."""
    return [one.subject.conditions for one in play.model.prompts if isinstance(one.subject, RoutingTask)]


def placed(lines: list[str]) -> list[str]:
    """The nodes that were entered, in order."""
    return [line.split()[1] for line in lines if line.startswith("at ") and (" over " in line or line == "at hello")]


async def test_section_7_4_a_global_node_is_entered_where_no_way_of_the_node_holds() -> None:
    made = before(HELLO, NEXT, HELP, edges=[edge("hello", "next", "Go on?")], globals=(TO_HELP,))
    play = agent(made, holds(2))
    assert (await play.play("Help!"))[3:] == ["at help over g:help", "assistant: I help."]
    assert asked(play) == [("Go on?", "They want help.")]


async def test_section_7_4_ways_of_the_node_go_before_global_ones_and_those_before_the_default() -> None:
    ways = [edge("hello", "next", "Go on?"), edge("hello", "hello", DEFAULT)]
    made = before(HELLO, NEXT, HELP, edges=ways, globals=(TO_HELP,))
    assert (await agent(made, holds(1, 2)).play("Hi"))[-1] == "assistant: Next."
    assert (await agent(made, holds(2)).play("Hi"))[-1] == "assistant: I help."
    assert (await agent(made, NONE).play("Hi"))[-2:] == ["at hello over hello>hello", "assistant: Hello."]
    equation = before(HELLO, NEXT, HELP, edges=[edge("hello", "next", when("1", "==", "1"))], globals=(TO_HELP,))
    assert (await agent(equation).play("Hi"))[-1] == "assistant: Next."


@pytest.mark.parametrize(
    ("condition", "ways", "answers", "end"),
    [
        (when("{{x}}", "==", "1"), [], (), "I help."),
        (when("{{x}}", "==", "2"), [], (Reply("Yes?"),), "Yes?"),
        # What is certain needs no question, unless a way of the node itself has to be asked about.
        (when("{{x}}", "==", "1"), [edge("hello", "next", "Go on?")], (holds(1),), "Next."),
        (when("{{x}}", "==", "1"), [edge("hello", "next", "Go on?")], (NONE,), "I help."),
        (when("{{x}}", "==", "1", prompt="Really?"), [], (holds(1),), "I help."),
        (when("{{x}}", "==", "1", prompt="Really?"), [], (NONE, Reply("Yes?")), "Yes?"),
        (when("{{x}}", "==", "2", prompt="Really?"), [], (Reply("Yes?"),), "Yes?"),
    ],
)
async def test_section_7_4_a_global_condition_may_be_an_equation_with_a_question_or_without(
    condition: Condition, ways: list[Edge], answers: tuple[object, ...], end: str
) -> None:
    made = before(HELLO, NEXT, HELP, edges=ways, globals=(Global("g", "help", condition),))
    assert (await agent(made, *answers, given={"x": "1"}).play("Hi"))[-1] == f"assistant: {end}"


async def test_an_equation_goes_before_a_question_among_global_ways_too() -> None:
    certain = Global("g:certain", "rude", when("1", "==", "1"))
    made = before(HELLO, HELP, RUDE, globals=(TO_HELP, certain))
    play = agent(made)
    assert (await play.play("Help!"))[-1] == "assistant: Please."
    assert asked(play) == []


async def test_section_7_4_who_goes_back_speaks_again_and_not_the_fixed_words() -> None:
    made = before(HELLO, HELP, edges=[back("help", "That is all.")], globals=(TO_HELP,))
    play = agent(made, holds(1), NONE, Reply("More help."), holds(1), Reply("Where were we?"))
    assert (await play.play("Help!", "How?", "Thanks"))[3:] == [
        "at help over g:help",
        "assistant: I help.",
        "caller: How?",
        "at help",
        "assistant: More help.",
        "caller: Thanks",
        "at hello over help<",
        "assistant: Where were we?",
    ]
    # A global node is no way for itself.
    assert asked(play) == [("They want help.",), ("That is all.",), ("That is all.",)]


async def test_section_7_4_a_way_back_may_be_an_equation_or_what_is_always_taken() -> None:
    made = before(HELLO, HELP, edges=[back("help", when("1", "==", "1"))], globals=(TO_HELP,))
    assert (await agent(made, holds(1), Reply("Well?")).play("Help!", "Thanks"))[-1] == "assistant: Well?"
    made = before(HELLO, HELP, edges=[back("help", HeardCondition())], globals=(TO_HELP,))
    assert (await agent(made, holds(1), Reply("Well?")).play("Help!", "Thanks"))[-1] == "assistant: Well?"


async def test_a_way_back_is_not_there_for_who_came_from_nowhere() -> None:
    made = before(HELP, edges=[back("help", HeardCondition())])
    assert (await agent(made, Reply("Yes?")).play("Hi"))[-1] == "assistant: Yes?"


@pytest.mark.parametrize(("cool_down", "open_"), [(0, True), (1, True), (2, False), (3, False)])
async def test_section_7_4_a_global_node_is_closed_until_the_flow_has_moved_often_enough(
    cool_down: int, open_: bool
) -> None:
    made = before(HELLO, HELP, edges=[back("help", HeardCondition())], globals=(replace(TO_HELP, cool_down=cool_down),))
    # Entering it and going back: the flow has moved once since.
    answers = (holds(1), Reply("Well?"), *((holds(1),) if open_ else (Reply("Yes?"),)))
    said = await agent(made, *answers).play("Help!", "Thanks", "Help!")
    assert said[-1] == ("assistant: I help." if open_ else "assistant: Yes?")


async def test_section_7_4_it_opens_again_when_the_flow_has_moved() -> None:
    ways = [back("help", HeardCondition()), edge("hello", "next", "Go on?")]
    made = before(HELLO, NEXT, HELP, edges=ways, globals=(replace(TO_HELP, cool_down=2),))
    play = agent(made, holds(2), Reply("Well?"), holds(1), holds(1))
    assert placed(await play.play("Help!", "Thanks", "Go on", "Help!")) == ["hello", "help", "hello", "next", "help"]
    assert asked(play)[1] == ("Go on?",)


async def test_a_global_node_may_lead_to_another_and_both_lead_back_to_where_they_were_entered_from() -> None:
    ways = [back("help", "Done."), back("rude", "Calm.")]
    made = before(HELLO, HELP, RUDE, edges=ways, globals=(TO_HELP, TO_RUDE))
    play = agent(made, holds(1), holds(2), holds(1), Reply("So."), holds(1), Reply("Well?"))
    lines = ("Help!", "Idiot!", "Sorry.", "Thanks.")
    assert placed(await play.play(*lines)) == ["hello", "help", "rude", "help", "hello"]


async def test_who_was_entered_twice_leads_back_twice() -> None:
    ways = [back("help", "Done."), back("rude", "Calm.")]
    made = before(HELLO, HELP, RUDE, edges=ways, globals=(TO_HELP, TO_RUDE))
    entering, leaving = (
        (holds(1), holds(2), holds(2)),
        (holds(1), Reply("a"), holds(1), Reply("b"), holds(1), Reply("c")),
    )
    play = agent(made, *entering, *leaving)
    lines = ("Help!", "Idiot!", "Help!", "Done", "Done", "Done")
    assert placed(await play.play(*lines)) == ["hello", "help", "rude", "help", "rude", "help", "hello"]


async def test_a_way_of_its_own_may_lead_a_global_node_round_and_the_way_back_is_as_before() -> None:
    ways = [edge("help", "help", "Again?"), back("help", "Done.")]
    made = before(HELLO, HELP, edges=ways, globals=(TO_HELP,))
    play = agent(made, holds(1), holds(1), holds(2), Reply("Well?"))
    assert placed(await play.play("Help!", "Again", "Done")) == ["hello", "help", "help", "hello"]


async def test_a_global_node_need_not_talk() -> None:
    bye = EndNode("bye", "Bye.")
    made = before(HELLO, bye, globals=(Global("g", "bye", AskCondition("They leave.")),))
    assert (await agent(made, holds(1)).play("Bye"))[-2:] == [
        "assistant: Bye.",
        "left hangup: the flow came to its end at 'bye'",
    ]


async def test_from_nodes_that_do_not_talk_no_global_node_is_entered() -> None:
    fork = BranchNode("fork")
    ways = [edge("hello", "fork", HeardCondition()), edge("fork", "next", "Go on?"), edge("fork", "hello")]
    made = before(HELLO, fork, NEXT, HELP, edges=ways, globals=(TO_HELP,))
    play = agent(made, holds(1))
    await play.play("Hi")
    assert asked(play) == [("Go on?",)]


def test_what_happened_in_another_assistants_flow_counts_for_none_of_this() -> None:
    made: Flow = before(HELLO, HELP, edges=[back("help")], globals=(replace(TO_HELP, cool_down=9),))
    play = agent(made)
    gone = (Moved("hello", 0), Moved("help", 0, "g:help"), HandedOver("b", "v", "B", 0), HandedOver("a", "v", "A", 0))
    came = Transcript((Message(Speaker.CALLER, "Hi", 0), *gone, Moved("hello", 0)))
    scene = scene_of(play.cast, replace(play.state, transcript=came), play.clock)
    assert reached(scene, made, made.leaving("help")) == ()
    inside = came.plus((Moved("help", 0, "g:help"),))
    scene = scene_of(play.cast, replace(play.state, transcript=inside), play.clock)
    assert reached(scene, made, made.leaving("help")) == (Edge("help<", "help", DEFAULT, BackTarget()),)


async def test_a_global_node_is_open_again_after_a_handover_and_back() -> None:
    made = before(HELLO, HELP, globals=(replace(TO_HELP, cool_down=9),))
    play = agent(made, holds(1))
    before_it = (Moved("hello", 0), Moved("help", 0, "g:help"), Message(Speaker.ASSISTANT, "I help.", 0))
    play.state = play.state.plus((*before_it, HandedOver("b", "v", "B", 0), HandedOver("a", "v", "A", 0)))
    assert (await play.play("Help!"))[-1] == "assistant: Hello."
    assert (await play.play("Help!"))[-1] == "assistant: I help."


def test_many_global_nodes_and_ways_back_are_looked_at_in_no_time_in_a_long_conversation() -> None:
    many = tuple(Global(f"g{number}", "help", AskCondition("They want help."), 2) for number in range(1000))
    ways_back = [replace(back("hello", "Back."), id=f"b{number}") for number in range(1000)]
    made = before(HELLO, HELP, edges=ways_back, globals=many)
    moves = tuple(Moved("help" if turn % 2 else "hello", 0, "there") for turn in range(1499))
    play = agent(made)
    play.state = play.state.plus((Moved("hello", 0), *moves))
    scene = scene_of(play.cast, play.state, play.clock)
    started = time.perf_counter()
    assert len(before_rules.ways(scene, made, HELLO)) == 2000
    # In one pass it takes a few milliseconds; one for each way takes a second and more.
    assert time.perf_counter() - started < 0.4
