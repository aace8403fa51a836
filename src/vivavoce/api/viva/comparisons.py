"""Two runs, two batches or two versions beside each other: what changed, the worst first."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.viva.figures import dump_counts, dump_figures, dump_money, dump_percentiles
from vivavoce.core.times import maybe_iso
from vivavoce.services import comparing
from vivavoce.services.comparing import Change, Comparison, Held, Side

router = APIRouter(prefix="/comparisons", tags=["comparisons"])

Id = Annotated[str, Query(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]


@router.get("/runs")
async def of_runs(ctx: Ctx, org: Org, left: Id, right: Id) -> JSONResponse:
    """Two runs, criterion by criterion."""
    return JSONResponse(dump(await comparing.of_runs(ctx, org, left, right)))


@router.get("/batches")
async def of_batches(ctx: Ctx, org: Org, left: Id, right: Id) -> JSONResponse:
    """Two batches, test by test; repeats of a test are counted together."""
    return JSONResponse(dump(await comparing.of_batches(ctx, org, left, right)))


@router.get("/versions")
async def of_versions(ctx: Ctx, org: Org, left: Id, right: Id) -> JSONResponse:
    """Two versions of an assistant: their fields, and the last runs of each."""
    found = await comparing.of_versions(ctx, org, left, right)
    fields = [{"path": one.path, "left": one.left, "right": one.right} for one in found.fields]
    return JSONResponse({**dump(found), "fields": fields})


def dump(comparison: Comparison) -> dict[str, Any]:
    """A comparison as it is shown, without fields."""
    both = comparison.left, comparison.right
    return {
        "left": dump_side(comparison.left),
        "right": dump_side(comparison.right),
        "changes": [dump_change(one) for one in comparison.changes],
        "same": comparison.same,
        "pass_rate": [one.counts.pass_rate for one in both],
        "response_ms": [dump_percentiles(one.figures.response_ms) for one in both],
        "tokens": [one.figures.input_tokens + one.figures.output_tokens for one in both],
        "money": [dump_money(one.figures) for one in both],
    }


def dump_side(side: Side) -> dict[str, Any]:
    """One of the two."""
    return {
        "id": side.id,
        "at": maybe_iso(side.at),
        "version_ids": list(side.version_ids),
        **dump_counts(side.counts),
        **dump_figures(side.figures),
    }


def dump_change(change: Change) -> dict[str, Any]:
    """A criterion that came out otherwise."""
    return {
        "kind": change.kind.value,
        "test": {"id": change.test_id, "name": change.test},
        "criterion": change.criterion,
        "left": _held(change.left),
        "right": _held(change.right),
    }


def _held(held: Held | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return {
        "met": held.met,
        "unmet": held.unmet,
        "of": held.of,
        "reason": held.reason or None,
        "run_id": held.run_id or None,
    }
