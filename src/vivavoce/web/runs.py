"""Runs: all of them as a list, and one with everything that is known of it, while it goes on and afterwards."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.verdict import Fault
from vivavoce.services import cancelling, overview, records, runs, scenarios, watching
from vivavoce.services.context import Context
from vivavoce.services.records import Record
from vivavoce.storage.database import Tx
from vivavoce.storage.runs import RunFilter
from vivavoce.web import asked, live
from vivavoce.web.pages import Pages, address, part
from vivavoce.web.visitor import visitor

PAUSE_S = 0.3
"""A run's page is shown anew no more often than this."""
FAULTS: Mapping[Fault, str] = {
    Fault.ASSISTANT: "The assistant’s fault",
    Fault.TESTER: "The caller’s fault, not the assistant’s",
    Fault.JUDGE: "The judge could not decide; nobody knows whether the assistant is at fault",
    Fault.INFRASTRUCTURE: "Something that the run needs was away; it says nothing about the assistant",
    Fault.NOBODY: "Nobody’s fault",
}
"""Whose fault it is that a run did not pass, as people say it."""


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The list of runs, the page of one, and what its buttons send."""

    async def show_all(request: Request) -> Response:
        org = visitor(request).org
        test_id = asked.text(request, "test")
        batch_id = asked.text(request, "batch")
        # A test is in one suite, and a batch has mostly one: the narrowest filter is enough.
        suite = None if test_id or batch_id else asked.text(request, "suite")
        wanted = RunFilter(None if batch_id else test_id, suite, batch_id, asked.states(request))
        return pages.render(
            request,
            "runs.html",
            page=await overview.get_runs(ctx, org, wanted, asked.window(request)),
            suites=await scenarios.get_suites(ctx, org),
            wanted=wanted,
            chosen=request.query_params.get("status", ""),
            states=asked.STATES,
        )

    async def show(request: Request) -> Response:
        return pages.render(request, "run.html", **_told(await _record(request)))

    async def watch(request: Request) -> Response:
        who = visitor(request)
        run_id = request.path_params["run_id"]
        await watching.find_run(ctx.database, who.org, run_id)

        async def shown() -> str:
            return pages.text(request, "run_body.html", **_told(await _record(request)))

        return live.answer(ctx, who.session, shown, PAUSE_S, run_id=run_id)

    async def again(request: Request) -> Response:
        org = visitor(request).org
        before = (await _record(request)).run
        made = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, org, before.scenario_id, None))
        ctx.wake()
        return RedirectResponse(f"/ui/runs/{part(made.id)}", 303)

    async def cancel(request: Request) -> Response:
        org, run_id = visitor(request).org, request.path_params["run_id"]

        def work(tx: Tx) -> None:
            cancelling.cancel(ctx, tx, org, run_id)

        await ctx.database.write(work)
        ctx.wake()
        return RedirectResponse(address(f"/ui/runs/{part(run_id)}", said="cancelled"), 303)

    async def _record(request: Request) -> Record:
        return await records.retrieve(ctx, visitor(request).org, request.path_params["run_id"])

    def _told(record: Record) -> dict[str, Any]:
        run = record.run
        return {
            "record": record,
            "run": run,
            "quotes": record.quotes,
            "fault": FAULTS[run.fault] if run.fault is not None else "",
        }

    return [
        Route("/ui/runs", show_all, methods=["GET"]),
        Route("/ui/runs/{run_id}", show, methods=["GET"]),
        Route("/ui/runs/{run_id}/live", watch, methods=["GET"]),
        Route("/ui/runs/{run_id}/again", again, methods=["POST"]),
        Route("/ui/runs/{run_id}/cancel", cancel, methods=["POST"]),
    ]
