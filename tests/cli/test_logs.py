"""Logs hold what happened, and not what was in the hands of whoever it happened to."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, warnings
import structlog
from vivavoce.cli.logs import configure

def fails(authorization):
    body = {"private": "what somebody said"}
    raise ValueError("the reason")

configure(%r, %r)
log = structlog.get_logger()
log.debug("a detail")
log.info("a fact")
try:
    fails("Bearer viva_secret")
except ValueError:
    log.exception("it failed", run="r-1")
logging.getLogger("alembic.runtime").warning("%%s words", "trusted")
logging.getLogger("another").error("what somebody said")
logging.getLogger("alembic.runtime").error("%%d words", "malformed")
logging.getLogger("another").info("nothing")
warnings.warn("what somebody said")
"""


def lines(form: str, level: str) -> str:
    """What such a program leaves on standard error."""
    program = [sys.executable, "-c", PROGRAM % (form, level)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_logged_exception_holds_no_variables_and_nobodys_words(form: str) -> None:
    told = lines(form, "info")
    for words in ("it failed", "r-1", "ValueError", "fails", "trusted words", "another", "UserWarning", "a fact"):
        assert words in told
    for words in ("viva_secret", "what somebody said", "the reason", "malformed", "a detail", "nothing"):
        assert words not in told


def test_every_line_for_machines_is_json_also_that_of_a_library() -> None:
    told = [json.loads(line) for line in lines("json", "info").splitlines()]
    assert [(one["level"], one["event"]) for one in told] == [
        ("info", "a fact"),
        ("error", "it failed"),
        ("warning", "trusted words"),
        ("error", "a library warned of something"),
        ("warning", "a library warned of something"),
    ]
    assert told[1]["exception"].splitlines()[-1] == "ValueError"
    assert told[3]["library"] == "another"


@pytest.mark.parametrize(
    ("level", "first"), [("debug", "a detail"), ("info", "a fact"), ("warning", "it failed"), ("error", "it failed")]
)
def test_the_level_says_what_is_told_at_least(level: str, first: str) -> None:
    told = [json.loads(line)["event"] for line in lines("json", level).splitlines()]
    assert told[0] == first
    assert ("trusted words" in told) is (level != "error")
