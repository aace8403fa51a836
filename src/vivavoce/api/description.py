"""What the description of every API says beside its routes."""

from typing import Any

from fastapi import FastAPI


def describe_key(app: FastAPI) -> None:
    """The gate asks for the key before any route, so the routes know nothing of it; their description should."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        return schema

    app.openapi = described
