"""Tests as documents, one by one (docs/reference/files.md)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BeforeValidator

from vivavoce.api.deps import Ctx, Org
from vivavoce.api.shape import storable
from vivavoce.files import schema
from vivavoce.services import scenarios, suites
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Window

router = APIRouter(tags=["tests"])

Id = Annotated[str, Path(max_length=256)]


TestBody = Annotated[schema.OneTest, BeforeValidator(storable)]
"""A test's document. It is complete: what is left out has its default."""


@router.get("/tests")
async def get_page(
    ctx: Ctx,
    org: Org,
    suite: Annotated[str | None, Query(max_length=1024)] = None,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Tests, newest first, whichever API made them."""
    found = await suites.get_tests(ctx, org, suite, Window(page, size))
    return JSONResponse({"data": list(found.items), "page": page, "size": size, "total": found.total})


@router.post("/tests", status_code=201)
async def create(ctx: Ctx, org: Org, body: TestBody) -> JSONResponse:
    """Create a test."""
    return JSONResponse(await _put(ctx, org, None, body), 201)


@router.get("/tests/{test_id}")
async def retrieve(ctx: Ctx, org: Org, test_id: Id) -> JSONResponse:
    """One test."""
    return JSONResponse(await suites.retrieve_test(ctx, org, test_id))


@router.put("/tests/{test_id}")
async def put(ctx: Ctx, org: Org, test_id: Id, body: TestBody) -> JSONResponse:
    """Make a test what its document says; runs that were triggered are not affected."""
    return JSONResponse(await _put(ctx, org, test_id, body))


@router.delete("/tests/{test_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, test_id: Id) -> Response:
    """Take a test out of its suite and of every list; its runs stay."""
    await scenarios.retire(ctx, org, test_id)
    return Response(status_code=204)


async def _put(ctx: Ctx, org: str, test_id: str | None, body: TestBody) -> dict[str, Any]:
    def work(tx: Tx) -> dict[str, Any]:
        made = suites.put_test(ctx, tx, org, test_id, body)
        return suites.documents(tx, org, [made.scenario])[0]

    return await ctx.database.write(work)
