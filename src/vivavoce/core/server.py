"""A server whose tools an assistant may use, spoken to in the Model Context Protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vivavoce.core.event import Millis
from vivavoce.core.tool import Header


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class McpServer:
    """``type`` is the word that the API which wrote it has for the way it is spoken to, ``transport`` what it means.

    ``url`` may hold sections that name a secret, which is filled in when the server is called. ``secret`` names the one
    that is sent as the bearer's token. ``allowed`` None offers all of the server's tools. ``extra`` is kept and given
    back unchanged.
    """

    id: str
    name: str
    type: str
    transport: Literal["http", "sse"]
    url: str
    created_at: Millis
    allowed: tuple[str, ...] | None = None
    secret: str | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class OwnServer:
    """An MCP server that belongs to one assistant alone; ``name`` is unique there. ``url``, headers and query are
    templates."""

    name: str
    url: str
    headers: tuple[Header, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_ms: int = 120_000
