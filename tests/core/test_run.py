import pytest

from vivavoce.core.event import Ending
from vivavoce.core.run import Run
from vivavoce.core.status import Status


@pytest.mark.parametrize("ending", [None, *Ending])
def test_only_a_run_that_was_cancelled_says_so(ending: Ending | None) -> None:
    run = Run("r", "s", Status.ERROR, "manual", 0, 0, "c", ending=ending)
    assert run.cancelled is (ending is Ending.CANCELLED)
    assert run.state == ("cancelled" if run.cancelled else "error")
