"""What the README shows is what works: its Python program is run as it stands there (the other: test_npm_sdk)."""

import os
import re
import subprocess
import sys
from pathlib import Path

from telnyx import Telnyx
from tests.support.server import Server

README = Path(__file__).parents[2] / "README.md"


def program(language: str) -> str:
    """The one program of this language in the README."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return found[0]


def test_the_python_program(live_server: Server) -> None:
    environment = {**os.environ, "TELNYX_BASE_URL": f"{live_server.url}/v2", "TELNYX_API_KEY": live_server.key}
    subprocess.run([sys.executable, "-c", program("python")], env=environment, check=True, timeout=60)
    client = Telnyx(base_url=f"{live_server.url}/v2", api_key=live_server.key)
    assert "Where is my order?" in {test.name for test in client.ai.assistants.tests.list()}
