"""The tools over both transports: standard input and output, and streamable HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings

from vivavoce.agents.tools import Request, server
from vivavoce.client import ApiError, AsyncClient, Unreachable

PATH = "/mcp"
KNOWN_S = 30.0
"""For so long a key that opened the server is let in without asking again; whatever it then does is checked there."""
MOST_KNOWN = 1_000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


async def on_stdio(client: AsyncClient) -> None:
    """Serve whoever started this process, until the input ends. Everything goes by this client's key."""

    @asynccontextmanager
    async def opening(_request: Request) -> AsyncGenerator[AsyncClient]:
        yield client

    await server(opening).run_stdio_async()


@asynccontextmanager
async def over_http(server_url: str, hosts: Sequence[str], ticks: Callable[[], float]) -> AsyncGenerator[Asgi]:
    """An ASGI application that serves anybody who has a key of the server at this address, each with their own, while
    the block runs.

    ``hosts`` are the names and ports by which it may be called, such as ``localhost:8090``: a page in somebody's
    browser may not talk to it by another. ``ticks`` as in ``core.clock.Clock``. Raises ``ValueError`` for an address
    that is none.
    """
    await AsyncClient(server_url, "").aclose()

    @asynccontextmanager
    async def opening(request: Request) -> AsyncGenerator[AsyncClient]:
        async with AsyncClient(server_url, _secret(request.headers)) as client:
            yield client

    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    security = TransportSecuritySettings(allowed_hosts=list(hosts), allowed_origins=origins)
    made = server(opening)
    # Without sessions nobody can come back into what somebody else began.
    app = made.streamable_http_app(streamable_http_path=PATH, stateless_http=True, transport_security=security)
    async with made.session_manager.run():
        yield _gated(app, server_url, ticks)


def _gated(app: Asgi, server_url: str, ticks: Callable[[], float]) -> Asgi:
    """Lets in whoever has a key."""
    known: dict[str, float] = {}

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        secret = _secret(headers)
        digest, now = sha256(secret.encode()).hexdigest(), ticks()
        if not known.get(digest, -KNOWN_S) > now - KNOWN_S:
            status, why = await _checked(server_url, secret)
            if status != 200:
                known.pop(digest, None)
                await _refuse(send, status, why)
                return
            while len(known) >= MOST_KNOWN:
                del known[next(iter(known))]
            known[digest] = now
        await app(scope, receive, send)

    return gate


def _secret(headers: Mapping[str, str]) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


async def _checked(server_url: str, secret: str) -> tuple[int, str]:
    """Whether the server lets this key in: an HTTP status, and what to say."""
    if not (secret and secret.isascii() and secret.isprintable()):
        return 401, "Send a key of the server as 'Authorization: Bearer <key>'."
    try:
        async with AsyncClient(server_url, secret, pause=_soon) as client:
            await client.get_suites(size=1)
    except ApiError as failure:
        return (401, failure.message) if failure.status == 401 else (503, "The server does not let anybody in.")
    except Unreachable:
        return 503, "The server cannot be reached."
    return 200, ""


async def _soon(_seconds: float) -> None:
    """Whoever waits to be let in can come back."""
    await asyncio.sleep(0)


async def _refuse(send: Send, status: int, why: str) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})
