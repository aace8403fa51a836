"""Integrations and connections as they are shown (contract, section 5.14)."""

from collections.abc import Sequence
from typing import Any

from vivavoce.core.integration import Connection, Integration


def dump_integration(integration: Integration, *, connected: bool) -> dict[str, Any]:
    """An entry of the catalog, and whether the organisation uses it."""
    return {
        "id": integration.id,
        "name": integration.id,
        "display_name": integration.title,
        "description": integration.description,
        "logo_url": integration.logo_url,
        "available_tools": [tool.name for tool in integration.tools],
        "status": "connected" if connected else "disconnected",
    }


def dump_connection(connection: Connection, tools: Sequence[str]) -> dict[str, Any]:
    """A connection with the names of the tools that it allows; the name of its secret is nobody's business."""
    return {"id": connection.id, "integration_id": connection.integration_id, "allowed_tools": list(tools)}
