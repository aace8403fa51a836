"""What to look at first: suites, their history, lists of runs, and what was said in a run."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.viva.events import dump_event
from vivavoce.api.viva.figures import dump_figures, dump_standing
from vivavoce.api.viva.runs import dump_listed
from vivavoce.core.status import Status
from vivavoce.services import history, overview, runs
from vivavoce.services.history import Point
from vivavoce.services.overview import Suite
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter

router = APIRouter(tags=["overviews"])

_NO_NUL = r"^[^\x00]*$"
Id = Annotated[str, Path(max_length=256)]
Number = Annotated[int, Query(alias="page", ge=1, le=2**31 - 1)]
Size = Annotated[int, Query(ge=1, le=100)]


@router.get("/suites")
async def get_suites(ctx: Ctx, org: Org, page: Number = 1, size: Size = 20) -> JSONResponse:
    """Every suite that has a test, in alphabetical order, with its last batch."""
    found = await overview.get_suites(ctx, org, Window(page, size))
    return JSONResponse(
        {"data": [dump_suite(one) for one in found.items], "page": page, "size": size, "total": found.total}
    )


# A suite's name may hold a slash, which arrives decoded: the name is everything up to the last "/history".
@router.get("/suites/{name:path}/history")
async def get_history(
    ctx: Ctx,
    org: Org,
    name: Annotated[str, Path(max_length=1024)],
    limit: Annotated[int, Query(ge=1, le=history.MOST)] = 50,
) -> JSONResponse:
    """The newest batches in which a suite's tests were run, the oldest of them first."""
    found = await history.of_suite(ctx, org, name, limit)
    return JSONResponse({"suite": name, "data": [dump_point(one) for one in found]})


@router.get("/runs")
async def get_runs(
    ctx: Ctx,
    org: Org,
    suite: Annotated[str | None, Query(max_length=1024, pattern=_NO_NUL)] = None,
    test_id: Annotated[str | None, Query(max_length=256, pattern=_NO_NUL)] = None,
    batch_id: Annotated[str | None, Query(max_length=256, pattern=_NO_NUL)] = None,
    status: Annotated[list[Status] | None, Query(description="Those that were cancelled are among the errors.")] = None,
    page: Number = 1,
    size: Size = 20,
) -> JSONResponse:
    """Runs, newest first, whichever way they were triggered."""
    wanted = RunFilter(test_id, suite, batch_id, frozenset(status) if status else None)
    found = await overview.get_runs(ctx, org, wanted, Window(page, size))
    return JSONResponse(
        {"data": [dump_listed(one) for one in found.items], "page": page, "size": size, "total": found.total}
    )


@router.get("/runs/{run_id}/transcript")
async def get_transcript(ctx: Ctx, org: Org, run_id: Id) -> JSONResponse:
    """What happened in a run's conversation, as far as it has come."""
    frozen, transcript = await runs.transcribe(ctx, org, run_id)
    run = frozen.run
    return JSONResponse(
        {
            "run_id": run.id,
            "conversation_id": run.conversation_id,
            "test": {"id": run.scenario_id, "name": frozen.scenario.name},
            "version_id": run.version_id,
            "events": [{"turn": turn, **dump_event(event)} for turn, event in enumerate(transcript.events)],
        }
    )


def dump_suite(suite: Suite) -> dict[str, Any]:
    """A suite as it is shown."""
    last = suite.last
    shown = dump_standing(last.batch_id, last.at, last.counts) if last else None
    return {"name": suite.name, "tests": suite.tests, "last": shown}


def dump_point(point: Point) -> dict[str, Any]:
    """A batch in a suite's history."""
    return {**dump_standing(point.batch_id, point.at, point.counts), **dump_figures(point.figures)}
