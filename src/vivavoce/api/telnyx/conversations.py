"""Conversations and their messages (contract, section 5.15)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import REPLAYED, once
from vivavoce.api.shape import sent
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.assistant import TEMPLATING
from vivavoce.api.telnyx.wire.conversations import (
    ConversationCreate,
    ConversationUpdate,
    MessageCreate,
    dump_conversation,
    dump_messages,
    to_conversation,
    to_written,
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


@router.put("/ai/conversations/{conversation_id}")
async def update(ctx: Ctx, org: Org, conversation_id: Id, body: ConversationUpdate) -> JSONResponse:
    """Replace the conversation's metadata; what the server itself noted there stays when it is left out."""
    metadata = sent(body).get("metadata")
    changed = await conversations.update(ctx, org, conversation_id, metadata, TEMPLATING.prefix)
    return JSONResponse({"data": dump_conversation(changed)})


@router.delete("/ai/conversations/{conversation_id}", response_class=Response)
async def delete(ctx: Ctx, org: Org, conversation_id: Id) -> Response:
    """Remove a conversation with its messages; not one of a test run that is not finished."""
    await conversations.delete(ctx, org, conversation_id)
    return Response(status_code=200)


@router.post("/ai/conversations/{conversation_id}/message", response_class=Response)
async def add_message(request: Request, ctx: Ctx, org: Org, conversation_id: Id, body: MessageCreate) -> Response:
    """Put a message into the conversation, as its caller, its assistant or one of its tools; nobody answers it."""
    written = to_written(body)

    def work(tx: Tx) -> None:
        conversations.add_message(ctx, tx, org, conversation_id, written)

    answer = await once(request, ctx, 200, work)
    return Response(headers={name: answer.headers[name] for name in (REPLAYED,) if name in answer.headers})


@router.get("/ai/conversations/{conversation_id}/messages")
async def get_messages(ctx: Ctx, org: Org, page: Paged, conversation_id: Id) -> JSONResponse:
    """A page of the conversation's messages, oldest first."""
    messages = dump_messages(await conversations.get_transcript(ctx, org, conversation_id))
    first = (page.number - 1) * page.size
    return JSONResponse(paged(messages[first : first + page.size], len(messages), page))
