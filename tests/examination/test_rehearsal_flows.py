"""Rehearsals with assistants that go through flows: whose turn it is, what is silence, and what the caller hears."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.players import Diary, HandClock, OneModel, TableTools
from tests.support.scenes import NESTED, before, edge, ok, told, version

from vivavoce.assistant.ports import ToolOutput
from vivavoce.channels.chat import ChatChannel
from vivavoce.core.assistant import MODEL_OPENS, Cast
from vivavoce.core.event import Ending, Left
from vivavoce.core.flow import (
    BranchNode,
    EndNode,
    Flow,
    HeardCondition,
    PromptNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.tool import Act, FunctionTool, LineTarget, LineTool
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault, fault_of
from vivavoce.examination.course import Limits
from vivavoce.examination.rehearsal import rehearse
from vivavoce.examination.tasks import Part
from vivavoce.models.scripted import Scripted

LIMITS = Limits(60, 40, utterance_limit=400)
HELLO = PromptNode("hello", 'on hear "wrong": say "I see."', says="Hello.")
TABLE = {"look_up": ok("shipped"), "press_digit": ok("pressed"), "transfer": ok("ringing")}


@dataclass
class Rehearsal:
    """An assistant with this flow and a caller with this script."""

    flow: Flow
    brief: str
    greeting: str = MODEL_OPENS
    limits: Limits = LIMITS
    table: Mapping[str, ToolOutput] = field(default_factory=lambda: TABLE)

    async def run(self, recorded: Transcript | None = None) -> Transcript:
        cast = Cast(version(self.flow, greeting=self.greeting, templating=NESTED, instructions=""))
        clock, diary = HandClock(), Diary()
        channel = ChatChannel(cast, {}, "run:1", OneModel(Scripted()), TableTools(self.table), clock)
        talk = recorded or Transcript()
        async with channel.open(talk) as line:
            return await rehearse(
                Part(self.brief), line, Scripted(), talk, diary.write, clock=clock, limits=self.limits
            )

    async def told(self) -> list[str]:
        return told((await self.run()).events)


async def left(rehearsal: Rehearsal) -> Left:
    end = (await rehearsal.run()).end
    assert end is not None
    return end[1]


BYE = 'on start: say "Go on."\nelse: hang up'


async def test_section_3_3_a_flow_is_gone_through_to_its_end() -> None:
    tell, end = PromptNode("tell", 'on enter: say "It is on its way."'), EndNode("end", "Goodbye.")
    nodes = (HELLO, ToolNode("look", "t1", "One moment."), tell, end)
    ways = [edge("hello", "look", 'the caller says "order"'), edge("look", "tell")]
    ways.append(edge("tell", "end", HeardCondition()))
    made = before(*nodes, edges=ways, tools={"t1": FunctionTool("look_up")})
    brief = 'on start: say "Where is my order?"\non hear "way": say "Thank you."\nelse: hang up'
    assert await Rehearsal(made, brief).told() == [
        "at hello",
        "assistant: Hello.",
        "caller: Where is my order?",
        "at look over hello>look",
        "assistant: One moment.",
        "call look_up {}",
        "look_up gave: shipped",
        "at tell over look>tell",
        "assistant: It is on its way.",
        "caller: Thank you.",
        "at end over tell>end",
        "assistant: Goodbye.",
        "left hangup: the flow came to its end at 'end'",
    ]


async def test_section_3_2_where_the_caller_speaks_first_no_silence_is_written_down() -> None:
    made = before(HELLO)
    assert (await Rehearsal(made, 'on start: say "Hi."\nelse: hang up', greeting="").told())[:3] == [
        "at hello",
        "caller: Hi.",
        "assistant: Hello.",
    ]


async def test_section_7_3_the_caller_hears_which_keys_were_pressed() -> None:
    keys = LineTool(Act.TONES, "press_digit")
    menu = PromptNode("menu", 'on hear "press 1": call press_digit {"digits": "1"}', silent=True, inline=(keys,))
    brief = 'on start: say "For sales press 1."\non hear "(press_digit 1)": say "Sales."; hang up'
    assert await Rehearsal(before(menu), brief).told() == [
        "at menu",
        "caller: For sales press 1.",
        'call press_digit {"digits": "1"}',
        "press_digit gave: pressed",
        "assistant: (press_digit 1)",
        "caller: Sales.",
        "left goodbye: scripted: line 2",
    ]


async def test_a_flow_that_moves_on_without_words_is_not_silent_before_it_rests() -> None:
    nodes = (HELLO, BranchNode("fork"), ToolNode("look", "t1"), PromptNode("tell", 'on result: say "Shipped."'))
    ways = [edge("hello", "fork", HeardCondition()), edge("fork", "look"), edge("look", "tell")]
    made = before(*nodes, edges=ways, tools={"t1": FunctionTool("look_up")})
    said = await Rehearsal(made, BYE).told()
    assert [one for one in said if one.startswith("assistant")] == ["assistant: Hello.", "assistant: Shipped."]


async def test_section_3_4_an_assistant_that_goes_silent_is_an_error_and_says_so() -> None:
    made = before(HELLO)
    found = await left(Rehearsal(made, 'else: say "Are you there?"'))
    assert (found.ending, found.reason) == (Ending.SILENCE, "the assistant stayed silent 2 times in a row")
    assert fault_of(found) is Fault.ASSISTANT


async def test_section_3_4_a_caller_who_repeats_itself_is_an_error_and_says_so() -> None:
    talks = PromptNode("hello", 'else: say "You said: $0"', says="Hello.")
    found = await left(Rehearsal(before(talks), 'else: say "Where is my order?"'))
    # The assistant repeats it, too; it is the caller's loop.
    assert (found.ending, fault_of(found)) == (Ending.LOOP, Fault.TESTER)
    assert found.reason == "the caller said the same thing 3 times in a row"
    patient = Limits(60, 40, repeats=5, utterance_limit=400)
    found = await left(Rehearsal(before(talks), 'else: say "Where is my order?"', limits=patient))
    assert found.reason == "the caller said the same thing 5 times in a row"


async def test_section_3_4_more_utterances_than_are_allowed_are_an_error_and_say_so() -> None:
    count = PromptNode("hello", 'else: say "$0 and one"', says="One.")
    found = await left(Rehearsal(before(count), 'else: say "$0 and one"', limits=Limits(60, 400, utterance_limit=8)))
    assert found.ending is Ending.TURN_LIMIT
    assert found.reason == "caller and assistant said 9 messages without coming to an end; the limit is 8"


async def test_section_7_4_a_dead_end_is_the_assistants_fault_and_says_where() -> None:
    made = before(HELLO, BranchNode("fork", "The fork"), edges=[edge("hello", "fork", SpokenCondition())])
    found = await left(Rehearsal(made, BYE))
    assert found.ending is Ending.ASSISTANT_FAULT
    assert found.reason == "the flow has no way to go on from 'The fork'"
    assert fault_of(found) is Fault.ASSISTANT


async def test_section_3_4_a_caller_who_is_put_through_is_done() -> None:
    transfer = LineTool(Act.TRANSFER, "transfer", (LineTarget("+1", "Ann"),))
    node = ToolNode("move", "t1", filled_by="model")
    made = before(HELLO, node, edges=[edge("hello", "move", HeardCondition())], tools={"t1": transfer})
    assert (await left(Rehearsal(made, BYE))).ending is Ending.TRANSFER


async def test_a_rehearsal_of_a_flow_goes_on_from_wherever_it_was_cut() -> None:
    nodes = (HELLO, ToolNode("look", "t1", "One moment."), PromptNode("tell", 'on result: say "Shipped."'))
    ways = [edge("hello", "look", HeardCondition()), edge("look", "tell")]
    made = before(*nodes, edges=ways, tools={"t1": FunctionTool("look_up")})
    whole = await Rehearsal(made, BYE).run()
    for cut in range(len(whole.events)):
        assert await Rehearsal(made, BYE).run(Transcript(whole.events[:cut])) == whole
