"""Logging in with an API key, and out."""

import secrets
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.services import sessions
from vivavoce.services.context import Context
from vivavoce.web.gate import form
from vivavoce.web.pages import THEMES, Pages
from vivavoce.web.visitor import COOKIE


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The page to log in, and what its form and the button to log out send."""

    async def show(request: Request) -> Response:
        if request.state.visitor is not None:
            return RedirectResponse(_inside(request.query_params.get("next", "/")), 303)
        return pages.render(request, "login.html", wrong=False, there=request.query_params.get("next", ""))

    async def begin(request: Request) -> Response:
        given = form(request)
        there = _inside(given.get("next", ""))
        made = await sessions.begin(ctx, given.get("key", "").strip(), secrets.token_urlsafe)
        if made is None:
            return pages.render(request, "login.html", 401, wrong=True, there=there)
        answer = RedirectResponse(there, 303)
        token, _ = made
        answer.set_cookie(
            COOKIE,
            token,
            max_age=sessions.LASTS_MS // 1000,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    async def end(request: Request) -> Response:
        await sessions.end(ctx, request.state.visitor.session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return answer

    async def theme(request: Request) -> Response:
        given = form(request)
        answer = RedirectResponse(_inside(given.get("next", "/")), 303)
        if (wanted := given.get("theme", "")) in THEMES:
            answer.set_cookie("viva_theme", wanted, max_age=365 * 24 * 3600, httponly=True, samesite="lax")
        else:
            answer.delete_cookie("viva_theme", httponly=True, samesite="lax")
        return answer

    return [
        Route("/login", show, methods=["GET"]),
        Route("/login", begin, methods=["POST"]),
        Route("/ui/logout", end, methods=["POST"]),
        Route("/ui/theme", theme, methods=["POST"]),
    ]


def _inside(there: str) -> str:
    """A path on this server: never a way out of it."""
    try:
        parts = urlsplit(there)
    except ValueError:
        return "/"
    outside = parts.scheme or parts.netloc or not there.startswith("/") or there.startswith(("//", "/\\"))
    return "/" if outside or not there.isprintable() else there
