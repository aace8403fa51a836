"""Drives a running server over HTTP, as a program of a user would."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.support.server import Server, serving

FINAL = frozenset({"passed", "failed", "error"})
SUITES = "/v2/ai/assistants/tests/test-suites"
TESTS = "/v2/ai/assistants/tests"
ASSISTANTS = "/v2/ai/assistants"


@dataclass
class Driver:
    """A server and a client that holds its key."""

    server: Server
    http: aiohttp.ClientSession = field(repr=False)

    async def get(self, path: str) -> Any:
        """The JSON of a 2xx answer."""
        return await self._json("GET", path, None)

    async def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a 2xx answer."""
        return await self._json("POST", path, {} if body is None else body)

    async def _json(self, method: str, path: str, body: Any) -> Any:
        async with self.http.request(method, URL(self.server.url + path, encoded=True), json=body) as answer:
            assert answer.status < 300, f"{method} {path}: {answer.status} {await answer.text()}"
            return await answer.json()

    async def run_suite(self, suite: str) -> list[dict[str, Any]]:
        """Trigger it; the pending runs."""
        return await self.post(f"{SUITES}/{suite}/runs")

    async def run(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """The run as it is now."""
        return await self.get(f"{TESTS}/{run['test_id']}/runs/{run['run_id']}")

    async def finished(self, runs: Iterable[Mapping[str, Any]], within_s: float = 60.0) -> list[dict[str, Any]]:
        """The same runs when each of them is over. Fails when one is not in time."""
        wanted = list(runs)
        latest = [await self.run(run) for run in wanted]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(run["status"] not in FINAL for run in latest):
                    await asyncio.sleep(0.05)
                    latest = [run if run["status"] in FINAL else await self.run(run) for run in latest]
        stuck = {run["run_id"]: run["status"] for run in latest if run["status"] not in FINAL}
        assert not stuck, f"not over after {within_s:g} s: {stuck}\n{self.server.log}"
        return latest

    async def kill(self) -> None:
        """As the operating system does it."""
        await asyncio.to_thread(self.server.kill)


@asynccontextmanager
async def driving(data_dir: Path, settings: Mapping[str, str]) -> AsyncGenerator[Driver]:
    """``viva serve`` on this directory while the block lasts, without stopping this event loop for it."""
    with contextlib.ExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, serving(data_dir, settings))
        try:
            # Given up before the server closes what nobody used for 5 s, perhaps while it is being used again.
            connector = aiohttp.TCPConnector(keepalive_timeout=2)
            async with aiohttp.ClientSession(headers=server.headers, connector=connector) as http:
                yield Driver(server, http)
        finally:
            await asyncio.to_thread(stack.close)
