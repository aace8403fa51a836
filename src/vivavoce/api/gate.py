"""The gate in front of an API: request id, key, rate limit, scope, size of the body, and nothing unexpected gets out.

One gate serves every API; how an error is written is the API's own business and is passed in.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.rates import Rates
from vivavoce.api.scopes import Rule, needed
from vivavoce.core.ids import NewId
from vivavoce.storage.database import DatabaseAway, away_because
from vivavoce.storage.keys import Key

log = structlog.get_logger(__name__)

Render = Callable[[int, str, str | None], Mapping[str, Any]]
"""(status, detail, pointer) → the JSON body of an error."""
Check = Callable[[str], Awaitable[Key | None]]
"""Secret → the key it opens."""

REQUEST_ID = "x-request-id"
_MAX_REQUEST_ID = 128
_BODY_S = 30.0
_READ_TO_REFUSE = 32 * 1024 * 1024


def away(failure: Exception, **of: str) -> str:
    """What is answered while the database is away: its own words are SQL. Those are for the log."""
    log.warning("the database is away", reason=away_because(failure), **of)
    return "The database does not answer. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the gate itself."""

    status: int
    detail: str
    headers: Mapping[str, str]


class Gate:
    """ASGI middleware. It leaves ``org``, ``key_id``, ``request_id`` and ``body`` in the request's state. ``rules`` are
    the API's own about scopes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        check: Check,
        rates: Rates,
        render: Render,
        new_id: NewId,
        max_body: int,
        rules: Sequence[Rule] = (),
    ) -> None:
        self._app, self._check, self._rates, self._rules = app, check, rates, rules
        self._render, self._new_id, self._max_body = render, new_id, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _usable(headers.get(REQUEST_ID)) or self._new_id()
        extra = {REQUEST_ID: request_id}
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(extra)
            await send(message)

        try:
            with structlog.contextvars.bound_contextvars(request=request_id):
                refusal = await self._admit(scope, headers, extra)
                body = b""
                if refusal is None:
                    try:
                        async with asyncio.timeout(_BODY_S):
                            body_or_refusal = await self._read(headers, receive)
                    except TimeoutError:
                        detail = f"The body did not come within {_BODY_S:g} s."
                        body_or_refusal = Refusal(408, detail, {"connection": "close"})
                    if isinstance(body_or_refusal, Refusal):
                        refusal = body_or_refusal
                    else:
                        body = body_or_refusal
                if refusal is not None:
                    await self._refuse(refusal, sending)
                    return
                scope.setdefault("state", {})["request_id"] = request_id
                scope["state"]["body"] = body
                await self._app(scope, _replay(body, receive), sending)
        except DatabaseAway as failure:
            told = away(failure, request=request_id)
            if not started:
                await self._refuse(Refusal(503, told, {}), sending)
        except Exception:
            log.exception("request failed", request=request_id, method=scope["method"])
            # The API may have said so already, and then tells us for the log.
            if not started:
                detail = f"Something went wrong here. Request {request_id} is in the log."
                await self._refuse(Refusal(500, detail, {}), sending)

    async def _admit(self, scope: Scope, headers: Headers, extra: dict[str, str]) -> Refusal | None:
        """Key, rate and scope. The rate's headers go on every answer to a known key."""
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return Refusal(400, "The address holds a NUL character.", {})
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        key = await self._check(secret.strip()) if scheme.lower() == "bearer" and secret.strip() else None
        if key is None:
            detail = "The API key is missing or not known here. Send it as 'Authorization: Bearer <key>'."
            return Refusal(401, detail, {"www-authenticate": "Bearer"})
        scope.setdefault("state", {}).update(org=key.org, key_id=key.id)
        rate = self._rates.count(key.id)
        if rate is not None:
            extra.update(rate.headers())
            if rate.exceeded:
                detail = f"More than {rate.limit} requests a minute with this key. Try again in {rate.reset} s."
                return Refusal(429, detail, {"retry-after": str(rate.reset)})
        scope_needed = needed(self._rules, scope["method"], _path(scope))
        if not key.scope.allows(scope_needed):
            return Refusal(403, f"This key may {key.scope.told}; this needs a key with the scope {scope_needed}.", {})
        return None

    async def _read(self, headers: Headers, receive: Receive) -> bytes | Refusal:
        """The whole body, as long as it is not too large: it is JSON and must be held at once anyway."""
        large = Refusal(413, f"The body is larger than {self._max_body} bytes.", {"connection": "close"})
        length = headers.get("content-length", "")
        declared = int(length[:20]) if length.isdecimal() else 0
        # A client that is still sending when the connection ends never sees the answer, so what is a little too large
        # is read all the same. One that asked before it sends need not send at all.
        most = max(self._max_body, _READ_TO_REFUSE)
        if declared > (self._max_body if "expect" in headers else most):
            return large
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                # Half a request must not be taken for a whole one; nobody reads this answer.
                return Refusal(400, "The body ended too early.", {})
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > most:
                return large
            if size <= self._max_body:
                chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks) if size <= self._max_body else large

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        body = json.dumps(self._render(refusal.status, refusal.detail, None)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


def _path(scope: Scope) -> str:
    """The path below the root at which the API is mounted, as its own routes see it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path


def _usable(request_id: str | None) -> str | None:
    """A caller's own request id, where it is harmless to repeat in a header and in a log."""
    if request_id and len(request_id) <= _MAX_REQUEST_ID and request_id.isascii() and request_id.isprintable():
        return request_id
    return None


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
