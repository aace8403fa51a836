"""The scripted model at every node of a flow: entering, prescribed words, filled arguments, conditions."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.players import OneModel, TableTools
from tests.support.scenes import NESTED, Stage, agent, back, before, edge, ok, version, when

from vivavoce.assistant.ports import AssistantTask, Routing, RoutingTask
from vivavoce.assistant.spread import spread
from vivavoce.assistant.state import in_cast
from vivavoce.core.event import Event, Message, Moved, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.flow import (
    AskCondition,
    BranchNode,
    CallCondition,
    ComponentNode,
    EndNode,
    Flow,
    Global,
    HeardCondition,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.model import Prompt
from vivavoce.core.tool import Act, Filler, FunctionTool, HandoffTarget, HandoffTool, LineTool, WebhookTool
from vivavoce.core.transcript import Transcript
from vivavoce.models.scripted import Scripted, problems
from vivavoce.models.scripted.script import read_script

MODEL = Scripted()


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, 0)


def desk(text: str) -> Message:
    return Message(Speaker.ASSISTANT, text, 0)


async def asked(script: str, *events: Event, says: str = "", calls: str = "") -> tuple[str, tuple[ToolCall, ...]]:
    reply = await MODEL.reply(Prompt((), (), AssistantTask(script, Transcript(events), says, calls)))
    return reply.text, reply.calls


# --- entering -------------------------------------------------------------------------------------------------------

ENTERING = 'once on enter: say "First."\non enter: say "Again."\non hear "hi": say "Hi."\nelse: say "Else."\n'


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((caller("x"), Moved("n", 0)), "First."),
        ((caller("hi"), Moved("n", 0, "e")), "First."),
        ((Moved("n", 0),), "First."),
        ((Moved("n", 0), desk("First."), caller("hi")), "Hi."),
        ((Moved("n", 0), desk("First."), caller("x"), Moved("n", 0)), "Else."),
        ((Moved("n", 0), desk("First."), caller("x"), Moved("n", 0, "e")), "Again."),
        ((Moved("n", 0), desk("First."), Moved("m", 0, "e")), "Again."),
        ((caller("hi"),), "Hi."),
    ],
)
async def test_a_node_may_begin_with_words_of_its_own(events: tuple[Event, ...], text: str) -> None:
    assert (await asked(ENTERING, *events))[0] == text


async def test_entering_goes_before_or_behind_results_as_it_is_written() -> None:
    call, result = ToolCalled(ToolCall("1", "look_up", {}), 0), ToolReturned("1", "look_up", "{}", True, 0)
    events = (caller("x"), Moved("t", 0, "e"), call, result, Moved("n", 0, "f"))
    first = 'on enter: say "In."\non result: say "Found."'
    assert (await asked(first, *events))[0] == "In."
    assert (await asked("\n".join(reversed(first.splitlines())), *events))[0] == "Found."


# --- prescribed words and arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "wish", "text"),
    [
        ("", "Say that you look.", "Say that you look."),
        ('else: say "Else."', "Say that you look.", "Say that you look."),
        ('on told "look": say "I look."; say "$0!"', "Say that you look.", "I look. look!"),
        ('on told /order (\\w+)/ or "x": call look_up; say "Order $1."', "Name order A7.", "Order A7."),
        ('on told "hear": say "No."', "Say that you look.", "Say that you look."),
    ],
)
async def test_prescribed_words_are_said_unless_the_script_has_others(script: str, wish: str, text: str) -> None:
    assert await asked(script, caller("Hi"), says=wish) == (text, ())


TALK = (
    caller("It is A-1."),
    ToolCalled(ToolCall("1", "look_up", {"lang": "en"}), 0),
    ToolReturned("1", "look_up", '{"order": {"eta": 3}}', True, 0),
    ToolReturned("gone", "other", "no JSON", True, 0),
    caller("No, B-2!"),
)


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("", {}),
        ('else: say "x"', {}),
        ('fill other: {"a": 1}', {}),
        ('fill find: {"a": 1, "b": [true, null]}', {"a": 1, "b": [True, None]}),
        ('fill find on hear /([A-Z]-\\d)/: {"number": "$1"}', {"number": "B-2"}),
        ('fill find on hear "A-1": {"number": "$0"}', {"number": "A-1"}),
        ('fill find on hear "C-3" or "D-4": {"a": 1}\nfill find: {"said": "$0"}', {"said": "No, B-2!"}),
        (
            '- Fill `find` : {"eta": "${order.eta}", "lang": "${lang}", "who": "${who}"}',
            {"eta": 3, "lang": "en", "who": "${who}"},
        ),
    ],
)
async def test_a_tool_that_a_flow_calls_gets_the_arguments_of_the_first_line_that_fits(
    script: str, arguments: dict[str, Any]
) -> None:
    assert await asked(script, *TALK, calls="find") == ("", (ToolCall("scripted-1", "find", arguments),))


async def test_a_line_may_name_the_tool_as_the_flow_does() -> None:
    _, (call,) = await asked('fill `Look it up!`: {"a": 1}', calls="Look_it_up_")
    assert call == ToolCall("scripted-1", "Look_it_up_", {"a": 1})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('fill find on hear: {"a": 1}', "hear needs words in quotes or a /pattern/"),
        ('fill find on hear "x" {"a": 1}', "a ':' is missing after 'on hear'"),
        ('fill find on hear "x": 7', "fill needs a JSON object"),
        ('fill find: {"a": 1} and more', "nothing can stand behind the object: 'and more'"),
        ("on told: hang up", "told needs words in quotes or a /pattern/"),
        ('on told "": hang up', "told needs words, and these quotes are empty"),
        ('on enter say "x"', "a ':' is missing after 'on enter'"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: str, problem: str) -> None:
    assert problems(line) == (f"line 1: {problem}",)


def test_a_fill_line_with_broken_json_is_named() -> None:
    assert len(problems('fill find: {"a": }')) == 1


@pytest.mark.parametrize("line", ["Fill the form: carefully.", "fill in what is missing", "Fill find with words."])
def test_prose_is_left_alone(line: str) -> None:
    assert read_script(line).prose == (line,)


def test_a_tester_is_in_no_flow() -> None:
    script = 'on enter: say "x"\non told "y": say "z"\nfill find: {"a": 1}'
    assert problems(script, side="tester") == (
        "line 1: a tester is in no flow, so this rule never fires",
        "line 2: a tester is in no flow, so this rule never fires",
        "line 3: a tester cannot call tools, so this line does nothing",
    )


# --- conditions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "holding"),
    [
        ((caller("refund"), desk("I see.")), (1, 2)),
        ((caller("refund"), desk("I see."), caller("thanks")), (2,)),
        ((caller("refund"), caller("please"), Moved("n", 0, "e")), (1,)),
        ((desk("I see."), caller("refund")), (1, 2)),
        ((caller("refund"), desk("I see."), caller("x"), desk("Well."), caller("y"), desk("Hm.")), ()),
        ((desk("I see."),), (2,)),
        ((), ()),
    ],
)
async def test_conditions_are_decided_by_the_last_exchange(events: tuple[Event, ...], holding: tuple[int, ...]) -> None:
    conditions = ('the caller says "refund"', 'the assistant says "see"')
    task = RoutingTask(conditions, Transcript(events))
    assert (await MODEL.decide(Prompt((), (), task), Routing)).value.holding == holding


# --- a flow of everything -------------------------------------------------------------------------------------------

FIND = FunctionTool("find", "", {"type": "object", "properties": {"number": {"type": "string"}}})
BOOK = WebhookTool("book", "", "https://a.example", fillers=(Filler("Say that you book.", generated=True),))
SCRIPT = 'fill find on hear /([A-Z]-\\d)/: {"number": "$1"}\non told "book": say "I book."'
ASK, END = PromptNode("ask", 'on enter: say "How many?"'), EndNode("end", "Noted.")
PART = before(ASK, END, edges=[edge("ask", "end", HeardCondition())])
FOUND = 'on enter: say "Found."\non hear "book": call book\non result: say "Booked."\nelse: say "Yes?"'
PRESS = 'on hear "press": call press_digit {"digits": "1"}'
NODES = (
    PromptNode("hello", "", says="Hello."),
    ToolNode("find", "find", "Say that you look.", generated=True, filled_by="model"),
    PromptNode("found", FOUND, instructions_mode="append", inline=(BOOK,)),
    SpeakNode("sorry", "I found nothing."),
    PromptNode("skip", 'on enter: say "Wait."'),
    BranchNode("fork"),
    ComponentNode("part", "part"),
    PromptNode("menu", PRESS, silent=True, inline=(LineTool(Act.TONES, "press_digit"),)),
    PromptNode("help", 'on hear "really": say "Really."', says="I help."),
    ToolNode("swap", "swap", filled_by="model"),
    EndNode("bye", "Say goodbye.", generated=True),
)
WAYS = (
    edge("hello", "find", 'the caller says "order"'),
    edge("hello", "menu", 'the caller says "menu"'),
    edge("find", "sorry", ResultCondition(False)),
    edge("find", "found"),
    edge("sorry", "skip"),
    edge("skip", "fork", SpokenCondition()),
    edge("fork", "part", when("{{plan}}", "==", "gold")),
    edge("fork", "bye"),
    edge("part", "bye"),
    edge("found", "swap", CallCondition("go_on", "Go on.")),
    edge("found", "bye", 'the caller says "bye"'),
    edge("menu", "bye", 'the caller says "bye"'),
    back("help", 'the caller says "thanks"'),
)
GLOBALS = (Global("g", "help", AskCondition('the caller says "help"')),)
TOOLS = {"find": FIND, "swap": HandoffTool((HandoffTarget("b", "Bill"),))}


def everything(plan: str = "tin", *, finds: bool = True) -> Stage:
    made = Flow("hello", NODES, WAYS, "before", GLOBALS, TOOLS)
    other = version(id="v2", assistant_id="b", name="Bill", instructions='else: say "Bill."')
    play = agent(spread(made, {"part": PART}), instructions=SCRIPT, given={"plan": plan}, others=[other])
    play.models = OneModel(MODEL)
    play.tools = TableTools({"find": ok("{}") if finds else ok("no"), "book": ok(), "press_digit": ok()})
    if not finds:
        play.tools.table = {**play.tools.table, "find": replace(ok("no"), ok=False)}
    assert in_cast(play.cast, "b") is other
    assert play.cast.first.templating == NESTED
    return play


async def test_a_scripted_conversation_finds_books_and_ends() -> None:
    assert await everything().play("My order A-1", "book it", "bye") == [
        "at hello",
        "assistant: Hello.",
        "caller: My order A-1",
        "at find over hello>find",
        "assistant: Say that you look.",
        'call find {"number": "A-1"}',
        "find gave: {}",
        "at found over find>found",
        "assistant: Found.",
        "caller: book it",
        "at found",
        "call book {}",
        "filler: I book.",
        "book gave: ok",
        "assistant: Booked.",
        "caller: bye",
        "at bye over found>bye",
        "assistant: Say goodbye.",
        "left hangup: the flow came to its end at 'bye'",
    ]


async def test_a_scripted_conversation_fails_skips_and_goes_through_a_component() -> None:
    assert (await everything("gold", finds=False).play("My order A-1", "Two"))[6:] == [
        "find failed: no",
        "at sorry over find>sorry",
        "assistant: I found nothing.",
        "at skip over sorry>skip",
        "assistant: Wait.",
        "at fork over skip>fork",
        "at part over fork>part",
        "at part/ask over part/",
        "assistant: How many?",
        "caller: Two",
        "at part/end over part/ask>end",
        "assistant: Noted.",
        "at bye over part/end/part>bye",
        "assistant: Say goodbye.",
        "left hangup: the flow came to its end at 'bye'",
    ]


async def test_a_scripted_conversation_asks_for_help_and_presses_keys() -> None:
    assert (await everything().play("help", "really", "thanks", "menu", "press 1", "bye"))[3:-2] == [
        "at help over g",
        "assistant: I help.",
        "caller: really",
        "at help",
        "assistant: Really.",
        "caller: thanks",
        "at hello over help<",
        f"assistant: {(await asked('', caller('x')))[0]}",
        "caller: menu",
        "at menu over hello>menu",
        "assistant: ",
        "caller: press 1",
        "at menu",
        'call press_digit {"digits": "1"}',
        "press_digit gave: ok",
        "assistant: (press_digit 1)",
        "caller: bye",
        "at bye over menu>bye",
    ]


async def test_a_scripted_conversation_takes_a_way_by_calling_it_and_is_handed_over() -> None:
    play = everything()
    made = play.cast.first.flow
    assert made is not None
    talks = made.node("found")
    assert isinstance(talks, PromptNode)
    await play.play("My order A-1")
    play.state = play.state.plus((caller("x"), Moved("found", 0), ToolCalled(ToolCall("c", "go_on", {}), 0)))
    assert (await play.play("Hello?"))[-5:] == [
        "at swap over found>swap",
        'call handoff {"assistant": "Bill"}',
        "handoff gave: Bill goes on with the conversation.",
        "to b",
        "assistant: Bill.",
    ]
