"""Response engines of prompts and states (contract, section 4)."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import missing
from vivavoce.api.retell.wire.engine_shapes import Version as Number
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.llms import LlmShape, dump, patched, to_version
from vivavoce.api.retell.wire.paging import MOST, Key, Limit, Order, behind, paged, span
from vivavoce.api.shape import sent
from vivavoce.core.assistant import Form
from vivavoce.services import engines
from vivavoce.services.errors import NotFound

router = APIRouter(tags=["llms"])

FORMS = (Form.PROMPTS,)
KIND = "llm"


@contextmanager
def _missing(llm_id: str) -> Generator[None]:
    """Misses of this resource are 422 (contract, section 1.1)."""
    try:
        yield
    except NotFound as failure:
        raise missing(422, "LLM", llm_id, failure) from None


@router.post("/create-retell-llm", status_code=201)
async def create(ctx: Ctx, org: Org, body: LlmShape) -> JSONResponse:
    """Create one; it begins as the draft 0."""
    draft = to_version(sent(body))
    made = await ctx.database.write(lambda tx: engines.create(ctx, tx, org, Form.PROMPTS, draft))
    return JSONResponse(dump(made, made.main), 201)


@router.get("/get-retell-llm/{llm_id}")
async def retrieve(ctx: Ctx, org: Org, llm_id: Id, version: Number | None = None) -> JSONResponse:
    """One version, the newest if none is named."""
    with _missing(llm_id):
        found = await engines.retrieve(ctx, org, read(KIND, llm_id), FORMS, version)
    return JSONResponse(dump(*found))


@router.get("/v2/list-retell-llms")
async def get_slice(
    ctx: Ctx, org: Org, limit: Limit = 50, pagination_key: Key = None, sort_order: Order = "descending"
) -> JSONResponse:
    """All of them with their newest versions, the newest first."""
    found = await engines.get_slice(ctx, org, FORMS, span(KIND, limit, pagination_key, sort_order))
    last = found.items[-1].id if found.items else None
    return JSONResponse(paged(KIND, [dump(one, one.main) for one in found.items], last, more=found.more))


@router.get("/list-retell-llms")
async def get_every_version(
    ctx: Ctx,
    org: Org,
    limit: Limit = MOST,
    pagination_key: Annotated[str | None, Query(max_length=256, description="The id of the last one.")] = None,
    pagination_key_version: Annotated[int | None, Query(description="The version of the last one.")] = None,
) -> JSONResponse:
    """Every version of all of them, the newest first (contract, section 1.3, legacy)."""
    last = behind(KIND, pagination_key, pagination_key_version)
    found = await engines.get_every_version(ctx, org, FORMS, limit, last)
    return JSONResponse([dump(*one) for one in found])


@router.patch("/update-retell-llm/{llm_id}")
async def update(ctx: Ctx, org: Org, llm_id: Id, body: LlmShape, version: Number | None = None) -> JSONResponse:
    """Change a draft in its place; what is left out stays as it is."""
    patch = sent(body)
    with _missing(llm_id):
        found = await engines.edit(ctx, org, read(KIND, llm_id), FORMS, lambda before: patched(before, patch), version)
    return JSONResponse(dump(*found))


@router.delete("/delete-retell-llm/{llm_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, llm_id: Id, force_delete: bool = False) -> Response:
    """Delete one with all its versions; not while agents speak as it, unless forced."""
    with _missing(llm_id):
        await engines.delete(ctx, org, read(KIND, llm_id), FORMS, force=force_delete)
    return Response(status_code=204)
