"""Chats with an assistant of whatever form, to try it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.shape import storable
from vivavoce.api.viva.events import dump_event
from vivavoce.services import chatting
from vivavoce.services.chatting import Since, Start

router = APIRouter(prefix="/conversations", tags=["conversations"])

Id = Annotated[str, Path(max_length=256)]


class Begin(BaseModel, frozen=True, extra="forbid"):
    """With whom to chat. Without a version it is the one that a new conversation gets."""

    assistant_id: Annotated[str, Field(min_length=1, max_length=256)]
    version_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    variables: Annotated[dict[str, Any], Field(max_length=500)] = {}

    _storable = model_validator(mode="before")(storable)


class Words(BaseModel, frozen=True, extra="forbid"):
    """What is said to the assistant."""

    text: Annotated[str, Field(min_length=1, max_length=20_000)]

    _storable = model_validator(mode="before")(storable)


@router.post("", status_code=201)
async def begin(ctx: Ctx, org: Org, body: Begin) -> JSONResponse:
    """Begin a chat; answers with what the assistant opens it with."""
    found = await chatting.begin(ctx, org, Start(body.assistant_id, body.version_id, body.variables))
    return JSONResponse({"id": found.id, "version_id": found.version.id, **_dump(found)}, 201)


@router.post("/{conversation_id}/messages")
async def say(ctx: Ctx, org: Org, conversation_id: Id, body: Words) -> JSONResponse:
    """Say something; answers with all that the assistant did until it waits again."""
    return JSONResponse(_dump(await chatting.reply(ctx, org, conversation_id, body.text)))


@router.delete("/{conversation_id}", status_code=204)
async def end(ctx: Ctx, org: Org, conversation_id: Id) -> Response:
    """Hang up. What was said stays."""
    await chatting.end(ctx, org, conversation_id)
    return Response(status_code=204)


def _dump(found: Since) -> dict[str, Any]:
    return {"events": [{"turn": turn, **dump_event(event)} for turn, event in found.events], "over": found.over}
