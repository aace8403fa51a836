"""The tutorial, from its first command to its last, as a newcomer types it."""

import socket
from pathlib import Path

from tests.support.fences import ROOT, Play, play


def test_the_tutorial_is_true(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # The same command, without looking first whether everything is installed; tests/e2e/test_demo.py is about it.
    instead = {"make demo": "viva demo", "127.0.0.1:8080": f"127.0.0.1:{port}"}
    play(ROOT / "docs/tutorial/first-suite.md", Play(tmp_path, instead, {"VIVA_PORT": str(port)}, {}))
    assert '<testcase name="Where is my order"' in (tmp_path / "build/viva.xml").read_text("utf-8")
    assert "Where is my order" in (tmp_path / "build/viva.html").read_text("utf-8")
