"""Whoever judges a drill sees what it is there to see."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.audit import Change, Recorded
from tests.chaos.drill import ANYBODY, Hit, Orders, Outcome
from tests.chaos.plan import Faults
from tests.chaos.verdict import defects, report, violations
from tests.chaos.world import EVENTS, JUDGE_PLACE, TOOL_PLACE, Asked

T0 = 1_800_000_000.0
TAG = "case-0000"
ORDERS = Orders(7, 10.0, 1, 1, 4, 0.1, (), Faults(7))
KEY = "run:1:call_2"


def change(at: float, before: str, after: str, token: str | None, *, decided: bool = False) -> Change:
    return Change(T0 + at, before, after, token, "w" if token else None, decided, late=False)


CHANGES = (
    change(0, "pending", "starting", "a"),
    change(0.5, "starting", "running", "a"),
    change(JUDGE_PLACE + 0.5, "running", "running", "a", decided=True),
    change(JUDGE_PLACE + 0.6, "running", "passed", None),
)
RECORD = Recorded(
    "run",
    TAG,
    "passed",
    "",
    1,
    (),
    CHANGES,
    [(T0 + turn + 0.5, turn, "INSERT") for turn in range(EVENTS)],
    ["event"] * EVENTS,
)
LEDGER = [
    Asked(T0 + place, TAG, place, f"text {place}", KEY if place == TOOL_PLACE else "")
    for place in range(1, JUDGE_PLACE + 1)
]
WELL = Outcome(ORDERS, LEDGER, T0, records=[RECORD], exit_codes=[0, 0])
TWO_LEASES = (
    change(-3, "pending", "starting", "a"),
    change(-1, "starting", "pending", None),
    *(replace(one, token="b" if one.token else None) for one in CHANGES),
)


def record(**given: object) -> Outcome:
    return replace(WELL, records=[replace(RECORD, **given)])  # type: ignore[arg-type]


def asked(*more: Asked) -> Outcome:
    return replace(WELL, ledger=[*LEDGER, *more])


def test_nothing_is_wrong_with_a_run_that_went_well() -> None:
    assert violations(WELL) == []
    assert "1 passed" in report(WELL)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (replace(WELL, stuck={"running": 1}), "not over"),
        (replace(WELL, leases_left=1), "still belong to somebody"),
        (replace(WELL, records=[RECORD, RECORD]), "1 runs were asked for, 2 there are"),
        (replace(WELL, records=[]), "1 runs were asked for, 0 there are"),
        (replace(WELL, exit_codes=[0, -9]), "exit codes"),
        (replace(WELL, log="Traceback (most recent call last):"), "a log says"),
        (record(status="error", reason="broken"), "came out as error: broken"),
        (record(changes=[*CHANGES, CHANGES[-1]]), "was settled 2 times"),
        (record(changes=[*CHANGES, replace(CHANGES[1], before="passed", after="passed", late=True)]), "after its end"),
        (record(changes=[*CHANGES[:3], *CHANGES[2:]]), "2 sets of verdicts"),
        (record(turns=RECORD.turns[:-1]), "its events were written as"),
        (record(turns=[*RECORD.turns, (T0 + 99, 1, "UPDATE")]), "its events were written as"),
        (asked(replace(LEDGER[4], text="other words")), "same words"),
        (asked(replace(LEDGER[4], at=T0 + 5.6)), "100 ms after its answer was recorded"),
        (asked(replace(LEDGER[4], at=T0 + 5.1)), "1 requests too many"),
        (asked(replace(LEDGER[TOOL_PLACE - 1], key="run:2:call_2")), "2 keys"),
        (record(changes=TWO_LEASES), "was taken from a worker for no reason"),
    ],
)
def test_what_is_wrong_is_told(outcome: Outcome, words: str) -> None:
    assert any(words in one for one in violations(outcome))


def test_what_a_log_says_of_a_defect_is_told_as_a_whole() -> None:
    said = ["2026-11-23T08:00:00Z [error    ] it failed", "Traceback (most recent call last):", "  a place", "Gone"]
    beside = "2026-11-23T08:00:00Z [info     ] all is well"
    log = "\n".join([beside, *said, beside, *said, "driving a run failed", beside])
    assert defects(log) == ["\n".join(said), "\n".join([*said, "driving a run failed"])]


@pytest.mark.parametrize(
    "excuse",
    [
        lambda: asked(replace(LEDGER[4], at=T0 + 5.1, faulty="500")),
        lambda: replace(asked(replace(LEDGER[4], at=T0 + 5.1)), hits=[Hit("freeze", "w", T0 + 4, T0 + 5)]),
        lambda: replace(record(changes=TWO_LEASES), hits=[Hit("kill", "w", T0 - 2, T0 - 1)]),
        lambda: replace(record(changes=TWO_LEASES), hits=[Hit("cut", ANYBODY, T0 - 2, T0 - 1)]),
        lambda: record(changes=TWO_LEASES, setbacks=["the model was away"]),
    ],
)
def test_what_the_chaos_explains_is_not_told(excuse: Callable[[], Outcome]) -> None:
    assert violations(excuse()) == []
