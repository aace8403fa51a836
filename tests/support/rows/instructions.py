"""Routes of ``vivavoce.api.telnyx.instructions``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

# Both fields may be null, so a good body holds none of them.
ROWS: tuple[Route, ...] = (Route("POST", "/ai/assistants/{assistant_id}/instructions/enhance", {}),)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    return {}
