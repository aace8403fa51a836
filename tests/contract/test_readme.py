"""What the README shows is what works: its Python programs are run as they stand there (the other: test_npm_sdk)."""

import os
import re
import subprocess
import sys
from pathlib import Path

from retell import Retell
from telnyx import Telnyx
from tests.support.server import Server

README = Path(__file__).parents[2] / "README.md"


def program(language: str, package: str) -> str:
    """The one program of this language in the README that uses the package."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    [wanted] = [one for one in found if re.search(rf"\bfrom '?{package}\b", one)]
    return wanted


def test_the_python_program(live_server: Server) -> None:
    environment = {**os.environ, "TELNYX_BASE_URL": f"{live_server.url}/v2", "TELNYX_API_KEY": live_server.key}
    subprocess.run([sys.executable, "-c", program("python", "telnyx")], env=environment, check=True, timeout=60)
    client = Telnyx(base_url=f"{live_server.url}/v2", api_key=live_server.key)
    assert "Where is my order?" in {test.name for test in client.ai.assistants.tests.list()}


def test_the_python_program_for_batches(live_server: Server) -> None:
    environment = {**os.environ, "RETELL_BASE_URL": live_server.url, "RETELL_API_KEY": live_server.key}
    command = [sys.executable, "-c", program("python", "retell")]
    printed = subprocess.run(command, env=environment, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout
    id_, status = printed.split()
    assert status == "in_progress"
    client = Retell(base_url=live_server.url, api_key=live_server.key)
    assert client.tests.get_batch_test(id_).total_count == 1
