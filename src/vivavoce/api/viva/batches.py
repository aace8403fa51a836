"""Batches: tests that are run together, with a budget; how they stand, and their runs (docs/reference/budgets.md)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.viva.runs import dump_listed, dump_run
from vivavoce.core.budget import MICROS, Account, Budget
from vivavoce.core.run import Priority, Run
from vivavoce.core.times import iso, maybe_iso
from vivavoce.services import batching
from vivavoce.services.batching import MOST, Standing, Wish
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Window

router = APIRouter(tags=["batches"])

_NO_NUL = r"^[^\x00]*$"
Id = Annotated[str, Field(min_length=1, max_length=256, pattern=_NO_NUL)]
BatchId = Annotated[str, Path(max_length=256)]


class BudgetBody(BaseModel, frozen=True, extra="forbid"):
    """What the batch may spend. Each ceiling that is given holds."""

    tokens: Annotated[int, Field(ge=1, le=10**15, description="Of questions and answers together.")] | None = None
    money: (
        Annotated[float, Field(gt=0, le=10**9, description="In the currency of `VIVA_PRICES`.", allow_inf_nan=False)]
        | None
    ) = None


class TestDraft(BaseModel, frozen=True, extra="forbid"):
    """One of the tests of a batch."""

    __test__ = False  # its name makes pytest look at it

    id: Id
    repeats: Annotated[int, Field(ge=1, le=MOST)] | None = None


class BatchDraft(BaseModel, frozen=True, extra="forbid"):
    """What is to be run: every test of a `suite`, or tests by their `test_ids`, or `tests` that say each how often."""

    suite: Annotated[str, Field(min_length=1, max_length=1024, pattern=_NO_NUL)] | None = None
    test_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST)] | None = None
    tests: Annotated[list[TestDraft], Field(min_length=1, max_length=MOST)] | None = None
    version_id: Id | None = None
    repeats: (
        Annotated[int, Field(ge=1, le=MOST, description="How often each test is run; left out, as it says itself.")]
        | None
    ) = None
    priority: Literal["interactive", "batch", "scheduled"] = "batch"
    budget: BudgetBody | None = None

    @model_validator(mode="after")
    def _either(self) -> "BatchDraft":
        if sum(one is not None for one in (self.suite, self.test_ids, self.tests)) != 1:
            raise ValueError("Either suite or test_ids or tests should be given")
        if len({one.id for one in self.tests or ()}) < len(self.tests or ()):
            raise ValueError("A test should be in tests once; repeats says how often it is run")
        return self


@router.post("/batches", status_code=201)
async def create(ctx: Ctx, org: Org, body: BatchDraft) -> JSONResponse:
    """Run tests together."""
    budget = body.budget
    wish = Wish(
        body.suite,
        tuple(body.test_ids or (one.id for one in body.tests or ())),
        body.version_id,
        body.repeats,
        Priority[body.priority.upper()],
        Budget(budget.tokens, None if budget.money is None else max(1, round(budget.money * MICROS)))
        if budget
        else None,
        {one.id: one.repeats for one in body.tests or () if one.repeats is not None},
    )

    def work(tx: Tx) -> tuple[Standing, tuple[Run, ...]]:
        batch_id, made = batching.trigger(ctx, tx, org, wish)
        return batching.standing(tx, org, batch_id), made

    standing, made = await ctx.database.write(work)
    ctx.wake()
    return JSONResponse({**dump(standing), "runs": [dump_run(run) for run in made]}, 201)


@router.get("/batches/{batch_id}")
async def retrieve(ctx: Ctx, org: Org, batch_id: BatchId) -> JSONResponse:
    """How a batch stands, whichever way it was triggered."""
    return JSONResponse(dump(await batching.retrieve(ctx, org, batch_id)))


@router.get("/batches/{batch_id}/runs")
async def get_runs(
    ctx: Ctx,
    org: Org,
    batch_id: BatchId,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """A batch's runs, newest first."""
    found = await batching.get_runs(ctx, org, batch_id, Window(page, size))
    return JSONResponse(
        {"data": [dump_listed(one) for one in found.items], "page": page, "size": size, "total": found.total}
    )


def dump(standing: Standing) -> dict[str, Any]:
    """A batch as it is shown."""
    stand = standing.stand
    return {
        "id": standing.id,
        "total": stand.total,
        "counts": {**{status.value: many for status, many in stand.many.items()}, "cancelled": stand.cancelled},
        "over": stand.over,
        "created_at": iso(stand.created_at),
        "updated_at": iso(stand.updated_at),
        "started_at": maybe_iso(stand.started_at),
        "completed_at": maybe_iso(stand.completed_at),
        "budget": dump_account(standing.account) if standing.account else None,
    }


def dump_account(account: Account) -> dict[str, Any]:
    """A budget as it is shown."""
    budget = account.budget
    return {
        "tokens": budget.tokens,
        "money": None if budget.micros is None else budget.micros / MICROS,
        "spent_tokens": account.spent_tokens,
        "spent_money": account.spent_micros / MICROS,
        "unpriced_tokens": account.unpriced_tokens,
        "exhausted_at": maybe_iso(account.exhausted_at),
    }
