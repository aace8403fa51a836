"""Two runs, two batches or two versions beside each other: what changed, the worst first."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce.services import comparing, records
from vivavoce.services.comparing import Comparison, Kind
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.web import asked
from vivavoce.web.pages import Pages
from vivavoce.web.visitor import visitor

KINDS: Mapping[Kind, str] = {
    Kind.BROKE: "Broke",
    Kind.FIXED: "Fixed",
    Kind.CHANGED: "Changed",
    Kind.NEW: "Only after",
    Kind.GONE: "Only before",
}
"""How a criterion changed, as people say it."""
Compare = Callable[[Context, str, str, str], Awaitable[Comparison]]
_WAYS: Mapping[str, Compare] = {
    "runs": comparing.of_runs,
    "batches": comparing.of_batches,
    "versions": comparing.of_versions,
}


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The page that compares."""

    async def show(request: Request) -> Response:
        org = visitor(request).org
        left, right = asked.text(request, "left"), asked.text(request, "right")
        if left is None or right is None:
            return pages.render(request, "compare_form.html", left=left or "", right=right or "")
        what, compared = await _compared(org, left, right)
        told: dict[str, Any] = {"what": what, "compared": compared, "kinds": KINDS, "sides": ()}
        if what == "runs":
            told["sides"] = [await records.retrieve(ctx, org, id_) for id_ in (left, right)]
        return pages.render(request, "compare.html", **told)

    async def _compared(org: str, left: str, right: str) -> tuple[str, Comparison]:
        """What the two are is seen by where they are found."""
        for what, compare in _WAYS.items():
            try:
                return what, await compare(ctx, org, left, right)
            except NotFound:
                continue
        raise NotFound("pair of runs, batches or versions", f"{left} and {right}")

    return [Route("/ui/compare", show, methods=["GET"])]
