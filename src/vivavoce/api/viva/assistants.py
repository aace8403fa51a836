"""Assistants as documents: put as they should be, given as they stand (docs/reference/files.md)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.shape import storable
from vivavoce.core.assistant import Assistant
from vivavoce.core.times import iso
from vivavoce.files import schema
from vivavoce.services import suites
from vivavoce.services.errors import Rejected
from vivavoce.services.suites import AssistantChange
from vivavoce.storage.page import Window

router = APIRouter(tags=["assistants"])


AssistantBody = Annotated[schema.Assistant, BeforeValidator(storable)]
"""An assistant's document."""


@router.get("/assistants")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """The assistants that can be examined, newest first, whichever API made them."""
    found = await suites.get_assistants(ctx, org, Window(page, size))
    return JSONResponse({"data": [dump(one) for one in found.items], "page": page, "size": size, "total": found.total})


@router.get("/assistants/{assistant_id}")
async def retrieve(ctx: Ctx, org: Org, assistant_id: Annotated[str, Path(max_length=256)]) -> JSONResponse:
    """The document of an assistant's main version."""
    return JSONResponse(await suites.retrieve_assistant(ctx, org, assistant_id))


# A name may hold a slash, which arrives decoded.
@router.put("/assistants/{name:path}")
async def put(ctx: Ctx, org: Org, name: Annotated[str, Path(max_length=1000)], body: AssistantBody) -> JSONResponse:
    """Make the assistant with this name what its document says: it is created, or gets a new version that is main."""
    if body.name != name:
        raise Rejected(f"The document is of the assistant {body.name!r}, and the address of {name!r}.", "name")
    return JSONResponse(dump_change(await ctx.database.write(lambda tx: suites.put_assistant(ctx, tx, org, body))))


def dump(assistant: Assistant) -> dict[str, Any]:
    """An assistant as it is listed."""
    return {
        "id": assistant.id,
        "name": assistant.main.name,
        "form": assistant.form.value,
        "version_id": assistant.main.id,
        "version_number": assistant.main.number,
        "tags": list(assistant.tags),
        "created_at": iso(assistant.created_at),
    }


def dump_change(one: AssistantChange) -> dict[str, Any]:
    """What became of an assistant, as it is shown."""
    main = one.assistant.main
    return {"id": one.assistant.id, "name": main.name, "version_id": main.id, "change": one.change.value}
