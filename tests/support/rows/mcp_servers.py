"""Routes of ``vivavoce.api.telnyx.mcp_servers``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

SERVER = {"name": "shop", "type": "http", "url": "https://mcp.example.com/mcp"}

ROWS: tuple[Route, ...] = (
    Route("POST", "/ai/mcp_servers", SERVER, ("name", "type", "url"), keyed=True),
    # Its pages are bare arrays, which the rules for paged routes do not know.
    Route("GET", "/ai/mcp_servers"),
    Route("GET", "/ai/mcp_servers/{mcp_server_id}"),
    Route("PUT", "/ai/mcp_servers/{mcp_server_id}", SERVER),
    Route("DELETE", "/ai/mcp_servers/{mcp_server_id}"),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {"mcp_server_id": made("/ai/mcp_servers", SERVER)["id"]}
