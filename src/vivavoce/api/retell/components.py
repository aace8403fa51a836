"""Parts that flows share (contract, section 7)."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.wire.components import (
    KIND,
    ComponentPatch,
    ComponentShape,
    dump_component,
    patched,
    to_component,
)
from vivavoce.api.retell.wire.flows import localised
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.paging import Key, Limit, Order, paged, span
from vivavoce.api.shape import sent
from vivavoce.services import components
from vivavoce.services.errors import NotFound

router = APIRouter(tags=["components"])


@router.post("/create-conversation-flow-component", status_code=201)
async def create(ctx: Ctx, org: Org, body: ComponentShape) -> JSONResponse:
    """Create one."""
    draft = to_component(sent(body))
    made = await ctx.database.write(lambda tx: components.create(ctx, tx, org, draft))
    return JSONResponse(dump_component(made), 201)


@router.get("/get-conversation-flow-component/{conversation_flow_component_id}")
async def retrieve(ctx: Ctx, org: Org, conversation_flow_component_id: Id) -> JSONResponse:
    """One component."""
    try:
        found = await components.retrieve(ctx, org, read(KIND, conversation_flow_component_id))
    except NotFound:
        raise _missing(conversation_flow_component_id) from None
    return JSONResponse(dump_component(found))


@router.get("/v2/list-conversation-flow-components")
async def get_slice(
    ctx: Ctx, org: Org, limit: Limit = 50, pagination_key: Key = None, sort_order: Order = "descending"
) -> JSONResponse:
    """All of them, the newest first."""
    found = await components.get_slice(ctx, org, span(KIND, limit, pagination_key, sort_order))
    last = found.items[-1][0].id if found.items else None
    return JSONResponse(paged(KIND, [dump_component(one) for one in found.items], last, more=found.more))


@router.get("/list-conversation-flow-components")
async def get_all(ctx: Ctx, org: Org) -> JSONResponse:
    """All of them, the newest first (contract, section 1.3, legacy)."""
    return JSONResponse([dump_component(one) for one in await components.get_all(ctx, org)])


@router.patch("/update-conversation-flow-component/{conversation_flow_component_id}")
async def update(ctx: Ctx, org: Org, conversation_flow_component_id: Id, body: ComponentPatch) -> JSONResponse:
    """Change one, for every flow that goes through it; what is left out stays as it is."""
    patch, id_ = sent(body), read(KIND, conversation_flow_component_id)
    try:
        found = await components.update(ctx, org, id_, lambda before: patched(before, patch))
    except NotFound:
        raise _missing(conversation_flow_component_id) from None
    return JSONResponse(dump_component(found))


@router.delete("/delete-conversation-flow-component/{conversation_flow_component_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, conversation_flow_component_id: Id) -> Response:
    """Delete one; flows that go through it keep copies of it."""
    try:
        await components.delete(ctx, org, read(KIND, conversation_flow_component_id), localised)
    except NotFound:
        raise _missing(conversation_flow_component_id) from None
    return Response(status_code=204)


def _missing(id_: str) -> Refused:
    return Refused(404, f"Component {id_!r} was not found.")
