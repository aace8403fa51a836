"""The world outside: a provider that fails as planned, an order service, and a ledger of all that was asked of them.

All conversations are the same but for their tag. A place is which request of its conversation one is, counted from 1,
and follows from the request alone: when all is well each place is asked for once, in their order, and the answer to a
place is the event with its number (the greeting is event 0; the judge's answer is the verdicts).
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.chaos.plan import Faults
from tests.support.endpoint import Endpoint, Json, serve

GREETING = "Hello."
QUESTIONS = ("Where is my order, {tag}?", "When did it leave?", "Who carries it?", "Thank you!")
ANSWERS = ("It comes on Friday.", "It left on Monday.", "The post carries it.", "You are welcome.")
TOOL_PLACE = 3
JUDGE_PLACE = 2 * len(QUESTIONS) + 4
EVENTS = JUDGE_PLACE
"""How many events a whole conversation has."""
TIMEOUT_S = 5.0
"""How long the server waits for the provider."""

_TAG = re.compile(r"case-\d{4}")
# How long a line took differs from run to run.
_TOOK = re.compile(r" \(\d+\.\d\d s\)")
_CALLER_LINE = re.compile(r"^\[\d+\] caller: ", re.MULTILINE)


def tag(number: int) -> str:
    return f"case-{number:04}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, in seconds since the epoch. ``text`` is the same for all requests for a place; ``key`` is a tool
    call's; ``faulty`` says that it was never answered."""

    at: float
    tag: str
    place: int
    text: str
    key: str = ""
    faulty: str = ""


@dataclass
class World:
    """``latency_s`` is the mean time that an answer takes. Nothing fails before ``began``, nor after it is None."""

    endpoint: Endpoint
    faults: Faults
    latency_s: float
    shop_url: str = ""
    began: float | None = None
    ledger: list[Asked] = field(default_factory=list[Asked])
    _count: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    @property
    def settings(self) -> dict[str, str]:
        """What an installation needs to live in this world."""
        provider = {"base_url": self.endpoint.base_url, "api_key": "sk-test", "timeout_s": TIMEOUT_S}
        return {
            "VIVA_PROVIDERS": json.dumps({"openai": provider}),
            "VIVA_DEFAULT_MODEL": "openai/test-model",
            "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
            "VIVA_RATE_LIMIT": "0",
            "VIVA_RUN_RETRIES": "20",
        }

    def chosen(self, role: str, body: Json) -> Json | None:
        """Write a model request down, and choose its fault."""
        text = _TOOK.sub("", json.dumps(body["messages"], ensure_ascii=False))
        found = _TAG.search(text)
        assert found, f"a request without a tag: {text}"
        place = place_of(role, body)
        nth = self._count[found[0], place] = self._count.get((found[0], place), 0) + 1
        fault = None
        if self.began is not None:
            fault = self.faults.of(found[0], place, nth, time.time() - self.began)
        kind = "" if fault is None else str(fault.get("status", fault["kind"]))
        self.ledger.append(Asked(time.time(), found[0], place, text.replace(found[0], "case"), faulty=kind))
        return fault

    async def linger(self, _role: str, _body: Json) -> None:
        """Take the time that an answer takes."""
        await asyncio.sleep(random.uniform(0.2, 1.8) * self.latency_s)

    async def shop_asked(self, request: web.BaseRequest) -> web.Response:
        """The order service. It does not fail: how a tool fails is the assistant's business, and no chance."""
        wanted: Json = await request.json()
        key = request.headers.get("idempotency-key", "")
        self.ledger.append(Asked(time.time(), wanted["tag"], TOOL_PLACE, wanted["order_number"], key))
        await asyncio.sleep(self.latency_s)
        return web.json_response({"status": "shipped", "eta": "Friday"})


def behaves(role: str, body: Json) -> Json:
    """Four questions, one look into the order, and a judge who quotes."""
    match role:
        case "tester":
            return {"say": [line.format(tag=_found(body)) for line in QUESTIONS]}
        case "judge":
            return {"verdicts": {"gives the day": {"quote": "on Friday", "reason": "it says so"}}}
        case _:
            call = {"name": "lookup_order", "arguments": {"tag": _found(body), "order_number": "A-1001"}}
            return {"call": call, "say": [GREETING, *ANSWERS]}


def place_of(role: str, body: Json) -> int:
    """Which request of its conversation this is."""
    messages: Sequence[Json] = body["messages"]
    match role:
        case "judge":
            return JUDGE_PLACE
        case "tester":
            words = "\n".join(message["content"] or "" for message in messages)
            spoken = len(_CALLER_LINE.findall(words)) + sum(one["role"] == "assistant" for one in messages)
            return 2 * spoken + 3 if spoken else 1
        case _:
            heard = sum(one["role"] == "user" for one in messages)
            looked_up = any(one["role"] == "tool" for one in messages)
            return 2 * heard + 2 if looked_up else 2


def _found(body: Json) -> str:
    found = _TAG.search(json.dumps(body["messages"]))
    assert found
    return found[0]


def order_tool(shop_url: str) -> dict[str, Any]:
    """The webhook tool that looks an order up. The tag is an argument, so that the shop knows who asks."""
    text = {"type": "string"}
    return {
        "type": "webhook",
        "timeout_ms": 60_000,  # a worker that is frozen must not take its own sleep for the shop's
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


@asynccontextmanager
async def world(faults: Faults, latency_s: float) -> AsyncGenerator[World]:
    """Provider and order service on free ports of this machine while the block lasts."""
    async with serve() as endpoint:
        endpoint.recording = False
        made = World(endpoint, faults, latency_s)
        endpoint.chosen, endpoint.gate, endpoint.behaves = made.chosen, made.linger, behaves
        runner = web.ServerRunner(
            web.Server(made.shop_asked, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            made.shop_url = f"http://{host}:{port}"
            yield made
        finally:
            await runner.cleanup()
