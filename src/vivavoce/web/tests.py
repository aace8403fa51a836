"""Tests: all of them as a list, and one as a form that writes, runs and takes it away."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from vivavoce.core.scenario import Medium, Scenario
from vivavoce.services import lately, overview, runs, scenarios, suites
from vivavoce.services.context import Context
from vivavoce.services.errors import Rejected
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.web import asked, writing
from vivavoce.web.gate import Form, form
from vivavoce.web.pages import Pages, address, part
from vivavoce.web.visitor import visitor
from vivavoce.web.writing import Written

MOST_OFFERED = 200
"""How many assistants, and how many suites, the form offers; others are known by their ids and names."""
_RUNS = 10


@dataclass(frozen=True, slots=True)
class _Changed(Exception):
    """Somebody else wrote the test meanwhile."""

    scenario: Scenario


def routes(ctx: Context, pages: Pages) -> list[Route]:
    """The list of tests, the form of one, and what it sends."""

    async def show_all(request: Request) -> Response:
        wanted = ScenarioFilter(asked.text(request, "suite"), None, asked.text(request, "target"))
        page = await lately.get_tests(ctx, visitor(request).org, wanted, asked.window(request))
        return pages.render(request, "tests.html", page=page, wanted=wanted)

    async def begin(request: Request) -> Response:
        chosen = asked.text(request, "assistant")
        if chosen is None:
            newest = (await suites.get_assistants(ctx, visitor(request).org, Window(1, 1))).items
            chosen = newest[0].id if newest else None
        written = writing.blank(suite=asked.text(request, "suite"), assistant=chosen)
        return await _form(request, written, None)

    async def show(request: Request) -> Response:
        scenario = await _scenario(request)
        return await _form(request, await _as_written(request, scenario), scenario)

    async def _scenario(request: Request) -> Scenario:
        return await scenarios.retrieve(ctx, visitor(request).org, request.path_params["test_id"])

    async def _as_written(request: Request, scenario: Scenario) -> Written:
        aimed = await scenarios.retrieve_aimed(ctx, visitor(request).org, scenario.id)
        here = aimed.target is not None and aimed.target.id == scenario.target
        return writing.of_scenario(scenario, here=here)

    async def _form(
        request: Request,
        written: Written,
        scenario: Scenario | None,
        errors: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        org = visitor(request).org
        found = (await suites.get_assistants(ctx, org, Window(1, MOST_OFFERED))).items
        offered = {one.id: f"{one.main.name or one.id}" for one in found}
        chosen = written.fields["assistant"]
        if chosen and chosen not in offered:
            offered[chosen] = chosen
        window = Window(1, _RUNS)
        mine = await overview.get_runs(ctx, org, RunFilter(scenario.id), window) if scenario else None
        return pages.render(
            request,
            "test.html",
            status,
            written=written,
            scenario=scenario,
            errors=errors or {},
            offered=sorted(offered.items(), key=lambda one: one[1].lower()),
            known=(await scenarios.get_suites(ctx, org))[:MOST_OFFERED],
            media=[(one.value, one.value.replace("_", " ").capitalize()) for one in Medium],
            seen=_stamp(scenario) if scenario else "",
            runs=mine,
        )

    async def create(request: Request) -> Response:
        return await _save(request, None)

    async def change(request: Request) -> Response:
        return await _save(request, await _scenario(request))

    async def _save(request: Request, before: Scenario | None) -> Response:
        org, given = visitor(request).org, form(request)
        written = writing.of_form(given)
        if given.get("do") == "add":
            return await _form(request, written.plus(), before)
        kept = before is not None and writing.same(written, await _as_written(request, before))
        read = writing.read(written)
        document = None if kept else read.document
        if document is None and not kept:
            return await _form(request, written, before, read.errors, 400)

        def work(tx: Tx) -> tuple[str, str | None]:
            made = before
            if made is not None:
                _refuse_change(tx, org, made.id, given)
            if document is not None:
                made = suites.put_test(ctx, tx, org, made.id if made else None, document, read.order).scenario
            assert made is not None, "what was not there before is what the document says"
            if given.get("do") != "run":
                return made.id, None
            return made.id, runs.trigger(ctx, tx, org, made.id, None).id

        try:
            test_id, run_id = await ctx.database.write(work)
        except _Changed as failure:
            said = "Somebody changed this test while you wrote. Save again to put yours in its place."
            return await _form(request, written, failure.scenario, {"": said}, 409)
        except Rejected as failure:
            # What is refused here is where it goes.
            return await _form(request, written, before, {"assistant": str(failure)}, 400)
        if run_id is not None:
            ctx.wake()
            return RedirectResponse(f"/ui/runs/{part(run_id)}", 303)
        return RedirectResponse(address(f"/ui/tests/{part(test_id)}", said="saved"), 303)

    def _refuse_change(tx: Tx, org: str, test_id: str, given: Form) -> None:
        now = scenarios.get(tx, org, test_id, lock=True)
        if given.get("seen", "") != _stamp(now):
            raise _Changed(now)

    async def run(request: Request) -> Response:
        org, test_id = visitor(request).org, request.path_params["test_id"]
        made = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, org, test_id, None))
        ctx.wake()
        return RedirectResponse(f"/ui/runs/{part(made.id)}", 303)

    async def ask(request: Request) -> Response:
        return pages.render(request, "test_delete.html", scenario=await _scenario(request))

    async def delete(request: Request) -> Response:
        scenario = await _scenario(request)
        await scenarios.retire(ctx, visitor(request).org, scenario.id)
        there = (
            f"/ui/suites/{part(scenario.suite)}"
            if scenario.suite and await _has_more(request, scenario)
            else "/ui/tests"
        )
        return RedirectResponse(address(there, said="deleted"), 303)

    async def _has_more(request: Request, scenario: Scenario) -> bool:
        wanted = ScenarioFilter(suite=scenario.suite)
        return (await scenarios.get_page(ctx, visitor(request).org, wanted, Window(1, 1))).total > 0

    return [
        Route("/ui/tests", show_all, methods=["GET"]),
        Route("/ui/tests/new", begin, methods=["GET"]),
        Route("/ui/tests/new", create, methods=["POST"]),
        Route("/ui/tests/{test_id}", show, methods=["GET"]),
        Route("/ui/tests/{test_id}", change, methods=["POST"]),
        Route("/ui/tests/{test_id}/run", run, methods=["POST"]),
        Route("/ui/tests/{test_id}/delete", ask, methods=["GET"]),
        Route("/ui/tests/{test_id}/delete", delete, methods=["POST"]),
    ]


def _stamp(scenario: Scenario) -> str:
    """What changes whenever the test does."""
    return str(scenario.changed_at or scenario.created_at)
