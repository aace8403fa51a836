"""Batches: runs that were triggered together, as a list and each as it goes on."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.services import cancelling, lately, watching
from vivavoce.services.context import Context
from vivavoce.web import asked, live
from vivavoce.web.pages import Pages, address, part
from vivavoce.web.visitor import visitor

PAUSE_S = 1.0
"""A batch's page is shown anew no more often than this: all of its runs are read for it."""
SIZE = 25
"""How many are listed on one page."""


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The list of batches, the page of one, and what its button sends."""

    async def show_all(request: Request) -> Response:
        below = asked.text(request, "before")
        found, more = await lately.get_batches(ctx, visitor(request).org, SIZE, below)
        return pages.render(request, "batches.html", batches=found, more=more, below=below)

    async def show(request: Request) -> Response:
        return pages.render(request, "batch.html", **await _told(request))

    async def watch(request: Request) -> Response:
        who, batch_id = visitor(request), request.path_params["batch_id"]
        await watching.find_batch(ctx.database, who.org, batch_id)

        async def shown() -> str:
            return pages.text(request, "batch_body.html", **await _told(request))

        return live.answer(ctx, who.session, shown, PAUSE_S, batch_id=batch_id)

    async def cancel(request: Request) -> Response:
        batch_id = request.path_params["batch_id"]
        await cancelling.stop_batch(ctx.database, ctx, visitor(request).org, batch_id)
        ctx.wake()
        return RedirectResponse(address(f"/ui/batches/{part(batch_id)}", said="cancelled"), 303)

    async def _told(request: Request) -> dict[str, Any]:
        whole = await lately.retrieve_batch(ctx, visitor(request).org, request.path_params["batch_id"])
        return {"batch": whole, "stand": whole.standing.stand, "account": whole.standing.account}

    return [
        Route("/ui/batches", show_all, methods=["GET"]),
        Route("/ui/batches/{batch_id}", show, methods=["GET"]),
        Route("/ui/batches/{batch_id}/live", watch, methods=["GET"]),
        Route("/ui/batches/{batch_id}/cancel", cancel, methods=["POST"]),
    ]
