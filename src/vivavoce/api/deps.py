"""What the routes of every API are given: the services' context, and the caller's organisation."""

from typing import Annotated

from fastapi import Depends, Request

from vivavoce.services.context import Context


def _context(request: Request) -> Context:
    return request.app.state.context


def _org(request: Request) -> str:
    return request.state.org


Ctx = Annotated[Context, Depends(_context)]
Org = Annotated[str, Depends(_org)]
