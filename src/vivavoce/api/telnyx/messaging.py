"""Text messages that an assistant sends (contract, section 5.1, send_sms and whatsapp)."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from fastapi.responses import Response

from vivavoce.api.idempotency import Work, once_ready
from vivavoce.api.telnyx.deps import Ctx, Id, Org
from vivavoce.api.telnyx.wire.messaging import SmsSend, WhatsappSend, to_sms, to_whatsapp
from vivavoce.services import messaging
from vivavoce.services.context import Context
from vivavoce.services.messaging import Draft
from vivavoce.storage.database import Tx

router = APIRouter(tags=["messaging"])

TEMPLATES = "whatsapp_template"
"""The type of the tools that hold approved templates."""


@router.post("/ai/assistants/{assistant_id}/chat/sms")
async def send_sms(request: Request, ctx: Ctx, org: Org, assistant_id: Id, body: SmsSend) -> Response:
    """Send a text message; answers when it is kept, and it goes out at once after that."""

    async def compose() -> Draft:
        return await messaging.compose(ctx, org, assistant_id, to_sms(body))

    return await _kept(request, ctx, org, compose, with_message=False)


@router.post("/ai/assistants/{assistant_id}/chat/whatsapp")
async def start_whatsapp(request: Request, ctx: Ctx, org: Org, assistant_id: Id, body: WhatsappSend) -> Response:
    """Open a WhatsApp conversation; answers when its first message is kept, and it goes out at once after that."""

    async def compose() -> Draft:
        return await messaging.start_whatsapp(ctx, org, assistant_id, to_whatsapp(body), body.content, TEMPLATES)

    return await _kept(request, ctx, org, compose, with_message=True)


async def _kept(
    request: Request, ctx: Context, org: str, compose: Callable[[], Awaitable[Draft]], *, with_message: bool
) -> Response:
    async with AsyncExitStack() as turn:

        async def ready() -> Work:
            draft = await compose()
            await turn.enter_async_context(ctx.turns.of(draft.conversation.id))

            def work(tx: Tx) -> dict[str, str | None]:
                text = messaging.keep(ctx, tx, org, draft)
                message = {"message_id": text.id} if with_message else {}
                return {"conversation_id": text.conversation_id, **message}

            return work

        answer = await once_ready(request, ctx, 200, ready)
    ctx.wake()
    return answer
