"""The scripted model in flows, after handovers, and as whoever decides conditions."""

import pytest
from tests.support.players import OneModel, TableTools
from tests.support.scenes import Stage, edge, flow, ok, version

from vivavoce.assistant.ports import AssistantTask, Routing
from vivavoce.assistant.prompt import routing
from vivavoce.core.assistant import Cast
from vivavoce.core.event import Event, HandedOver, Message, Moved, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.flow import PromptNode, SpeakNode, ToolNode
from vivavoce.core.model import Prompt
from vivavoce.core.tool import FunctionTool, HandoffTarget, HandoffTool
from vivavoce.core.transcript import Transcript
from vivavoce.models.scripted import Scripted
from vivavoce.models.scripted.machine import next_move
from vivavoce.models.scripted.script import read_script

MODEL = Scripted()


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, 0)


def desk(text: str, *, fills: bool = False) -> Message:
    return Message(Speaker.ASSISTANT, text, 0, fills=fills)


async def test_conditions_hold_that_can_be_computed_and_are_met() -> None:
    talk = Transcript((caller("I want a refund."), desk("I see.")))
    conditions = [
        'the caller says "refund"',
        'the caller says "invoice"',
        "The caller is sad.",
        'the assistant says "see"',
    ]
    assert (await MODEL.decide(routing(conditions, talk), Routing)).value == Routing((1, 4))


CALLED, RETURNED = ToolCalled(ToolCall("1", "look_up", {}), 0), ToolReturned("1", "look_up", "{}", True, 0)
TRANSITION = (
    ToolCalled(ToolCall("1", "transition__e", {}), 0),
    ToolReturned("1", "transition__e", "Done.", True, 0),
)
SCRIPT = 'on start: say "Hello."\non hear "one": say "First."\non result look_up: say "Found."\nelse: say "Else."\n'


async def says(*events: Event) -> str:
    return (await MODEL.reply(Prompt((), (), AssistantTask(SCRIPT, Transcript(events))))).text


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((Moved("n", 0),), "Hello."),
        ((caller("one"), Moved("n", 0)), "First."),
        ((caller("x"), desk("Else."), Moved("n", 0), caller("one")), "First."),
        ((caller("one"), CALLED, desk("One moment.", fills=True), RETURNED), "Found."),
        (
            (
                caller("one"),
                ToolCalled(ToolCall("1", "transition__e", {}), 0),
                ToolReturned("1", "transition__e", "", True, 0),
                Moved("n", 0),
            ),
            "First.",
        ),
        ((caller("one"), CALLED, RETURNED, HandedOver("b", "v", "B", 0)), "First."),
        ((caller("x"), desk("Well."), HandedOver("b", "v", "B", 0)), "Hello."),
        ((caller("x"), desk("Well."), HandedOver("b", "v", "B", 0), caller("one")), "First."),
        ((caller("one"), desk("Wait.", fills=True), HandedOver("b", "v", "B", 0)), "First."),
    ],
)
async def test_a_script_reacts_to_what_was_said_and_not_to_how_it_came_there(
    events: tuple[Event, ...], text: str
) -> None:
    assert await says(*events) == text


def test_a_caller_hears_words_that_fill_the_time_and_sees_no_handover() -> None:
    script = read_script('on hear "moment": say "Fine."\nelse: say "Hm."\n')
    talk = Transcript((desk("Hi."), caller("Hm."), HandedOver("b", "v", "B", 0), desk("One moment.", fills=True)))
    assert next_move(script, talk, Speaker.CALLER).text == "Fine."


async def test_a_flow_of_scripts_is_played_from_end_to_end() -> None:
    nodes = (
        SpeakNode("hello", "Hello."),
        PromptNode("ask", 'on hear "order": say "Which order?"\nelse: say "Sorry?"\n'),
        ToolNode("look", "t1"),
        PromptNode("tell", 'on result look_up: say "It is ${state}."\non hear "bill": call handoff\nelse: say "Hm."\n'),
    )
    made = flow(
        *nodes,
        edges=[edge("hello", "ask"), edge("ask", "look", 'the caller says "A-1"'), edge("look", "tell")],
    )
    first = version(made, library={"t1": FunctionTool("look_up")}, tools=(HandoffTool((HandoffTarget("b", "Bill"),)),))
    second = version(id="v2", assistant_id="b", name="Bill", instructions='on hear "bill": say "Your bill."\n')
    play = Stage(Cast(first, {"b": second}), tools=TableTools({"look_up": ok('{"state": "shipped"}')}))
    play.models = OneModel(MODEL)
    assert [line for line in await play.play("My order", "A-1", "And my bill?") if line.startswith("assistant")] == [
        "assistant: Hello.",
        "assistant: Which order?",
        "assistant: Sorry?",
        "assistant: It is shipped.",
        "assistant: Your bill.",
    ]
