import pytest

from vivavoce.core.batch import Batch


@pytest.mark.parametrize(
    ("counts", "over"),
    [((0, 0, 0), False), ((2, 0, 0), False), ((1, 1, 0), False), ((1, 1, 1), True), ((0, 0, 3), True)],
)
def test_section_2_4_a_batch_is_over_when_all_of_its_runs_are_however_they_came_out(
    counts: tuple[int, int, int], over: bool
) -> None:
    assert Batch("b", "a", "v", 0, 3, 0, 0, *counts).over is over


def test_a_batch_of_nothing_is_over() -> None:
    assert Batch("b", "a", "v", 0, 0, 0, 0).over
