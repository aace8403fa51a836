"""Routes of ``vivavoce.api.telnyx.integrations``, and the objects that they need."""

from collections.abc import Callable
from typing import Any

from tests.support.route import Route

ROWS: tuple[Route, ...] = (
    Route("GET", "/ai/integrations"),
    Route("GET", "/ai/integrations/connections"),
    Route("GET", "/ai/integrations/connections/{user_connection_id}"),
    Route("DELETE", "/ai/integrations/connections/{user_connection_id}", success=204),
    Route("GET", "/ai/integrations/{integration_id}"),
)


def make(made: Callable[[str, Any], Any], ids: dict[str, str]) -> dict[str, str]:
    """The ids of one object of each kind. A connection cannot be made through the API, so there is none."""
    return {"integration_id": "github", "user_connection_id": "none"}
