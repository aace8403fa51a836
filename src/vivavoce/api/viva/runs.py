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
from vivavoce.storage.database import Tx

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
    run = await runs.retrieve(ctx, org, None, run_id)
    return JSONResponse({**dump_run(run), "story": run.story or None})


@router.post("/runs/{run_id}/cancel")
async def cancel(ctx: Ctx, org: Org, run_id: Id, body: Cancellation | None = None) -> JSONResponse:
    """Stop a run; answers with it. One that is over stays as it is."""

    def work(tx: Tx) -> Run:
        return cancelling.cancel(ctx, tx, org, run_id, _reason(body))

    run = await ctx.database.write(work)
    ctx.wake()
    return JSONResponse({**dump_run(run), "story": run.story or None})


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
