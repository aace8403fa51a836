"""Runs: one with all that was decided of it, and stopping those that are not over."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.shape import storable
from vivavoce.core.run import Run
from vivavoce.core.times import iso, maybe_iso
from vivavoce.core.verdict import Verdict
from vivavoce.services import cancelling, runs
from vivavoce.services.overview import Listed
from vivavoce.storage.runs import Frozen

router = APIRouter(tags=["runs"])

Id = Annotated[str, Path(max_length=256)]


class Cancellation(BaseModel, frozen=True, extra="forbid"):
    """Why the runs are stopped. The body may be absent."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] = cancelling.BY_REQUEST

    _storable = model_validator(mode="before")(storable)


def _reason(body: Cancellation | None) -> str:
    return body.reason if body else cancelling.BY_REQUEST


@router.get("/runs/{run_id}")
async def retrieve(ctx: Ctx, org: Org, run_id: Id) -> JSONResponse:
    """One run, whichever way it was triggered; with its story, which is told as far as the run has come."""
    return JSONResponse(_dump_whole(await runs.look(ctx, org, run_id)))


@router.post("/runs/{run_id}/cancel")
async def cancel(ctx: Ctx, org: Org, run_id: Id, body: Cancellation | None = None) -> JSONResponse:
    """Stop a run; answers with it. One that is over stays as it is."""

    await ctx.database.write(lambda tx: cancelling.cancel(ctx, tx, org, run_id, _reason(body)))
    ctx.wake()
    return JSONResponse(_dump_whole(await runs.look(ctx, org, run_id)))


@router.post("/batches/{batch_id}/cancel")
async def cancel_batch(ctx: Ctx, org: Org, batch_id: Id, body: Cancellation | None = None) -> JSONResponse:
    """Stop what is unfinished of the runs that were triggered together; answers with how many these were."""
    stopped = await cancelling.stop_batch(ctx.database, ctx, org, batch_id, _reason(body))
    ctx.wake()
    return JSONResponse({"batch_id": batch_id, "cancelled": stopped})


# A suite's name may hold a slash, which arrives decoded: the name is everything up to the last "/cancel".
@router.post("/suites/{name:path}/cancel")
async def cancel_suite(ctx: Ctx, org: Org, name: Id, body: Cancellation | None = None) -> JSONResponse:
    """Stop every unfinished run of a suite, however it was triggered; answers with how many these were."""
    stopped = await cancelling.stop_suite(ctx.database, ctx, org, name, _reason(body))
    ctx.wake()
    return JSONResponse({"suite": name, "cancelled": stopped})


def _dump_whole(frozen: Frozen) -> dict[str, Any]:
    run, version = frozen.run, frozen.version
    return {
        **dump_run(run),
        "test": {"id": run.scenario_id, "name": frozen.scenario.name},
        "assistant": {"id": version.assistant_id, "name": version.name} if version else None,
        "story": run.story or None,
    }


def dump_run(run: Run) -> dict[str, Any]:
    """A run as it is shown, without its story."""
    return {
        "id": run.id,
        "test_id": run.scenario_id,
        "batch_id": run.batch_id,
        "suite": run.suite,
        "version_id": run.version_id,
        "conversation_id": run.conversation_id,
        "trigger": run.trigger,
        "priority": run.priority.name.lower(),
        "status": run.state,
        "fault": run.fault.value if run.fault else None,
        "reason": run.reason or None,
        "ending": run.ending.value if run.ending else None,
        "verdicts": [dump_verdict(one) for one in run.verdicts],
        "criteria": list(run.criteria),
        "attempts": run.attempts,
        "setbacks": list(run.setbacks),
        "talked_seconds": run.talked_ms / 1000 if run.status.final else None,
        "usage": _usage(run) if run.status.final else None,
        "created_at": iso(run.created_at),
        "updated_at": iso(run.updated_at),
        "started_at": maybe_iso(run.started_at),
        "completed_at": maybe_iso(run.completed_at),
    }


def _usage(run: Run) -> dict[str, int] | None:
    if run.usage is None:
        return None
    return {"input_tokens": run.usage.input_tokens, "output_tokens": run.usage.output_tokens}


def dump_verdict(verdict: Verdict) -> dict[str, Any]:
    """What was decided of one criterion as it is shown."""
    quote = verdict.quote
    return {
        "criterion": verdict.criterion,
        "decision": verdict.decision.value,
        "reason": verdict.reason,
        "decided_by": verdict.decided_by,
        "quote": {"turn": quote.turn, "text": quote.text} if quote else None,
    }


def dump_listed(listed: Listed) -> dict[str, Any]:
    """A run in a list, with the name that its test had."""
    return {**dump_run(listed.run), "test": {"id": listed.run.scenario_id, "name": listed.test}}
