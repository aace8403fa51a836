"""Insights, their groups, and what came of them (contract, sections 5.15 and 5.16)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.insights import (
    BLANK,
    BLANK_GROUP,
    GroupCreate,
    GroupUpdate,
    InsightCreate,
    InsightUpdate,
    dump_finding,
    dump_group,
    dump_insight,
    dump_tally,
    laid_over,
    laid_over_group,
    parse_fields,
    parse_scope,
)
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.services import findings, insights
from vivavoce.storage.database import Tx

router = APIRouter(tags=["insights"])

Fields = Annotated[str | None, Query(description="Comma-joined, or repeated; `metadata.` stands before its keys.")]
Condition = Annotated[str | None, Query(description="`op.value`, for example `gte.2026-01-01T00:00:00Z`.")]


@router.post("/ai/conversations/insights")
async def create(request: Request, ctx: Ctx, org: Org, body: InsightCreate) -> Response:
    """Create an insight."""
    draft = laid_over(BLANK, body)

    def work(tx: Tx) -> dict[str, Any]:
        return {"data": dump_insight(insights.create(ctx, tx, org, draft))}

    return await once(request, ctx, 200, work)


@router.get("/ai/conversations/insights")
async def get_page(ctx: Ctx, org: Org, page: Paged) -> JSONResponse:
    """A page of insights, newest first; those that come with the server stand last."""
    found = await insights.get_page(ctx, org, page)
    return JSONResponse(paged([dump_insight(one) for one in found.items], found.total, page))


@router.get("/ai/conversations/insights/{insight_id}")
async def retrieve(ctx: Ctx, org: Org, insight_id: Id) -> JSONResponse:
    """One insight."""
    return JSONResponse({"data": dump_insight(await insights.retrieve(ctx, org, insight_id))})


@router.put("/ai/conversations/insights/{insight_id}")
async def update(ctx: Ctx, org: Org, insight_id: Id, body: InsightUpdate) -> JSONResponse:
    """Change what is sent of an insight."""
    changed = await insights.update(ctx, org, insight_id, lambda insight: laid_over(insight, body))
    return JSONResponse({"data": dump_insight(changed)})


@router.delete("/ai/conversations/insights/{insight_id}", response_class=Response)
async def delete(ctx: Ctx, org: Org, insight_id: Id) -> Response:
    """Delete an insight, also from its groups."""
    await insights.delete(ctx, org, insight_id)
    return Response(status_code=200)


@router.post("/ai/conversations/insight-groups")
async def create_group(request: Request, ctx: Ctx, org: Org, body: GroupCreate) -> Response:
    """Create a group; insights are assigned to it afterwards."""
    draft = laid_over_group(BLANK_GROUP, body)

    def work(tx: Tx) -> dict[str, Any]:
        return {"data": dump_group(insights.create_group(ctx, tx, org, draft))}

    return await once(request, ctx, 200, work)


@router.get("/ai/conversations/insight-groups")
async def get_group_page(ctx: Ctx, org: Org, page: Paged) -> JSONResponse:
    """A page of groups with their insights, newest first."""
    found = await insights.get_group_page(ctx, org, page)
    return JSONResponse(paged([dump_group(one) for one in found.items], found.total, page))


@router.get("/ai/conversations/insight-groups/{group_id}")
async def retrieve_group(ctx: Ctx, org: Org, group_id: Id) -> JSONResponse:
    """One group with its insights."""
    return JSONResponse({"data": dump_group(await insights.retrieve_group(ctx, org, group_id))})


@router.put("/ai/conversations/insight-groups/{group_id}")
async def update_group(ctx: Ctx, org: Org, group_id: Id, body: GroupUpdate) -> JSONResponse:
    """Change what is sent of a group."""
    changed = await insights.update_group(ctx, org, group_id, lambda group: laid_over_group(group, body))
    return JSONResponse({"data": dump_group(changed)})


@router.delete("/ai/conversations/insight-groups/{group_id}", response_class=Response)
async def delete_group(ctx: Ctx, org: Org, group_id: Id) -> Response:
    """Delete a group; its insights stay."""
    await insights.delete_group(ctx, org, group_id)
    return Response(status_code=200)


@router.post("/ai/conversations/insight-groups/{group_id}/insights/{insight_id}/assign", response_class=Response)
async def assign(ctx: Ctx, org: Org, group_id: Id, insight_id: Id) -> Response:
    """Put an insight into a group, as its last."""
    await insights.assign(ctx, org, group_id, insight_id)
    return Response(status_code=200)


@router.delete("/ai/conversations/insight-groups/{group_id}/insights/{insight_id}/unassign", response_class=Response)
async def unassign(ctx: Ctx, org: Org, group_id: Id, insight_id: Id) -> Response:
    """Take an insight out of a group."""
    await insights.unassign(ctx, org, group_id, insight_id)
    return Response(status_code=200)


@router.get("/ai/conversations/conversation-insights/aggregates")
async def get_aggregates(
    request: Request,
    ctx: Ctx,
    org: Org,
    group_by: Fields = None,
    show: Fields = None,
    insight_id: UUID | None = None,
    created_at: Condition = None,
    assistant_id: Annotated[str | None, Query(alias="metadata.assistant_id", description="`op.value`.")] = None,
) -> JSONResponse:
    """How many answers to insights have the same values in some fields: keys of the answer's JSON object, `result` for
    an answer in words, or keys of the conversation's metadata. Every key of the metadata can be filtered by, as
    `metadata.key` or `metadata[key]`."""
    query = request.query_params.multi_items()
    fields = parse_fields(query)
    wanted = str(insight_id) if insight_id else None
    return JSONResponse(dump_tally(await findings.get_tally(ctx, org, parse_scope(query), wanted, fields), fields))


@router.get("/ai/conversations/{conversation_id}/conversations-insights")
async def get_findings(ctx: Ctx, org: Org, page: Paged, conversation_id: Id) -> JSONResponse:
    """A page of what insights found in a conversation, newest first."""
    found = await findings.get_page(ctx, org, conversation_id, page)
    return JSONResponse(paged([dump_finding(one) for one in found.items], found.total, page))
