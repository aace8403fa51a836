"""The application of this API: its routes, and its answer to everything that can go wrong."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vivavoce.api.description import described
from vivavoce.api.gate import away
from vivavoce.api.idempotency import BodyTooLarge, KeyInFlight, KeyMalformed, KeyReused
from vivavoce.api.telnyx import (
    assistants,
    canary,
    conversations,
    imports,
    insights,
    instructions,
    integrations,
    library,
    lifecycle,
    mcp_servers,
    messaging,
    openai,
    scheduled_events,
    secrets,
    tags,
    tests,
)
from vivavoce.api.telnyx.errors import RESPONSES, Problem, Refused, errors_body, fallback, problem, validation_body
from vivavoce.api.telnyx.wire.secrets import refusal
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.services.secrets import IdentifierTaken
from vivavoce.storage.database import DatabaseAway

POINTERS = {"version_id": "/destination_version_id", "flow": "/conversation_flow"}
"""Where in this API's requests the parts stand that a service may refuse, where it is not under their own name."""
ROUTES = (
    tests,
    tags,
    imports,
    lifecycle,
    canary,
    scheduled_events,
    messaging,
    library,
    instructions,
    assistants,
    insights,
    conversations,
    mcp_servers,
    integrations,
    secrets,
    openai,
)
"""In the order in which they are looked at: static segments win over ids (contract, section 1.6)."""
IDEMPOTENCY_POINTER = "/header/Idempotency-Key"


def render(status: int, detail: str, pointer: str | None) -> Mapping[str, Any]:
    """The body of an error that the gate answers."""
    return errors_body(problem(status, detail, pointer=pointer))


def application(context: Context) -> FastAPI:
    """The API under its own root; mounted at ``/v2``."""
    app = described(
        "Viva Voce: Telnyx AI Assistants API",
        [module.router for module in ROUTES],
        RESPONSES,
        separate_input_output_schemas=False,
    )
    app.state.context = context

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        if secrets.TAG in request.scope["route"].tags:  # has a family of its own (contract, section 1.4)
            status = 400 if request.method == "GET" else 422
            return JSONResponse(refusal(status, error.errors()), status)
        return JSONResponse(validation_body(error.errors()), 422)

    async def unrouted(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        body = errors_body(fallback(error.status_code, str(error.detail)))
        return JSONResponse(body, error.status_code, error.headers)

    async def failed(_request: Request, error: Exception) -> JSONResponse:
        found = problem(503, away(error)) if isinstance(error, DatabaseAway) else _problem(error)
        return JSONResponse(errors_body(found), found.status)

    async def unexpected(request: Request, _error: Exception) -> JSONResponse:
        detail = f"Something went wrong here. Request {request.state.request_id} is in the log."
        return JSONResponse(errors_body(problem(500, detail)), 500)

    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unrouted)
    for kind in (
        Refused,
        NotFound,
        Rejected,
        Busy,
        Broken,
        IdentifierTaken,
        KeyMalformed,
        KeyReused,
        KeyInFlight,
        BodyTooLarge,
        *DatabaseAway,
    ):
        app.add_exception_handler(kind, failed)
    return app


def _problem(error: Exception) -> Problem:
    match error:
        case Refused(problem=found):
            return found
        case NotFound():
            return problem(404, str(error))
        case Rejected(part=part):
            return problem(400, str(error), pointer=POINTERS.get(part, f"/{part}") if part else None)
        case Busy():
            return problem(409, str(error))
        case IdentifierTaken():
            return problem(422, str(error), pointer="/identifier", code="10012")
        case Broken():
            return problem(503, str(error))
        case KeyMalformed():
            return problem(400, str(error), pointer=IDEMPOTENCY_POINTER)
        case KeyReused():
            return problem(422, "This Idempotency-Key was used for another request.", pointer=IDEMPOTENCY_POINTER)
        case KeyInFlight():
            return problem(409, "The first request with this key is still running.", pointer=IDEMPOTENCY_POINTER)
        case BodyTooLarge():
            return problem(413, str(error))
        case _:
            return problem(500, HTTPStatus(500).phrase)
