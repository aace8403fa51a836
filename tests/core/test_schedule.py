"""Which of the times that nobody was there for are fired for."""

import pytest

from vivavoce.core.schedule import Missed, to_fire

NOW, GRACE = 1000, 100


@pytest.mark.parametrize(
    ("missed", "come", "expected"),
    [
        (Missed.SKIP, [1000], 1000),
        (Missed.SKIP, [500, 899], None),
        (Missed.SKIP, [500, 900, 950], 900),
        (Missed.SKIP, [], None),
        (Missed.ONCE, [500, 600], 600),
        (Missed.ONCE, [], None),
        (Missed.ALL, [500, 600], 500),
        (Missed.ALL, [], None),
    ],
)
def test_what_is_fired_for(missed: Missed, come: list[int], expected: int | None) -> None:
    assert to_fire(missed, GRACE, come, NOW) == expected
