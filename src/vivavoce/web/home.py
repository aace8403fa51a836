"""The first page: what goes on, what went wrong lately, and how the suites stand."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce.services import lately, overview
from vivavoce.services.context import Context
from vivavoce.storage.page import Window
from vivavoce.web import live
from vivavoce.web.pages import Pages
from vivavoce.web.visitor import visitor

PAUSE_S = 2.0
"""The page is shown anew no more often than this: runs change all the time."""
_SUITES = 8
_RUNS = 8
_LOOKED_AT = 40


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The first page."""

    async def show(request: Request) -> Response:
        return pages.render(request, "home.html", **await _told(request))

    async def watch(request: Request) -> Response:
        who = visitor(request)

        async def shown() -> str:
            return pages.text(request, "home_body.html", **await _told(request))

        return live.answer(ctx, who.session, shown, PAUSE_S, at_once=True)

    async def _told(request: Request) -> dict[str, Any]:
        org = visitor(request).org
        suites = await overview.get_suites(ctx, org, Window(1, _SUITES))
        home = await overview.home(ctx, org, most=_LOOKED_AT)
        # A test that fails again and again is told once.
        newest = {one.run.scenario_id: one for one in reversed(home.failures)}
        failures = [one for one in home.failures if newest[one.run.scenario_id] is one]
        return {
            "home": home,
            "failures": failures[:_RUNS],
            "running": home.running[:_RUNS],
            "suites": suites,
            "trends": await lately.get_trends(ctx, org, suites.items),
        }

    return [Route("/", show, methods=["GET"]), Route("/ui/home/live", watch, methods=["GET"])]
