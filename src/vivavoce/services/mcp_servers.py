"""MCP servers, and the tools that they lend to assistants (contract, sections 3 and 5.13)."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Attached, Cast, Version
from vivavoce.core.server import McpServer, OwnServer
from vivavoce.core.tool import RemoteTool, Tool
from vivavoce.services import secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound
from vivavoce.storage import servers
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.seal import Unreadable
from vivavoce.tools import mcp
from vivavoce.tools.arguments import mismatch
from vivavoce.tools.mcp import MOST_TOOLS, Endpoint, Failed, Listed
from vivavoce.tools.reach import Reach
from vivavoce.tools.secrets import NoSecret, filled, hidden, opened, section
from vivavoce.tools.webhook import address

LISTING_S = 10.0
"""How long a server may take to tell its tools; a conversation waits for it."""

CALL_S = 30.0
"""How long a tool may take, from connecting to the end of its answer."""

MOST_SERVERS = 20
"""How many of an assistant's servers are asked."""

MOST_OFFERED = 256 * 1024
"""Characters of all tools' descriptions and schemas together: they go along with every message to the model."""

KEY_META = "vivavoce/idempotency-key"
"""Where in ``_meta`` a server finds the key that stays the same when a call is made again after a crash."""

_NAMES_TOLD = 5
_UNFILLED = Filling()


def create(ctx: Context, tx: Tx, org: str, draft: McpServer) -> McpServer:
    """Keep a server. The secrets that it names need not exist yet."""
    server = replace(draft, id=ctx.new_id())
    servers.add(tx, org, server)
    return server


async def get_page(ctx: Context, org: str, window: Window, *, type: str | None, url: str | None) -> Page[McpServer]:  # noqa: A002
    """A page of servers, newest first; filters are exact."""
    return await ctx.database.read(lambda tx: servers.get_page(tx, org, window, type=type, url=url))


async def retrieve(ctx: Context, org: str, server_id: str) -> McpServer:
    """One server. Raises ``NotFound``."""
    return await ctx.database.read(lambda tx: _get(tx, org, server_id))


async def get_many(ctx: Context, org: str, ids: Sequence[str]) -> dict[str, McpServer]:
    """The servers with these ids that exist, by id."""
    return await ctx.database.read(lambda tx: servers.get_many(tx, org, ids))


async def update(ctx: Context, org: str, server_id: str, change: Callable[[McpServer], McpServer]) -> McpServer:
    """Change a server. Raises ``NotFound``."""

    def work(tx: Tx) -> McpServer:
        changed = change(_get(tx, org, server_id, lock=True))
        servers.put(tx, org, changed)
        return changed

    return await ctx.database.write(work)


async def delete(ctx: Context, org: str, server_id: str) -> None:
    """Forget a server; assistants that it is attached to do without it. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: servers.drop(tx, org, server_id)):
        raise NotFound("MCP server", server_id)


async def offered(
    ctx: Context,
    org: str,
    attached: Sequence[Attached],
    *,
    taken: Iterable[str] = (),
    timeout_s: float = LISTING_S,
) -> tuple[tuple[RemoteTool, ...], tuple[str, ...]]:
    """The tools that attached servers lend now, in the order of the servers, and notes on what is missing.

    All servers are asked side by side, each for at most ``timeout_s``. No tool gets a name that is ``taken`` or that
    another one has. A server that is gone, cannot be reached or refuses costs a note and nothing else.
    """
    asked = list({one.id: one for one in attached}.values())
    notes = [f"only {MOST_SERVERS} MCP servers are asked for their tools"] if len(asked) > MOST_SERVERS else []
    asked = asked[:MOST_SERVERS]
    known = await get_many(ctx, org, [one.id for one in asked])
    answers = await asyncio.gather(*(_ask(ctx, org, known.get(one.id), timeout_s) for one in asked))
    names, tools, left = set(taken), list[RemoteTool](), MOST_OFFERED
    for one, answer in zip(asked, answers, strict=True):
        server = known.get(one.id)
        label = f"the MCP server {server.name if server else one.id!r}"
        if server is None or isinstance(answer, Failed):
            notes.append(f"{label} lends no tools: it {answer}")
            continue
        wanted = server.allowed if one.allowed is None else one.allowed
        chosen = [tool for tool in answer if wanted is None or tool.name in wanted]
        if missing := sorted(set(wanted or ()) - {tool.name for tool in answer}):
            notes.append(f"{label} has no tool {', '.join(map(repr, missing[:_NAMES_TOLD]))}")
        for tool in chosen:
            left -= len(tool.description) + len(json.dumps(tool.parameters))
            if len(tools) == MOST_TOOLS or left < 0:
                notes.append(f"{label} lends more than can be offered: {MOST_TOOLS} tools, {MOST_OFFERED} characters")
                return tuple(tools), tuple(notes)
            name = mcp.model_name(tool.name, server.name, names)
            names.add(name)
            tools.append(RemoteTool(name, tool.description, tool.parameters, one.id, tool.name))
    return tuple(tools), tuple(notes)


async def call_tool(
    ctx: Context,
    org: str,
    tool: RemoteTool,
    arguments: Mapping[str, Any],
    *,
    conversation_id: str,
    prefix: str,
    key: str,
    own: OwnServer | None = None,
    filling: Filling = _UNFILLED,
    timeout_s: float = CALL_S,
) -> ToolOutput:
    """Call a tool where it is, on the server as it is now; a version's ``own`` server is the one that it had when the
    conversation began, and its own time counts.

    ``_meta`` names the conversation, under a name that begins with ``prefix`` (contract, section 3), and ``key``. Never
    raises for what the other side or the model does: the output then says what went wrong.
    """
    wrong = mismatch(tool.parameters, arguments)
    if wrong is not None:
        return ToolOutput(f"The tool was not called, because its arguments do not fit: {wrong}", ok=False)
    try:
        if tool.own:
            endpoint, known = _own_endpoint(own, filling), {}
            timeout_s = own.timeout_ms / 1000 if own else timeout_s
        else:
            server = await ctx.database.read(lambda tx: servers.get(tx, org, tool.server_id))
            endpoint, known = await _endpoint(ctx, org, server)
    except Failed as failure:
        return ToolOutput(f"The tool was not called: its server {failure}.", ok=False)
    meta = {f"{prefix}conversation_id": conversation_id, KEY_META: key}
    output = await mcp.call(ctx.outbound, endpoint, tool.tool, arguments, meta=meta, timeout_s=timeout_s)
    return replace(output, text=hidden(output.text, known))


def owned(cast: Cast, tool: RemoteTool) -> OwnServer | None:
    """The server of a tool that is one of a version's own; two versions may have servers of the same name."""
    holders = [
        version
        for version in (cast.first, *cast.others.values())
        if any(server.name == tool.server_id for server in version.own_servers)
    ]
    # The very tool first: two versions may also have tools that are alike.
    holders.sort(key=lambda version: min((_likeness(each, tool) for each in _tools(version)), default=2))
    return next((server for each in holders[:1] for server in each.own_servers if server.name == tool.server_id), None)


def _likeness(one: Tool, other: Tool) -> int:
    return 0 if one is other else 1 if one == other else 2


def _tools(version: Version) -> Iterator[Tool]:
    yield from version.tools
    yield from version.library.values()
    if version.flow is not None:
        yield from version.flow.own_tools()


async def get_own_tools(ctx: Context, server: OwnServer, filling: Filling) -> tuple[Listed, ...]:
    """The tools that a version's own server has now. Raises ``Broken`` where it does not say."""
    try:
        timeout_s = min(server.timeout_ms / 1000, CALL_S)
        return await mcp.get_tools(ctx.outbound, _own_endpoint(server, filling), timeout_s)
    except Failed as failure:
        raise Broken(f"The MCP server {server.name!r} {failure}.") from None


def _own_endpoint(server: OwnServer | None, filling: Filling) -> Endpoint:
    """Raises ``Failed``."""
    if server is None:
        raise Failed("is not there any more")
    texts = filling.as_texts()

    def fill(template: str) -> str:
        return filled(template, texts, {})

    url = address(server.url, fill, texts.templating.rules)
    if server.query:
        base, hash_, fragment = url.partition("#")
        pairs = urlencode({name: fill(value) for name, value in server.query.items()}, errors="replace")
        url = base + ("&" if "?" in base else "?") + pairs + hash_ + fragment
    headers = {header.name: fill(header.value) for header in server.headers}
    if not all(text.isascii() and text.isprintable() for pair in headers.items() for text in pair):
        raise Failed("needs headers with characters that HTTP does not allow")
    return Endpoint(url, "http", headers=headers)


async def _ask(ctx: Context, org: str, server: McpServer | None, timeout_s: float) -> tuple[Listed, ...] | Failed:
    """The tools, or the failure itself: one server's must not end the others' answers."""
    known: dict[str, str] = {}
    try:
        endpoint, known = await _endpoint(ctx, org, server)
        told = await mcp.get_tools(ctx.outbound, endpoint, timeout_s)
        return tuple(replace(tool, description=hidden(tool.description, known)) for tool in told)
    except Failed as failure:
        return Failed(hidden(str(failure), known))


async def _endpoint(ctx: Context, org: str, server: McpServer | None) -> tuple[Endpoint, dict[str, str]]:
    """Where the server is, and the values of the secrets that this needs, which nobody must be told. Raises
    ``Failed``."""
    if server is None:
        raise Failed("is not there any more")

    async def secret(identifier: str) -> str | None:
        try:
            return await secrets.in_template(ctx, org, identifier)
        except Unreadable:
            raise Failed(f"needs the secret {identifier!r}, which cannot be opened any more") from None

    templates = [server.url, section(server.secret)] if server.secret else [server.url]
    try:
        known = await opened(templates, Reach(secret))
    except NoSecret as failure:
        raise Failed(f"needs a secret: {failure}") from None
    url, *token = (filled(template, _UNFILLED, known) for template in templates)
    return Endpoint(url, server.transport, token[0] if token else None), known


def _get(tx: Tx, org: str, server_id: str, *, lock: bool = False) -> McpServer:
    server = servers.get(tx, org, server_id, lock=lock)
    if server is None:
        raise NotFound("MCP server", server_id)
    return server
