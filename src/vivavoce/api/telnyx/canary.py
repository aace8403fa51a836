"""Canary deploys (contract, sections 5.4 and 6.2)."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.deps import Ctx, Id, Org
from vivavoce.api.telnyx.wire.canary import CanaryBody, dump_canary, to_rules
from vivavoce.services import rollouts
from vivavoce.storage.database import Tx

router = APIRouter(tags=["canary"])


@router.post("/ai/assistants/{assistant_id}/canary-deploys")
async def create(request: Request, ctx: Ctx, org: Org, assistant_id: Id, body: CanaryBody | None = None) -> Response:
    """Begin a canary deploy: give other versions than main to some conversations."""
    rules = to_rules(body)

    def work(tx: Tx) -> dict[str, Any]:
        return dump_canary(assistant_id, rollouts.create(ctx, tx, org, assistant_id, rules))

    return await once(request, ctx, 200, work)


@router.get("/ai/assistants/{assistant_id}/canary-deploys")
async def retrieve(ctx: Ctx, org: Org, assistant_id: Id) -> JSONResponse:
    """The assistant's canary deploy."""
    return JSONResponse(dump_canary(assistant_id, await rollouts.retrieve(ctx, org, assistant_id)))


@router.put("/ai/assistants/{assistant_id}/canary-deploys")
async def update(ctx: Ctx, org: Org, assistant_id: Id, body: CanaryBody) -> JSONResponse:
    """Replace all rules of the canary deploy."""
    return JSONResponse(dump_canary(assistant_id, await rollouts.update(ctx, org, assistant_id, to_rules(body))))


@router.delete("/ai/assistants/{assistant_id}/canary-deploys", status_code=204)
async def delete(ctx: Ctx, org: Org, assistant_id: Id) -> None:
    """End the canary deploy; all new conversations get main."""
    await rollouts.delete(ctx, org, assistant_id)
