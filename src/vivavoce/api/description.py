"""What every API is made with, and what its description says beside its routes."""

from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

QUIET: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""The library's own telemetry is off: ours (``vivavoce.telemetry``) knows what may be told, and tells it once."""


def describe_key(app: FastAPI) -> None:
    """The gate asks for the key before any route, so the routes know nothing of it; their description should."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        return schema

    app.openapi = described
