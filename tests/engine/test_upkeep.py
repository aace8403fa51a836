"""What fails beside the runs is told, and ends nothing."""

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from vivavoce.engine.upkeep import upkeep


def test_that_the_database_is_away_is_a_line_with_the_reason() -> None:
    with capture_logs() as logs, upkeep("it failed", kind="a"):
        raise OperationalError("SELECT secret", {"key": "secret"}, Exception("cut off\nLINE 1: secret"))
    assert logs == [{"event": "it failed", "kind": "a", "log_level": "warning", "reason": "cut off"}]


def test_of_anything_else_it_is_told_where_it_happened() -> None:
    failure = ValueError("ours")
    with capture_logs() as logs, upkeep("it failed", kind="a"):
        raise failure
    assert logs == [{"event": "it failed", "kind": "a", "log_level": "error", "exc_info": failure}]


def test_who_is_cancelled_is_not_held_up() -> None:
    with pytest.raises(KeyboardInterrupt), upkeep("it failed"):
        raise KeyboardInterrupt
