"""MCP servers ⇄ core (contract, section 5.13)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from vivavoce.api.shape import omitted, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.core.assistant import Attached
from vivavoce.core.event import Millis
from vivavoce.core.server import McpServer

_KNOWN = frozenset({"id", "created_at", "name", "type", "url", "allowed_tools", "api_key_ref"})
_SECTION = r"\{\{#integration_secret\}\}"

ServerType = Literal["http", "streamable_http", "streamable-http", "sse"]
"""The contract names none; ``http`` is the streamable transport under its other name."""


def _addressed(url: str) -> str:
    """An address without a secret in it can be checked now; one with a secret is checked when it is called."""
    if "{{#" not in url and not urlsplit(url).hostname:
        raise ValueError("Input should be a URL with a host")
    return url


Name = Annotated[str, Field(min_length=1, max_length=255)]
Url = Annotated[
    str, Field(min_length=1, max_length=2048, pattern=rf"^(https?://|{_SECTION})\S+$"), AfterValidator(_addressed)
]
ToolNames = Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], Field(max_length=1000)]


class McpServerUpdate(BaseModel, frozen=True, extra="allow"):
    """What may be changed of a server; what is left out stays as it is. ``id`` and ``created_at`` are not looked at."""

    id: str = omitted()
    created_at: str = omitted()
    name: Name = omitted()
    type: ServerType = omitted()
    url: Url = omitted()
    allowed_tools: ToolNames | None = omitted()
    api_key_ref: Annotated[str, Field(max_length=255)] | None = omitted()

    _storable = model_validator(mode="before")(storable)


class McpServerCreate(McpServerUpdate, frozen=True):
    """A new server."""

    name: Name = Field(...)
    type: ServerType = Field(...)
    url: Url = Field(...)


def to_server(body: McpServerCreate, *, id: str, now: Millis) -> McpServer:  # noqa: A002  # the noun's own field
    """A new server."""
    return change_server(McpServer(id, body.name, body.type, "http", body.url, now), body)


def change_server(server: McpServer, body: McpServerUpdate) -> McpServer:
    """The server with what was sent in its place; null takes a list of tools or a key away."""
    wire = sent(body)
    kind: str = wire.get("type", server.type)
    allowed = wire.get("allowed_tools", server.allowed)
    return replace(
        server,
        name=wire.get("name", server.name),
        type=kind,
        transport="sse" if kind == "sse" else "http",
        url=wire.get("url", server.url),
        allowed=None if allowed is None else tuple(allowed),
        secret=wire.get("api_key_ref", server.secret),
        extra={**server.extra, **{key: value for key, value in wire.items() if key not in _KNOWN}},
    )


def dump_server(server: McpServer) -> dict[str, Any]:
    """The response object of a server. A secret is shown by its name only."""
    return {
        **server.extra,
        "id": server.id,
        "name": server.name,
        "type": server.type,
        "url": server.url,
        "allowed_tools": None if server.allowed is None else list(server.allowed),
        "api_key_ref": server.secret,
        "created_at": iso(server.created_at),
    }


def dump_attached(attached: Iterable[Attached], known: Mapping[str, McpServer]) -> list[dict[str, Any]]:
    """An assistant's ``mcp_servers`` with the servers themselves in them; of one that is gone its id alone is left.
    The tools that the assistant allows stand in the place of those that the server allows."""
    return [
        {
            **(dump_server(known[one.id]) if one.id in known else {"id": one.id}),
            **({} if one.allowed is None else {"allowed_tools": list(one.allowed)}),
        }
        for one in attached
    ]
