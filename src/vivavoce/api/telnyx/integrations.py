"""Integrations and connections (contract, section 5.14). Connections are made by the operator, not by the API."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from vivavoce.api.telnyx.deps import Ctx, Id, Org
from vivavoce.api.telnyx.wire.integrations import dump_connection, dump_integration
from vivavoce.core.integration import Connection
from vivavoce.services import integrations

router = APIRouter(tags=["integrations"])


@router.get("/ai/integrations")
async def get_all(ctx: Ctx, org: Org) -> JSONResponse:
    """The catalog."""
    found = await integrations.get_all(ctx, org)
    return JSONResponse({"data": [dump_integration(one, connected=used) for one, used in found]})


@router.get("/ai/integrations/connections")
async def get_connections(ctx: Ctx, org: Org) -> JSONResponse:
    """All connections, newest first."""
    return JSONResponse({"data": [_dump(one) for one in await integrations.get_connections(ctx, org)]})


@router.get("/ai/integrations/connections/{user_connection_id}")
async def get_connection(ctx: Ctx, org: Org, user_connection_id: Id) -> JSONResponse:
    """One connection."""
    return JSONResponse({"data": _dump(await integrations.get_connection(ctx, org, user_connection_id))})


@router.delete("/ai/integrations/connections/{user_connection_id}", status_code=204)
async def delete_connection(ctx: Ctx, org: Org, user_connection_id: Id) -> Response:
    """Remove a connection; assistants lose its tools."""
    await integrations.disconnect(ctx, org, user_connection_id)
    return Response(status_code=204)


@router.get("/ai/integrations/{integration_id}")
async def retrieve(ctx: Ctx, org: Org, integration_id: Id) -> JSONResponse:
    """One entry of the catalog."""
    found, used = await integrations.retrieve(ctx, org, integration_id)
    return JSONResponse(dump_integration(found, connected=used))


def _dump(connection: Connection) -> dict[str, Any]:
    return dump_connection(connection, integrations.tool_names(connection))
