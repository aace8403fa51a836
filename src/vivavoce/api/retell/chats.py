"""Chats (contract, section 9)."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse, Response

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.versions import number_of
from vivavoce.api.retell.wire.chats import (
    ChatCreate,
    ChatList,
    ChatUpdate,
    CompletionCreate,
    dump_chat,
    dump_item,
    dump_turn,
)
from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.retell.wire.paging import Limit, Order, paged, span
from vivavoce.services import talks
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage.conversations import TalkFilter
from vivavoce.storage.page import Span

router = APIRouter(tags=["chats"])

_CHATS = "chats"
Last = Annotated[str | None, Query(max_length=256)]


@contextmanager
def _known(chat_id: str) -> Generator[None]:
    """A chat that is not there, or that is in no state for this, is 422 (contract, sections 1.1 and 9)."""
    try:
        yield
    except NotFound as failure:
        raise Refused(422, f"There is no chat {chat_id!r}.") from failure
    except Rejected as failure:
        raise Refused(422, str(failure)) from failure


@contextmanager
def _startable(agent_id: str) -> Generator[None]:
    try:
        yield
    except NotFound as failure:
        lacks = f"it has no version {failure.id!r}" if failure.noun == "version" else "there is no such chat agent"
        raise Refused(422, f"A chat cannot be started with agent {agent_id!r}: {lacks}.") from failure
    except Rejected as failure:
        raise Refused(422, str(failure)) from failure


@router.post("/create-chat", status_code=201)
async def create(ctx: Ctx, org: Org, body: ChatCreate) -> JSONResponse:
    """Begin a chat with a chat agent."""
    agent, id_ = read("agent", body.agent_id), ctx.new_id()
    variables = {"chat_id": shown("chat", id_), **(body.retell_llm_dynamic_variables or {})}
    with _startable(body.agent_id):
        number = await number_of(ctx, org, agent, talks.FORMS, body.agent_version)
        said = await talks.begin(ctx, org, talks.Start(id_, agent, number, variables, body.kept()))
    return JSONResponse(dump_chat(said), 201)


@router.post("/create-chat-completion", status_code=201)
async def complete(ctx: Ctx, org: Org, body: CompletionCreate) -> JSONResponse:
    """Say something in a chat; the answer is all that the agent does then."""
    with _known(body.chat_id):
        said, first = await talks.reply(ctx, org, read("chat", body.chat_id), body.content)
    return JSONResponse(dump_turn(said, first), 201)


@router.get("/get-chat/{chat_id}")
async def retrieve(ctx: Ctx, org: Org, chat_id: Id) -> JSONResponse:
    """One chat."""
    with _known(chat_id):
        return JSONResponse(dump_chat(await talks.retrieve(ctx, org, read("chat", chat_id))))


@router.patch("/update-chat/{chat_id}")
async def update(ctx: Ctx, org: Org, chat_id: Id, body: ChatUpdate) -> JSONResponse:
    """Change what is kept with a chat, and its variables."""
    with _known(chat_id):
        said = await talks.update(
            ctx,
            org,
            read("chat", chat_id),
            body.change,
            override=body.override_dynamic_variables,
            restore=body.restores,
        )
    return JSONResponse(dump_chat(said))


@router.patch("/end-chat/{chat_id}", status_code=204)
async def end(ctx: Ctx, org: Org, chat_id: Id) -> Response:
    """End a chat; one that has ended stays as it is."""
    with _known(chat_id):
        await talks.end(ctx, org, read("chat", chat_id))
    return Response(status_code=204)


@router.delete("/delete-chat/{chat_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, chat_id: Id) -> Response:
    """Delete a chat and all that was said in it."""
    with _known(chat_id):
        await talks.delete(ctx, org, read("chat", chat_id))
    return Response(status_code=204)


@router.post("/v3/list-chats")
async def get_slice(ctx: Ctx, org: Org, body: Annotated[ChatList | None, Body()] = None) -> JSONResponse:
    """Chats without what was said in them, newest first unless asked otherwise."""
    asked = body or ChatList()
    wanted = asked.filter_criteria.to_filter() if asked.filter_criteria else TalkFilter()
    span_ = span(_CHATS, asked.limit, asked.pagination_key, asked.sort_order)
    found, total = await talks.get_slice(ctx, org, wanted, span_, skip=asked.skip, counted=asked.include_total)
    last = found.items[-1].id if found.items else None
    page = paged(_CHATS, [dump_item(one) for one in found.items], last, more=found.more)
    return JSONResponse(page if total is None else page | {"total": total})


@router.get("/list-chat", deprecated=True)
async def get_all(
    ctx: Ctx, org: Org, limit: Limit = 50, pagination_key: Last = None, sort_order: Order = "descending"
) -> JSONResponse:
    """Chats with what was said in them; ``pagination_key`` is the id of the last one of the stretch before."""
    after = read("chat", pagination_key) if pagination_key else None
    found = await talks.get_all(ctx, org, Span(limit, after, sort_order == "ascending"))
    return JSONResponse([dump_chat(one) for one in found])
