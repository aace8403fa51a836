"""The webhook by which Telnyx reports text messages that came in, and what became of those that went out.

It has no API key: every request is signed by Telnyx (headers ``telnyx-timestamp`` and ``telnyx-signature-ed25519``).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vivavoce.api.gate import away
from vivavoce.api.shape import mapping
from vivavoce.api.telnyx.errors import errors_body, problem
from vivavoce.core.text import TextStatus
from vivavoce.outbound.answer import parsed
from vivavoce.outbound.signing import signed
from vivavoce.services import incoming
from vivavoce.services.context import Context
from vivavoce.services.incoming import Arrival
from vivavoce.storage.database import DatabaseAway
from vivavoce.storage.orgs import DEFAULT

MAX_BODY = 256 * 1024
_BODY_S = 10.0
_MAX_ID, _MAX_NUMBER = 255, 256
_STATUSES = {
    "delivered": TextStatus.DELIVERED,
    "delivery_failed": TextStatus.FAILED,
    "sending_failed": TextStatus.FAILED,
    "expired": TextStatus.FAILED,
}
ATTACHMENT = "[attachment]"
"""What stands for a message that has no words, only media."""

log = structlog.get_logger(__name__)


def application(context: Context, public_key: str) -> Starlette:
    """The webhook as an application of its own, at whatever path it is mounted. ``public_key`` is the account's, in
    base64; without one everything is refused.

    200: taken, or of no interest here. 400: not an event. 403: the signature is missing, wrong or old. 413: too large.
    """

    async def receive(request: Request) -> Response:
        try:
            async with asyncio.timeout(_BODY_S):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return _refused(400, "The body did not come.")
        if body is None:
            return _refused(413, f"The body is larger than {MAX_BODY} bytes.")
        timestamp = request.headers.get("telnyx-timestamp", "")
        signature = request.headers.get("telnyx-signature-ed25519", "")
        if not signed(public_key, timestamp, signature, body, context.clock.now()):
            return _refused(403, "The signature is missing, wrong or too old.")
        try:
            data = mapping(mapping(parsed(body)).get("data"))
        except ValueError:
            return _refused(400, "The body is not JSON.")
        payload = mapping(data.get("payload"))
        match data.get("event_type"):
            case "message.received":
                return await _received(context, payload)
            case "message.finalized":
                await _finalized(context, payload)
            case _:
                pass
        return Response(status_code=200)

    async def failed(_request: Request, failure: Exception) -> Response:
        return _refused(503, away(failure))

    routes = [Route("/{path:path}", receive, methods=["POST"])]
    return Starlette(routes=routes, exception_handlers=dict.fromkeys(DatabaseAway, failed))


async def _received(context: Context, payload: Mapping[str, Any]) -> Response:
    sender, id_ = _text(mapping(payload.get("from")).get("phone_number")), _text(payload.get("id"))
    recipients = [_text(mapping(each).get("phone_number")) for each in _list(payload.get("to"))]
    numbers = [sender, *recipients]
    if not id_ or len(id_) > _MAX_ID or not recipients or not all(numbers) or len(max(numbers, key=len)) > _MAX_NUMBER:
        return _refused(400, "This message has no id, no sender or no recipient.")
    words = _text(payload.get("text")) or (ATTACHMENT if _list(payload.get("media")) else "")
    for recipient in recipients:
        arrival = Arrival(sender, recipient, words, id_)
        org = await incoming.owner(context, arrival)
        if org is not None:
            # One message, one conversation: of several recipients the first that is ours.
            await incoming.receive(context, org, arrival)
            return Response(status_code=200)
    log.warning("a text message came for a number that nobody here has", numbers=recipients)
    # The operator finds it in the inbox, with the reason why it was not answered.
    await incoming.receive(context, DEFAULT, Arrival(sender, recipients[0], words, id_))
    return Response(status_code=200)


async def _finalized(context: Context, payload: Mapping[str, Any]) -> None:
    told = [_text(mapping(each).get("status")) for each in _list(payload.get("to"))]
    status = _STATUSES.get(told[0]) if told else None
    if status is None:
        return
    errors = [mapping(each) for each in _list(payload.get("errors"))]
    details = [_text(error.get("detail")) or _text(error.get("title")) for error in errors]
    reason = "" if status is TextStatus.DELIVERED else "; ".join([told[0], *filter(None, details)])[:1000]
    await incoming.note_delivery(context, _text(payload.get("id")), status, reason)


async def _body(request: Request) -> bytes | None:
    """The body, or None where it is too large."""
    chunks, size = list[bytes](), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _refused(status: int, detail: str) -> JSONResponse:
    return JSONResponse(errors_body(problem(status, detail)), status)


def _list(value: Any) -> Sequence[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
