"""A real MCP server on the loopback interface, made with the reference SDK, over either of its transports."""

import asyncio
import socket
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, EmbeddedResource, ImageContent, ResourceLink, TextContent, TextResourceContents
from pydantic import BaseModel, Field

Asgi = MutableMapping[str, Any]
TOKEN = "let me in"
SHORTAGE = "there are no pears"


class Order(BaseModel):
    """What the structured tool answers."""

    number: str
    arrives: str


@dataclass
class Shop:
    """A running server. ``calls`` are the tool calls that came in, with their ``_meta``; ``heads`` the headers of all
    requests; ``gate`` is what the slow tool waits for."""

    url: str
    transport: Literal["http", "sse"]
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(
        default_factory=list[tuple[str, dict[str, Any], dict[str, Any]]]
    )
    heads: list[tuple[str, str, dict[str, str]]] = field(default_factory=list[tuple[str, str, dict[str, str]]])
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.heads]


def _tools(shop: Shop) -> MCPServer:
    server = MCPServer("shop", log_level="CRITICAL")

    def note(name: str, arguments: dict[str, Any], context: Context[Any, Any]) -> None:
        shop.calls.append((name, arguments, dict(context.request_context.meta or {})))

    @server.tool(description="Adds two numbers.", structured_output=False)
    def add(a: int, b: int, context: Context[Any, Any]) -> str:
        note("add", {"a": a, "b": b}, context)
        return str(a + b)

    @server.tool(name="find.order", description="Finds an order.")
    def find_order(number: str, context: Context[Any, Any]) -> Order:
        note("find.order", {"number": number}, context)
        return Order(number=number, arrives="Friday")

    @server.tool(description="Answers JSON and nothing else.", structured_output=False)
    def bare(context: Context[Any, Any]) -> CallToolResult:
        note("bare", {}, context)
        return CallToolResult(content=[], structured_content={"weight": 3, "name": "Bürste"})

    @server.tool(description="Answers all kinds of content.", structured_output=False)
    def mixed() -> list[Any]:
        return [
            TextContent(text="first"),
            ImageContent(data="aGk=", mime_type="image/png"),
            ResourceLink(name="manual", uri="https://example.com/manual"),
            EmbeddedResource(resource=TextResourceContents(uri="note://1", text="embedded")),
            TextContent(text="last"),
        ]

    @server.tool(description="Fails.", structured_output=False)
    def broken() -> str:
        raise ValueError(SHORTAGE)

    @server.tool(description="Answers so many characters.", structured_output=False)
    def long(characters: int) -> str:
        return "x" * characters

    @server.tool(description="Waits until it may answer.", structured_output=False)
    async def slow() -> str:
        await shop.gate.wait()
        return "at last"

    @server.tool(description="Wants an argument in a header, too.", structured_output=False)
    def tagged(
        place: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Place"})], context: Context[Any, Any]
    ) -> str:
        note("tagged", {"place": place}, context)
        return place

    @server.tool(description="Asks back.", structured_output=False)
    async def curious(context: Context[Any, Any]) -> str:
        try:
            await context.elicit("Which one?", Order)
        except MCPError:
            return "nobody is asked"
        return "somebody was asked"

    return server


@asynccontextmanager
async def serving_mcp(
    transport: Literal["http", "sse"] = "http", *, token: str | None = None, legacy: bool = False, **given: Any
) -> AsyncGenerator[Shop]:
    """A server that is up. With a ``token`` it answers 401 to those who do not have it; ``legacy`` knows only the
    handshake of before 2026, as most servers do; ``given`` goes to the SDK's application."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        shop = Shop(f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}", transport)
        tools = _tools(shop)
        app: Any = tools.sse_app() if transport == "sse" else tools.streamable_http_app(**given)

        async def watched(scope: Asgi, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                head = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
                shop.heads.append((scope["method"], scope["path"], head))
                if token is not None and head.get("authorization") != f"Bearer {token}":
                    await send({"type": "http.response.start", "status": 401, "headers": []})
                    await send({"type": "http.response.body", "body": b"who are you?"})
                    return
                if legacy and head.get("mcp-method") == "server/discover":
                    await send({"type": "http.response.start", "status": 400, "headers": []})
                    await send({"type": "http.response.body", "body": b"Bad Request: no session"})
                    return
            await app(scope, receive, send)

        config = uvicorn.Config(watched, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        started = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.005)
            yield shop
        finally:
            shop.gate.set()
            server.should_exit = server.force_exit = True
            with suppress(asyncio.CancelledError):
                await started
