"""Routes of ``vivavoce.api.telnyx.openai``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

CHAT = {
    "messages": [
        {"role": "system", "content": 'on hear "hello": say "Good day."'},
        {"role": "user", "content": "hello"},
    ],
    "model": "scripted",
    "temperature": 0.5,
    "stream": False,
    "tools": [{"type": "function", "function": {"name": "find"}}],
    "stop": ["END"],
}
ROWS: tuple[Route, ...] = (
    Route("GET", "/ai/openai/models"),
    Route("GET", "/ai/models"),
    Route("POST", "/ai/openai/chat/completions", CHAT, ("messages",)),
    Route("POST", "/ai/chat/completions", CHAT, ("messages",)),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {}
