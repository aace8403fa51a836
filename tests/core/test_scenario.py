import pytest

from vivavoce.core.scenario import Scenario


@pytest.mark.parametrize(
    ("lines", "hangs_up", "free"),
    [((), False, True), (("a",), False, True), (("a", None), True, True), (("a", "b"), True, False), ((), True, False)],
)
def test_a_script_without_gaps_that_ends_needs_no_model(
    lines: tuple[str | None, ...], hangs_up: bool, free: bool
) -> None:
    assert Scenario("s", "n", "t", "b", (), 0, lines=lines, hangs_up=hangs_up).free is free
