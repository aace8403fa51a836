"""The vendors' own JavaScript SDKs drive the server unmodified: the programs in ``tests/npm``."""

import asyncio
import os
import shutil
import sys
from uuid import uuid4

import pytest
from telnyx import Telnyx
from tests.contract.test_readme import program
from tests.support.mcp_server import serving_mcp
from tests.support.npm import install, run
from tests.support.providers import KEY as PROVIDER_KEY
from tests.support.server import MAIN, Server, environment


@pytest.fixture
def node() -> str:
    """The path of node, with the locked SDK installed beside the pages."""
    node = shutil.which("node")
    if not node or not install():
        pytest.skip("npm is not installed, so the JavaScript SDK cannot be tried")
    return node


def test_the_javascript_sdk_works_unmodified(node: str, live_server: Server) -> None:
    output = run([node, "pages.mjs"], {**os.environ, "VIVA_URL": live_server.url, "VIVA_KEY": live_server.key})
    pages = [line for line in output.splitlines() if line.startswith("ok ")]
    print(output)
    assert output.splitlines()[-1] == f"{len(pages)} pages"
    assert len(pages) >= 22


def test_the_javascript_sdk_calls_every_operation(node: str, live_server: Server) -> None:
    client = Telnyx(base_url=f"{live_server.url}/v2", api_key=live_server.key)
    identifier = f"npm-{uuid4().hex[:12]}"
    client.integration_secrets.create(identifier=identifier, type="bearer", token=PROVIDER_KEY)
    connect = [sys.executable, "-c", MAIN, "connect", "github", "--secret", identifier]
    run(connect, environment(live_server.beside))
    given = {"VIVA_URL": live_server.url, "VIVA_KEY": live_server.key, "VIVA_IMPORT_SECRET": identifier}
    output = run([node, "operations.mjs"], {**os.environ, **given})
    assert output.splitlines()[-1] == "86 operations"


async def test_the_javascript_sdk_of_the_testing_api_calls_every_operation(node: str, live_server: Server) -> None:
    async with serving_mcp() as shop:
        given = {"VIVA_URL": live_server.url, "VIVA_KEY": live_server.key, "VIVA_MCP_URL": shop.url}
        output = await asyncio.to_thread(run, [node, "retell.mjs"], {**os.environ, **given})
    assert output.splitlines()[-1] == "72 operations"


def test_the_program_of_the_readme(node: str, live_server: Server) -> None:
    client = Telnyx(base_url=f"{live_server.url}/v2", api_key=live_server.key)
    client.ai.assistants.create(name="Somebody", instructions="Be polite.")
    environment = {**os.environ, "TELNYX_BASE_URL": f"{live_server.url}/v2", "TELNYX_API_KEY": live_server.key}
    run([node, "--input-type=module", "--eval", program("js", "telnyx")], environment)
    assert "Says hello" in {test.name for test in client.ai.assistants.tests.list()}
