"""The tools of servers that speak the Model Context Protocol: listed, and called.

The library is large, and most processes never need it: it is loaded with the first server that is asked, aside, so that
nobody waits for it but who asked.
"""

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from vivavoce.assistant.ports import ToolOutput
from vivavoce.outbound.fetch import Session

MOST_TOOLS = 128
"""How many tools are taken from one server, and offered of all servers together: no model takes more."""

_CLIENT = "vivavoce.tools.mcp_client"
_LONGEST_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """Where a server is, with its secrets filled in. ``token`` is the bearer's; ``headers`` go along with every
    request."""

    url: str
    transport: Literal["http", "sse"]
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as its server tells of it. ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class Failed(Exception):
    """The server did not do what was asked. The message goes on after "the server" and holds no secret."""


async def get_tools(session: Session, endpoint: Endpoint, timeout_s: float) -> tuple[Listed, ...]:
    """The tools of a server, each name once, at most ``MOST_TOOLS``. Raises ``Failed``."""
    await asyncio.to_thread(import_module, _CLIENT)
    from vivavoce.tools import mcp_client

    return await mcp_client.get_tools(session, endpoint, timeout_s)


async def call(
    session: Session,
    endpoint: Endpoint,
    tool: str,
    arguments: Mapping[str, Any],
    *,
    meta: Mapping[str, str],
    timeout_s: float,
) -> ToolOutput:
    """Call a tool once. ``meta`` goes along as ``_meta``. Never raises for what the other side does: the output then
    says what went wrong."""
    await asyncio.to_thread(import_module, _CLIENT)
    from vivavoce.tools import mcp_client

    try:
        return await mcp_client.call(session, endpoint, tool, arguments, meta, timeout_s)
    except Failed as failure:
        return ToolOutput(f"The tool failed: its server {failure}.", ok=False)


def model_name(tool: str, server: str, taken: Collection[str]) -> str:
    """What a model calls a tool: its own name in the letters that models take, and where that is taken already, after
    the name of its server, and after that with a number."""
    plain, place = (_NOT_IN_NAMES.sub("_", text).strip("_") for text in (tool, server))
    wished = [plain or "tool", f"{place or 'server'}_{plain or 'tool'}"]
    for name in wished:
        if name[:_LONGEST_NAME] not in taken:
            return name[:_LONGEST_NAME]
    number = 2
    while (name := f"{wished[1][: _LONGEST_NAME - 5]}_{number}") in taken:
        number += 1
    return name
