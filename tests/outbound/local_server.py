"""Real servers on the loopback interface, for tests of everything that goes out."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from vivavoce.outbound.guard import Guard, networks

LOCAL = Guard(networks(["127.0.0.0/8"]))


@dataclass
class Seen:
    """A request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Reply = Callable[[Seen], web.StreamResponse | Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """``reply`` can be exchanged while it runs."""

    reply: Reply
    url: str = ""
    seen: list[Seen] = field(default_factory=list[Seen])


@asynccontextmanager
async def serving(reply: Reply) -> AsyncGenerator[Server]:
    server = Server(reply)

    async def handle(request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.raw_path, request.headers, await request.read())
        server.seen.append(seen)
        answer = server.reply(seen)
        return answer if isinstance(answer, web.StreamResponse) else await answer

    app = web.Application()
    app.router.add_route("*", r"/{path:[\s\S]*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_serving(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncGenerator[str]:
    """A server that reads the head of a request and then says what it likes."""

    talking: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(converse(reader, writer))
        talking.add(task)
        with suppress(asyncio.CancelledError):
            await task

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                await talk(writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


def always(body: Any, status: int = 200) -> Reply:
    """The same JSON to everybody."""
    return lambda _: web.json_response(body, status=status)


@dataclass
class StepClock:
    """Every look at the stopwatch finds a quarter of a second gone."""

    at: int = 1_740_413_055_000
    seconds: float = 0.0

    def now(self) -> int:
        return self.at

    def ticks(self) -> float:
        self.seconds += 0.25
        return self.seconds
