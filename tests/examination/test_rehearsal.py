import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from tests.support.players import COST, START, Crash, Diary, HandClock, ListLine, ListModel

from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.model import Answer, ModelFailure, Prompt, T, Trouble
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault
from vivavoce.examination import tasks
from vivavoce.examination.channel import Heard, LineBroken
from vivavoce.examination.course import Limits
from vivavoce.examination.rehearsal import Away, rehearse
from vivavoce.examination.tasks import Part
from vivavoce.examination.tester import SILENCE

LIMITS = Limits(max_duration_s=60, turn_limit=5)
BRIEF = "You are Ada."
PLAYED = Part(BRIEF)
CALL = ToolCalled(ToolCall("1", "look_up", {}), START)
RESULT = ToolReturned("1", "look_up", "{}", True, START)
BYE = tasks.TesterMove("hang_up", "", "done")


def say(text: str) -> tasks.TesterMove:
    return tasks.TesterMove("say", text)


def caller(text: str) -> Message:
    return Message(Speaker.CALLER, text, START, 0, COST)


def desk(text: str, took_ms: int = 0) -> Message:
    return Message(Speaker.ASSISTANT, text, START, took_ms)


def hears(*events: Event) -> Heard:
    return Heard(events, rests=True)


def works(*events: Event) -> Heard:
    return Heard(events, rests=False)


NOTHING = hears()


@dataclass
class Rehearsal:
    """One rehearsal and all that took part in it."""

    moves: Sequence[object] = ()
    plays: Sequence[Heard | Exception] = ()
    recorded: tuple[Event, ...] = ()
    limits: Limits = LIMITS
    diary: Diary = field(default_factory=Diary)
    clock: HandClock = field(default_factory=HandClock)
    again: bool = False
    part: Part = PLAYED

    def __post_init__(self) -> None:
        self.tester = ListModel(list(self.moves), self.clock)
        self.line = ListLine(list(self.plays))

    async def run(self) -> Transcript:
        return await rehearse(
            self.part,
            self.line,
            self.tester,
            Transcript(self.recorded),
            self.diary.write,
            clock=self.clock,
            limits=self.limits,
            again=self.again,
        )

    async def left(self) -> Left:
        talk = await self.run()
        assert talk.events == (*self.recorded, *self.diary.events), "what is returned is what was recorded"
        left = talk.events[-1]
        assert isinstance(left, Left)
        assert talk.ending is left.ending
        return left


# --- the conversation -----------------------------------------------------------------------------------------------


async def test_they_talk_until_the_caller_is_done() -> None:
    one = Rehearsal([say("Where is it?"), BYE], [hears(desk("Hi.")), hears(desk("In Rome."))])
    assert (await one.run()).events == (
        desk("Hi."),
        caller("Where is it?"),
        desk("In Rome."),
        Left(Ending.GOODBYE, START, Speaker.CALLER, "done", 0, COST),
    )
    assert one.line.said == [caller("Where is it?")]


async def test_an_assistant_that_does_not_greet_waits_for_the_caller() -> None:
    one = Rehearsal([say("Hello?"), BYE], [NOTHING, hears(desk("Yes?"))])
    assert (await one.run()).events[:-1] == (caller("Hello?"), desk("Yes?"))


async def test_each_piece_is_written_down_before_the_next_is_asked_for() -> None:
    plays = [NOTHING, works(desk("One moment."), CALL), works(RESULT), hears(desk("In Rome."))]
    one = Rehearsal([say("Where is it?"), BYE], plays)
    listened: list[tuple[int, int]] = []

    async def write(events: Sequence[Event]) -> None:
        listened.append((one.line.listened, len(one.tester.prompts)))
        await one.diary.write(events)

    await rehearse(one.part, one.line, one.tester, Transcript(), write, clock=one.clock, limits=LIMITS)
    assert [tuple(event.kind for event in entry) for entry in one.diary.entries] == [
        ("message",),
        ("message", "tool_called"),
        ("tool_returned",),
        ("message",),
        ("left",),
    ]
    assert listened == [(1, 1), (2, 1), (3, 1), (4, 1), (4, 2)]


async def test_a_message_is_said_only_after_it_was_written_down() -> None:
    one = Rehearsal([say("Hello?")], [NOTHING], diary=Diary(lasts=1))
    with pytest.raises(Crash):
        await one.run()
    assert one.diary.events == (caller("Hello?"),)
    assert one.line.said == []


async def test_last_words_are_recorded_with_the_goodbye_and_said() -> None:
    one = Rehearsal([tasks.TesterMove("hang_up", "Thanks, bye.", "")], [hears(desk("Hi."))])
    left = await one.left()
    assert left == Left(Ending.GOODBYE, START, Speaker.CALLER, "the caller was done")
    assert one.diary.entries[-1] == (caller("Thanks, bye."), left)
    assert one.line.said == [caller("Thanks, bye.")]
    assert one.line.listened == 1


async def test_a_move_carries_what_it_took_and_cost() -> None:
    one = Rehearsal([say("Hello?"), BYE], [NOTHING, hears(desk("Yes?"))])
    one.tester.takes_s = 1.5
    talk = await one.run()
    assert [(event.took_ms, event.at) for event in talk.events] == [
        (1500, START + 1500),
        (0, START),
        (1500, START + 3000),
    ]
    assert talk.talked_ms == 3000


async def test_an_assistant_that_was_spoken_to_and_said_nothing_is_recorded_as_silent() -> None:
    one = Rehearsal([say("Hello?"), BYE], [NOTHING, NOTHING])
    talk = await one.run()
    assert talk.events[1] == desk("")
    assert one.tester.prompts[1].lines[-1].text == SILENCE


async def test_a_silence_carries_how_long_it_was_waited_for() -> None:
    one = Rehearsal([BYE], recorded=(desk("Hi."), caller("Hello?")))
    one.line = BusyLine([NOTHING], clock=one.clock)
    assert (await one.run()).events[2] == Message(Speaker.ASSISTANT, "", START + 5000, 5000)


async def test_silence_after_tools_is_silence_too() -> None:
    one = Rehearsal([say("Hello?"), BYE], [NOTHING, works(CALL), hears(RESULT)])
    assert (await one.run()).events[1:-1] == (CALL, RESULT, desk(""))


async def test_an_assistant_that_says_the_empty_string_is_not_silent_twice() -> None:
    one = Rehearsal([say("Hello?"), BYE], [NOTHING, hears(desk("", 5))])
    assert (await one.run()).events[1:-1] == (desk("", 5),)


async def test_whoever_does_nothing_rests_so_that_every_conversation_ends() -> None:
    one = Rehearsal([say("Hello?"), BYE], [works(), works(), hears(desk("late"))])
    assert (await one.run()).events[1:-1] == (desk(""),)


async def test_the_tester_never_sees_more_than_its_brief_and_what_was_said() -> None:
    one = Rehearsal([say("Hello?"), BYE], [NOTHING, works(CALL), works(RESULT), hears(desk("Yes?"))])
    await one.run()
    last = one.tester.prompts[-1]
    assert [line.text for line in last.lines[1:]] == ["Hello?", "Yes?"]
    assert last.lines[0].text.endswith(BRIEF)


# --- endings --------------------------------------------------------------------------------------------------------


async def test_goodbye() -> None:
    left = await Rehearsal([BYE], [hears(desk("Hi."))]).left()
    assert (left.ending, left.speaker, left.reason) == (Ending.GOODBYE, Speaker.CALLER, "done")


async def test_hangup() -> None:
    hangup = Left(Ending.HANGUP, START, Speaker.ASSISTANT, "solved")
    one = Rehearsal([say("Thanks.")], [NOTHING, hears(desk("Bye."), hangup)])
    assert await one.left() == hangup


@dataclass
class BusyLine(ListLine):
    """Works for five seconds before it goes on for ever."""

    clock: HandClock = field(default_factory=HandClock)

    async def listen(self) -> Heard:
        self.clock.advance(5)
        return await super().listen()


async def test_max_duration_of_an_assistant_that_never_answers() -> None:
    one = Rehearsal(limits=Limits(0.02, 5))
    one.line = BusyLine([], clock=one.clock)
    assert await one.left() == Left(
        Ending.MAX_DURATION,
        START + 5000,
        Speaker.ASSISTANT,
        "timeout: the assistant was still busy after 0.02 s of conversation",
        5000,
    )


@dataclass
class StuckModel(ListModel):
    """A model that thinks for ever."""

    async def decide(self, prompt: Prompt, shape: type[T]) -> Answer[T]:
        await asyncio.Event().wait()
        return await super().decide(prompt, shape)


async def test_max_duration_of_a_tester_that_never_answers() -> None:
    one = Rehearsal([], [NOTHING], limits=Limits(0.02, 5))
    one.tester = StuckModel([])
    left = await one.left()
    assert (left.ending, left.speaker) == (Ending.MAX_DURATION, Speaker.CALLER)


async def test_max_duration_of_a_message_that_is_never_delivered() -> None:
    one = Rehearsal([say("Hello?")], [NOTHING], limits=Limits(0.02, 5))
    one.line.stuck = True
    left = await one.left()
    assert (left.ending, left.speaker) == (Ending.MAX_DURATION, Speaker.ASSISTANT)
    assert one.line.said == []


@pytest.mark.parametrize("busy", Speaker)
async def test_only_the_time_that_is_left_is_waited(busy: Speaker) -> None:
    moves, plays = ([say("Hello?")], [NOTHING]) if busy is Speaker.CALLER else ([], [])
    recorded: tuple[Event, ...] = (desk("Hi.", 59_980),)
    one = Rehearsal(moves, plays, recorded if busy is Speaker.CALLER else (*recorded, caller("Hello?")))
    one.line.stuck = True
    async with asyncio.timeout(20):
        assert (await one.left()).ending is Ending.MAX_DURATION


async def test_max_duration_counts_what_was_recorded_before() -> None:
    one = Rehearsal([BYE], recorded=(desk("Hi.", 60_000),))
    left = await one.left()
    assert (left.ending, left.speaker) == (Ending.MAX_DURATION, Speaker.ASSISTANT)
    assert not one.tester.prompts


async def test_turn_limit() -> None:
    one = Rehearsal([say("a"), say("b")], [NOTHING, hears(desk("c")), hears(desk("d"))], limits=Limits(60, 2))
    left = await one.left()
    assert (left.ending, left.speaker) == (Ending.TURN_LIMIT, None)


async def test_goodbye_in_the_last_turn_is_a_goodbye() -> None:
    last = tasks.TesterMove("hang_up", "Thanks.", "done")
    one = Rehearsal([say("a"), last], [NOTHING, hears(desk("c"))], limits=Limits(60, 2))
    assert (await one.left()).ending is Ending.GOODBYE


async def test_loop_of_the_caller() -> None:
    plays = [NOTHING, *(hears(desk(text)) for text in "abc")]
    left = await Rehearsal([say("Hello? Anybody there?")] * 3, plays).left()
    assert (left.ending, left.speaker) == (Ending.LOOP, Speaker.CALLER)


async def test_loop_of_the_assistant() -> None:
    left = await Rehearsal([say("a"), say("b"), say("c")], [hears(desk("What was that?"))] * 3).left()
    assert (left.ending, left.speaker) == (Ending.LOOP, Speaker.ASSISTANT)


async def test_silence() -> None:
    left = await Rehearsal([say("a"), say("b")], [NOTHING, NOTHING, NOTHING]).left()
    assert (left.ending, left.speaker) == (Ending.SILENCE, None)


async def test_tester_fault_of_an_answer_that_is_garbled() -> None:
    left = await Rehearsal([ModelFailure(Trouble.GARBLED, "no JSON")], [NOTHING]).left()
    assert (left.ending, left.speaker, left.reason) == (Ending.TESTER_FAULT, Speaker.CALLER, "no JSON")


async def test_tester_fault_of_a_tester_with_nothing_to_say() -> None:
    left = await Rehearsal([say(""), say(" ")], [NOTHING]).left()
    assert left.ending is Ending.TESTER_FAULT


@pytest.mark.parametrize("trouble", sorted(set(Trouble) - {Trouble.GARBLED}))
async def test_infrastructure_fault_of_a_model_that_cannot_be_asked(trouble: Trouble) -> None:
    left = await Rehearsal([ModelFailure(trouble, "it is down")], [NOTHING]).left()
    assert (left.ending, left.reason) == (Ending.INFRASTRUCTURE_FAULT, "it is down")


LINE_FAULTS = {
    Fault.ASSISTANT: Ending.ASSISTANT_FAULT,
    Fault.TESTER: Ending.TESTER_FAULT,
    Fault.INFRASTRUCTURE: Ending.INFRASTRUCTURE_FAULT,
    Fault.JUDGE: Ending.INFRASTRUCTURE_FAULT,
    Fault.NOBODY: Ending.INFRASTRUCTURE_FAULT,
}


@pytest.mark.parametrize(("fault", "ending"), LINE_FAULTS.items())
async def test_a_line_that_breaks_says_whose_fault_it_is(fault: Fault, ending: Ending) -> None:
    left = await Rehearsal([say("Hello?")], [NOTHING, LineBroken(fault, "HTTP 500")]).left()
    assert (left.ending, left.speaker, left.reason) == (ending, Speaker.ASSISTANT, "HTTP 500")


@pytest.mark.parametrize(("fault", "ending"), LINE_FAULTS.items())
async def test_a_message_that_cannot_be_delivered_ends_it(fault: Fault, ending: Ending) -> None:
    one = Rehearsal([say("Hello?")], [NOTHING])
    one.line.deaf = LineBroken(fault, "HTTP 500")
    assert (await one.left()).ending is ending
    assert [event.kind for event in one.diary.events] == ["message", "left"]


@pytest.mark.parametrize("again", [False, True])
async def test_last_words_that_cannot_be_delivered_change_nothing(again: bool) -> None:
    one = Rehearsal([tasks.TesterMove("hang_up", "Bye.")], [hears(desk("Hi."))], again=again)
    one.line.deaf = LineBroken(Fault.ASSISTANT, "it is gone", passing=True)
    assert (await one.left()).ending is Ending.GOODBYE


async def test_a_tester_that_is_away_for_now_is_no_ending_where_there_can_be_another_attempt() -> None:
    away = ModelFailure(Trouble.UNAVAILABLE, "it is busy")
    one = Rehearsal([say("Hello?"), away], [NOTHING, hears(desk("Yes?"))], again=True)
    with pytest.raises(Away, match=r"^the tester's model: it is busy$"):
        await one.run()
    assert one.diary.events == (caller("Hello?"), desk("Yes?"))
    later = Rehearsal([BYE], recorded=one.diary.events, again=True)
    assert (await later.left()).ending is Ending.GOODBYE
    assert later.line.listened == 0


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_line_that_is_away_for_now_is_no_ending_where_there_can_be_another_attempt(deaf: bool) -> None:
    away = LineBroken(Fault.INFRASTRUCTURE, "it is busy", passing=True)
    one = Rehearsal([say("Hello?")], [NOTHING, away], again=True)
    one.line.deaf = away if deaf else None
    with pytest.raises(Away, match=r"^it is busy$"):
        await one.run()
    assert one.diary.events == (caller("Hello?"),)


@pytest.mark.parametrize("trouble", sorted(set(Trouble) - {Trouble.UNAVAILABLE}))
async def test_what_will_be_no_better_later_is_an_ending_at_once(trouble: Trouble) -> None:
    tester = Rehearsal([ModelFailure(trouble, "no")], [NOTHING], again=True)
    assert (await tester.left()).reason == "no"
    line = Rehearsal([], [LineBroken(Fault.INFRASTRUCTURE, "no")], again=True)
    assert (await line.left()).ending is Ending.INFRASTRUCTURE_FAULT


@dataclass
class Watched(ListLine):
    """Tells when it is listened to."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> Heard:
        if not self.plays:
            self.reached.set()
        return await super().listen()


async def test_a_task_that_is_cancelled_is_gone_and_records_nothing_false() -> None:
    one = Rehearsal([say("Hello?")])
    one.line = line = Watched([NOTHING])
    task = asyncio.create_task(one.run())
    await line.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.diary.events == (caller("Hello?"),)


@pytest.mark.parametrize("ending", Ending)
async def test_a_conversation_that_has_ended_stays_so(ending: Ending) -> None:
    over = Left(ending, START)
    one = Rehearsal(recorded=(desk("Hi."), over))
    assert await one.run() == Transcript((desk("Hi."), over))
    assert not one.diary.entries
    assert one.line.listened == 0


async def test_what_record_raises_comes_through() -> None:
    one = Rehearsal([say("a")], [hears(desk("Hi."))], diary=Diary(lasts=1, durable=False))
    with pytest.raises(Crash):
        await one.run()
    assert one.diary.events == ()
    assert not one.tester.prompts


@pytest.mark.parametrize(
    ("recorded", "asks"),
    [
        ((), "assistant"),
        ((desk("Hi."),), "caller"),
        ((desk("Hi."), caller("Hello?")), "assistant"),
        ((caller("Hello?"), CALL), "assistant"),
        ((caller("Hello?"), CALL, RESULT), "assistant"),
        ((caller("Hello?"), desk("")), "caller"),
    ],
)
async def test_it_goes_on_from_what_was_recorded(recorded: tuple[Event, ...], asks: str) -> None:
    one = Rehearsal([BYE], [Crash()], recorded=recorded)
    if asks == "caller":
        assert (await one.left()).ending is Ending.GOODBYE
        assert one.line.listened == 0
    else:
        with pytest.raises(Crash):
            await one.run()
        assert not one.tester.prompts


# --- scripts --------------------------------------------------------------------------------------------------------


def line(text: str) -> Message:
    return Message(Speaker.CALLER, text, START)


async def test_scripted_lines_are_said_word_for_word_and_cost_nothing() -> None:
    part = Part(BRIEF, None, (" Hi. \n", "A-1."))
    one = Rehearsal([BYE], [hears(desk("Yes?")), hears(desk("Number?")), hears(desk("Friday."))], part=part)
    talk = await one.run()
    assert talk.events == (
        desk("Yes?"),
        line(" Hi. \n"),
        desk("Number?"),
        line("A-1."),
        desk("Friday."),
        Left(Ending.GOODBYE, START, Speaker.CALLER, "done", 0, COST),
    )
    assert one.line.said == [line(" Hi. \n"), line("A-1.")]
    assert len(one.tester.prompts) == 1


async def test_at_a_free_turn_the_model_speaks() -> None:
    part = Part(BRIEF, None, ("Hi.", None, "Bye."), hangs_up=True)
    one = Rehearsal([say("It is A-1.")], [NOTHING, hears(desk("Number?")), hears(desk("Friday.")), hears(desk("Bye."))])
    one.part = part
    talk = await one.run()
    assert [event.text for _, event in talk.said(Speaker.CALLER)] == ["Hi.", "It is A-1.", "Bye."]
    assert talk.events[-1] == Left(Ending.GOODBYE, START, Speaker.CALLER, "the script ends here")


async def test_a_caller_may_hang_up_before_a_word() -> None:
    one = Rehearsal([], [hears(desk("Hi."))], part=Part("", None, (), hangs_up=True))
    assert (await one.left()).ending is Ending.GOODBYE
    assert one.tester.prompts == []


async def test_a_limit_ends_a_script_too() -> None:
    part = Part("", None, ("a", "b", "c"), hangs_up=True)
    one = Rehearsal([], [hears(desk(str(number))) for number in range(9)], part=part, limits=Limits(600, 2))
    assert (await one.left()).ending is Ending.TURN_LIMIT
