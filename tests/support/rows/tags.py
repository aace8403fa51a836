"""Routes of ``vivavoce.api.telnyx.tags``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

ROWS: tuple[Route, ...] = (
    Route("GET", "/ai/assistants/tags"),
    Route("POST", "/ai/assistants/{assistant_id}/tags", {"tag": "two"}, ("tag",)),
    Route("DELETE", "/ai/assistants/{assistant_id}/tags/{tag}"),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    made(f"/ai/assistants/{ids['assistant_id']}/tags", {"tag": "one"})
    return {"tag": "one"}
