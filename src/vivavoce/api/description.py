"""What every API is made with, and what its description says beside its routes."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from vivavoce import __version__

_QUIET: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""The library's own telemetry is off: ours (``vivavoce.telemetry``) knows what may be told, and tells it once."""


def described(
    title: str,
    routers: Sequence[APIRouter],
    responses: Mapping[int | str, Mapping[str, Any]],
    *,
    separate_input_output_schemas: bool = True,
) -> FastAPI:
    """An application of these routers' routes, with a description that is put together when somebody asks for it.

    Args:
        title: What the description calls the API.
        routers: In the order in which their routes are looked at. Every application shares their routes, which know
            nothing of it.
        responses: What every route may answer besides its own (OpenAPI's responses, by status).
        separate_input_output_schemas: As FastAPI means it.
    """

    def made(**more: Any) -> FastAPI:
        return FastAPI(
            title=title,
            version=__version__,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry=_QUIET,
            separate_input_output_schemas=separate_input_output_schemas,
            **more,
        )

    app = made()
    for router in routers:
        # To include it would make the checks of all its routes once more, and those of every error's shape: half a
        # second for each application, and memory. Only the description needs that.
        app.router.routes.extend(router.routes)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            whole = made(responses=responses)
            for router in routers:
                whole.include_router(router)
            schema = whole.openapi()
            # The gate asks for the key before any route, so the routes know nothing of it; their description should.
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"key": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi
    return app
