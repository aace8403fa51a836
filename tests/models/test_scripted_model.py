"""The scripted model as assistant, as tester and as judge."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.ports import AssistantTask
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.model import Model, ModelFailure, Prompt, PromptLine, Reply, ToolSpec, Trouble
from vivavoce.core.scenario import Criterion
from vivavoce.core.transcript import Transcript
from vivavoce.examination import tasks
from vivavoce.examination.tasks import JudgeTask, Sheet, SheetAnswer
from vivavoce.models.scripted import Scripted
from vivavoce.models.scripted.machine import next_move
from vivavoce.models.scripted.model import LAST_WORDS, NO_SCRIPT, NOT_COMPUTED
from vivavoce.models.scripted.prose import MAX_SENTENCES
from vivavoce.models.scripted.script import Call, read_script

MODEL = Scripted()
HANGUP = ToolSpec("hangup", "", {})
DESK = r"""You are the support desk. Be brief.

on start: say "Hello, support desk."
on hear /\b([A-Z]-\d{4})\b/: call lookup_order {"order_number": "$1"}
on result lookup_order: say "Order ${order_number} arrives on ${eta}."
on result lookup_order failed: say "I cannot find it: $0"
once on hear "refund": say "A colleague decides on refunds."
on hear "refund" or "money": say "As I said."
on hear "bye": say "Goodbye."; hang up
on hear "all": say "Looking."; call lookup_order {"order_number": "A-1"}; call list_orders
on hear "leave": hang up
else: say "Could you say that again?"
on hear "again": say "A rule after else counts too."
"""


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, at=0)


def desk(text: str) -> Message:
    return Message(Speaker.ASSISTANT, text, at=0)


def called(name: str, number: str = "1", **arguments: str) -> ToolCalled:
    return ToolCalled(ToolCall(number, name, arguments), at=0)


def returned(name: str, output: str, number: str = "1", *, ok: bool = True) -> ToolReturned:
    return ToolReturned(number, name, output, ok, at=0)


def assistant_prompt(instructions: str, *events: Event, tools: tuple[ToolSpec, ...] = ()) -> Prompt:
    return Prompt((), tools, AssistantTask(instructions, Transcript(events)))


async def reply(*events: Event, instructions: str = DESK, tools: tuple[ToolSpec, ...] = ()) -> Reply:
    return await MODEL.reply(assistant_prompt(instructions, *events, tools=tools))


async def says(*events: Event, instructions: str = DESK) -> str:
    answer = await reply(*events, instructions=instructions)
    assert answer.calls == ()
    return answer.text


async def move(brief: str, *events: Event) -> tasks.TesterMove:
    return (await MODEL.decide(Prompt((), subject=tasks.TesterTask(brief, Transcript(events))), tasks.TesterMove)).value


# --- the assistant --------------------------------------------------------------------------------------------------


def test_it_is_a_model() -> None:
    model: Model = MODEL
    assert model.name == "scripted"


async def test_the_opening() -> None:
    assert await reply() == Reply("Hello, support desk.", (), Usage(model="scripted"))


async def test_who_was_spoken_to_does_not_open() -> None:
    assert await says(caller("Hi")) == "Could you say that again?"
    assert await says(caller("Hi"), instructions='on start: say "Hello."') == ""


async def test_a_tool_from_words_to_words() -> None:
    order = called("lookup_order", order_number="A-1001")
    heard = (desk("Hello, support desk."), caller("It is A-1001."))
    assert (await reply(*heard)).calls == (ToolCall("scripted-1", "lookup_order", {"order_number": "A-1001"}),)
    found = returned("lookup_order", '{"eta": "Friday"}')
    assert await says(*heard, order, found) == "Order A-1001 arrives on Friday."
    assert await says(*heard, order, returned("lookup_order", "gone", ok=False)) == "I cannot find it: gone"
    assert await says(*heard, order, returned("lookup_order", "[[" * 100_000)) == "Order A-1001 arrives on ${eta}."
    assert (
        await says(*heard, order, returned("lookup_order", "not JSON", "9"))
        == "Order ${order_number} arrives on ${eta}."
    )
    assert await says(*heard, called("other"), returned("other", "{}")) == ""


async def test_several_calls_and_their_results() -> None:
    answer = await reply(called("x", "7"), returned("x", "", "7"), caller("all"))
    assert answer.text == "Looking."
    assert [(call.id, call.name) for call in answer.calls] == [
        ("scripted-2", "lookup_order"),
        ("scripted-3", "list_orders"),
    ]
    calls = (called("lookup_order", order_number="A-1"), called("lookup_order", "2", order_number="A-2"))
    results = (returned("lookup_order", '{"eta": 1}'), returned("lookup_order", '{"eta": 2}', "2"))
    said = await says(caller("all"), *calls, *results)
    assert said == "Order A-1 arrives on 1. Order A-2 arrives on 2."
    assert await says(caller("all"), *calls, *results, caller("money")) == said + " As I said."


async def test_any_result() -> None:
    script = 'on result failed: say "failed"\non result: say "got $0"'
    assert await says(caller("x"), called("a"), returned("a", "1"), instructions=script) == "got 1"
    assert await says(caller("x"), called("a"), returned("a", "1", ok=False), instructions=script) == "failed"


async def test_once_is_once() -> None:
    first = (caller("A refund!"), desk("A colleague decides on refunds."))
    assert await says(first[0]) == "A colleague decides on refunds."
    assert await says(*first, caller("A refund!!")) == "As I said."


async def test_else_is_last_wherever_it_stands() -> None:
    assert await says(caller("Again?")) == "A rule after else counts too."
    assert await says(caller("What?"), instructions='else: say "b"\nonce else: say "a"') == "b"


async def test_messages_in_a_row_are_heard_together() -> None:
    assert await says(caller("bye?"), caller("No, the money!")) == "As I said."
    assert await says(caller("Hi"), desk("Yes?"), instructions='else: say "heard <$0>"') == "heard <>"


async def test_hanging_up_needs_the_tool() -> None:
    with_tool = await reply(caller("bye"), tools=(HANGUP,))
    assert with_tool == Reply("Goodbye.", (ToolCall("scripted-1", "hangup", {}),), Usage(model="scripted"))
    assert await says(caller("bye")) == "Goodbye."
    assert await says(caller("leave")) == ""


async def test_a_text_too_long_for_a_pattern_is_not_matched() -> None:
    script = 'on hear /a[bc]{200}/: say "pattern"\non hear "end": say "words"'
    assert await says(caller("a" * 100_000 + " end"), instructions=script) == "words"


async def test_groups_that_took_no_part_are_empty() -> None:
    assert await says(caller("b"), instructions='on hear /(a)|(b)/: say "<$1><$2><$0>"') == "<><b><b>"


async def test_without_a_script_it_says_what_it_is() -> None:
    for events in ((), (caller("Are you a person?"),)):
        assert await says(*events, instructions="You are the support desk.") == NO_SCRIPT
    assert "scripted-model.md" in NO_SCRIPT


async def test_a_prompt_without_a_subject_is_read_from_its_lines() -> None:
    call = ToolCall("c1", "lookup_order", {"order_number": "A-1001"})
    lines = (
        PromptLine("system", "Be brief."),
        PromptLine("system", DESK),
        PromptLine("user", "A-1001"),
        PromptLine("assistant", "", (call,)),
    )
    assert (await MODEL.reply(Prompt(lines[:3]))).calls[0].name == "lookup_order"
    result = PromptLine("tool", '{"eta": "Friday"}', call_id="c1")
    assert (await MODEL.reply(Prompt((*lines, result)))).text == "Order A-1001 arrives on Friday."
    stray = PromptLine("tool", '{"eta": "Friday"}', call_id="c9")
    assert (await MODEL.reply(Prompt((*lines, stray)))).text == ""
    again = (*lines, result, PromptLine("assistant", ""), PromptLine("user", "money"))
    assert (await MODEL.reply(Prompt(again))).text == "As I said."
    brief = PromptLine("system", 'on hear "number": say "A-1001"\nelse: hang up')
    asked = Prompt((brief, PromptLine("assistant", "Hi"), PromptLine("user", "Your number?")))
    assert (await MODEL.decide(asked, tasks.TesterMove)).value.message == "A-1001"


async def test_streaming_gives_the_words_and_then_the_whole() -> None:
    for events in ((caller("refund"),), (caller("all"),), (caller("leave"),), (called("a"), returned("a", ""))):
        prompt = assistant_prompt(DESK, *events, tools=(HANGUP,))
        whole = await MODEL.reply(prompt)
        pieces = [piece async for piece in MODEL.stream(prompt)]
        assert pieces[-1] == whole
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == whole.text
        assert len(pieces) <= 5
        assert (len(pieces) > 2) is (len(whole.text) > 1)


# --- the tester -----------------------------------------------------------------------------------------------------

CALLER = r"""You are Dana. You wait for order A-1001.

on start: say "Hi, where is my order?"
on hear "number": say "A-1001."
on hear "Friday": say "Thanks, bye."; hang up
on hear "call": call lookup_order {}
"""


async def test_the_tester_plays_its_script() -> None:
    opening = tasks.TesterMove("say", "Hi, where is my order?", "scripted: line 3")
    assert await move(CALLER) == opening
    assert await move(CALLER, desk("Hello, what is your number?")) == opening
    talk = (desk("Hello."), caller("Hi, where is my order?"), desk("Your number?"))
    assert await move(CALLER, *talk) == tasks.TesterMove("say", "A-1001.", "scripted: line 4")
    talk = (*talk, caller("A-1001."), called("lookup_order"), returned("lookup_order", ""), desk("Friday."))
    assert await move(CALLER, *talk) == tasks.TesterMove("hang_up", "Thanks, bye.", "scripted: line 5")


async def test_a_tester_with_no_rule_left_hangs_up() -> None:
    talk = (caller("Hi, where is my order?"), desk("Pardon?"))
    assert await move(CALLER, *talk) == tasks.TesterMove("hang_up", "", "scripted: the script has no rule for this")
    assert await move(CALLER, caller("Hi")) == tasks.TesterMove(
        "hang_up", "", "scripted: the script has no rule for this"
    )


async def test_a_tester_calls_nothing() -> None:
    assert await move(CALLER, caller("Hi"), desk("Shall I call?")) == tasks.TesterMove("say", "", "scripted: line 6")


async def test_a_silent_assistant_is_heard_as_silence() -> None:
    brief = 'on start: say "Hi"\non hear /^$/: say "Hello?"\nelse: say "Well."'
    assert (await move(brief, caller("Hi"), desk(""))).message == "Hello?"
    assert (await move(brief, caller("Hi"), desk("Yes."))).message == "Well."


@pytest.mark.parametrize(
    ("brief", "said"),
    [
        ("You are Dana. I want a refund. The lamp broke!", ["I want a refund.", "The lamp broke!"]),
        ("- Act as an angry man.\n- My parcel is late.\n1. Where is it?", ["My parcel is late.", "Where is it?"]),
        ("You are a man who wants his money back.", ["I am a man who wants his money back."]),
        ("You're Dana. Your order is late and you want your money for yourself. I thank you.",
         ["My order is late and I want my money for myself.", "I thank you."]),
        ("You're Dana, and the lamp is yours.", ["I'm Dana, and the lamp is mine."]),
        ("Pretend that the lamp is yours.", ["Pretend that the lamp is yours."]),
        ("on strat: say \"x\"\nWhere is it?", ["Where is it?"]),
        ("", []),
        ("...\n---", []),
        ("Again. " * 30, ["Again."] * MAX_SENTENCES),
    ],
)  # fmt: skip
async def test_without_a_script_the_brief_is_said(brief: str, said: list[str]) -> None:
    talk: list[Event] = []
    for sentence in said:
        answer = await move(brief, *talk)
        assert (answer.action, answer.message) == ("say", sentence)
        talk += [caller(answer.message), desk("I see.")]
    assert await move(brief, *talk) == tasks.TesterMove("hang_up", LAST_WORDS, "scripted: all of the brief is said")


# --- the judge ------------------------------------------------------------------------------------------------------


async def test_the_judge_computes() -> None:
    criteria = (
        Criterion("day", 'says "Friday"'),
        Criterion("refund", 'never says "Friday"'),
        Criterion("polite", "is polite"),
        Criterion("fast", "responds within 1 second"),
        Criterion("marks", 'says "!!!"'),
    )
    talk = Transcript((desk("Hello."), desk("It comes on Friday. !!!")))
    answer = await MODEL.decide(Prompt((), subject=JudgeTask(criteria, talk)), Sheet)
    assert answer.usage == Usage(model="scripted")
    assert answer.value.answers == (
        SheetAnswer(1, "met", 'scripted: the assistant said "Friday" (turn 1)', "It comes on Friday.", 1),
        SheetAnswer(2, "unmet", 'scripted: the assistant said "Friday" (turn 1)', "Friday", 1),
        SheetAnswer(3, "inconclusive", f"scripted: {NOT_COMPUTED}"),
        SheetAnswer(
            4, "inconclusive", "scripted: the assistant was never waited for, so no response was timed"
        ),
        SheetAnswer(5, "met", 'scripted: the assistant said "!!!" (turn 1)'),
    )  # fmt: skip


@dataclass(frozen=True)
class Other:
    text: str


async def test_what_it_cannot_answer_is_refused() -> None:
    for shape in (Other, Sheet):
        with pytest.raises(ModelFailure, match=f"cannot answer with a {shape.__name__}") as failure:
            await MODEL.decide(Prompt((PromptLine("user", "Well?"),)), shape)
        assert failure.value.trouble is Trouble.REFUSED


# --- always ---------------------------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        "Prose about nothing.",
        'on start: say "Hello."',
        'once on start: say "Once."',
        'once on hear "a": say "a $0"; hang up',
        'on hear "b" or /(\\w)c/: say "$1"; call t {"x": ["$1", "$9"]}',
        'once on hear /./: say "one"',
        'on result t: say "${x.y} $0"',
        'once on result failed: call t; call u {"n": 1}',
        'once else: say "else"',
        'else: say "again"',
        'on haer "x": say "y"',
    ]
)
SCRIPTS = st.lists(LINES, max_size=8).map("\n".join)
EVENTS = st.one_of(
    st.sampled_from(["a", "b", "xc", "", "a b", "?"]).flatmap(lambda text: st.sampled_from([caller(text), desk(text)])),
    st.sampled_from(["1", "2"]).map(lambda number: called("t", number, x="1")),
    st.tuples(st.sampled_from(['{"x": {"y": 1}}', "no", "[1]"]), st.booleans()).map(
        lambda both: returned("t", both[0], ok=both[1])
    ),
    st.sampled_from([Left(Ending.GOODBYE, at=0, speaker=Speaker.CALLER), Left(Ending.LOOP, at=0)]),
)


@given(st.one_of(SCRIPTS, st.text(max_size=60)), st.lists(EVENTS, max_size=8), st.booleans())
async def test_the_same_prompt_has_the_same_answer(text: str, events: list[Event], leaves: bool) -> None:
    for end in range(len(events) + 1):
        prompt = assistant_prompt(text, *events[:end], tools=(HANGUP,) if leaves else ())
        assert await MODEL.reply(prompt) == await Scripted().reply(prompt)
        assert await move(text, *events[:end]) == await move(text, *events[:end])


@given(SCRIPTS, st.lists(st.sampled_from(["a", "b", "xc", "a b", "?"]), max_size=6), st.booleans())
async def test_once_never_fires_twice(text: str, heard: list[str], failing: bool) -> None:
    """A whole conversation, each move played as the runtime would."""
    script = read_script(text)
    calling = {rule.line for rule in script.rules if any(isinstance(action, Call) for action in rule.actions)}
    fired: list[int] = []
    events: list[Event] = []
    for words in (None, *heard):
        events += [] if words is None else [caller(words)]
        for _ in range(3):
            step = next_move(script, Transcript(tuple(events)), Speaker.ASSISTANT)
            fired += step.lines
            assert bool(step.calls) is bool(calling & set(step.lines))
            events += [desk(step.text)] if step.text or not step.calls else []
            calls = [called(name, str(len(events) + place)) for place, (name, _) in enumerate(step.calls)]
            events += calls
            events += [returned(one.call.name, "{}", one.call.id, ok=not failing) for one in calls]
            if not calls:
                break
        else:
            events.append(desk("(too many calls)"))
    once = [rule.line for rule in script.rules if rule.once]
    assert all(fired.count(line) <= 1 for line in once)
