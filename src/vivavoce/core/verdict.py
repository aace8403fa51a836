"""What the judge decided of one criterion, and what follows for the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vivavoce.core.event import Ending, Left, Speaker
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status


class Decision(StrEnum):
    """Met, unmet, or not to be decided from this conversation."""

    MET = "met"
    UNMET = "unmet"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Quote:
    """Words from the transcript: ``turn`` is the event's place, counted from 0."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One criterion decided. ``decided_by`` names the judge as a person should read it:
    a model's name, ``computed`` where it was computed from the record, ``nobody`` where it could not be examined.
    """

    criterion: str
    decision: Decision
    reason: str
    decided_by: str
    quote: Quote | None = None


class Fault(StrEnum):
    """Whose fault it is that a run did not pass."""

    ASSISTANT = "assistant"
    TESTER = "tester"
    JUDGE = "judge"
    INFRASTRUCTURE = "infrastructure"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run came out. ``fault`` is None for a pass."""

    status: Status
    fault: Fault | None
    reason: str


JUDGED_ENDINGS = frozenset({Ending.GOODBYE, Ending.HANGUP, Ending.TRANSFER, Ending.IDLE})
"""Endings after which the conversation is complete, so that the rubric can be decided."""

_FAULTS = {
    Ending.SILENCE: Fault.ASSISTANT,
    Ending.TURN_LIMIT: Fault.TESTER,
    Ending.TESTER_FAULT: Fault.TESTER,
    Ending.ASSISTANT_FAULT: Fault.ASSISTANT,
    Ending.INFRASTRUCTURE_FAULT: Fault.INFRASTRUCTURE,
    Ending.CANCELLED: Fault.NOBODY,
}


def fault_of(left: Left) -> Fault:
    """Whose fault an unfinished conversation is. Repeating oneself and running out of time are the fault of
    whoever did it."""
    if left.ending in (Ending.LOOP, Ending.MAX_DURATION):
        return Fault.TESTER if left.speaker is Speaker.CALLER else Fault.ASSISTANT
    return _FAULTS[left.ending]


def unexamined(criteria: Sequence[str], ending: Ending) -> tuple[Verdict, ...]:
    """Verdicts on the criteria with these names where the conversation did not come to its end: nobody decides."""
    reason = f"not examined: {ending.value}"
    return tuple(Verdict(name, Decision.INCONCLUSIVE, reason, "nobody") for name in criteria)


def outcome(criteria: Sequence[Criterion], verdicts: Sequence[Verdict], left: Left) -> Outcome:
    """The run's status from its verdicts.

    Any criterion unmet fails the run; all of them met pass it; a criterion that is unanswered or
    inconclusive is an error, because a judge's silence never passes. Verdicts answer criteria by position
    and must carry the criterion's name. A conversation that did not come to its end is an error
    (contract, section 6.5), whatever was decided of it.
    """
    if left.ending not in JUDGED_ENDINGS:
        why = f": {left.reason}" if left.reason else ""
        return Outcome(Status.ERROR, fault_of(left), f"the conversation ended by {left.ending.value}{why}")
    if not criteria:
        return Outcome(Status.ERROR, Fault.JUDGE, "there is no criterion to decide")
    answered = len(verdicts) == len(criteria) and all(
        verdict.criterion == criterion.name for verdict, criterion in zip(verdicts, criteria, strict=True)
    )
    if not answered:
        return Outcome(Status.ERROR, Fault.JUDGE, "the judge did not answer every criterion")
    unmet = [verdict.criterion for verdict in verdicts if verdict.decision is Decision.UNMET]
    if unmet:
        return Outcome(Status.FAILED, Fault.ASSISTANT, "unmet: " + ", ".join(unmet))
    open_ = [verdict.criterion for verdict in verdicts if verdict.decision is Decision.INCONCLUSIVE]
    if open_:
        return Outcome(Status.ERROR, Fault.JUDGE, "inconclusive: " + ", ".join(open_))
    return Outcome(Status.PASSED, None, "every criterion is met")
