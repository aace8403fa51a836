"""The server's own API: its routes, and its answer to everything that can go wrong (docs/reference/messages.md)."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vivavoce import __version__
from vivavoce.api.description import QUIET
from vivavoce.api.gate import AWAY
from vivavoce.api.viva import (
    assistants,
    batches,
    comparisons,
    conversations,
    events,
    inbox,
    keys,
    models,
    overviews,
    runs,
    schedules,
    suites,
    tests,
    webhooks,
    workers,
)
from vivavoce.api.viva.errors import RESPONSES, error_body, validation_body
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.keys import LastKey
from vivavoce.storage.database import DatabaseAway

_STATUSES: Mapping[type[Exception], int] = {NotFound: 404, Rejected: 400, Busy: 409, LastKey: 409, Broken: 503}


def render(status: int, detail: str, pointer: str | None) -> Mapping[str, Any]:
    """The body of an error that the gate answers."""
    return error_body(status, detail, pointer)


def application(context: Context) -> FastAPI:
    """The API under its own root; mounted at ``/viva/v1``, behind the same keys as all others."""
    app = FastAPI(
        title="Viva Voce",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
        redirect_slashes=False,
        telemetry=QUIET,
    )
    app.state.context = context
    app.include_router(inbox.router)
    app.include_router(overviews.router)
    app.include_router(runs.router)
    app.include_router(batches.router)
    app.include_router(keys.router)
    app.include_router(schedules.router)
    app.include_router(events.router)
    app.include_router(webhooks.router)
    app.include_router(workers.router)
    app.include_router(comparisons.router)
    app.include_router(models.router)
    app.include_router(conversations.router)
    app.include_router(assistants.router)
    app.include_router(tests.router)
    # Behind all others: a suite's name may hold a slash, so its own address is whatever no other takes.
    app.include_router(suites.router)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse(validation_body(error.errors(), error.body), 422)

    async def unrouted(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse(error_body(error.status_code, str(error.detail)), error.status_code, error.headers)

    async def failed(_request: Request, error: Exception) -> JSONResponse:
        status = 503 if isinstance(error, DatabaseAway) else _STATUSES[type(error)]
        part = error.part if isinstance(error, Rejected) else None
        words = AWAY if isinstance(error, DatabaseAway) else str(error)  # its own words are SQL
        return JSONResponse(error_body(status, words, f"/{part}" if part else None), status)

    async def unexpected(request: Request, _error: Exception) -> JSONResponse:
        detail = f"Something went wrong here. Request {request.state.request_id} is in the log."
        return JSONResponse(error_body(500, detail), 500)

    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unrouted)
    for kind in (*_STATUSES, *DatabaseAway):
        app.add_exception_handler(kind, failed)
    return app
