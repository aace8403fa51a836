from itertools import product

import pytest

from vivavoce.core.event import Ending, Left, Speaker
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.core.verdict import JUDGED_ENDINGS, Decision, Fault, Outcome, Verdict, fault_of, outcome

MET, UNMET, INCONCLUSIVE = Decision.MET, Decision.UNMET, Decision.INCONCLUSIVE
GOODBYE = Left(Ending.GOODBYE, 0, Speaker.CALLER)
NAMES = ("polite", "quick", "right")


def rubric(count: int) -> list[Criterion]:
    return [Criterion(name, f"is {name}") for name in NAMES[:count]]


def decided(*decisions: Decision) -> list[Verdict]:
    return [Verdict(name, decision, "why", "judge") for name, decision in zip(NAMES, decisions, strict=False)]


SHEETS = [sheet for answers in range(4) for sheet in product(Decision, repeat=answers)]


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("criteria", range(4))
def test_a_pass_needs_every_criterion_met_and_a_conversation_that_came_to_its_end(
    criteria: int, ending: Ending
) -> None:
    for sheet in SHEETS:
        came = outcome(rubric(criteria), decided(*sheet), Left(ending, 0))
        deserved = 0 < criteria == len(sheet) and set(sheet) == {MET} and ending in JUDGED_ENDINGS
        assert (came.status is Status.PASSED) is deserved
        assert (came.fault is None) is deserved
        assert came.status.final
        assert came.reason


@pytest.mark.parametrize(
    "left",
    [
        GOODBYE,
        Left(Ending.HANGUP, 0, Speaker.ASSISTANT),
        Left(Ending.TRANSFER, 0, Speaker.ASSISTANT),
        Left(Ending.IDLE, 0),
    ],
)
def test_any_criterion_unmet_fails_the_run_and_names_it(left: Left) -> None:
    for sheet in product(Decision, repeat=3):
        came = outcome(rubric(3), decided(*sheet), left)
        assert (came.status is Status.FAILED) is (UNMET in sheet)
        if UNMET in sheet:
            unmet = [name for name, one in zip(NAMES, sheet, strict=True) if one is UNMET]
            assert came == Outcome(Status.FAILED, Fault.ASSISTANT, "unmet: " + ", ".join(unmet))


@pytest.mark.parametrize("sheet", [(), (MET,), (MET, INCONCLUSIVE), (INCONCLUSIVE, INCONCLUSIVE), (MET, MET, MET)])
def test_a_judges_silence_never_passes(sheet: tuple[Decision, ...]) -> None:
    came = outcome(rubric(2), decided(*sheet), GOODBYE)
    assert (came.status, came.fault) == (Status.ERROR, Fault.JUDGE)


def test_inconclusive_criteria_are_named() -> None:
    assert outcome(rubric(2), decided(MET, INCONCLUSIVE), GOODBYE).reason == "inconclusive: quick"


def test_a_rubric_of_nothing_never_passes() -> None:
    assert outcome([], [], GOODBYE) == Outcome(Status.ERROR, Fault.JUDGE, "there is no criterion to decide")


def test_verdicts_answer_criteria_by_position_and_must_carry_their_names() -> None:
    swapped = decided(MET, MET)[::-1]
    assert outcome(rubric(2), swapped, GOODBYE) == Outcome(
        Status.ERROR, Fault.JUDGE, "the judge did not answer every criterion"
    )
    assert outcome(rubric(2), decided(MET, MET), GOODBYE) == Outcome(Status.PASSED, None, "every criterion is met")


def test_criteria_of_the_same_name_are_each_answered() -> None:
    twice = [Criterion("polite", "greets"), Criterion("polite", "thanks")]
    one = Verdict("polite", MET, "why", "judge")
    assert outcome(twice, [one, one], GOODBYE).status is Status.PASSED
    assert outcome(twice, [one], GOODBYE).status is Status.ERROR


def test_an_unfinished_conversation_says_how_it_ended_and_why() -> None:
    cut = Left(Ending.TURN_LIMIT, 0, reason="the caller spoke 40 times")
    assert outcome(rubric(1), decided(MET), cut).reason == (
        "the conversation ended by turn_limit: the caller spoke 40 times"
    )
    assert outcome(rubric(1), decided(MET), Left(Ending.CANCELLED, 0)).reason == "the conversation ended by cancelled"


FAULTS = {
    (Ending.LOOP, Speaker.CALLER): Fault.TESTER,
    (Ending.LOOP, Speaker.ASSISTANT): Fault.ASSISTANT,
    (Ending.MAX_DURATION, Speaker.CALLER): Fault.TESTER,
    (Ending.MAX_DURATION, Speaker.ASSISTANT): Fault.ASSISTANT,
    (Ending.TURN_LIMIT, None): Fault.TESTER,
    (Ending.SILENCE, None): Fault.ASSISTANT,
    (Ending.TESTER_FAULT, Speaker.CALLER): Fault.TESTER,
    (Ending.ASSISTANT_FAULT, Speaker.ASSISTANT): Fault.ASSISTANT,
    (Ending.INFRASTRUCTURE_FAULT, Speaker.CALLER): Fault.INFRASTRUCTURE,
    (Ending.INFRASTRUCTURE_FAULT, Speaker.ASSISTANT): Fault.INFRASTRUCTURE,
    (Ending.CANCELLED, None): Fault.NOBODY,
}


@pytest.mark.parametrize(("left", "fault"), FAULTS.items())
def test_an_unfinished_conversation_is_the_fault_of_whoever_did_it(
    left: tuple[Ending, Speaker | None], fault: Fault
) -> None:
    assert fault_of(Left(left[0], 0, left[1])) is fault
    assert outcome(rubric(1), decided(MET), Left(left[0], 0, left[1])).fault is fault


def test_every_unjudged_ending_has_somebody_to_answer_for_it() -> None:
    assert {ending for ending, _ in FAULTS} == set(Ending) - JUDGED_ENDINGS
