"""The server's own API: its routes, and its answer to everything that can go wrong (docs/reference/messages.md)."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vivavoce.api.description import described
from vivavoce.api.gate import away
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

ROUTES = (
    inbox,
    overviews,
    runs,
    batches,
    keys,
    schedules,
    events,
    webhooks,
    workers,
    comparisons,
    models,
    conversations,
    assistants,
    tests,
    # Behind all others: a suite's name may hold a slash, so its own address is whatever no other takes.
    suites,
)


def render(status: int, detail: str, pointer: str | None) -> Mapping[str, Any]:
    """The body of an error that the gate answers."""
    return error_body(status, detail, pointer)


def application(context: Context) -> FastAPI:
    """The API under its own root; mounted at ``/viva/v1``, behind the same keys as all others."""
    app = described("Viva Voce", [module.router for module in ROUTES], RESPONSES)
    app.state.context = context

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse(validation_body(error.errors(), error.body), 422)

    async def unrouted(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse(error_body(error.status_code, str(error.detail)), error.status_code, error.headers)

    async def failed(_request: Request, error: Exception) -> JSONResponse:
        status = 503 if isinstance(error, DatabaseAway) else _STATUSES[type(error)]
        part = error.part if isinstance(error, Rejected) else None
        words = away(error) if isinstance(error, DatabaseAway) else str(error)
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
