"""Suites: all of them with their last results, and one over time."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.assistant import Version
from vivavoce.services import assistants, batching, history, lately, overview
from vivavoce.services.batching import Wish
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.lately import Test
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.web import asked
from vivavoce.web.gate import Form, form
from vivavoce.web.pages import Pages, part
from vivavoce.web.visitor import visitor

POINTS = 50
"""How many batches the plots show."""
_TESTS = 50
_MOST_VERSIONS = 50
_MOST_REPEATS = 1_000


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The list of suites, the page of one, and what its form sends."""

    async def show_all(request: Request) -> Response:
        org = visitor(request).org
        page = await overview.get_suites(ctx, org, asked.window(request, 20))
        return pages.render(request, "suites.html", page=page, trends=await lately.get_trends(ctx, org, page.items))

    async def show(request: Request) -> Response:
        return await _shown(request)

    async def _shown(request: Request, wrong: str = "", given: Form | None = None) -> Response:
        org, name = visitor(request).org, request.path_params["name"]
        points = await history.of_suite(ctx, org, name, POINTS)
        tests = await lately.get_tests(ctx, org, ScenarioFilter(suite=name), asked.window(request, _TESTS))
        return pages.render(
            request,
            "suite.html",
            400 if wrong else 200,
            name=name,
            points=points,
            tests=tests,
            versions=await _versions(org, tests.items),
            wrong=wrong,
            given=given or Form(),
        )

    async def _versions(org: str, tests: Sequence[Test]) -> Sequence[Version]:
        """Which versions can be chosen: those of the assistant that all tests on the page go to."""
        targets = {ctx.numbers.get(one.scenario.target, one.scenario.target) for one in tests}
        if len(targets) != 1:
            return ()
        try:
            _, found = await assistants.get_versions(ctx, org, targets.pop())
        except NotFound:
            return ()
        return sorted(found, key=lambda one: one.created_at, reverse=True)[:_MOST_VERSIONS]

    async def run(request: Request) -> Response:
        org, name, given = visitor(request).org, request.path_params["name"], form(request)
        repeats = given.get("repeats", "").strip()
        if repeats and not (repeats.isascii() and repeats.isdigit() and 1 <= int(repeats[:9]) <= _MOST_REPEATS):
            return await _shown(request, f"A number from 1 to {_MOST_REPEATS}, or nothing.", given)
        wish = Wish(name, version_id=given.get("version") or None, repeats=int(repeats) if repeats else None)
        try:
            batch_id, _ = await ctx.database.write(lambda tx: batching.trigger(ctx, tx, org, wish))
        except Rejected as failure:
            return await _shown(request, str(failure), given)
        ctx.wake()
        return RedirectResponse(f"/ui/batches/{part(batch_id)}", 303)

    return [
        Route("/ui/suites", show_all, methods=["GET"]),
        # A suite's name may hold a slash.
        Route("/ui/suites/{name:path}/run", run, methods=["POST"]),
        Route("/ui/suites/{name:path}", show, methods=["GET"]),
    ]
