"""Webhooks: addresses that are told when runs and batches are over (docs/reference/webhooks.md)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from vivavoce.api.deps import Ctx, Org
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.times import iso
from vivavoce.services import hooks
from vivavoce.services.context import Context
from vivavoce.services.hooks import LONGEST_URL, Tried
from vivavoce.storage.page import Window

router = APIRouter(tags=["webhooks"])

HookId = Annotated[str, Path(max_length=256)]
Kinds = Annotated[list[Occasion], Field(min_length=1, max_length=len(Occasion))]


class HookDraft(BaseModel, frozen=True, extra="forbid"):
    """A webhook to be made."""

    url: Annotated[str, Field(min_length=1, max_length=LONGEST_URL, pattern=r"^[!-~]+$")]
    kinds: Kinds = list(Occasion)


@router.post("/webhooks", status_code=201)
async def create(ctx: Ctx, org: Org, body: HookDraft) -> JSONResponse:
    """Have an address told. It is not called yet."""
    made = await hooks.create(ctx.database, ctx.clock, ctx.new_id, ctx.outbound.guard, org, body.url, tuple(body.kinds))
    return JSONResponse(_shown(ctx, made), 201)


@router.get("/webhooks")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Webhooks, newest first."""
    found = await hooks.get_page(ctx.database, org, Window(page, size))
    data = [_shown(ctx, one) for one in found.items]
    return JSONResponse({"data": data, "page": page, "size": size, "total": found.total})


@router.get("/webhooks/{hook_id}")
async def retrieve(ctx: Ctx, org: Org, hook_id: HookId) -> JSONResponse:
    """One webhook."""
    return JSONResponse(_shown(ctx, await hooks.retrieve(ctx.database, org, hook_id)))


@router.delete("/webhooks/{hook_id}", status_code=204)
async def delete(ctx: Ctx, org: Org, hook_id: HookId) -> Response:
    """Remove a webhook; what was to be delivered already still is."""
    await hooks.delete(ctx.database, org, hook_id)
    return Response(status_code=204)


@router.post("/webhooks/{hook_id}/test")
async def try_out(ctx: Ctx, org: Org, hook_id: HookId) -> JSONResponse:
    """Call the address now, and once."""
    hook = await hooks.retrieve(ctx.database, org, hook_id)
    return JSONResponse(dump_tried(await hooks.try_out(ctx, hook, ctx.new_id)))


def _shown(ctx: Context, hook: Hook) -> dict[str, Any]:
    """With the key that the signatures are checked with."""
    return {**dump(hook), "public_key": ctx.signer.public_key}


def dump(hook: Hook) -> dict[str, Any]:
    """A webhook as it is shown."""
    kinds = [kind.value for kind in hook.kinds]
    return {"id": hook.id, "url": hook.url, "kinds": kinds, "created_at": iso(hook.created_at)}


def dump_tried(tried: Tried) -> dict[str, Any]:
    """What became of a trial as it is shown."""
    return {"taken": tried.taken, "status": tried.status, "reason": tried.reason or None}
