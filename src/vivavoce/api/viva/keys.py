"""Keys of the caller's own organisation, for its admins. The secret of a key is shown once, when it is made."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from vivavoce.api.deps import Ctx, Org
from vivavoce.core.scope import Scope
from vivavoce.core.times import iso, maybe_iso
from vivavoce.services import keys
from vivavoce.services.orgs import LONGEST_NAME
from vivavoce.storage.keys import Key
from vivavoce.storage.page import Window

router = APIRouter(tags=["keys"])


class KeyPost(BaseModel, frozen=True, extra="forbid"):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, description="What the key is for.")]
    scope: Scope


@router.get("/keys")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Annotated[int, Query(ge=1, le=2**31 - 1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSONResponse:
    """Keys, newest first, revoked ones too."""
    found = await keys.get_page(ctx.database, org, Window(page, size))
    return JSONResponse({"data": [dump(one) for one in found.items], "page": page, "size": size, "total": found.total})


@router.post("/keys", status_code=201)
async def create(ctx: Ctx, org: Org, body: KeyPost) -> JSONResponse:
    """A new key; `key` is its secret, which cannot be shown again."""
    made, secret = await keys.create(
        ctx.database, ctx.clock, ctx.new_id, ctx.token, body.name, org=org, scope=body.scope
    )
    return JSONResponse({**dump(made), "key": secret}, 201, {"cache-control": "no-store"})


@router.delete("/keys/{key_id}", status_code=204, response_class=Response)
async def revoke(ctx: Ctx, org: Org, key_id: Annotated[str, Path(max_length=256)]) -> Response:
    """End a key for good. The last admin's key of an organisation stays (409)."""
    await keys.revoke_own(ctx.database, ctx.clock, org, key_id)
    return Response(status_code=204)


def dump(key: Key) -> dict[str, Any]:
    """A key as it is shown."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "hint": key.hint,
        "created_at": iso(key.created_at),
        "revoked_at": maybe_iso(key.revoked_at),
    }
