"""MCP servers (contract, section 5.13)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vivavoce.api.idempotency import once
from vivavoce.api.telnyx.deps import Ctx, Id, Org, Paged
from vivavoce.api.telnyx.wire.mcp_servers import (
    McpServerCreate,
    McpServerUpdate,
    change_server,
    dump_server,
    to_server,
)
from vivavoce.services import mcp_servers
from vivavoce.storage.database import Tx

router = APIRouter(tags=["mcp servers"])

Filter = Annotated[str | None, Query(max_length=2048)]


@router.post("/ai/mcp_servers")
async def create(request: Request, ctx: Ctx, org: Org, body: McpServerCreate) -> Response:
    """Name a server, to be attached to assistants."""
    draft = to_server(body, id="", now=ctx.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        return dump_server(mcp_servers.create(ctx, tx, org, draft))

    return await once(request, ctx, 200, work)


@router.get("/ai/mcp_servers")
async def get_page(
    ctx: Ctx,
    org: Org,
    page: Paged,
    type: Filter = None,  # noqa: A002  # the wire's own name
    url: Filter = None,
) -> JSONResponse:
    """A page of servers, newest first, as a bare array; a page behind the last is empty, which is how a client knows
    that it has seen them all (contract, section 1.3). The filters match exactly."""
    found = await mcp_servers.get_page(ctx, org, page, type=type or None, url=url or None)
    return JSONResponse([dump_server(one) for one in found.items])


@router.get("/ai/mcp_servers/{mcp_server_id}")
async def retrieve(ctx: Ctx, org: Org, mcp_server_id: Id) -> JSONResponse:
    """One server."""
    return JSONResponse(dump_server(await mcp_servers.retrieve(ctx, org, mcp_server_id)))


@router.put("/ai/mcp_servers/{mcp_server_id}")
async def update(ctx: Ctx, org: Org, mcp_server_id: Id, body: McpServerUpdate) -> JSONResponse:
    """Change some fields of a server; assistants that it is attached to use it as it is from then on."""
    changed = await mcp_servers.update(ctx, org, mcp_server_id, lambda server: change_server(server, body))
    return JSONResponse(dump_server(changed))


@router.delete("/ai/mcp_servers/{mcp_server_id}", response_class=Response)
async def delete(ctx: Ctx, org: Org, mcp_server_id: Id) -> Response:
    """Forget a server; assistants that it is attached to do without its tools."""
    await mcp_servers.delete(ctx, org, mcp_server_id)
    return Response(status_code=200)
