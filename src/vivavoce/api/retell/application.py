"""The application of this API: its routes, and its answer to everything that can go wrong."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vivavoce.api.description import described
from vivavoce.api.gate import away
from vivavoce.api.retell import (
    agents,
    chats,
    components,
    flows,
    knowledge,
    llms,
    mcp_tools,
    playground,
    surroundings,
    tests,
)
from vivavoce.api.retell.errors import RESPONSES, Refused, body, render, validation_message
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, NotFound, Rejected
from vivavoce.storage.database import DatabaseAway

__all__ = ["application", "render"]

ROUTES = (tests, llms, flows, components, agents, chats, playground, knowledge, mcp_tools, surroundings)


def application(context: Context) -> FastAPI:
    """The API, whose paths begin at the root."""
    app = described(
        "Viva Voce: Retell testing API",
        [module.router for module in ROUTES],
        RESPONSES,
        separate_input_output_schemas=False,
    )
    app.state.context = context

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse(body(validation_message(error.errors())), 400)

    async def unrouted(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse(body(str(error.detail)), error.status_code, error.headers)

    async def failed(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(body(away(error) if isinstance(error, DatabaseAway) else str(error)), _status(error))

    async def unexpected(request: Request, _error: Exception) -> JSONResponse:
        detail = f"Something went wrong here. Request {request.state.request_id} is in the log."
        return JSONResponse(body(detail), 500)

    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unrouted)
    for kind in (Refused, NotFound, Rejected, Busy, Broken, *DatabaseAway):
        app.add_exception_handler(kind, failed)
    return app


def _status(error: Exception) -> int:
    """The routes turn ``NotFound`` into 422 where the contract (section 1.1) wants that."""
    match error:
        case Refused(status=status):
            return status
        case NotFound():
            return 404
        case Rejected():
            return 400
        case Busy():
            return 409
        case _:
            return 503
