"""The one place that knows the library for the Model Context Protocol, and its HTTP library. Slow to import.

Everything it sends goes through ``vivavoce.outbound``: the library is given a transport of ours.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import httpx2
import mcp_types as types
import structlog
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from vivavoce import __version__
from vivavoce.assistant.ports import ToolOutput
from vivavoce.outbound.answer import parsed, storable
from vivavoce.outbound.fetch import Begun, Session, Unreachable, begin
from vivavoce.outbound.guard import Refused
from vivavoce.tools.answers import MODEL_READS
from vivavoce.tools.mcp import MOST_TOOLS, Endpoint, Failed, Listed

log = structlog.get_logger(__name__)

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of all answers of one connection together."""

MOST_REQUESTS = 64
"""Requests of one connection: a server can ask to be asked again and again."""

MAX_SCHEMA = 32 * 1024
"""Characters of a tool's schema; a tool with a larger one is left out."""

MAX_DESCRIPTION = 4096
"""Characters of a tool's description; the rest is cut."""

MOST_PAGES = 32
"""Pages of a listing that are asked for."""

_MAX_NAME = 255
_MAX_SAID = 500
_WE = types.Implementation(name="vivavoce", version=__version__)
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"})
_DONE = frozenset({"content-encoding", "content-length", "transfer-encoding"})

# An event is as large as an answer may be; both are counted by our transport.
_streamable = partial(streamable_http_client, max_sse_event_size=None)

for _name in ("mcp", "httpx2"):
    # They tell of requests with their whole address, in which there can be a secret. What goes wrong is told by us.
    logging.getLogger(_name).setLevel(logging.CRITICAL)


async def get_tools(session: Session, endpoint: Endpoint, timeout_s: float) -> tuple[Listed, ...]:
    """As ``vivavoce.tools.mcp`` says."""
    found: dict[str, Listed] = {}
    async with _connected(session, endpoint, timeout_s) as client:
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            for tool in page.tools:
                listed = _listed(tool)
                if listed is not None and len(found) < MOST_TOOLS:
                    found.setdefault(listed.name, listed)
            cursor = page.next_cursor
            if cursor is None or len(found) == MOST_TOOLS:
                break
    return tuple(found.values())


async def call(
    session: Session,
    endpoint: Endpoint,
    tool: str,
    arguments: Mapping[str, Any],
    meta: Mapping[str, str],
    timeout_s: float,
) -> ToolOutput:
    """As ``vivavoce.tools.mcp`` says, and raises ``Failed``."""
    params = types.CallToolRequestParams(
        name=tool, arguments=dict(arguments), _meta=cast("types.RequestParamsMeta", dict(meta))
    )
    request = types.CallToolRequest(params=params)
    async with _connected(session, endpoint, timeout_s) as client:
        # Not call_tool(), which lists all tools after each call, to find fault with what the tool answered.
        try:
            result = await client.session.send_request(request, types.CallToolResult)
        except MCPError as error:
            if error.code != types.HEADER_MISMATCH:
                raise
            # Some of the arguments are wanted in headers too; the library knows which when it has seen the tool.
            await client.session.list_tools()
            result = await client.session.send_request(request, types.CallToolResult)
    return _output(result)


class _Guarded(httpx2.AsyncBaseTransport):
    """Makes the library's requests in our way. ``fault`` is the first thing that went wrong, ``status`` how the last
    message was answered: what the library makes of them has lost the reason. Without a request by one of the ``needed``
    methods nothing more can come, and ``give_up`` is called, since the library may go on waiting."""

    def __init__(
        self, session: Session, timeout_s: float, give_up: Callable[[], None], needed: Collection[str]
    ) -> None:
        self.fault: Refused | Unreachable | None = None
        self.status = 200
        self._session, self._timeout_s = session, timeout_s
        self._give_up, self._needed = give_up, needed
        self._left, self._requests = MAX_BYTES, MOST_REQUESTS

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, made once."""
        self._requests -= 1
        try:
            if self._requests < 0:
                raise Unreachable("protocol", "too many requests")
            begun = await begin(
                self._session,
                request.method,
                str(request.url),
                headers={name: value for name, value in request.headers.items() if name.lower() not in _OURS},
                body=await request.aread() or None,
                timeout_s=self._timeout_s,
                max_bytes=self._left,
            )
        except (Refused, Unreachable) as failure:
            raise self._failed(request.method, failure) from None
        if request.method == "POST":
            self.status = begun.status
        # What is compressed comes to us unpacked.
        headers = [(name, value) for name, value in begun.headers.items() if name not in _DONE]
        return httpx2.Response(begun.status, headers=headers, stream=_Body(self, request.method, begun))

    async def read(self, method: str, begun: Begun) -> AsyncIterator[bytes]:
        """The body of an answer, counted."""
        try:
            async for piece in begun.pieces:
                self._left -= len(piece)
                if self._left < 0:
                    raise Unreachable("too_large", "too many bytes")
                yield piece
        except Unreachable as failure:
            raise self._failed(method, failure) from None

    def _failed(self, method: str, failure: Refused | Unreachable) -> httpx2.TransportError:
        self.fault = self.fault or failure
        if method in self._needed:
            self._give_up()
        return httpx2.TransportError(str(failure))


class _Body(httpx2.AsyncByteStream):
    def __init__(self, transport: _Guarded, method: str, begun: Begun) -> None:
        self._transport, self._method, self._begun = transport, method, begun

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._transport.read(self._method, self._begun)

    async def aclose(self) -> None:
        self._begun.close()


@asynccontextmanager
async def _connected(session: Session, endpoint: Endpoint, timeout_s: float) -> AsyncGenerator[Client]:
    """A client for a while; whatever goes wrong in it, ours or the server's, is ``Failed``."""
    over_sse = endpoint.transport == "sse"
    # It ends what is still being tidied up, too, which a cancelled task would go on with.
    scope = anyio.CancelScope()
    transport = _Guarded(session, timeout_s, scope.cancel, ("GET", "POST") if over_sse else ("POST",))

    def client(
        headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=transport, headers=headers, timeout=timeout, auth=auth, trust_env=False)

    token = {} if endpoint.token is None else {"Authorization": f"Bearer {endpoint.token}"}
    headers = {**endpoint.headers, **token}
    try:
        with scope:
            scope.deadline = anyio.current_time() + timeout_s
            async with AsyncExitStack() as stack:
                if over_sse:
                    streams, mode = sse_client(endpoint.url, headers, httpx_client_factory=client), "legacy"
                else:
                    http = await stack.enter_async_context(client(headers))
                    streams, mode = _streamable(endpoint.url, http_client=http), "auto"
                yield await stack.enter_async_context(Client(streams, mode=mode, client_info=_WE, cache=None))
    except Exception as failure:  # noqa: BLE001  # the library raises what it likes, alone and in groups
        raise Failed(_reason(transport, failure, timeout_s)) from None
    if scope.cancelled_caught:
        raise Failed(_reason(transport, TimeoutError(), timeout_s))


def _reason(transport: _Guarded, failure: Exception, timeout_s: float) -> str:
    """Why it failed, without an address: there may be a secret in it."""
    if isinstance(transport.fault, Refused):
        return "may not be called from here"
    if transport.fault is not None:
        return {
            "timeout": f"did not answer within {timeout_s:g} seconds",
            "connect": "cannot be reached",
            "too_large": "answered with more than can be read",
            "protocol": "cannot be talked to in HTTP",
        }[transport.fault.kind]
    if isinstance(failure, TimeoutError):
        return f"did not answer within {timeout_s:g} seconds"
    leaves = _leaves(failure)
    statuses = [one.response.status_code for one in leaves if isinstance(one, httpx2.HTTPStatusError)]
    status = next(iter(statuses), transport.status)
    if 300 <= status < 400:
        return "answered with a redirect, which is not followed"
    error = next((one for one in leaves if isinstance(one, MCPError)), None)
    if error is not None and error.code not in (types.CONNECTION_CLOSED, types.PARSE_ERROR):
        place = f" with HTTP status {status}" if status >= 400 else ""
        return f"refused{place}: {storable(error.message)[:_MAX_SAID]}"
    if status >= 400:
        return f"answered with HTTP status {status}"
    if error is not None and error.code == types.CONNECTION_CLOSED:
        return "broke off before it had answered"
    log.warning("an MCP server was not understood", errors=[type(one).__name__ for one in leaves])
    return "did not answer as the protocol asks"


def _leaves(failure: Exception) -> list[Exception]:
    if not isinstance(failure, ExceptionGroup):
        return [failure]
    inside = cast("ExceptionGroup[Exception]", failure).exceptions
    return [leaf for each in inside for leaf in _leaves(each)]


def _listed(tool: types.Tool) -> Listed | None:
    """The tool, or None where it cannot be kept or is too large to be offered."""
    try:
        written = json.dumps(tool.input_schema)
        schema = parsed(written)
    except (ValueError, RecursionError):
        return None
    if len(written) > MAX_SCHEMA or len(tool.name) > _MAX_NAME:
        return None
    return Listed(storable(tool.name), storable(tool.description or "")[:MAX_DESCRIPTION], {**schema, "type": "object"})


def _output(result: types.CallToolResult) -> ToolOutput:
    text = storable("\n".join(_text(block) for block in result.content))
    if not result.content and result.structured_content is not None:
        text = storable(json.dumps(result.structured_content, ensure_ascii=False))
    if len(text) > MODEL_READS:
        text = f"{text[:MODEL_READS]}\n[cut: the answer has {len(text)} characters]"
    if result.is_error:
        return ToolOutput(f"The tool failed.{f' It answered: {text}' if text else ''}", ok=False)
    return ToolOutput(text, ok=True)


def _text(block: types.ContentBlock) -> str:
    """What a model can read of a piece of content: what is no text is named."""
    match block:
        case types.TextContent():
            return block.text
        case types.ResourceLink():
            return f"[resource {block.name}: {block.uri}]"
        case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
            return resource.text
        case types.EmbeddedResource():
            return f"[resource {block.resource.uri}]"
        case types.ImageContent() | types.AudioContent():
            return f"[{block.type}: {block.mime_type}]"
