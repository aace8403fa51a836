"""ASGI middleware around everything that is served: each request is observed, and told of in the access log."""

import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.core.telemetry import RequestWork, Telemetry

_TRACE = ("traceparent", "tracestate")
_LONGEST = 512  # a tracestate may have no more (W3C Trace Context, section 3.3.1.1)
UNSEEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines, and about the server itself."""

log = structlog.get_logger(__name__)


class Watched:
    """``accesses`` says whether each request is told in a line of the log. ``ticks`` are monotonic seconds."""

    def __init__(
        self, app: ASGIApp, telemetry: Telemetry, *, accesses: bool, ticks: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app, self._telemetry, self._accesses, self._ticks = app, telemetry, accesses, ticks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it be answered."""
        if scope["type"] != "http" or scope["path"] in UNSEEN:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope)
        context = {name: value for name in _TRACE if len(value := given.get(name, "")) <= _LONGEST and value}
        work = RequestWork(scope["method"], scope.get("scheme", "http"), context)
        request_id, began = "", self._ticks()

        async def sending(message: Message) -> None:
            nonlocal request_id
            if message["type"] == "http.response.start":
                work.status = message["status"]
                # The gate gives each request an id, and puts it on the answer.
                request_id = Headers(raw=message["headers"]).get("x-request-id", "")
            await send(message)

        with self._telemetry.request(work):
            try:
                await self._app(scope, receive, sending)
            finally:
                work.route = template(scope)
                if self._accesses:
                    log.info(
                        "request",
                        method=work.method[:16],
                        route=work.route,
                        status=work.status,
                        ms=round((self._ticks() - began) * 1000, 1),
                        request=request_id,
                    )


def template(scope: Scope) -> str:
    """The path of the route that answered, with names in the place of values; empty where none did."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    # Where the gate refuses, or an API has no such route, all that was found is the place where the API is mounted.
    if not isinstance(path, str) or isinstance(route, Mount):
        return ""
    root: str = scope.get("root_path", "")
    return root + path
