from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.support.players import COST, START, Crash, Diary, HandClock, LineChannel, ListLine, ListModel

from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.scenario import Criterion, Scenario
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import JUDGED_ENDINGS, Decision, Fault, Outcome, Quote, Verdict
from vivavoce.examination import tasks
from vivavoce.examination.channel import Heard, LineBroken
from vivavoce.examination.course import Limits
from vivavoce.examination.examine import Book, Examined, examine
from vivavoce.examination.rehearsal import Away
from vivavoce.examination.tasks import Sheet, SheetAnswer

BRIEF = "You are Ada. Your order A-1001 has not come."
SECRET = "The assistant says when the order comes."
SCENARIO = Scenario("s", "order", "target", BRIEF, (Criterion("time", SECRET),), START)
ANSWER = Message(Speaker.ASSISTANT, "It comes on Friday.", START)
BYE = Left(Ending.GOODBYE, START, Speaker.CALLER, "done")
MET = Sheet((SheetAnswer(1, "met", "it did", "on Friday", 1),))
VERDICT = Verdict("time", Decision.MET, "it did", "list/model", Quote(1, "on Friday"))
PASS = Outcome(Status.PASSED, None, "every criterion is met")


def heard(*events: Event) -> Heard:
    return Heard(events, rests=True)


@dataclass
class Examination:
    """One examination and all that took part in it; unless told otherwise it passes."""

    plays: Sequence[Heard | Exception] = (heard(), heard(ANSWER))
    moves: Sequence[object] = (
        tasks.TesterMove("say", "When does it come?"),
        tasks.TesterMove("hang_up", "", "done"),
    )
    sheets: Sequence[object] = (MET,)
    recorded: tuple[Event, ...] = ()
    known: tuple[Verdict, ...] = ()
    scenario: Scenario = SCENARIO
    diary: Diary = field(default_factory=Diary)
    again: bool = False
    decided: list[tuple[tuple[Verdict, ...], Usage]] = field(default_factory=list[tuple[tuple[Verdict, ...], Usage]])

    def __post_init__(self) -> None:
        self.channel = LineChannel(ListLine(list(self.plays)))
        self.tester, self.judge = ListModel(list(self.moves)), ListModel(list(self.sheets))

    async def write(self, verdicts: Sequence[Verdict], usage: Usage) -> None:
        self.decided.append((tuple(verdicts), usage))

    async def run(self) -> Examined:
        return await examine(
            self.scenario,
            self.channel,
            self.tester,
            self.judge,
            Transcript(self.recorded),
            self.known,
            Book(self.diary.write, self.write),
            clock=HandClock(),
            limits=Limits(60, 5),
            again=self.again,
        )


async def test_from_hello_to_verdict() -> None:
    one = Examination()
    done = await one.run()
    assert done == Examined(Transcript(one.diary.events), (VERDICT,), PASS, COST)
    assert one.decided == [((VERDICT,), COST)]
    assert one.channel.opened == [Transcript()]


async def test_the_rubric_never_reaches_the_tester_nor_the_brief_the_judge() -> None:
    one = Examination()
    await one.run()
    assert one.tester.prompts
    assert one.judge.prompts
    for prompts, hidden in ((one.tester.prompts, SECRET), (one.judge.prompts, BRIEF)):
        for prompt in prompts:
            assert hidden not in repr(prompt)
    assert BRIEF in repr(one.tester.prompts[0])
    assert SECRET in repr(one.judge.prompts[0])


@pytest.mark.parametrize(
    ("sheet", "status", "fault"),
    [
        (SheetAnswer(1, "unmet", "no"), Status.FAILED, Fault.ASSISTANT),
        (SheetAnswer(1, "inconclusive", "unclear"), Status.ERROR, Fault.JUDGE),
    ],
)
async def test_the_outcome_follows_from_the_verdicts(sheet: SheetAnswer, status: Status, fault: Fault) -> None:
    done = await Examination(sheets=[Sheet((sheet,))]).run()
    assert (done.outcome.status, done.outcome.fault) == (status, fault)


async def test_it_goes_on_from_what_was_recorded() -> None:
    recorded = (Message(Speaker.CALLER, "When does it come?", START),)
    one = Examination(recorded=recorded, plays=[heard(ANSWER)], moves=[tasks.TesterMove("hang_up")])
    done = await one.run()
    assert one.channel.opened == [Transcript(recorded)]
    assert done.transcript == Transcript((*recorded, *one.diary.events))
    assert done.outcome == PASS


TALK = (Message(Speaker.CALLER, "When?", START), ANSWER, BYE)


async def test_a_conversation_that_was_reported_on_is_judged_by_how_it_ended() -> None:
    behind = (ToolCalled(ToolCall("1", "save", {}), START), ToolReturned("1", "save", "ok", True, START))
    one = Examination(recorded=(*TALK, *behind))
    assert (await one.run()).outcome == PASS


async def test_a_conversation_that_is_over_is_only_judged() -> None:
    one = Examination(recorded=TALK)
    done = await one.run()
    assert done == Examined(Transcript(TALK), (VERDICT,), PASS, COST)
    assert (one.channel.opened, one.diary.entries, one.tester.prompts) == ([], [], [])


async def test_verdicts_that_are_known_are_kept_and_not_written_again() -> None:
    one = Examination(recorded=TALK, known=(VERDICT,))
    assert await one.run() == Examined(Transcript(TALK), (VERDICT,), PASS, Usage(attempts=0))
    assert one.decided == []
    assert not one.judge.prompts


@pytest.mark.parametrize("ending", sorted(set(Ending) - JUDGED_ENDINGS))
async def test_a_conversation_that_did_not_come_to_its_end_is_not_judged(ending: Ending) -> None:
    one = Examination(recorded=(Left(ending, START, Speaker.ASSISTANT, "why"),))
    done = await one.run()
    unexamined = Verdict("time", Decision.INCONCLUSIVE, f"not examined: {ending.value}", "nobody")
    assert done.verdicts == (unexamined,)
    assert one.decided == [((unexamined,), Usage(attempts=0))]
    assert done.outcome.status is Status.ERROR
    assert not one.judge.prompts


async def test_a_scenario_without_criteria_never_passes() -> None:
    done = await Examination(scenario=replace(SCENARIO, criteria=())).run()
    assert (done.outcome.status, done.outcome.fault) == (Status.ERROR, Fault.JUDGE)


@pytest.mark.parametrize("trouble", sorted(set(Trouble) - {Trouble.GARBLED}))
async def test_a_judge_that_cannot_be_asked_is_the_infrastructures_fault(trouble: Trouble) -> None:
    one = Examination(sheets=[ModelFailure(trouble, "it is down")])
    done = await one.run()
    assert done.outcome == Outcome(Status.ERROR, Fault.INFRASTRUCTURE, "the judge's model: it is down")
    assert done.verdicts == ()
    assert one.decided == []


async def test_a_judge_that_is_away_for_now_is_asked_again_by_another_attempt() -> None:
    one = Examination(recorded=TALK, sheets=[ModelFailure(Trouble.UNAVAILABLE, "it is busy")], again=True)
    with pytest.raises(Away, match=r"^the judge's model: it is busy$"):
        await one.run()
    assert (one.decided, one.diary.entries) == ([], [])
    refused = Examination(recorded=TALK, sheets=[ModelFailure(Trouble.REFUSED, "no")], again=True)
    assert (await refused.run()).outcome.reason == "the judge's model: no"


async def test_a_channel_that_is_away_for_now_is_opened_again_by_another_attempt() -> None:
    one = Examination(again=True)
    one.channel.refuses = LineBroken(Fault.INFRASTRUCTURE, "nobody picks up", passing=True)
    with pytest.raises(Away, match="nobody picks up"):
        await one.run()
    assert one.diary.entries == []


async def test_a_garbled_judge_is_the_judges_fault() -> None:
    done = await Examination(sheets=[ModelFailure(Trouble.GARBLED, "no JSON")]).run()
    assert (done.outcome.status, done.outcome.fault) == (Status.ERROR, Fault.JUDGE)


async def test_a_channel_that_cannot_be_opened_is_an_outcome_that_says_whose_fault_it_was() -> None:
    one = Examination()
    one.channel.refuses = LineBroken(Fault.INFRASTRUCTURE, "nobody picks up")
    done = await one.run()
    left = Left(Ending.INFRASTRUCTURE_FAULT, START, Speaker.ASSISTANT, "nobody picks up")
    assert one.diary.events == done.transcript.events == (left,)
    assert (done.outcome.status, done.outcome.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)


async def test_a_channel_that_cannot_be_closed_changes_nothing() -> None:
    one = Examination()
    one.channel.breaks = LineBroken(Fault.INFRASTRUCTURE, "it was gone already")
    assert (await one.run()).outcome == PASS
    assert [event.kind for event in one.diary.events] == ["message", "message", "left"]


@pytest.mark.parametrize("lasts", [1, 2, 3])
async def test_what_the_book_raises_comes_through(lasts: int) -> None:
    one = Examination(diary=Diary(lasts=lasts))
    with pytest.raises(Crash):
        await one.run()
    assert len(one.diary.entries) == lasts
    assert one.decided == []


@pytest.mark.parametrize(("shows", "decided_by"), [(True, "computed"), (False, "list/model")])
async def test_absent_tool_calls_prove_something_only_where_the_line_shows_them(shows: bool, decided_by: str) -> None:
    scenario = replace(SCENARIO, criteria=(Criterion("looks up", "The assistant never calls lookup_order"),))
    channel = LineChannel(ListLine([]), shows_tools=shows)
    judging = ListModel([Sheet((SheetAnswer(1, "inconclusive", "not shown"),))], name="list/model")
    done = await examine(
        scenario,
        channel,
        ListModel([]),
        judging,
        Transcript((ANSWER, BYE)),
        (),
        Book(Diary().write, _forget),
        clock=HandClock(),
        limits=Limits(60, 10),
    )
    assert done.verdicts[0].decided_by == decided_by


async def _forget(_verdicts: Sequence[Verdict], _usage: Usage) -> None:
    return None
