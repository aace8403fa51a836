"""Tags of assistants (contract, section 5.5)."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator

from vivavoce.api.shape import storable
from vivavoce.api.telnyx.deps import Ctx, Id, Org
from vivavoce.services import assistants

router = APIRouter(tags=["tags"])


class TagBody(BaseModel, frozen=True, extra="allow"):
    """A tag to be added."""

    tag: Annotated[str, Field(min_length=1, max_length=256)]

    _storable = model_validator(mode="before")(storable)


@router.get("/ai/assistants/tags")
async def get_all(ctx: Ctx, org: Org) -> JSONResponse:
    """Every tag that an assistant has."""
    return JSONResponse({"tags": list(await assistants.get_tags(ctx, org))})


@router.post("/ai/assistants/{assistant_id}/tags")
async def add(ctx: Ctx, org: Org, assistant_id: Id, body: TagBody) -> JSONResponse:
    """Add a tag to an assistant; one that it has already stays where it is."""
    return JSONResponse({"tags": list(await assistants.tag(ctx, org, assistant_id, body.tag))})


@router.delete("/ai/assistants/{assistant_id}/tags/{tag:path}")
async def remove(ctx: Ctx, org: Org, assistant_id: Id, tag: Id) -> JSONResponse:
    """Remove a tag from an assistant."""
    return JSONResponse({"tags": list(await assistants.untag(ctx, org, assistant_id, tag))})
