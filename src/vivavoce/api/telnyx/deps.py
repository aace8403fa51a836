"""What every route is given: the services' context, the caller's organisation, the worker that takes runs."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends, Path, Request

from vivavoce.api.telnyx.wire.paging import window
from vivavoce.engine.leases import Job
from vivavoce.services.context import Context
from vivavoce.storage.page import Window

Submit = Callable[[Sequence[Job]], None]


def _context(request: Request) -> Context:
    return request.app.state.context


def _submit(request: Request) -> Submit:
    return request.app.state.submit


def _org(request: Request) -> str:
    return request.state.org


Ctx = Annotated[Context, Depends(_context)]
Hand = Annotated[Submit, Depends(_submit)]
Org = Annotated[str, Depends(_org)]
Paged = Annotated[Window, Depends(window)]
Id = Annotated[str, Path(max_length=256)]
