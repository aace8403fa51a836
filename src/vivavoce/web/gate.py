"""The gate in front of the dashboard: who it is, whether they may, and that their own page sent what changes things.

Every request that is not a plain reading one is refused unless it comes from this server's pages: browsers say where it
comes from (Fetch Metadata, Origin), and each form carries a token that belongs to the session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from starlette.datastructures import Headers, ImmutableMultiDict, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.gate import away
from vivavoce.api.scopes import Rule, needed
from vivavoce.services import sessions
from vivavoce.services.context import Context
from vivavoce.storage.database import DatabaseAway
from vivavoce.web.pages import Pages
from vivavoce.web.visitor import COOKIE, Visitor, csrf_of, same

log = structlog.get_logger(__name__)

Form = ImmutableMultiDict[str, str]
"""What a form sent: names and texts, in order."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}
_READING = {"GET", "HEAD"}
_MOST_FIELDS = 20_000
STATIC = "/ui/static/"
FOREVER = "public, max-age=31536000, immutable"
OPEN = ("/login", STATIC)
"""What is shown to those who have no session."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the gate itself, told on a page."""

    status: int
    title: str
    detail: str


class Gate:
    """ASGI middleware. It leaves ``visitor`` (None on the page to log in) and ``form`` in the request's state."""

    def __init__(self, app: ASGIApp, context: Context, pages: Pages, max_body: int, rules: Sequence[Rule]) -> None:
        self._app, self._context, self._pages, self._max_body, self._rules = app, context, pages, max_body, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it here."""
        if scope["type"] != "http":
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # What a person saw stays in no cache, and is gone after they logged out; files change their addresses.
                static = scope["path"].startswith(STATIC) and message["status"] == 200
                headers["cache-control"] = FOREVER if static else "no-store"
            await send(message)

        request = Request(scope, receive)
        request.state.visitor, request.state.form = None, Form()
        try:
            answer = await self._admit(request)
            if answer is None:
                await self._app(scope, receive, sending)
            else:
                await answer(scope, receive, sending)
        except ClientDisconnect:
            return  # there is nobody to answer
        except DatabaseAway as failure:
            told = away(failure, method=scope["method"])
            if not started:
                await self._refuse(request, Refusal(503, "Not now", told))(scope, receive, sending)
        except Exception:
            log.exception("a page failed", method=scope["method"])
            if not started:
                said = Refusal(500, "Something went wrong here", "The server's log says more.")
                await self._refuse(request, said)(scope, receive, sending)

    async def _admit(self, request: Request) -> Response | None:
        path = request.url.path
        if "\x00" in path or b"%00" in request.scope["query_string"]:
            return self._refuse(request, Refusal(400, "No such address", "The address holds a NUL character."))
        token = request.cookies.get(COOKIE, "")
        found = await sessions.find(self._context, token) if token else None
        if found is not None:
            request.state.visitor = Visitor(found, csrf_of(token))
        is_open = path.startswith(OPEN)
        if request.method not in _READING:
            refusal = _foreign(request.headers, request.url.netloc) or await self._read(request)
            if refusal is None and not is_open:
                refusal = self._unfit(request)
            if refusal is not None:
                return self._refuse(request, refusal)
        elif found is None and not is_open:
            return self._to_login(request)
        return None

    def _unfit(self, request: Request) -> Refusal | None:
        visitor = request.state.visitor
        if visitor is None:
            return Refusal(401, "Your session is over", "Log in again; nothing was changed.")
        given = request.headers.get("x-csrf-token") or request.state.form.get("csrf", "")
        if not same(given, visitor.csrf):
            return Refusal(403, "This form is out of date", "Load the page again and send it once more.")
        wanted = needed(self._rules, request.method, request.url.path)
        if not visitor.session.scope.allows(wanted):
            return Refusal(
                403, "Your key may not do this", f"It may {visitor.session.scope.told}; this needs “{wanted.value}”."
            )
        return None

    async def _read(self, request: Request) -> Refusal | None:
        """Leave the form in the request's state."""
        kind = request.headers.get("content-type", "application/x-www-form-urlencoded").partition(";")[0].strip()
        if kind != "application/x-www-form-urlencoded":
            return Refusal(415, "Not a form", "Pages send forms, and nothing else.")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._max_body:
                return Refusal(413, "Too much", f"A form may hold {self._max_body} bytes.")
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except UnicodeDecodeError:
            return Refusal(400, "Not a form", "What was sent cannot be read as a form.")
        except ValueError:
            return Refusal(413, "Too much", f"A form may have {_MOST_FIELDS} fields.")
        # Browsers end the lines of a text with both characters; everywhere else one is enough.
        clean = [(name, value.replace("\r\n", "\n")) for name, value in fields]
        if any("\x00" in name + value for name, value in clean):
            return Refusal(400, "Not a text", "What was sent holds a NUL character.")
        request.state.form = Form(clean)
        return None

    def _to_login(self, request: Request) -> Response:
        if "hx-request" in request.headers:
            # A part of a page: the whole page has to go there.
            return Response(status_code=401, headers={"hx-redirect": "/login"})
        there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/login" if there == "/" else f"/login?next={quote(there, safe='')}", 303)

    def _refuse(self, request: Request, refusal: Refusal) -> Response:
        return self._pages.trouble(request, refusal.status, refusal.title, refusal.detail)


def _foreign(headers: Headers, host: str) -> Refusal | None:
    """Whether another site's page sent it."""
    said = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    foreign = said not in (None, "same-origin") or (said is None and origin is not None and _host(origin) != host)
    return Refusal(403, "From another site", "Only this server's own pages may send this.") if foreign else None


def _host(origin: str) -> str | None:
    """The host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def form(request: Request) -> Form:
    """What the form sent."""
    return request.state.form
