"""Routes of ``vivavoce.api.telnyx.secrets``, and the objects that they need."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.support.route import Route

ROWS: tuple[Route, ...] = (
    Route(
        "POST",
        "/integration_secrets",
        {"identifier": "{free_identifier}", "type": "bearer", "token": "sesame"},
        ("identifier", "type", "token"),
        success=201,
    ),
    Route("GET", "/integration_secrets", paged=True),
    Route("DELETE", "/integration_secrets/{secret_id}"),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    secret = made("/integration_secrets", {"identifier": uuid4().hex, "type": "bearer", "token": "sesame"})
    return {"secret_id": secret["data"]["id"], "free_identifier": uuid4().hex}
