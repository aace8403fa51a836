"""What follows from tool calls: other variables, other assistants, the end, silence, and words meanwhile."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.support.players import START, ListModel, TableTools
from tests.support.scenes import NESTED, Stage, edge, flow, ok, told, version

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.prompt import history
from vivavoce.assistant.state import active
from vivavoce.assistant.step import step
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import MODEL_OPENS, Cast, Templating
from vivavoce.core.event import Ending, HandedOver, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.flow import PromptNode, ToolNode
from vivavoce.core.model import PromptLine, Reply
from vivavoce.core.passage import Recall
from vivavoce.core.tool import (
    Act,
    Filler,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    LineTarget,
    LineTool,
    MessageTool,
    SettableVariable,
    SkipTool,
    Tool,
    VariablesTool,
    WebhookTool,
)
from vivavoce.core.transcript import Transcript

LOOK = FunctionTool("look_up")
HANDOFF = HandoffTool((HandoffTarget("b", "Billing"), HandoffTarget("gone", "Sales")))
BILL = version(
    id="v2", assistant_id="b", name="Bill", instructions="Bill {{who}} for {{shop}}.", variables={"shop": "Acme"}
)


def calling(*calls: tuple[str, dict[str, Any]], text: str = "") -> Reply:
    return Reply(text, tuple(ToolCall("0", name, arguments) for name, arguments in calls))


def stage(*replies: Reply, tools: tuple[Tool, ...], **settings: Any) -> Stage:
    cast = Cast(version(tools=tools, **settings), {"b": replace(BILL, greeting="Welcome.")})
    outputs = {"look_up": ok("3 days"), "transfer": ok("ringing"), "send_message": ok("sent")}
    return Stage(cast, ListModel(list(replies)), TableTools(outputs))


# --- handing over ---------------------------------------------------------------------------------------------------


async def test_another_assistant_goes_on_at_once_with_its_own_instructions_and_sees_what_was_said() -> None:
    play = stage(
        calling(("handoff", {"assistant": "Billing"}), text="I connect you."), Reply("Which bill?"), tools=(HANDOFF,)
    )
    play.variables["who"] = "Ann"
    assert await play.play("Money", opens=False) == [
        "caller: Money",
        "assistant: I connect you.",
        'call handoff {"assistant": "Billing"}',
        "handoff gave: Bill goes on with the conversation.",
        "to b",
        "assistant: Which bill?",
    ]
    handed = play.events[4]
    assert handed == HandedOver("b", "v2", "Bill", START)
    asked = play.model.prompts[1]
    # Its own defaults hold where the conversation has no such variable.
    assert asked.lines[0].text == "Bill Ann for Acme."
    assert [line.role for line in asked.lines] == ["system", "user", "assistant", "tool"]
    assert asked.tools == ()
    assert not play.tools.uses


@pytest.mark.parametrize(
    ("targets", "arguments", "answer"),
    [
        (HANDOFF.targets, {"assistant": "b"}, "Bill goes on with the conversation."),
        (HANDOFF.targets[:1], {}, "Bill goes on with the conversation."),
        (
            HANDOFF.targets,
            {"assistant": "Sales"},
            "The assistant 'Sales' cannot be reached: it does not exist any more.",
        ),
        (HANDOFF.targets[1:], {}, "The assistant 'Sales' cannot be reached: it does not exist any more."),
        (HANDOFF.targets, {"assistant": "Nobody"}, "There is no assistant 'Nobody'. There is: Billing, Sales."),
        (HANDOFF.targets, {}, "There is no assistant ''. There is: Billing, Sales."),
        ((HandoffTarget("a", "Me"),), {}, "Desk goes on with the conversation."),
    ],
)
async def test_who_takes_over(targets: tuple[HandoffTarget, ...], arguments: dict[str, Any], answer: str) -> None:
    play = stage(calling(("handoff", arguments)), Reply("Hm."), tools=(HandoffTool(targets),))
    await play.play("Hi", opens=False)
    (result,) = [event for event in play.events if isinstance(event, ToolReturned)]
    assert result.output == answer
    assert result.ok is any(isinstance(event, HandedOver) for event in play.events)


async def test_who_takes_over_before_anybody_spoke_says_its_greeting() -> None:
    play = stage(calling(("handoff", {"assistant": "Billing"})), tools=(HANDOFF,), greeting=MODEL_OPENS)
    assert (await play.play())[-2:] == ["to b", "assistant: Welcome."]


async def test_only_one_can_take_over() -> None:
    both = HandoffTool((*HANDOFF.targets, HandoffTarget("a", "Me")))
    play = stage(
        calling(("handoff", {"assistant": "Billing"}), ("handoff", {"assistant": "Me"})), Reply("Yes?"), tools=(both,)
    )
    assert (await play.play("Hi", opens=False))[3:] == [
        "handoff gave: Bill goes on with the conversation.",
        "handoff failed: This did not happen: something else came first.",
        "to b",
        "assistant: Yes?",
    ]


def test_the_last_handover_says_who_speaks() -> None:
    first = version()
    cast = Cast(first, {"b": BILL})
    to_b, back = HandedOver("b", "v2", "Bill", 0), HandedOver("a", "v", "Desk", 0)
    assert active(cast, Transcript()) is first
    assert active(cast, Transcript((to_b, Message(Speaker.CALLER, "Hi", 0)))) is BILL
    assert active(cast, Transcript((to_b, back))) is first
    assert active(cast, Transcript((HandedOver("gone", "v", "?", 0),))) is first
    assert active(Cast(first), Transcript((to_b,))) is first


# --- putting through ------------------------------------------------------------------------------------------------


def line_tool(act: Act) -> LineTool:
    return LineTool(act, "transfer", (LineTarget("+1", "Ann"),))


@pytest.mark.parametrize("act", [Act.TRANSFER, Act.REFER])
@pytest.mark.parametrize("arguments", [{}, {"target": "Ann"}])
async def test_a_caller_who_is_put_through_is_left(act: Act, arguments: dict[str, Any]) -> None:
    play = stage(calling(("transfer", arguments)), tools=(line_tool(act),))
    await play.play("Hi", opens=False)
    assert play.events[-1] == Left(Ending.TRANSFER, START, Speaker.ASSISTANT, "the caller was put through to Ann")
    assert told(play.events)[-2] == "transfer gave: ringing"
    assert play.steps[-1].rests


@pytest.mark.parametrize(
    ("act", "output"),
    [
        (Act.INVITE, ok("joined")),
        (Act.TONES, ok("pressed")),
        (Act.TRANSFER, replace(ok("busy"), ok=False)),
        (Act.TRANSFER, replace(ok("as if", mocked=True), ok=False)),
    ],
)
async def test_otherwise_the_conversation_goes_on(act: Act, output: ToolOutput) -> None:
    play = stage(calling(("transfer", {"target": "Ann"})), Reply("Well?"), tools=(line_tool(act),))
    play.tools.table = {"transfer": output}
    assert (await play.play("Hi", opens=False))[-1] == "assistant: Well?"


async def test_section_3_4_a_mock_that_puts_the_caller_through_ends_it_too() -> None:
    play = stage(calling(("transfer", {"target": "Ann"})), tools=(line_tool(Act.TRANSFER),))
    play.tools.table = {"transfer": ok("as if", mocked=True)}
    assert (await play.play("Hi", opens=False))[-1] == "left transfer: the caller was put through to Ann"


async def test_leaving_goes_before_everything_else_that_was_wished_for() -> None:
    wishes = [("hangup", {"reason": "done"}), ("transfer", {"target": "Ann"}), ("handoff", {"assistant": "Billing"})]
    tools = (HangupTool(), line_tool(Act.TRANSFER), HANDOFF, SkipTool())
    play = stage(calling(*wishes, ("skip_turn", {})), tools=tools)
    assert (await play.play("Hi", opens=False))[5:] == [
        "transfer gave: ringing",
        "handoff failed: This did not happen: something else came first.",
        "skip_turn gave: Done.",
        "left transfer: the caller was put through to Ann",
    ]
    play = stage(calling(wishes[0], wishes[2]), tools=tools)
    assert (await play.play("Hi", opens=False))[-1] == "left hangup: done"


async def test_in_a_call_the_first_way_that_was_chosen_is_taken() -> None:
    nodes = (PromptNode("a", "A."), PromptNode("b", "B."), PromptNode("c", "C."))
    made = flow(*nodes, edges=[edge("a", "b", "One.", "1"), edge("a", "c", "Two.", "2")])
    chosen = calling(("transition__2", {}), ("transition__1", {}), ("transition__9", {}))
    play = Stage(Cast(version(made)), ListModel([chosen, Reply("C it is.")]), spoken=True)
    assert (await play.play("Hi"))[5:] == [
        "transition__2 gave: Done.",
        "transition__1 failed: This did not happen: something else came first.",
        "transition__9 failed: There is no tool named 'transition__9'.",
        "at c over 2",
        "assistant: C it is.",
    ]


# --- silence, messages and variables --------------------------------------------------------------------------------


async def test_an_assistant_that_skips_its_turn_says_the_empty_string_and_rests() -> None:
    play = stage(calling(("skip_turn", {}), ("look_up", {})), tools=(SkipTool(), LOOK))
    assert (await play.play("Hi", opens=False))[3:] == ["skip_turn gave: Done.", "look_up gave: 3 days", "assistant: "]
    assert [use.tool for use in play.tools.uses] == [LOOK]


async def test_a_message_is_sent_by_whoever_calls_tools() -> None:
    play = stage(calling(("send_message", {"text": "Hi"})), Reply("Sent."), tools=(MessageTool(),))
    await play.play("Text me", opens=False)
    assert play.tools.uses[0].arguments == {"text": "Hi"}


SET = VariablesTool(
    "set",
    "",
    (
        SettableVariable("text"),
        SettableVariable("number", "number"),
        SettableVariable("whole", "integer"),
        SettableVariable("flag", "boolean"),
        SettableVariable("list", "array"),
        SettableVariable("map", "object"),
        SettableVariable("none", "null"),
        SettableVariable("odd", "date"),
        SettableVariable("plan", choices=("gold", "2")),
    ),
)


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "a", "number": 1.5, "whole": 2, "flag": True, "list": [1], "map": {"a": 1}, "none": None},
        {"number": 1},
        {"odd": "today"},
        {"odd": True},
        {"plan": "gold"},
    ],
)
async def test_variables_keep_their_type(arguments: dict[str, Any]) -> None:
    play = stage(calling(("set", arguments)), Reply("Set."), tools=(SET,), instructions="{{text}} {{whole}}")
    await play.play("Hi", opens=False)
    assert play.state.current() == arguments
    assert not play.tools.uses
    told_ = play.model.prompts[1].lines[0].text
    assert told_ == ("a 2" if "text" in arguments else "{{text}} {{whole}}")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"text": 1}, "text must be of type string"),
        ({"number": "one"}, "number must be of type number"),
        ({"number": "NaN"}, "number must be of type number"),
        ({"number": "1e999"}, "number must be of type number"),
        ({"number": "true"}, "number must be of type number"),
        ({"whole": "1.5"}, "whole must be of type integer"),
        ({"whole": "[" * 100_000}, "whole must be of type integer"),
        ({"number": True}, "number must be of type number"),
        ({"whole": 1.5}, "whole must be of type integer"),
        ({"flag": "yes"}, "flag must be of type boolean"),
        ({"plan": "tin"}, "plan must be one of gold, 2"),
        ({"text": None}, "text must be of type string"),
        ({"text": "a", "other": 1}, "other is no variable that can be set"),
        ({}, "no variable was given"),
    ],
)
@pytest.mark.parametrize("templating", [Templating("sys_"), NESTED])
async def test_what_cannot_be_set_sets_nothing(arguments: dict[str, Any], why: str, templating: Templating) -> None:
    play = stage(calling(("set", arguments)), Reply("Hm."), tools=(SET,), templating=templating)
    assert (await play.play("Hi", opens=False))[2] == f"set failed: Nothing was set: {why}."
    assert play.state.current() == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"number": " 1.5 "}, 1.5),
        ({"number": "-2"}, -2),
        ({"whole": "7"}, 7),
        ({"flag": "True"}, True),
        ({"flag": "false"}, False),
    ],
)
async def test_section_5_a_number_or_a_truth_value_written_as_a_text_is_one(
    given: dict[str, Any], kept: object
) -> None:
    play = stage(calling(("set", given)), Reply("Set."), tools=(SET,), templating=NESTED)
    await play.play("Hi", opens=False)
    assert [*play.state.current().values()] == [kept]
    # Where variables have types, the model is told that it is none (assistants contract, section 3).
    strict = stage(calling(("set", given)), Reply("Sorry."), tools=(SET,))
    told_so = (await strict.play("Hi", opens=False))[2]
    assert told_so.startswith("set failed: Nothing was set:")
    assert not strict.state.current()


async def test_section_4_2_at_a_tool_node_of_the_other_contract_all_variables_are_set_or_none() -> None:
    made = flow(ToolNode("t", "set"), edges=[edge("t", "p")])
    made = replace(made, nodes=(*made.nodes, PromptNode("p", "Go on.")))
    for variables, told_so in (
        ({}, "no variable was given"),
        ({"text": "a", "number": "x"}, "number must be of type number"),
    ):
        play = stage(Reply("On."), tools=(), flow=made, library={"set": SET})
        play.state = replace(play.state, variables=variables)
        assert f"set failed: Nothing was set: {told_so}." in await play.play("Hi", opens=False)


# --- words meanwhile ------------------------------------------------------------------------------------------------


def filled(*fillers: Filler, waits_ms: int | None = None) -> WebhookTool:
    return WebhookTool("look_up", "", "https://example.com", fillers=fillers, waits_ms=waits_ms)


@dataclass
class PatientTools:
    """Answers when it has been waited for long enough: when so many words were heard."""

    heard: list[str]
    until: int
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, tool: Tool, arguments: Mapping[str, Any], *, key: str, filling: Filling) -> ToolOutput:
        if len(self.heard) < self.until:
            await self.enough.wait()
        return ok("3 days")

    async def recalled(self, recall: Recall, about: str) -> tuple[str, ...]:
        return ()

    async def hear(self, text: str) -> None:
        self.heard.append(text)
        if len(self.heard) >= self.until:
            self.enough.set()


async def one_round(tool: WebhookTool, until: int) -> tuple[list[list[str]], list[str]]:
    model = ListModel([calling(("look_up", {}), text="I look."), Reply("3 days.")])
    play = Stage(Cast(version(tools=(tool,))), model)
    tools = PatientTools([], until)
    state, heard = play.state, (Message(Speaker.CALLER, "When?", START),)
    steps: list[list[str]] = []
    for _ in range(3):
        done = await step(
            play.cast, state, heard, models=play.models, tools=tools, clock=play.clock, listener=tools.hear
        )
        state, heard = done.state, ()
        steps.append(told(done.events))
    return steps, tools.heard


async def test_words_fill_the_time_at_once_and_while_the_tool_has_not_answered() -> None:
    steps, heard = await one_round(
        filled(Filler("Still looking, {{who}}.", 3), Filler("One moment."), Filler("Hold on.", 1)), until=5
    )
    assert steps == [
        ["assistant: I look.", "call look_up {}", "filler: One moment."],
        ["filler: Hold on.", "filler: Still looking, .", "look_up gave: 3 days"],
        ["assistant: 3 days."],
    ]
    assert heard == ["I", "look.", "One moment.", "Hold on.", "Still looking, .", "3", "days."]


async def test_a_tool_that_answers_in_time_needs_no_words() -> None:
    steps, _ = await one_round(filled(Filler("Hold on.", 60_000)), until=0)
    assert steps[1] == ["look_up gave: 3 days"]


async def test_a_tool_that_is_not_waited_for_has_no_words() -> None:
    steps, _ = await one_round(filled(Filler("Hold on."), Filler("Still.", 1), waits_ms=300), until=0)
    assert steps[:2] == [["assistant: I look.", "call look_up {}"], ["look_up gave: 3 days"]]


async def test_words_meanwhile_are_said_where_nobody_listens_and_a_deaf_listener_loses_no_result() -> None:
    class SlowTools(TableTools):
        async def call(self, tool: Tool, arguments: Mapping[str, Any], *, key: str, filling: Filling) -> ToolOutput:
            await asyncio.sleep(0.02)
            return ok("3 days")

    async def deaf(text: str) -> None:
        raise ConnectionError

    for listener in (None, deaf):
        play = Stage(Cast(version(tools=(filled(Filler("Hold on.", 1)),))))
        called = ToolCalled(ToolCall("1", "look_up", {}), START)
        play.state = play.state.plus((Message(Speaker.CALLER, "When?", START), called))
        done = await step(
            play.cast, play.state, (), models=play.models, tools=SlowTools(), clock=play.clock, listener=listener
        )
        assert told(done.events) == ["filler: Hold on.", "look_up gave: 3 days"]


async def test_words_meanwhile_are_not_in_the_models_way() -> None:
    call = ToolCall("1", "look_up", {})
    talk = Transcript(
        (
            Message(Speaker.CALLER, "When?", START),
            Message(Speaker.ASSISTANT, "I look.", START),
            ToolCalled(call, START),
            Message(Speaker.ASSISTANT, "One moment.", START, fills=True),
            ToolReturned("1", "look_up", "3 days", True, START),
            Message(Speaker.ASSISTANT, "3 days.", START),
        )
    )
    assert history(talk) == (
        PromptLine("user", "When?"),
        PromptLine("assistant", "I look.", (call,)),
        PromptLine("tool", "3 days", call_id="1"),
        PromptLine("assistant", "3 days."),
    )


async def test_a_tool_node_fills_the_time_as_well() -> None:
    play = Stage(Cast(version(flow(ToolNode("tool", "t1")), library={"t1": filled(Filler("One moment."))})))
    play.tools = TableTools({"look_up": ok("3 days")})
    assert await play.play() == ["at tool", "call look_up {}", "filler: One moment.", "look_up gave: 3 days"]
    gone = Stage(Cast(version(flow(ToolNode("tool", "gone")))))
    assert (await gone.play())[1:] == ["call gone {}", "gone failed: There is no tool named 'gone'."]
