"""Which model serves which role here."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from vivavoce.api.deps import Ctx
from vivavoce.services import roles
from vivavoce.services.roles import Served

router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
async def get_all(ctx: Ctx) -> JSONResponse:
    """The model of every role, and why not where nobody serves it. Nobody is asked."""
    return JSONResponse({"data": [dump(one) for one in await roles.look(ctx)]})


@router.post("/probe")
async def probe(ctx: Ctx) -> JSONResponse:
    """The same, and each model is asked for one word."""
    return JSONResponse({"data": [dump(one) for one in await roles.look(ctx, probe=True)]})


def dump(served: Served) -> dict[str, Any]:
    """A role as it is shown."""
    return {
        "role": served.role,
        "model": served.model,
        "ok": served.ok,
        "reason": served.reason or None,
        "asked": served.asked,
        "took_ms": served.took_ms,
    }
