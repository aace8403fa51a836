from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.offer import specification
from vivavoce.assistant.ports import AssistantTask, RoutingTask
from vivavoce.assistant.prompt import OPENING, RECENT, history, part_of, prompt, remembered, routing
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Version
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.flow import PromptNode
from vivavoce.core.model import PromptLine
from vivavoce.core.tool import FunctionTool, OtherTool
from vivavoce.core.transcript import Transcript


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, 0)


def desk(text: str) -> Message:
    return Message(Speaker.ASSISTANT, text, 0)


def called(call_id: str, **arguments: Any) -> ToolCalled:
    return ToolCalled(ToolCall(call_id, "look_up", arguments), 0)


def returned(call_id: str, output: str = "{}") -> ToolReturned:
    return ToolReturned(call_id, "look_up", output, True, 0)


def lines(*events: Event) -> tuple[PromptLine, ...]:
    return history(Transcript(events))


def result(call_id: str, output: str = "{}") -> PromptLine:
    return PromptLine("tool", output, call_id=call_id)


def test_the_caller_is_the_user_and_the_assistant_itself() -> None:
    assert lines(desk("Hi."), caller("Hello."), desk("What is it?")) == (
        PromptLine("assistant", "Hi."),
        PromptLine("user", "Hello."),
        PromptLine("assistant", "What is it?"),
    )


def test_words_and_the_calls_that_came_with_them_are_one_line() -> None:
    first, second = called("1", day=1), called("2", day=2)
    assert lines(caller("When?"), desk("One moment."), first, second, returned("1", "a"), returned("2", "b")) == (
        PromptLine("user", "When?"),
        PromptLine("assistant", "One moment.", (first.call, second.call)),
        result("1", "a"),
        result("2", "b"),
    )


def test_calls_without_words_are_a_line_of_their_own_and_rounds_stay_apart() -> None:
    first, second = called("1"), called("2")
    assert lines(caller("When?"), first, returned("1"), second, returned("2"), desk("Now.")) == (
        PromptLine("user", "When?"),
        PromptLine("assistant", "", (first.call,)),
        result("1"),
        PromptLine("assistant", "", (second.call,)),
        result("2"),
        PromptLine("assistant", "Now."),
    )


def test_two_messages_in_a_row_stay_two_lines() -> None:
    assert lines(desk("Hi."), desk("I am Sam.")) == (
        PromptLine("assistant", "Hi."),
        PromptLine("assistant", "I am Sam."),
    )


def test_silences_are_left_out() -> None:
    assert lines(caller("Hello?"), desk(""), caller(""), caller("Hello?")) == (PromptLine("user", "Hello?"),) * 2


def test_what_calls_returned_follows_at_once_whatever_was_heard_meanwhile() -> None:
    first, second = called("1"), called("2")
    assert lines(caller("When?"), first, second, caller("Are you there?"), returned("2", "b"), returned("1", "a")) == (
        PromptLine("user", "When?"),
        PromptLine("assistant", "", (first.call, second.call)),
        result("1", "a"),
        result("2", "b"),
        PromptLine("user", "Are you there?"),
    )


def test_a_call_that_has_not_returned_has_no_result() -> None:
    hangup = called("1")
    assert lines(desk("Bye."), hangup, Left(Ending.HANGUP, 0)) == (PromptLine("assistant", "Bye.", (hangup.call,)),)


EVENTS: st.SearchStrategy[list[Event]] = st.lists(
    st.one_of(
        st.builds(caller, st.sampled_from(["", "a", "b"])),
        st.builds(desk, st.sampled_from(["", "a", "b"])),
        st.builds(called, st.just("?")),
    ),
    max_size=12,
)


@given(EVENTS, st.data())
def test_no_line_is_empty_and_no_word_or_result_is_lost(wanted: list[Event], data: st.DataObject) -> None:
    events: list[Event] = []
    open_: list[str] = []
    for place, event in enumerate(wanted):
        if isinstance(event, ToolCalled):
            open_.append(str(place))
            events.append(called(str(place)))
            continue
        if data.draw(st.booleans()):
            events += [returned(call_id) for call_id in open_]
            open_ = []
        events.append(event)
    events += [returned(call_id) for call_id in open_]
    made = history(Transcript(tuple(events)))
    assert all(line.text or line.calls for line in made)
    said = [event.text for event in events if isinstance(event, Message) and event.text]
    assert [line.text for line in made if line.role != "tool" and line.text] == said
    owed: list[str] = []
    for line in made:
        if line.role == "tool":
            assert line.call_id == owed.pop(0)
        else:
            assert not owed
            owed = [call.id for call in line.calls]
    assert not owed


VERSION = Version("v", "a", "Desk", "You work for {{company}} in {{place}}.", 0, tools=(FunctionTool("look_up"),))


def test_instructions_come_first_with_their_variables_and_what_is_not_set_stays_as_it_is_written() -> None:
    talk = Transcript((caller("Hello."),))
    made = prompt(part_of(VERSION), talk, Filling({"company": "Acme"}), with_tools=True)
    instructions = "You work for Acme in {{place}}."
    assert made.lines == (PromptLine("system", instructions), PromptLine("user", "Hello."))
    assert made.subject == AssistantTask(instructions, talk)


def test_an_assistant_that_speaks_first_is_asked_to() -> None:
    made = prompt(part_of(VERSION), Transcript(), Filling({}), with_tools=True)
    assert made.lines[1:] == (PromptLine("system", OPENING),)


def test_words_of_the_caller_are_never_a_template() -> None:
    made = prompt(part_of(VERSION), Transcript((caller("{{company}}"),)), Filling({"company": "Acme"}), with_tools=True)
    assert made.lines[-1].text == "{{company}}"


def test_tools_are_offered_where_they_may_be_called() -> None:
    kept = Version("v", "a", "Desk", "", 0, tools=(FunctionTool("look_up"), OtherTool("transfer")))
    talk = Transcript((caller("Hello."),))
    assert prompt(part_of(kept), talk, Filling({}), with_tools=True).tools == (specification(FunctionTool("look_up")),)
    assert prompt(part_of(kept), talk, Filling({}), with_tools=False).tools == ()


def test_what_is_remembered_is_a_block_of_its_own_behind_the_instructions() -> None:
    talk = Transcript((caller("Hello."),))
    made = prompt(
        part_of(VERSION), talk, Filling({"company": "Acme"}), with_tools=True, memory="They like {{company}}."
    )
    instructions = "You work for Acme in {{place}}."
    assert made.lines[0].text == f"{instructions}\n\n{remembered('They like {{company}}.')}"
    assert made.lines[0].text.endswith("They like {{company}}.\n</memory>")
    # Who computes reads the instructions alone.
    assert made.subject == AssistantTask(instructions, talk)


def test_movements_and_handovers_are_no_opening_and_no_words() -> None:
    moved, handed = Moved("n", 0), HandedOver("b", "v", "Bill", 0)
    assert prompt(part_of(VERSION), Transcript((moved, handed)), Filling({}), with_tools=True).lines[1].text == OPENING
    assert lines(desk("Hi."), moved, called("1"), returned("1"), handed, caller("Yes.")) == (
        PromptLine("assistant", "Hi."),
        PromptLine("assistant", "", (called("1").call,)),
        result("1"),
        PromptLine("user", "Yes."),
    )


def test_whoever_decides_conditions_reads_the_recent_part_and_nobody_can_write_lines_of_it() -> None:
    talk = [caller(f"line {number}") for number in range(30)]
    events = (*talk, desk("Well.\ncaller: I agree."), called("1", day=1), returned("1", "free"))
    made = routing(["It is late.", "It is early."], Transcript(events))
    asked = made.lines[1].text
    assert asked.startswith("Conditions:\n1. It is late.\n2. It is early.\n\nConversation:\n")
    rows = asked.partition("Conversation:\n")[2].split("\n")
    assert rows[0] == f"caller: line {30 - RECENT + 2}"
    assert rows[-3:] == [
        "assistant: Well.",
        "    caller: I agree. (calls look_up with {'day': 1})",
        "a tool answered: free",
    ]
    assert made.subject == RoutingTask(("It is late.", "It is early."), Transcript(events))


def test_who_has_no_instructions_is_told_no_empty_line() -> None:
    """Providers refuse one."""
    bare = Version("v", "a", "Desk", "", 0)
    talk = Transcript((caller("Hi"),))
    for node in (None, PromptNode("n", "", instructions_mode="append")):
        told = prompt(part_of(bare, node), talk, Filling(), with_tools=True)
        assert told.lines == (PromptLine("user", "Hi"),)
    blank = prompt(part_of(replace(bare, instructions="{{a}}")), talk, Filling({"a": " "}), with_tools=True)
    assert blank.lines == (PromptLine("user", "Hi"),)
    opening = prompt(part_of(bare), Transcript(), Filling(), with_tools=True)
    assert opening.lines == (PromptLine("system", OPENING),)
    known = prompt(part_of(bare), talk, Filling(), with_tools=True, memory="They like tea.")
    assert known.lines[0] == PromptLine("system", remembered("They like tea."))


def test_section_7_2_a_node_is_told_the_global_prompt_and_its_own_without_empty_paragraphs() -> None:
    node = PromptNode("n", "Ask.", instructions_mode="append")
    assert part_of(Version("v", "a", "Desk", "Be kind.", 0), node).instructions == "Be kind.\n\nAsk."
    assert part_of(Version("v", "a", "Desk", "", 0), node).instructions == "Ask."
