"""Both transports, driven by the reference client."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from tests.agents.conftest import Served
from tests.support.server import MAIN, environment
from tests.support.store import Hand

from vivavoce.agents.serving import KNOWN_S, over_http

HOST = "tools.example:8090"


def started(*words: str, **given: str) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=["-c", MAIN, "mcp", *words], env=environment(given))


async def suites(agent: Client) -> set[str]:
    found: Any = (await agent.call_tool("list_suites")).structured_content
    return {one["name"] for one in found["suites"]}


async def test_on_stdio_with_a_server_that_runs(served: Served) -> None:
    given = started(VIVA_SERVER=served.url, VIVA_API_KEY=served.key)
    async with Client(given, mode="legacy") as agent:  # as most agents still speak
        assert "desk" in await suites(agent)
        result = await agent.call_tool("get_run", {"run_id": "nobody"})
        assert result.is_error


async def test_on_stdio_with_a_server_of_its_own(tmp_path: Any) -> None:
    async with Client(started("--data-dir", str(tmp_path))) as agent:
        assert await suites(agent) == set()
        result = await agent.call_tool("propose_test", {"document": {"name": "x"}})
        told: Any = result.structured_content
        assert told["valid"] is False
    assert (tmp_path / "viva.db").exists()


@asynccontextmanager
async def web(served_url: str, hand: Hand | None = None) -> AsyncGenerator[httpx2.ASGITransport]:
    async with over_http(served_url, [HOST], (hand or Hand()).ticks) as app:
        yield httpx2.ASGITransport(app)  # pyright: ignore[reportArgumentType]


@asynccontextmanager
async def talking(transport: httpx2.ASGITransport, key: str, mode: Any = "auto") -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers) as http,
        Client(streamable_http_client(f"http://{HOST}/mcp", http_client=http), mode=mode) as agent,
    ):
        yield agent


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_over_http(served: Served, mode: Any) -> None:
    seen: list[float] = []

    async def noted(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with web(served.url) as transport, talking(transport, served.key, mode) as agent:
        assert "desk" in await suites(agent)
        result = await agent.call_tool("run_suite", {"name": "desk", "only": ["warm"]}, progress_callback=noted)
        told: Any = result.structured_content
        assert told["counts"] == {"failed": 1}
    assert seen[-1] == 1


BODY: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


async def asked(transport: httpx2.ASGITransport, **headers: str) -> httpx2.Response:
    known = {"accept": "application/json, text/event-stream", **headers}
    async with httpx2.AsyncClient(transport=transport) as http:
        return await http.post(f"http://{HOST}/mcp", json=BODY, headers=known)


async def test_only_who_has_a_key_of_the_server_is_let_in(served: Served) -> None:
    async with web(served.url) as transport:
        assert (await asked(transport, authorization=f"Bearer {served.key}")).status_code == 200
        for given in (
            {},
            {"authorization": "Bearer nobody's"},
            {"authorization": served.key},
            {"authorization": "Bearer "},
        ):
            refused = await asked(transport, **given)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "error" in refused.json()


async def test_a_page_of_another_site_is_not_let_in_and_neither_is_another_name(served: Served) -> None:
    key = f"Bearer {served.key}"
    async with web(served.url) as transport:
        assert (await asked(transport, authorization=key, host="evil.example")).status_code == 421
        assert (await asked(transport, authorization=key, origin="https://evil.example")).status_code == 403
        assert (await asked(transport, authorization=key, origin=f"http://{HOST}")).status_code == 200


async def test_a_key_is_asked_about_again_after_a_while(served: Served) -> None:
    hand = Hand()
    async with web(served.url, hand) as transport:
        key = f"Bearer {served.key}"
        assert (await asked(transport, authorization=key)).status_code == 200
        hand.turn(KNOWN_S - 1)
        assert (await asked(transport, authorization=key)).status_code == 200
        hand.turn(2)
        assert (await asked(transport, authorization=key)).status_code == 200


async def test_without_the_server_nobody_is_let_in() -> None:
    async with web("http://127.0.0.1:9") as transport:
        assert (await asked(transport, authorization="Bearer k")).status_code == 503


async def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no address"):
        async with over_http("nowhere", [HOST], Hand().ticks):
            pass
