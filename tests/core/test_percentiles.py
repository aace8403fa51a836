from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.percentiles import Percentiles, percentiles


def test_nothing_has_none() -> None:
    assert percentiles([]) is None


def test_known_ones() -> None:
    assert percentiles([7]) == Percentiles(7, 7, 7)
    assert percentiles([3, 1, 2, 4]) == Percentiles(2, 4, 4)
    assert percentiles(range(1, 101)) == Percentiles(50, 95, 100)


@given(st.lists(st.integers(0, 1000), min_size=1))
def test_each_was_measured_and_as_many_are_at_most_it_as_it_says(measured: list[int]) -> None:
    found = percentiles(measured)
    assert found is not None
    for value, share in ((found.p50, 50), (found.p95, 95), (found.max, 100)):
        assert value in measured
        assert sum(one <= value for one in measured) * 100 >= share * len(measured)
        # And nothing smaller would do.
        assert sum(one < value for one in measured) * 100 < share * len(measured)
