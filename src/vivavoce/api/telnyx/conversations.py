"""Conversations and their messages (contract, section 5.15)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.conversations import (
    ConversationCreate,
    dump_conversation,
    dump_messages,
    to_conversation,
)
from vivavoce.api.telnyx.wire.filters import parse_filter
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.services import conversations
from vivavoce.storage.database import Tx

router = APIRouter(tags=["conversations"])

Condition = Annotated[str | None, Query(description="`op.value`, for example `eq.x` or `gte.2026-01-01T00:00:00Z`.")]


@router.post("/ai/conversations")
async def create(request: Request, ctx: Ctx, org: Org, body: ConversationCreate) -> Response:
    """Begin a conversation; what is said in it comes with chat."""
    draft = to_conversation(body, id="", now=ctx.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        return dump_conversation(conversations.create(ctx, tx, org, draft))

    return await once(request, ctx, 200, work)


@router.get("/ai/conversations")
async def get_filtered(
    request: Request,
    ctx: Ctx,
    org: Org,
    id: Condition = None,  # noqa: A002  # the wire's own name
    name: Condition = None,
    created_at: Condition = None,
    last_message_at: Condition = None,
    order: Annotated[str | None, Query(description="For example `created_at.desc`.")] = None,
    limit: Annotated[str | None, Query(description="At most 1000, which is also the default.")] = None,
) -> JSONResponse:
    """Conversations that match, newest first unless ``order`` says otherwise. ``metadata->key=op.value`` filters by
    metadata and ``or=(a.eq.x,b.lt.y)`` joins conditions."""
    found = await conversations.get_filtered(ctx, org, parse_filter(request.query_params.multi_items()))
    return JSONResponse({"data": [dump_conversation(one) for one in found]})


@router.get("/ai/conversations/{conversation_id}")
async def retrieve(ctx: Ctx, org: Org, conversation_id: Id) -> JSONResponse:
    """One conversation."""
    return JSONResponse({"data": dump_conversation(await conversations.retrieve(ctx, org, conversation_id))})


@router.get("/ai/conversations/{conversation_id}/messages")
async def get_messages(ctx: Ctx, org: Org, page: Paged, conversation_id: Id) -> JSONResponse:
    """A page of the conversation's messages, oldest first."""
    messages = dump_messages(await conversations.get_transcript(ctx, org, conversation_id))
    first = (page.number - 1) * page.size
    return JSONResponse(paged(messages[first : first + page.size], len(messages), page))
