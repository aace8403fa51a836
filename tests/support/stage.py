"""The world around a server under test: a model endpoint, an order service, and a hand on every request that arrives.

Whatever a run asks of the world carries its tag (``case-07``), so the requests of runs that go on side by side can be
told apart. A request can be held at an exact place: everything before it is recorded by then, and nothing after it.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.support.endpoint import Endpoint, Json, serve

MODEL = "openai/test-model"
ORDERS: dict[str, Json] = {"A-1001": {"status": "shipped", "eta": "Friday"}}

_TAG = re.compile(r"case-\d\d")
# How long a line took differs from run to run.
_TOOK = re.compile(r" \(\d+\.\d\d s\)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a run. ``text`` is the same for the same question of any run; ``key`` is a tool call's."""

    role: Literal["tester", "assistant", "judge", "tool"]
    text: str
    key: str = ""


@dataclass
class Stage:
    """``hold`` (tag, place counted from 1) says which requests wait until they are let go."""

    endpoint: Endpoint
    shop_url: str = ""
    hold: Callable[[str, int], bool] = lambda _tag, _place: False
    asked: dict[str, list[Asked]] = field(default_factory=dict[str, list[Asked]])
    waiting: set[str] = field(default_factory=set[str])
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def settings(self) -> dict[str, str]:
        """What a server needs to live in this world."""
        return {
            "OPENAI_BASE_URL": self.endpoint.base_url,
            "OPENAI_API_KEY": "sk-test",
            "VIVA_DEFAULT_MODEL": MODEL,
            "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
        }

    def roles(self, tag: str) -> list[str]:
        """Who was asked in this run, in order."""
        return [one.role for one in self.asked.get(tag, [])]

    async def held(self, tags: set[str], within_s: float = 60.0) -> None:
        """Wait until exactly the requests of these runs are held."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: self.waiting == tags)

    def let_go(self) -> None:
        """Answer what is held, and hold nothing more."""
        self.hold = lambda _tag, _place: False
        self._released.set()

    async def enter(self, tag: str, asked: Asked) -> None:
        """Every request passes here; a sender that goes away meanwhile is forgotten."""
        mine = self.asked.setdefault(tag, [])
        mine.append(asked)
        if not self.hold(tag, len(mine)):
            return
        await self._mark(tag, waiting=True)
        try:
            await self._released.wait()
        finally:
            await asyncio.shield(self._mark(tag, waiting=False))

    async def _mark(self, tag: str, *, waiting: bool) -> None:
        async with self._changed:
            (self.waiting.add if waiting else self.waiting.discard)(tag)
            self._changed.notify_all()

    async def model_asked(self, role: str, body: Json) -> None:
        """The endpoint's gate."""
        text = _TOOK.sub("", json.dumps(body["messages"], ensure_ascii=False))
        found = _TAG.search(text)
        assert found, f"a request without a tag: {text}"
        await self.enter(found[0], Asked(role, text.replace(found[0], "case")))  # type: ignore[arg-type]

    async def shop_asked(self, request: web.BaseRequest) -> web.Response:
        """The order service: an order number with a tag, as JSON."""
        wanted: Json = await request.json()
        number: str = wanted["order_number"]
        await self.enter(wanted["tag"], Asked("tool", number, request.headers.get("idempotency-key", "")))
        found = ORDERS.get(number)
        return web.json_response(found or {"error": "unknown order"}, status=200 if found else 404)


@asynccontextmanager
async def staged(latency: float = 0.0) -> AsyncGenerator[Stage]:
    """Endpoint and order service on free ports of this machine while the block lasts."""
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(serve(latency=latency))
        stage = Stage(endpoint)
        endpoint.gate = stage.model_asked
        runner = web.ServerRunner(
            web.Server(stage.shop_asked, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        stage.shop_url = f"http://{host}:{port}"
        yield stage


def order_tool(shop_url: str) -> dict[str, Any]:
    """The webhook tool that looks an order up. The tag is an argument, so that the shop knows who asks."""
    text = {"type": "string"}
    return {
        "type": "webhook",
        "timeout_ms": 60_000,  # a call that is held must not give up
        "webhook": {
            "name": "lookup_order",
            "description": "Look an order up.",
            "url": f"{shop_url}/orders",
            "method": "POST",
            "body_parameters": {
                "type": "object",
                "properties": {"tag": text, "order_number": text},
                "required": ["tag", "order_number"],
            },
        },
    }
