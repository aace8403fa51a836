"""Logs hold what happened, and not what was in the hands of whoever it happened to."""

import subprocess
import sys

import pytest

PROGRAM = """
import structlog
from vivavoce.cli.logs import configure

def fails(authorization):
    body = {"private": "what somebody said"}
    raise ValueError("the reason")

configure(%r)
try:
    fails("Bearer viva_secret")
except ValueError:
    structlog.get_logger().exception("it failed", run="r-1")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_logged_exception_holds_no_variables(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM % form], capture_output=True, text=True, check=True)
    assert "it failed" in done.stderr
    assert "r-1" in done.stderr
    assert "the reason" in done.stderr
    assert "fails" in done.stderr
    assert "viva_secret" not in done.stderr
    assert "what somebody said" not in done.stderr
