"""Assistants that were deleted, come back, are copied, or are called (contract, sections 5.1 and 5.2)."""

from typing import Any
from xml.sax.saxutils import quoteattr

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.assistants import check, dump
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.assistant import copied
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.services import assistants
from vivavoce.storage.database import Tx

router = APIRouter(tags=["lifecycle"])
XML = "application/xml"


@router.get("/ai/assistants/deleted")
async def get_deleted_page(ctx: Ctx, org: Org, page: Paged) -> JSONResponse:
    """Deleted assistants that can be restored, the last deleted first."""
    found = await assistants.get_deleted_page(ctx, org, page)
    return JSONResponse(paged([dump(ctx, one) for one in found.items], found.total, page))


@router.get("/ai/assistants/{assistant_id}/deleted")
async def get_deleted(ctx: Ctx, org: Org, assistant_id: Id) -> JSONResponse:
    """A deleted assistant that can be restored."""
    return JSONResponse(dump(ctx, await assistants.retrieve_deleted(ctx, org, assistant_id)))


@router.post("/ai/assistants/{assistant_id}/restore")
async def restore(ctx: Ctx, org: Org, assistant_id: Id) -> JSONResponse:
    """Bring a deleted assistant back, with its versions."""
    return JSONResponse(dump(ctx, await assistants.restore(ctx, org, assistant_id)))


@router.post("/ai/assistants/{assistant_id}/clone")
async def clone(request: Request, ctx: Ctx, org: Org, assistant_id: Id) -> Response:
    """Make a new assistant of the main version, without its telephony and messaging settings."""

    def work(tx: Tx) -> dict[str, Any]:
        return dump(ctx, assistants.clone(ctx, tx, org, assistant_id, copied, check))

    return await once(request, ctx, 200, work)


@router.get(
    "/ai/assistants/{assistant_id}/texml",
    response_class=Response,
    responses={200: {"content": {XML: {"schema": {"type": "string"}}}}},
)
async def get_texml(ctx: Ctx, org: Org, assistant_id: Id) -> Response:
    """The document that connects a call to the assistant."""
    found = await assistants.retrieve(ctx, org, assistant_id)
    connect = f"<Connect><AIAssistant id={quoteattr(found.id)}/></Connect>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{connect}</Response>\n', media_type=XML)
