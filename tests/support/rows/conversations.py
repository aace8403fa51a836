"""Routes of ``vivavoce.api.telnyx.conversations`` that change a conversation."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

MESSAGE = {
    "role": "assistant",
    "content": "It arrives today.",
    "name": "desk",
    "metadata": {"a": "b", "c": [1, True, "d"]},
    "sent_at": "2026-01-01T00:00:00Z",
}
ROWS: tuple[Route, ...] = (
    Route("PUT", "/ai/conversations/{conversation_id}", {"metadata": {"a": "b"}}),
    Route("DELETE", "/ai/conversations/{conversation_id}"),
    Route("POST", "/ai/conversations/{conversation_id}/message", MESSAGE, ("role",), keyed=True),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """Nothing: the conversation is there already."""
    return {}
