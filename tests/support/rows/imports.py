"""Routes of ``vivavoce.api.telnyx.imports``, and the objects that they need."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.support.providers import KEY
from tests.support.route import Route

IMPORT = {"provider": "vapi", "api_key_ref": "{import_key}"}

ROWS: tuple[Route, ...] = (
    # What was imported before gets a new version, and there are no more assistants than before.
    Route("POST", "/ai/assistants/import", IMPORT, ("provider", "api_key_ref"), keyed=True, makes=0),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind; ``made(path below /v2, body)`` posts and returns the JSON."""
    identifier = uuid4().hex
    made("/integration_secrets", {"identifier": identifier, "type": "bearer", "token": KEY})
    made("/ai/assistants/import", {**IMPORT, "api_key_ref": identifier})
    return {"import_key": identifier}
