"""The tools that others offer to whoever speaks in a conversation: attached MCP servers and integrations."""

import asyncio
from dataclasses import replace

from vivavoce.core.assistant import Cast, Version
from vivavoce.services import integrations, mcp_servers
from vivavoce.services.context import Context


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
    return bool(version.servers or version.integrations)


async def _with_tools(ctx: Context, org: str, version: Version) -> tuple[Version, tuple[str, ...]]:
    if not _attaches(version):
        return version, ()
    own = [tool.name for tool in (*version.tools, *version.library.values())]
    listed, notes = await mcp_servers.offered(ctx, org, version.servers, taken=own)
    ready, more = await integrations.offered(ctx, org, version.integrations)
    return replace(version, remote=(*listed, *ready)), (*notes, *more)
