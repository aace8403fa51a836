"""Routes of ``vivavoce.api.telnyx.messaging``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

AGENT, USER = "+15550100001", "+15550100002"
ROWS: tuple[Route, ...] = (
    Route(
        "POST",
        "/ai/assistants/{assistant_id}/chat/sms",
        {
            "from": AGENT,
            "to": USER,
            "text": "Your order is here.",
            "conversation_metadata": {"order": "A-1", "vip": True, "count": 3},
            "should_create_conversation": True,
        },
        ("from", "to"),
        keyed=True,
    ),
    Route(
        "POST",
        "/ai/assistants/{assistant_id}/chat/whatsapp",
        {
            "from": AGENT,
            "to": USER,
            "content": "Say that the order is here.",
            "conversation_metadata": {"order": "A-1"},
        },
        ("from", "to", "content"),
        keyed=True,
    ),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """Nothing: messages are no objects of this API."""
    return {}
