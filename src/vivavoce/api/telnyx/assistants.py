"""Assistants, their versions, and chat (contract, sections 5.1 and 5.3)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivavoce.api.gate import away
from vivavoce.api.idempotency import once
from vivavoce.api.shape import sent
from vivavoce.api.telnyx.deps import Ctx, Id, Org
from vivavoce.api.telnyx.errors import Refused, errors_body, problem
from vivavoce.api.telnyx.wire.assistant import (
    AssistantCreate,
    AssistantUpdate,
    VersionUpdate,
    dump_assistant,
    overlay,
    to_version,
)
from vivavoce.api.telnyx.wire.conversations import ChatBody
from vivavoce.api.telnyx.wire.mcp_servers import dump_attached
from vivavoce.api.telnyx.wire.rules import semantic_problem
from vivavoce.core.assistant import Assistant, Version
from vivavoce.services import assistants, chat, mcp_servers, openings
from vivavoce.services.chat import Talk
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, Rejected
from vivavoce.storage.database import DatabaseAway, Tx

router = APIRouter(tags=["assistants"])
log = structlog.get_logger(__name__)
_answering: set[asyncio.Task[None]] = set()


def dump(
    ctx: Context, assistant: Assistant, version: Version | None = None, *, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The response object of an assistant, with main unless another version is given, and with its default variables
    unless resolved ones are."""
    model = ctx.models.default_name("assistant")
    return dump_assistant(assistant, version, default_model=model, variables=variables)


def changed(ctx: Context, version: Version, body: VersionUpdate) -> Version:
    """The version with what was sent in its place."""
    return overlay(version, body, version_id=version.id, now=ctx.clock.now())


def check(version: Version) -> None:
    """Raises ``Refused`` where this version cannot be kept."""
    found = semantic_problem(version)
    if found is not None:
        raise Refused(found)


def given_tags(body: VersionUpdate) -> list[str] | None:
    """The tags that were sent, or None."""
    return sent(body).get("tags")


@router.post("/ai/assistants")
async def create(request: Request, ctx: Ctx, org: Org, body: AssistantCreate) -> Response:
    """Create an assistant; its first version is main."""
    draft = to_version(body, version_id="", assistant_id="", now=ctx.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        return dump(ctx, assistants.create(ctx, tx, org, draft, check, tags=given_tags(body) or ()))

    return await once(request, ctx, 200, work)


@router.get("/ai/assistants")
async def get_all(ctx: Ctx, org: Org) -> JSONResponse:
    """All assistants, newest first."""
    found = await assistants.get_all(ctx, org)
    return JSONResponse({"data": [dump(ctx, one) for one in found]})


@router.get("/ai/assistants/{assistant_id}")
async def retrieve(
    ctx: Ctx,
    org: Org,
    assistant_id: Id,
    fetch_dynamic_variables_from_webhook: bool = False,
    from_: Annotated[str | None, Query(alias="from", description="Who would call.")] = None,
    to: Annotated[str | None, Query(description="Who would be called.")] = None,
    call_control_id: Annotated[str | None, Query(description="The call there would be.")] = None,
) -> JSONResponse:
    """The assistant's main version; with the flag, `dynamic_variables` are those that a conversation between these two
    would start with."""
    found = await assistants.retrieve(ctx, org, assistant_id)
    if not fetch_dynamic_variables_from_webhook:
        return JSONResponse(dump(ctx, found))
    variables = await openings.preview(
        ctx, org, found.main, agent_target=to, user_target=from_, call_control_id=call_control_id
    )
    return JSONResponse(dump(ctx, found, variables=variables))


@router.post("/ai/assistants/{assistant_id}")
async def update(ctx: Ctx, org: Org, assistant_id: Id, body: AssistantUpdate) -> JSONResponse:
    """Write a new version over main; it becomes main unless ``promote_to_main`` is false."""
    written = await assistants.update(
        ctx,
        org,
        assistant_id,
        lambda main: changed(ctx, main, body),
        check,
        promote=body.promote_to_main,
        tags=given_tags(body),
    )
    return JSONResponse(dump(ctx, written))


@router.delete("/ai/assistants/{assistant_id}")
async def delete(ctx: Ctx, org: Org, assistant_id: Id, hard_delete: bool = False) -> JSONResponse:
    """Delete an assistant; softly unless ``hard_delete``."""
    await assistants.delete(ctx, org, assistant_id, hard=hard_delete)
    return JSONResponse({"id": assistant_id, "object": "assistant.deleted", "deleted": True})


@router.get("/ai/assistants/{assistant_id}/versions")
async def get_versions(ctx: Ctx, org: Org, assistant_id: Id) -> JSONResponse:
    """All versions, newest first."""
    assistant, found = await assistants.get_versions(ctx, org, assistant_id)
    return JSONResponse({"data": [dump(ctx, assistant, one) for one in found]})


@router.get("/ai/assistants/{assistant_id}/versions/{version_id}")
async def get_version(
    ctx: Ctx, org: Org, assistant_id: Id, version_id: Id, include_mcp_servers: bool = False
) -> JSONResponse:
    """One version; with ``include_mcp_servers``, its servers with their own fields."""
    assistant, version = await assistants.get_version(ctx, org, assistant_id, version_id)
    body = dump(ctx, assistant, version)
    if include_mcp_servers:
        known = await mcp_servers.get_many(ctx, org, [one.id for one in version.servers])
        body["mcp_servers"] = dump_attached(version.servers, known)
    return JSONResponse(body)


@router.post("/ai/assistants/{assistant_id}/versions/{version_id}")
async def edit_version(ctx: Ctx, org: Org, assistant_id: Id, version_id: Id, body: VersionUpdate) -> JSONResponse:
    """Change a version in place; neither main, nor one that a canary deploy serves."""
    assistant, edited = await assistants.edit_version(
        ctx, org, assistant_id, version_id, lambda before: changed(ctx, before, body), check, tags=given_tags(body)
    )
    return JSONResponse(dump(ctx, assistant, edited))


@router.delete("/ai/assistants/{assistant_id}/versions/{version_id}", status_code=204)
async def delete_version(ctx: Ctx, org: Org, assistant_id: Id, version_id: Id) -> None:
    """Remove a version for good; neither main, nor one that a canary deploy serves."""
    await assistants.delete_version(ctx, org, assistant_id, version_id)


@router.post("/ai/assistants/{assistant_id}/versions/{version_id}/promote")
async def promote(ctx: Ctx, org: Org, assistant_id: Id, version_id: Id) -> JSONResponse:
    """Make a version main."""
    found = await assistants.promote(ctx, org, assistant_id, version_id)
    return JSONResponse(dump(ctx, found))


@router.post("/ai/assistants/{assistant_id}/chat", responses={200: {"content": {"text/event-stream": {}}}})
async def post_chat(ctx: Ctx, org: Org, assistant_id: Id, body: ChatBody) -> Response:
    """Say something to the assistant in a conversation; with ``stream`` as server-sent events."""
    talk = await chat.begin(ctx, org, assistant_id, body.conversation_id)
    if not body.stream:
        return JSONResponse({"content": await chat.reply(ctx, talk, body.content)})
    return StreamingResponse(_stream(ctx, talk, body.content), media_type="text/event-stream")


async def _stream(ctx: Context, talk: Talk, content: str) -> AsyncIterator[str]:
    """``delta`` events with pieces of text, then ``done`` with the whole, or ``error`` (contract, section 5.1).

    The answer is written and kept to its end even when nobody listens any more.
    """
    pieces: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def answer() -> None:
        try:
            whole = await chat.reply(ctx, talk, content, lambda piece: pieces.put(("delta", {"content": piece})))
            await pieces.put(("done", {"content": whole, "whatsapp_template": None}))
        except (Broken, Busy, Rejected) as failure:
            status = {Broken: 503, Busy: 409, Rejected: 400}[type(failure)]
            await pieces.put(("error", errors_body(problem(status, str(failure)))))
        except DatabaseAway as failure:
            await pieces.put(("error", errors_body(problem(503, away(failure, conversation=talk.conversation.id)))))
        except Exception:
            log.exception("a streamed answer failed", conversation=talk.conversation.id)
            await pieces.put(("error", errors_body(problem(500, "The answer could not be finished."))))

    task = asyncio.create_task(answer())
    _answering.add(task)
    task.add_done_callback(_answering.discard)
    name = ""
    while name not in ("done", "error"):
        name, data = await pieces.get()
        yield f"event: {name}\ndata: {json.dumps(data)}\n\n"
