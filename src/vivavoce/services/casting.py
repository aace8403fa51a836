"""The tools that others offer to whoever speaks in a conversation: attached MCP servers and integrations."""

import asyncio
from dataclasses import replace

from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.tool import RemoteTool, Tool
from vivavoce.services import integrations, mcp_servers
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken


async def attached(ctx: Context, org: str, cast: Cast) -> tuple[Cast, tuple[str, ...]]:
    """Everybody with the tools that their servers and integrations offer now, and notes about those that offer none.

    Never raises for what the other side does: a conversation goes on without a server that is down.
    """
    if not any(_attaches(version) for version in (cast.first, *cast.others.values())):
        return cast, ()
    first, *others = await asyncio.gather(
        *(_with_tools(ctx, org, version) for version in (cast.first, *cast.others.values()))
    )
    notes = [note for _, found in (first, *others) for note in found]
    return Cast(first[0], {version.assistant_id: version for version, _ in others}), tuple(dict.fromkeys(notes))


def _attaches(version: Version) -> bool:
    return bool(version.servers or version.integrations or _undescribed(version))


def _undescribed(version: Version) -> dict[str, RemoteTool]:
    """The tools of its own servers that its flow names and does not describe, by their ids."""
    if version.flow is None:
        return {}
    return {
        id_: tool
        for id_, tool in version.flow.tools.items()
        if isinstance(tool, RemoteTool) and tool.own and not tool.parameters.get("properties")
    }


async def _with_tools(ctx: Context, org: str, version: Version) -> tuple[Version, tuple[str, ...]]:
    if not _attaches(version):
        return version, ()
    version, unheard = await _described(ctx, version)
    own = [tool.name for tool in (*version.tools, *version.library.values())]
    listed, notes = await mcp_servers.offered(ctx, org, version.servers, taken=own)
    ready, more = await integrations.offered(ctx, org, version.integrations)
    return replace(version, remote=(*listed, *ready)), (*unheard, *notes, *more)


async def _described(ctx: Context, version: Version) -> tuple[Version, tuple[str, ...]]:
    """The version with what its own servers say now of the tools that its flow does not describe."""
    wanted = _undescribed(version)
    if version.flow is None or not wanted:
        return version, ()
    filling = Filling(version.variables, version.templating, ctx.clock.now())
    tools: dict[str, Tool] = dict(version.flow.tools)
    notes: list[str] = []
    for server in version.own_servers:
        mine = {id_: tool for id_, tool in wanted.items() if tool.server_id == server.name}
        if not mine:
            continue
        try:
            listed = {one.name: one for one in await mcp_servers.get_own_tools(ctx, server, filling)}
        except Broken as failure:
            notes.append(str(failure))
            continue
        for id_, tool in mine.items():
            if tool.tool in listed:
                one = listed[tool.tool]
                described = tool.description or one.description
                tools[id_] = replace(tool, parameters=one.parameters, description=described)
    return replace(version, flow=replace(version.flow, tools=tools)), tuple(notes)
