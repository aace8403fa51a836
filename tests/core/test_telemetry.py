"""Nobody watches by default; and what a log may say of failures."""

import sqlite3
from itertools import pairwise

import pytest

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.telemetry import (
    NOBODY,
    DutyWork,
    ModelCall,
    RequestWork,
    RunWork,
    ToolUse,
    causes,
    plain,
    plainly,
)


def test_nobody_is_told_everything_and_does_nothing() -> None:
    run, duty, request = RunWork("r", "s", "c", None, "batch", 1), DutyWork("k", 1), RequestWork("GET")
    with NOBODY.run(run), NOBODY.duty(duty), NOBODY.request(request):
        NOBODY.model_called(ModelCall("p", "m", "judge", 1.0))
        NOBODY.tool_called(ToolUse("t", "webhook", 1.0))
        NOBODY.waited("p", 1.0)
        NOBODY.committed(1.0, 1)
    assert (run.outcome, duty.outcome, request.status) == ("lost", "given up", 0)


class Wrapped(Exception):
    """As the database's failures are: what the driver raised is kept in it."""

    def __init__(self, orig: object) -> None:
        super().__init__("marked")
        self.orig = orig


class Coded(Exception):
    sqlstate = "23505"


def locked() -> sqlite3.Error:
    failure = sqlite3.OperationalError("marked")
    failure.sqlite_errorname = "SQLITE_BUSY"
    return failure


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ValueError("marked"), "ValueError"),
        (KeyError("marked"), "KeyError"),
        (ModelFailure(Trouble.REFUSED, "marked"), "ModelFailure: refused"),
        (ModelFailure(Trouble.UNAVAILABLE, "marked", status=503), "ModelFailure: unavailable (HTTP status 503)"),
        (AttributeError("'int' object has no attribute 'x'"), "AttributeError: 'int' object has no attribute 'x'"),
        (OSError(28, "No space left on device", "/marked"), "OSError: No space left on device (errno 28)"),
        (OSError("marked"), "OSError"),
        (Wrapped(Coded("marked")), "Wrapped: Coded (23505)"),
        (Wrapped(locked()), "Wrapped: OperationalError (SQLITE_BUSY)"),
        (Wrapped(Exception("marked")), "Wrapped: Exception"),
        (Wrapped("marked"), "Wrapped"),
    ],
)
def test_a_failure_is_told_without_anybodys_words(failure: Exception, told: str) -> None:
    assert plain(failure) == told
    assert plainly(failure) == told


def test_what_led_to_a_failure_is_told_with_it() -> None:
    first, second, third = ValueError("marked"), TimeoutError("marked"), RuntimeError("marked")
    second.__cause__, third.__context__ = first, second
    assert plainly(third) == "RuntimeError, because of TimeoutError, because of ValueError"
    third.__suppress_context__ = True
    assert plainly(third) == "RuntimeError"
    first.__context__ = second
    assert list(causes(second)) == [second, first]
    many: list[Exception] = [ValueError(str(number)) for number in range(20)]
    for one, other in pairwise(many):
        one.__cause__ = other
    assert len(list(causes(many[0]))) == 8
