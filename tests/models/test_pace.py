"""Waits with chance in them."""

from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.model import Trouble
from vivavoce.models.pace import LONGEST_WAIT_S, Pace, Patience, Setback, Tally, asked_wait


async def wait_for(setback: Setback, jitter: float) -> float:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    await Patience(Pace(sleep, lambda: jitter, lambda: 0.0), max_attempts=2).bear(setback)
    return waited[0]


@given(jitter=st.floats(0, 1, exclude_max=True), asked=st.none() | st.floats(0, 1e6))
async def test_a_wait_is_never_shorter_than_asked_nor_longer_than_the_cap(jitter: float, asked: float | None) -> None:
    setback = Setback(Trouble.UNAVAILABLE, "busy", again=True, wait_s=asked)
    waited = await wait_for(setback, jitter)
    if asked is None:
        assert 0.25 <= waited <= 0.5
    else:
        assert min(asked, LONGEST_WAIT_S) <= waited <= LONGEST_WAIT_S


@given(st.text())
def test_any_header_gives_a_sensible_wait_or_none(value: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        wait = asked_wait({name: value}, 0.0)
        assert wait is None or wait >= 0


def test_a_tally_that_counted_nothing_is_still_one_attempt() -> None:
    assert Tally().usage("m").attempts == 1
