import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.status import FINAL, Status

P, S, R = Status.PENDING, Status.STARTING, Status.RUNNING
ALLOWED = {(P, S), (S, R), (R, Status.PASSED), (R, Status.FAILED)}
GIVEN_BACK = {(S, P), (R, P)}
GIVEN_UP = {(P, Status.ERROR), (S, Status.ERROR), (R, Status.ERROR)}


@pytest.mark.parametrize("other", Status)
@pytest.mark.parametrize("status", Status)
def test_a_run_moves_forward_is_given_back_or_ends_as_an_error_and_nothing_else(status: Status, other: Status) -> None:
    assert status.may_become(other) is ((status, other) in ALLOWED | GIVEN_BACK | GIVEN_UP)


def test_the_last_three_are_final() -> None:
    assert [status for status in Status if status.final] == [Status.PASSED, Status.FAILED, Status.ERROR]
    assert {status for status in Status if status.final} == FINAL


@given(st.lists(st.sampled_from(Status)))
def test_a_final_status_is_final(wishes: list[Status]) -> None:
    status, settled = Status.PENDING, None
    for wish in wishes:
        if status.may_become(wish):
            status = wish
        settled = settled or (status if status.final else None)
    assert settled is None or status is settled
