"""Tests, their runs, and suites (contract, sections 5.9 to 5.11)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.api.telnyx.wire.runs import RunTrigger, dump_run, status_filter, wanted_version
from vivavoce.api.telnyx.wire.scenarios import TestCreate, TestUpdate, change_scenario, dump_scenario, to_scenario
from vivavoce.core.run import Run
from vivavoce.services import runs, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter

router = APIRouter(tags=["tests"])

Filter = Annotated[str | None, Query(max_length=2048)]
# A suite's name may hold a slash, which arrives decoded: the name is everything up to the last "/runs".
Suite = Annotated[str, Path(max_length=256)]


@router.get("/ai/assistants/tests/test-suites")
async def get_suites(ctx: Ctx, org: Org) -> JSONResponse:
    """The names of all suites."""
    return JSONResponse({"data": list(await scenarios.get_suites(ctx, org))})


@router.post("/ai/assistants/tests/test-suites/{suite_name:path}/runs", status_code=201)
async def trigger_suite(
    request: Request, ctx: Ctx, org: Org, suite_name: Suite, body: RunTrigger | None = None
) -> Response:
    """Run every test of a suite; answers at once with the pending runs."""
    made: list[Run] = []

    def work(tx: Tx) -> list[dict[str, Any]]:
        made.extend(runs.trigger_suite(ctx, tx, org, suite_name, wanted_version(body)))
        return [dump_run(run) for run in made]

    answer = await once(request, ctx, 201, work)
    ctx.wake()
    return answer


@router.get("/ai/assistants/tests/test-suites/{suite_name:path}/runs")
async def get_suite_runs(
    ctx: Ctx,
    org: Org,
    page: Paged,
    suite_name: Suite,
    status: Filter = None,
    test_suite_run_id: Filter = None,
) -> JSONResponse:
    """Runs of a suite's tests, newest first."""
    wanted = RunFilter(suite=suite_name, batch_id=test_suite_run_id, statuses=status_filter(status))
    found = await runs.get_page(ctx, org, wanted, page)
    return JSONResponse(paged([dump_run(run) for run in found.items], found.total, page))


@router.post("/ai/assistants/tests", status_code=201)
async def create(request: Request, ctx: Ctx, org: Org, body: TestCreate) -> Response:
    """Create a test."""
    draft = to_scenario(body, id="", now=ctx.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        return dump_scenario(scenarios.create(ctx, tx, org, draft))

    return await once(request, ctx, 201, work)


@router.get("/ai/assistants/tests")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Paged,
    test_suite: Filter = None,
    telnyx_conversation_channel: Filter = None,
    destination: Filter = None,
) -> JSONResponse:
    """Tests, newest first; the filters match exactly."""
    wanted = ScenarioFilter(test_suite or None, telnyx_conversation_channel or None, destination or None)
    found = await scenarios.get_page(ctx, org, wanted, page)
    return JSONResponse(paged([dump_scenario(one) for one in found.items], found.total, page))


@router.get("/ai/assistants/tests/{test_id}")
async def retrieve(ctx: Ctx, org: Org, test_id: Id) -> JSONResponse:
    """One test."""
    return JSONResponse(dump_scenario(await scenarios.retrieve(ctx, org, test_id)))


@router.put("/ai/assistants/tests/{test_id}")
async def update(ctx: Ctx, org: Org, test_id: Id, body: TestUpdate) -> JSONResponse:
    """Change some fields of a test; runs that were triggered are not affected."""
    changed = await scenarios.update(ctx, org, test_id, lambda scenario: change_scenario(scenario, body))
    return JSONResponse(dump_scenario(changed))


@router.delete("/ai/assistants/tests/{test_id}", response_class=Response)
async def delete(ctx: Ctx, org: Org, test_id: Id) -> Response:
    """Remove a test with its runs and their conversations."""
    await scenarios.delete(ctx, org, test_id)
    return Response(status_code=200)


@router.post("/ai/assistants/tests/{test_id}/runs", status_code=201)
async def trigger(request: Request, ctx: Ctx, org: Org, test_id: Id, body: RunTrigger | None = None) -> Response:
    """Run a test; answers at once with the pending run."""
    made: list[Run] = []

    def work(tx: Tx) -> dict[str, Any]:
        made.append(runs.trigger(ctx, tx, org, test_id, wanted_version(body)))
        return dump_run(made[0])

    answer = await once(request, ctx, 201, work)
    ctx.wake()
    return answer


@router.get("/ai/assistants/tests/{test_id}/runs")
async def get_runs(ctx: Ctx, org: Org, page: Paged, test_id: Id, status: Filter = None) -> JSONResponse:
    """A test's runs, newest first."""
    found = await runs.get_page(ctx, org, RunFilter(scenario_id=test_id, statuses=status_filter(status)), page)
    return JSONResponse(paged([dump_run(run) for run in found.items], found.total, page))


@router.get("/ai/assistants/tests/{test_id}/runs/{run_id}")
async def get_run(ctx: Ctx, org: Org, test_id: Id, run_id: Id) -> JSONResponse:
    """One run."""
    return JSONResponse(dump_run(await runs.retrieve(ctx, org, test_id, run_id)))
