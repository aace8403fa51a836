"""Integration secrets (contract, section 5.17)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.paging import paged
from vivavoce.api.telnyx.wire.secrets import SecretCreate, dump_secret, value_of
from vivavoce.services import secrets
from vivavoce.storage.database import Tx

TAG = "secrets"
router = APIRouter(tags=[TAG])


@router.post("/integration_secrets", status_code=201)
async def create(ctx: Ctx, org: Org, body: SecretCreate) -> JSONResponse:
    """Keep a secret. It is named by its `identifier`, and its value is never given back."""

    def work(tx: Tx) -> dict[str, Any]:
        return dump_secret(secrets.create(ctx, tx, org, body.identifier, body.type, value_of(body)))

    return JSONResponse({"data": await ctx.database.write(work)}, 201)


@router.get("/integration_secrets")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Paged,
    type: Annotated[Literal["bearer", "basic"] | None, Query(alias="filter[type]")] = None,  # noqa: A002  # the wire's own
) -> JSONResponse:
    """Secrets, newest first, without their values."""
    found = await secrets.get_page(ctx, org, type, page)
    return JSONResponse(paged([dump_secret(one) for one in found.items], found.total, page))


@router.delete("/integration_secrets/{secret_id}", status_code=204, response_class=Response)
async def delete(ctx: Ctx, org: Org, secret_id: Id) -> Response:
    """Remove a secret; what names it fails from then on."""
    await secrets.delete(ctx, org, secret_id)
    return Response(status_code=204)
