from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vivavoce.core.appointment import Appointment, Attempt, CallStatus, Standing, after_call, dispatched, failed
from vivavoce.core.scenario import Medium

DUE = 1_000_000
CALL = Appointment("a", "assistant-1", Medium.PHONE_CALL, "+15550100001", "+15550100002", DUE, 0)
RETRYABLE = [status for status in CallStatus if status is not CallStatus.COMPLETED]


def test_what_is_dispatched_is_in_progress_from_then_on() -> None:
    out = dispatched(CALL, DUE + 5)
    assert (out.standing, out.dispatched_at) == (Standing.IN_PROGRESS, DUE + 5)
    assert [standing.final for standing in Standing] == [False, False, True, True]


def test_rule_6_6_a_completed_call_is_a_success() -> None:
    after = after_call(dispatched(CALL, DUE + 5), DUE + 90_000, CallStatus.COMPLETED, duration_s=80, call_id="call-1")
    assert after.standing is Standing.COMPLETED
    assert after.attempts == (Attempt(1, DUE + 5, CallStatus.COMPLETED, 80, "call-1"),)
    assert (after.retries, after.errors, after.due_at) == (0, (), DUE)


@pytest.mark.parametrize("status", RETRYABLE)
def test_rule_6_6_the_interval_counts_from_the_terminal_status(status: CallStatus) -> None:
    ended = DUE + 44_000
    after = after_call(dispatched(replace(CALL, most_retries=1, retry_interval_s=60), DUE + 5), ended, status)
    assert (after.standing, after.due_at, after.retries) == (Standing.PENDING, ended + 60_000, 1)
    assert [attempt.status for attempt in after.attempts] == [status]
    assert after.errors == ()


def test_rule_6_6_without_a_budget_a_call_that_fails_is_the_end() -> None:
    after = after_call(CALL, DUE + 7, CallStatus.BUSY, "they talk")
    assert after.standing is Standing.FAILED
    assert after.errors == ("given up after the call, which ended as busy: they talk",)
    assert after.attempts[0].at == DUE + 7  # nobody knows when it went out


@given(some.integers(0, 10), some.lists(some.sampled_from(RETRYABLE), min_size=11, max_size=11))
def test_rule_6_6_retries_count_on_top_of_the_first_attempt(most: int, statuses: list[CallStatus]) -> None:
    state, now, dispatches = replace(CALL, most_retries=most, retry_interval_s=60), DUE, 0
    while state.standing is Standing.PENDING:
        now = max(now, state.due_at)
        state = after_call(dispatched(state, now), now + 1, statuses[dispatches])
        dispatches += 1
    assert dispatches == most + 1
    assert (state.standing, state.retries, len(state.errors)) == (Standing.FAILED, most, 1)
    assert [attempt.number for attempt in state.attempts] == list(range(1, most + 2))
    assert f"ended as {statuses[most].value}" in state.errors[0]


def test_reasons_pile_up() -> None:
    assert failed(failed(CALL, "one"), "two").errors == ("one", "two")
