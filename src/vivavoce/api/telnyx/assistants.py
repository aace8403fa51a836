"""Assistants, their versions, and chat (contract, sections 5.1 and 5.3)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivavoce.api.idempotency import once
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
from vivavoce.api.telnyx.wire.rules import semantic_problem
from vivavoce.core.assistant import Version
from vivavoce.core.event import Millis
from vivavoce.services import assistants, chat
from vivavoce.services.chat import Talk
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Busy, Rejected
from vivavoce.storage.database import Tx

router = APIRouter(tags=["assistants"])
log = structlog.get_logger(__name__)
_answering: set[asyncio.Task[None]] = set()


def _dump(ctx: Context, version: Version, created_at: Millis) -> dict[str, Any]:
    return dump_assistant(version, created_at=created_at, default_model=ctx.models.default_name("assistant"))


def _changed(ctx: Context, version: Version, body: VersionUpdate) -> Version:
    return _checked(overlay(version, body, version_id=version.id, now=ctx.clock.now()))


def _checked(version: Version) -> Version:
    found = semantic_problem(version)
    if found is not None:
        raise Refused(found)
    return version


@router.post("/ai/assistants")
async def create(request: Request, ctx: Ctx, org: Org, body: AssistantCreate) -> Response:
    """Create an assistant; its first version is main."""
    draft = _checked(to_version(body, version_id="", assistant_id="", now=ctx.clock.now()))

    def work(tx: Tx) -> dict[str, Any]:
        made = assistants.create(ctx, tx, org, draft)
        return _dump(ctx, made.main, made.created_at)

    return await once(request, ctx, 200, work)


@router.get("/ai/assistants")
async def get_all(ctx: Ctx, org: Org) -> JSONResponse:
    """All assistants, newest first."""
    found = await assistants.get_all(ctx, org)
    return JSONResponse({"data": [_dump(ctx, one.main, one.created_at) for one in found]})


@router.get("/ai/assistants/{assistant_id}")
async def retrieve(
    ctx: Ctx,
    org: Org,
    assistant_id: Id,
    fetch_dynamic_variables_from_webhook: bool = False,
) -> JSONResponse:
    """The assistant's main version."""
    found = await assistants.retrieve(ctx, org, assistant_id)
    return JSONResponse(_dump(ctx, found.main, found.created_at))


@router.post("/ai/assistants/{assistant_id}")
async def update(ctx: Ctx, org: Org, assistant_id: Id, body: AssistantUpdate) -> JSONResponse:
    """Write a new version over main; it becomes main unless ``promote_to_main`` is false."""
    written = await assistants.update(
        ctx, org, assistant_id, lambda main: _changed(ctx, main, body), promote=body.promote_to_main
    )
    return JSONResponse(_dump(ctx, written.main, written.created_at))


@router.delete("/ai/assistants/{assistant_id}")
async def delete(ctx: Ctx, org: Org, assistant_id: Id, hard_delete: bool = False) -> JSONResponse:
    """Delete an assistant; softly unless ``hard_delete``."""
    await assistants.delete(ctx, org, assistant_id, hard=hard_delete)
    return JSONResponse({"id": assistant_id, "object": "assistant.deleted", "deleted": True})


@router.get("/ai/assistants/{assistant_id}/versions")
async def get_versions(ctx: Ctx, org: Org, assistant_id: Id) -> JSONResponse:
    """All versions, newest first."""
    assistant, found = await assistants.get_versions(ctx, org, assistant_id)
    return JSONResponse({"data": [_dump(ctx, one, assistant.created_at) for one in found]})


@router.get("/ai/assistants/{assistant_id}/versions/{version_id}")
async def get_version(
    ctx: Ctx, org: Org, assistant_id: Id, version_id: Id, include_mcp_servers: bool = False
) -> JSONResponse:
    """One version."""
    assistant, version = await assistants.get_version(ctx, org, assistant_id, version_id)
    return JSONResponse(_dump(ctx, version, assistant.created_at))


@router.post("/ai/assistants/{assistant_id}/versions/{version_id}/promote")
async def promote(ctx: Ctx, org: Org, assistant_id: Id, version_id: Id) -> JSONResponse:
    """Make a version main."""
    found = await assistants.promote(ctx, org, assistant_id, version_id)
    return JSONResponse(_dump(ctx, found.main, found.created_at))


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
