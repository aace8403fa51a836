"""``GET /metrics``, for Prometheus. It is about the whole installation and outside of the APIs, so it asks for the key
itself."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from vivavoce.api.gate import away
from vivavoce.core.scope import Scope
from vivavoce.services.keys import ORG
from vivavoce.storage.database import DatabaseAway
from vivavoce.storage.keys import Key

Check = Callable[[str], Awaitable[Key | None]]


def route(check: Check, exposed: Callable[[], Awaitable[bytes]], media_type: str, *, is_open: bool) -> Route:
    """The route. Unless it ``is_open`` to anybody, only admins of the first organisation may read: they are the
    operator's, and the figures are of all organisations."""

    async def metrics(request: Request) -> Response:
        if not is_open:
            scheme, _, secret = request.headers.get("authorization", "").partition(" ")
            try:
                key = await check(secret.strip()) if scheme.lower() == "bearer" and secret.strip() else None
            except DatabaseAway as failure:
                return PlainTextResponse(f"{away(failure)}\n", 503)
            if key is None:
                told = "Send an API key as 'Authorization: Bearer <key>', or set VIVA_METRICS_OPEN.\n"
                return PlainTextResponse(told, 401, {"www-authenticate": "Bearer"})
            if key.org != ORG or not key.scope.allows(Scope.ADMIN):
                return PlainTextResponse(f"This needs a key of {ORG!r} with the scope {Scope.ADMIN}.\n", 403)
        return Response(await exposed(), headers={"content-type": media_type, "cache-control": "no-store"})

    return Route("/metrics", metrics)
