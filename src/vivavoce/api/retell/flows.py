"""Response engines of nodes and edges (contract, section 7)."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused, missing
from vivavoce.api.retell.wire.engine_shapes import Version as Number
from vivavoce.api.retell.wire.flows import FlowCreate, FlowPatch, dump, patched, to_version
from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.retell.wire.paging import MOST, Key, Limit, Order, behind, paged, span
from vivavoce.api.shape import sent
from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.services import components, engines
from vivavoce.services.errors import NotFound
from vivavoce.storage.database import Tx

router = APIRouter(tags=["flows"])

FORMS = (Form.FLOW,)
KIND = "conversation_flow"


@router.post("/create-conversation-flow", status_code=201)
async def create(ctx: Ctx, org: Org, body: FlowCreate) -> JSONResponse:
    """Create one; it begins as the draft 0."""
    draft = to_version(sent(body))

    def work(tx: Tx) -> Assistant:
        _check(tx, org, draft)
        return engines.create(ctx, tx, org, Form.FLOW, draft)

    made = await ctx.database.write(work)
    return JSONResponse(dump(made, made.main), 201)


@router.get("/get-conversation-flow/{conversation_flow_id}")
async def retrieve(ctx: Ctx, org: Org, conversation_flow_id: Id, version: Number | None = None) -> JSONResponse:
    """One version, the newest if none is named."""
    try:
        found = await engines.retrieve(ctx, org, read(KIND, conversation_flow_id), FORMS, version)
    except NotFound as failure:
        raise missing(404, "Conversation flow", conversation_flow_id, failure) from None
    return JSONResponse(dump(*found))


@router.get("/v2/list-conversation-flows")
async def get_slice(
    ctx: Ctx, org: Org, limit: Limit = 50, pagination_key: Key = None, sort_order: Order = "descending"
) -> JSONResponse:
    """All of them with their newest versions, the newest first."""
    found = await engines.get_slice(ctx, org, FORMS, span(KIND, limit, pagination_key, sort_order))
    last = found.items[-1].id if found.items else None
    return JSONResponse(paged(KIND, [dump(one, one.main) for one in found.items], last, more=found.more))


@router.get("/list-conversation-flows")
async def get_every_version(
    ctx: Ctx,
    org: Org,
    limit: Limit = MOST,
    pagination_key: Annotated[str | None, Query(max_length=256, description="The id of the last one.")] = None,
    pagination_key_version: Annotated[int | None, Query(description="The version of the last one.")] = None,
) -> JSONResponse:
    """Every version of all of them, the newest first (contract, section 1.3, legacy)."""
    last = behind(KIND, pagination_key, pagination_key_version)
    found = await engines.get_every_version(ctx, org, FORMS, limit, last)
    return JSONResponse([dump(*one) for one in found])


@router.patch("/update-conversation-flow/{conversation_flow_id}")
async def update(
    ctx: Ctx, org: Org, conversation_flow_id: Id, body: FlowPatch, version: Number | None = None
) -> JSONResponse:
    """Change a draft in its place; what is left out stays as it is. Misses are 422 (contract, section 1.1)."""
    patch, id_ = sent(body), read(KIND, conversation_flow_id)

    def work(tx: Tx) -> tuple[Assistant, Version]:
        # Whoever deletes a component holds it before the flows, too.
        _check(tx, org, draft)
        return engines.edited(ctx, tx, org, id_, FORMS, lambda now: patched(now, patch), version)

    try:
        _, before = await engines.retrieve(ctx, org, id_, FORMS, version)
        draft = patched(before, patch)
        found = await ctx.database.write(work)
    except NotFound as failure:
        raise missing(422, "Conversation flow", conversation_flow_id, failure) from None
    return JSONResponse(dump(*found))


@router.delete("/delete-conversation-flow/{conversation_flow_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, conversation_flow_id: Id, force_delete: bool = False) -> Response:
    """Delete one with all its versions; not while agents speak as it, unless forced."""
    try:
        await engines.delete(ctx, org, read(KIND, conversation_flow_id), FORMS, force=force_delete)
    except NotFound as failure:
        raise missing(404, "Conversation flow", conversation_flow_id, failure) from None
    return Response(status_code=204)


def _check(tx: Tx, org: str, draft: Version) -> None:
    try:
        components.check(tx, org, draft)
    except NotFound as failure:
        named = shown("conversation_flow_component", failure.id)
        raise Refused(400, f"nodes: there is no shared component {named!r}.") from None
