from dataclasses import replace
from typing import Any

import pytest
from tests.support.players import START, HandClock, ListModel, OneModel, TableTools

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.prompt import OPENING
from vivavoce.assistant.step import MAX_ROUNDS, State, Step, rounds, step
from vivavoce.core.assistant import MODEL_OPENS, Cast, Version
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.model import ModelFailure, Reply, Trouble
from vivavoce.core.tool import FunctionTool, HangupTool
from vivavoce.core.transcript import Transcript

VERSION = Version(
    "v",
    "a",
    "Desk",
    "You work for {{company}}.",
    0,
    tools=(FunctionTool("look_up"), FunctionTool("book"), HangupTool()),
)
COST = Usage("list/model", 7, 3)
HELLO = Message(Speaker.CALLER, "Hello.", START)


def desk(text: str, took_ms: int = 0) -> Message:
    return Message(Speaker.ASSISTANT, text, START, took_ms)


def called(call_id: str, name: str = "look_up", **arguments: Any) -> ToolCalled:
    return ToolCalled(ToolCall(call_id, name, arguments), START)


def returned(call_id: str, **variables: str) -> ToolReturned:
    return ToolReturned(call_id, "look_up", "{}", True, START, variables=variables)


def state(*events: Event, **variables: Any) -> State:
    return State(Transcript(events), variables, "run:1")


async def taken(
    version: Version, before: State, *heard: Event, model: ListModel | None = None, tools: TableTools | None = None
) -> Step:
    model = model or ListModel([])
    return await step(
        Cast(version), before, heard, models=OneModel(model), tools=tools or TableTools(), clock=model.clock
    )


async def asked(reply: Reply, *events: Event, version: Version = VERSION) -> Step:
    return await taken(version, state(*events), model=ListModel([reply]))


# --- speaking -------------------------------------------------------------------------------------------------------


async def test_a_fixed_greeting_opens_with_its_variables_and_asks_no_model() -> None:
    version = replace(VERSION, greeting="Welcome to {{company}}, {{name}}.")
    done = await taken(version, state(company="Acme"))
    assert done.events == (desk("Welcome to Acme, {{name}}."),)
    assert done.rests


@pytest.mark.parametrize("greeting", [None, "", "{{nobody}}", " "])
async def test_a_greeting_that_is_empty_or_absent_waits_for_the_caller(greeting: str | None) -> None:
    before = state(nobody="")
    done = await taken(replace(VERSION, greeting=greeting), before)
    assert done == Step((), before, rests=True)


async def test_the_model_opens_where_the_greeting_asks_it_to() -> None:
    model = ListModel([Reply("Good day.")])
    done = await taken(replace(VERSION, greeting=MODEL_OPENS), state(), model=model)
    assert [event.text for event in done.events if isinstance(event, Message)] == ["Good day."]
    assert [line.text for line in model.prompts[0].lines] == ["You work for {{company}}.", OPENING]


async def test_a_caller_who_speaks_first_is_answered_and_not_greeted() -> None:
    model = ListModel([Reply("What is it?")])
    done = await taken(replace(VERSION, greeting="Welcome."), state(), HELLO, model=model)
    assert [event.text for event in done.events if isinstance(event, Message)] == ["What is it?"]
    assert done.state.transcript.events[0] == HELLO


async def test_one_step_is_one_model_call_with_its_time_and_its_cost() -> None:
    model = ListModel([Reply("What is it?", (), COST)], takes_s=1.25)
    before = state(company="Acme")
    done = await taken(VERSION, before, HELLO, model=model)
    assert done.events == (Message(Speaker.ASSISTANT, "What is it?", START + 1250, 1250, COST),)
    assert done.state == replace(before, transcript=Transcript((HELLO, *done.events)))
    assert done.rests
    assert [line.text for line in model.prompts[0].lines] == ["You work for Acme.", "Hello."]
    assert before.transcript == Transcript()


@pytest.mark.parametrize("text", ["", " \n"])
async def test_an_assistant_that_was_asked_and_stayed_silent_says_the_empty_string(text: str) -> None:
    done = await asked(Reply(text), HELLO)
    assert [event.text for event in done.events if isinstance(event, Message)] == [""]
    assert done.rests


async def test_words_are_handed_to_a_listener_in_pieces_while_the_model_writes_them() -> None:
    model = ListModel([Reply("What is it?", (), COST)])
    pieces: list[str] = []

    async def listener(piece: str) -> None:
        pieces.append(piece)

    done = await step(
        Cast(VERSION),
        state(),
        (HELLO,),
        models=OneModel(model),
        tools=TableTools(),
        clock=model.clock,
        listener=listener,
    )
    assert pieces == ["What", "is", "it?"]
    assert done.events == (Message(Speaker.ASSISTANT, "What is it?", START, 0, COST),)


async def test_a_model_that_fails_raises() -> None:
    with pytest.raises(ModelFailure, match="overloaded"):
        await taken(VERSION, state(HELLO), model=ListModel([ModelFailure(Trouble.UNAVAILABLE, "overloaded")]))


async def test_a_conversation_that_is_over_stays_so() -> None:
    before = state(HELLO, Left(Ending.HANGUP, START))
    assert await taken(VERSION, before) == Step((), before, rests=True)


# --- asking for tools -----------------------------------------------------------------------------------------------


async def test_words_and_calls_of_one_reply_are_written_down_together_and_it_goes_on() -> None:
    calls = (ToolCall("0", "look_up", {"id": 1}), ToolCall("1", "book", {}))
    model = ListModel([Reply("One moment.", calls, COST)], takes_s=0.5)
    done = await taken(VERSION, state(), HELLO, model=model)
    at = START + 500
    assert done.events == (
        Message(Speaker.ASSISTANT, "One moment.", at, 500, COST),
        ToolCalled(ToolCall("call_2", "look_up", {"id": 1}), at),
        ToolCalled(ToolCall("call_3", "book", {}), at),
    )
    assert not done.rests


@pytest.mark.parametrize("text", ["", "\n\n"])
async def test_calls_without_words_carry_the_time_and_the_cost_once(text: str) -> None:
    calls = (ToolCall("0", "look_up", {}), ToolCall("1", "book", {}))
    done = await taken(VERSION, state(), HELLO, model=ListModel([Reply(text, calls, COST)], takes_s=0.5))
    assert [(event.took_ms, event.usage) for event in done.events if isinstance(event, ToolCalled)] == [
        (500, COST),
        (0, None),
    ]
    assert len(done.events) == 2


async def test_an_id_is_unique_within_the_conversation_whatever_the_provider_calls_it() -> None:
    same = Reply("", (ToolCall("0", "look_up", {}), ToolCall("0", "look_up", {})))
    model, tools = ListModel([same, same]), TableTools({"look_up": ToolOutput("{}", ok=True)})
    now = state(HELLO)
    for _ in range(4):
        now = (await taken(VERSION, now, model=model, tools=tools)).state
    ids = [call.id for _, call in now.transcript.tool_calls()]
    assert len(ids) == len(set(ids)) == 4
    assert now.transcript.pending_calls() == ()
    assert len({use.key for use in tools.uses}) == 4


def after_rounds(count: int) -> list[Event]:
    pairs = [(called(f"{number}a"), called(f"{number}b")) for number in range(count)]
    return [event for one, two in pairs for event in (one, two, returned(one.call.id), returned(two.call.id))]


async def test_after_enough_rounds_of_calls_the_assistant_must_speak_without_tools() -> None:
    model = ListModel([Reply("I am sorry.", (ToolCall("0", "look_up", {}),)), Reply("", (ToolCall("0", "book", {}),))])
    last = await taken(VERSION, state(HELLO, *after_rounds(MAX_ROUNDS)), model=model)
    assert model.prompts[0].tools == ()
    assert [event.kind for event in last.events] == ["message"]
    assert last.rests
    one_before = await taken(VERSION, state(HELLO, *after_rounds(MAX_ROUNDS - 1)), model=model)
    assert model.prompts[1].tools
    assert [event.kind for event in one_before.events] == ["tool_called"]


async def test_calls_are_ignored_where_no_tool_was_offered() -> None:
    done = await asked(Reply("", (ToolCall("0", "look_up", {}),)), HELLO, version=replace(VERSION, tools=()))
    assert [event.text for event in done.events if isinstance(event, Message)] == [""]


@pytest.mark.parametrize("count", range(4))
def test_calls_side_by_side_are_one_round_and_a_message_of_the_caller_begins_anew(count: int) -> None:
    talk = Transcript((HELLO, *after_rounds(2), desk("Done."), HELLO, *after_rounds(count)))
    assert rounds(talk) == count


def test_a_round_is_a_round_whatever_it_holds_and_whatever_is_said_with_it() -> None:
    three = [called("1"), called("2"), called("3"), returned("1"), returned("2"), returned("3")]
    one = [desk("One moment."), called("4"), returned("4")]
    assert rounds(Transcript((HELLO, *three, *one))) == 2


def test_rounds_before_anybody_spoke_count_as_well() -> None:
    assert rounds(Transcript(tuple(after_rounds(2)))) == 2
    assert rounds(Transcript()) == 0


# --- calling tools --------------------------------------------------------------------------------------------------


async def test_pending_calls_are_made_with_an_idempotency_key_and_the_variables_as_text() -> None:
    output = ToolOutput('{"eta": 3}', ok=True, status_code=200, mocked=True, variables={"eta": "3"})
    tools = TableTools({"look_up": output})
    done = await taken(VERSION, state(HELLO, called("call_1", id=7), company="Acme", vip=True), tools=tools)
    assert done.events == (ToolReturned("call_1", "look_up", '{"eta": 3}', True, START, 0, 200, True, {"eta": "3"}),)
    assert not done.rests
    (use,) = tools.uses
    assert (use.tool, use.arguments, use.key) == (VERSION.tools[0], {"id": 7}, "run:1:call_1")
    assert use.variables == {"company": "Acme", "vip": "true"}


async def test_a_tool_that_nobody_has_is_told_to_the_model() -> None:
    tools = TableTools()
    (event,) = (await taken(VERSION, state(HELLO, called("1", "fly")), tools=tools)).events
    assert isinstance(event, ToolReturned)
    assert (event.ok, event.output) == (False, "There is no tool named 'fly'.")
    assert not tools.uses


async def test_a_tool_that_fails_is_told_to_the_model_and_raises_nothing() -> None:
    tools = TableTools({"look_up": ToolOutput("timeout", ok=False)})
    done = await taken(VERSION, state(HELLO, called("1")), tools=tools)
    model = ListModel([Reply("It does not answer.")])
    await taken(VERSION, done.state, model=model)
    assert model.prompts[0].lines[-1].text == "timeout"


async def test_calls_that_ran_side_by_side_took_as_long_as_the_slowest_of_them() -> None:
    tools = TableTools(
        {"look_up": ToolOutput("a", ok=True), "book": ToolOutput("b", ok=True)},
        takes_s={"look_up": 0.3, "book": 2.0},
    )
    before = state(HELLO, called("1"), called("2", "book"))
    done = await step(Cast(VERSION), before, (), models=OneModel(ListModel([])), tools=tools, clock=tools.clock)
    assert [(event.took_ms, event.output) for event in done.events if isinstance(event, ToolReturned)] == [
        (2000, "a"),
        (0, "b"),
    ]


async def test_only_calls_that_have_no_result_are_made() -> None:
    tools = TableTools({"look_up": ToolOutput("{}", ok=True)})
    await taken(VERSION, state(HELLO, called("1"), called("2"), returned("1")), tools=tools)
    assert [use.key for use in tools.uses] == ["run:1:2"]


async def test_what_tools_stored_overwrites_the_variables_of_the_start_in_order() -> None:
    first = state(HELLO, called("1"), returned("1", company="Beta"), called("2"), company="Acme", place="Rome")
    model, tools = (
        ListModel([Reply("Yes.")]),
        TableTools({"look_up": ToolOutput("", True, variables={"place": "Oslo"})}),
    )
    assert first.current() == {"company": "Beta", "place": "Rome"}
    second = (await taken(VERSION, first, tools=tools)).state
    assert tools.uses[0].variables == {"company": "Beta", "place": "Rome"}
    assert second.current() == {"company": "Beta", "place": "Oslo"}
    assert second.variables == {"company": "Acme", "place": "Rome"}
    await taken(VERSION, second, model=model)
    assert model.prompts[0].lines[0].text == "You work for Beta."


# --- hanging up -----------------------------------------------------------------------------------------------------


async def test_hanging_up_leaves_without_calling_a_tool() -> None:
    tools = TableTools()
    done = await taken(VERSION, state(HELLO, called("1", "hangup")), tools=tools)
    assert done.events == (Left(Ending.HANGUP, START, Speaker.ASSISTANT, "the assistant hung up"),)
    assert done.rests
    assert not tools.uses


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({"reason": "solved"}, "solved"), ({"reason": None}, "the assistant hung up"), ({"reason": 5}, "5")],
)
async def test_the_reason_is_the_one_it_gave(arguments: dict[str, Any], reason: str) -> None:
    done = await taken(VERSION, state(HELLO, called("1", "hangup", **arguments)))
    assert [event.reason for event in done.events if isinstance(event, Left)] == [reason]


async def test_a_wish_to_hang_up_is_granted_when_the_other_calls_have_returned() -> None:
    tools = TableTools({"book": ToolOutput("booked", ok=True)})
    done = await taken(VERSION, state(HELLO, called("1", "hangup"), called("2", "book")), tools=tools)
    assert [event.kind for event in done.events] == ["tool_returned", "left"]
    assert done.state.transcript.ending is Ending.HANGUP


async def test_a_function_that_is_called_like_the_wish_to_leave_is_only_a_function() -> None:
    version = replace(VERSION, tools=(FunctionTool("hangup"),))
    tools = TableTools({"hangup": ToolOutput("done", ok=True)})
    done = await taken(version, state(HELLO, called("1", "hangup")), tools=tools)
    assert [event.kind for event in done.events] == ["tool_returned"]


# --- the same words again -------------------------------------------------------------------------------------------


async def test_a_step_keeps_nothing_so_the_same_state_takes_the_same_step() -> None:
    before, clock = state(HELLO, company="Acme"), HandClock()
    first = await taken(VERSION, before, model=ListModel([Reply("Yes.")], clock))
    assert await taken(VERSION, before, model=ListModel([Reply("Yes.")], clock)) == first
