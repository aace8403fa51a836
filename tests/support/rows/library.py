"""Routes of ``vivavoce.api.telnyx.library``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

TOOL = {
    "type": "webhook",
    "display_name": "Order finder",
    "timeout_ms": 2000,
    # Nobody listens there, so that trying it is over at once.
    "webhook": {"name": "find_order", "description": "Finds an order.", "url": "http://127.0.0.1:9/orders"},
}
ROWS: tuple[Route, ...] = (
    # Before the tool is changed, because only a webhook can be tried.
    Route(
        "POST",
        "/ai/assistants/{assistant_id}/tools/{tool_id}/test",
        {"arguments": {"number": "A-1001"}, "dynamic_variables": {"shop": "Birch"}},
    ),
    Route("PUT", "/ai/assistants/{assistant_id}/tools/{tool_id}"),
    Route("DELETE", "/ai/assistants/{assistant_id}/tools/{tool_id}"),
    Route("POST", "/ai/tools", TOOL, ("type", "display_name"), keyed=True),
    Route("GET", "/ai/tools", paged=True),
    Route("GET", "/ai/tools/{tool_id}"),
    Route("PATCH", "/ai/tools/{tool_id}", TOOL),
    Route("DELETE", "/ai/tools/{tool_id}"),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {"tool_id": made("/ai/tools", TOOL)["id"]}
