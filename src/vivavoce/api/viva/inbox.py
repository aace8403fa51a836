"""The inbox: text messages that came in and went out, and on the loopback the way to send one in."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from vivavoce.api.deps import Ctx, Org
from vivavoce.channels.messenger import Loopback
from vivavoce.core.scenario import Medium
from vivavoce.core.text import Direction, Text
from vivavoce.core.times import iso
from vivavoce.services import incoming, messaging
from vivavoce.services.errors import Rejected
from vivavoce.services.incoming import Arrival
from vivavoce.storage.page import Window
from vivavoce.storage.texts import TextFilter

router = APIRouter(tags=["inbox"])

_NO_NUL = r"^[^\x00]*$"
Number = Annotated[str, Field(min_length=1, max_length=256, pattern=_NO_NUL)]


class InboxPost(BaseModel, frozen=True, extra="forbid"):
    """A text message that arrives. ``id`` is the carrier's: the same id twice is one message."""

    from_: Number = Field(alias="from")
    to: Number
    text: Annotated[str, Field(max_length=65_536, pattern=_NO_NUL)]
    channel: Literal["sms_chat", "whatsapp_chat"] | None = None
    id: Annotated[str, Field(min_length=1, max_length=255, pattern=_NO_NUL)] | None = None


@router.get("/inbox")
async def get_page(
    ctx: Ctx,
    org: Org,
    number: Annotated[str | None, Query(max_length=256, description="The number of either side.")] = None,
    direction: Direction | None = None,
    conversation_id: Annotated[str | None, Query(max_length=256)] = None,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Text messages, newest first."""
    found = await messaging.get_page(ctx, org, TextFilter(number, direction, conversation_id), Window(page, size))
    return JSONResponse({"data": [dump(one) for one in found.items], "page": page, "size": size, "total": found.total})


@router.get("/inbox/{message_id}")
async def retrieve(ctx: Ctx, org: Org, message_id: Annotated[str, Path(max_length=256)]) -> JSONResponse:
    """One text message."""
    return JSONResponse(dump(await messaging.retrieve(ctx, org, message_id)))


@router.post("/inbox", status_code=201)
async def post(ctx: Ctx, org: Org, body: InboxPost) -> JSONResponse:
    """A text message arrives, as if a carrier had brought it; only where messages are carried nowhere."""
    if not isinstance(ctx.messenger, Loopback):
        raise Rejected(f"Text messages come in by {ctx.messenger.name} here: only the loopback takes them from you.")
    medium = Medium(body.channel) if body.channel else None
    text = await incoming.receive(ctx, org, Arrival(body.from_, body.to, body.text, body.id, medium))
    return JSONResponse(dump(text), 201)


def dump(text: Text) -> dict[str, Any]:
    """A text message as it is shown."""
    return {
        "id": text.id,
        "direction": text.direction.value,
        "channel": text.medium.value,
        "from": text.sender,
        "to": text.recipient,
        "text": text.body,
        "status": text.status.value,
        "reason": text.reason,
        "conversation_id": text.conversation_id,
        "provider_id": text.provider_id,
        "created_at": iso(text.created_at),
    }
