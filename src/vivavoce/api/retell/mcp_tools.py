"""The tools of the MCP servers that an agent's engine names (contract, section 12)."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from vivavoce.api.retell.deps import Ctx, Id, Org
from vivavoce.api.retell.errors import Refused
from vivavoce.api.retell.versions import missing, number_of
from vivavoce.api.retell.wire import components as parts
from vivavoce.api.retell.wire import engine
from vivavoce.api.retell.wire.edges import listed
from vivavoce.api.retell.wire.ids import read
from vivavoce.api.retell.wire.nodes import local_components
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Version
from vivavoce.core.server import OwnServer
from vivavoce.services import components, engines, mcp_servers
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound

router = APIRouter(tags=["surroundings"])

_Text = Annotated[str, Query(max_length=256)]
_Maybe = Annotated[str | None, Query(max_length=256)]


@router.get("/get-mcp-tools/{agent_id}")
async def get_all(
    ctx: Ctx, org: Org, agent_id: Id, mcp_id: _Text, version: _Maybe = None, component_id: _Maybe = None
) -> JSONResponse:
    """The tools that a server of the agent's engine, or of a component, offers now."""
    id_ = read("agent", agent_id)
    with missing(agent_id):
        number = await number_of(ctx, org, id_, engines.AGENTS, version)
        _, agent = await engines.retrieve(ctx, org, id_, engines.AGENTS, number)
    if agent.plays is None:
        raise Refused(422, "The agent speaks as an engine of somebody else, whose MCP servers are not known here.")
    try:
        _, played = await engines.retrieve(ctx, org, agent.plays.assistant_id, engines.ENGINES, agent.plays.number)
    except NotFound:
        raise Refused(422, "The response engine of this agent is gone.") from None
    server = _server(await _body(ctx, org, played, component_id), mcp_id)
    tools = await mcp_servers.get_own_tools(ctx, server, Filling(played.variables, played.templating, ctx.clock.now()))
    return JSONResponse(
        [{"name": one.name, "description": one.description, "inputSchema": one.parameters} for one in tools]
    )


async def _body(ctx: Context, org: str, played: Version, component_id: str | None) -> Mapping[str, Any]:
    body = engine.body_of(played)
    if component_id is None:
        return body
    local = local_components(body).get(component_id)
    if local is not None:
        return local
    try:
        component, _ = await components.retrieve(ctx, org, read("conversation_flow_component", component_id))
    except NotFound:
        raise Refused(422, f"There is no such component: {component_id!r}.") from None
    return parts.body_of(component)


def _server(body: Mapping[str, Any], mcp_id: str) -> OwnServer:
    """A server may be named by its name, or by an id that it was sent with."""
    for wire, server in zip(listed(body.get("mcps")), engine.servers_of(body), strict=True):
        if mcp_id in (wire.get("name"), wire.get("mcp_id"), wire.get("id")):
            return server
    raise Refused(422, f"There is no such MCP server here: {mcp_id!r}.")
