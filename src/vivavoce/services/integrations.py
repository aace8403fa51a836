"""Integrations: the catalog, an organisation's connections, and the tools that an assistant gets from them."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from vivavoce.core.assistant import Attached
from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.core.integration import Connection, Integration, connected
from vivavoce.core.tool import WebhookTool
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import connections, secrets
from vivavoce.storage.database import Database, Tx
from vivavoce.tools.catalog import CATALOG
from vivavoce.tools.secrets import section

_BY_ID = {one.id: one for one in CATALOG}


async def get_all(ctx: Context, org: str) -> tuple[tuple[Integration, bool], ...]:
    """Every integration of the catalog, and whether the organisation is connected to it."""
    used = {one.integration_id for one in await get_connections(ctx, org)}
    return tuple((one, one.id in used) for one in CATALOG)


async def retrieve(ctx: Context, org: str, integration_id: str) -> tuple[Integration, bool]:
    """One integration, and whether the organisation is connected to it. Raises ``NotFound``."""
    for found, used in await get_all(ctx, org):
        if found.id == integration_id:
            return found, used
    raise NotFound("integration", integration_id)


async def get_connections(ctx: Context, org: str) -> tuple[Connection, ...]:
    """Every connection, newest first."""
    return await ctx.database.read(lambda tx: connections.get_all(tx, org))


async def get_connection(ctx: Context, org: str, connection_id: str) -> Connection:
    """One connection. Raises ``NotFound``."""
    found = await ctx.database.read(lambda tx: connections.get(tx, org, connection_id))
    if found is None:
        raise NotFound("connection", connection_id)
    return found


async def disconnect(ctx: Context, org: str, connection_id: str) -> None:
    """Remove a connection; assistants lose its tools. Raises ``NotFound``."""
    if not await ctx.database.write(lambda tx: connections.drop(tx, org, connection_id)):
        raise NotFound("connection", connection_id)


def tool_names(connection: Connection) -> tuple[str, ...]:
    """The tools that assistants may have by this connection."""
    integration = _BY_ID.get(connection.integration_id)
    return tuple(tool.name for tool in integration.tools if connection.allows(tool.name)) if integration else ()


async def connect(
    database: Database,
    clock: Clock,
    new_id: NewId,
    org: str,
    integration_id: str,
    *,
    secret: str,
    base_url: str | None = None,
    allowed: Sequence[str] | None = None,
) -> Connection:
    """Connect the organisation to an integration, in the place of the connection it has.

    ``secret`` names the secret that opens it, ``base_url`` is where it is (None: the catalog's), ``allowed`` are the
    tools that assistants may have (None: all).

    Raises ``NotFound`` for an integration that is not in the catalog, and ``Rejected``.
    """
    integration = _BY_ID.get(integration_id)
    if integration is None:
        raise NotFound("integration", integration_id)
    _check(integration, base_url, allowed)
    wanted = Connection(
        new_id(), integration_id, secret, clock.now(), base_url, None if allowed is None else tuple(allowed)
    )

    def work(tx: Tx) -> Connection:
        if secrets.find(tx, org, secret) is None:
            raise Rejected(f"There is no integration secret {secret!r}.", "secret")
        before = next((one for one in connections.get_all(tx, org) if one.integration_id == integration_id), None)
        kept = replace(wanted, id=before.id, created_at=before.created_at) if before else wanted
        connections.put(tx, org, kept)
        return kept

    return await database.write(work)


def _check(integration: Integration, base_url: str | None, allowed: Sequence[str] | None) -> None:
    if not integration.tools:
        raise Rejected(f"{integration.title} has no tools on this server yet.", "integration")
    names = [tool.name for tool in integration.tools]
    for name in allowed or ():
        if name not in names:
            raise Rejected(f"{integration.title} has no tool {name!r}. It has: {', '.join(names)}.", "allow")
    if base_url is not None and not _is_base(base_url):
        raise Rejected(f"{base_url!r} is not an address such as https://github.example.com/api/v3.", "base_url")


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            return False
    except ValueError:
        return False
    # Braces would be read as a template, and credentials have their place in the secret.
    return not any(sign in url for sign in "{}@ ")


async def offered(
    ctx: Context, org: str, attached: Sequence[Attached]
) -> tuple[tuple[WebhookTool, ...], tuple[str, ...]]:
    """The tools that an assistant with these integrations gets: those that both it and the connection allow. And a note
    on each integration that gives none, for people."""
    if not attached:
        return (), ()
    used = {one.integration_id: one for one in await get_connections(ctx, org)}
    tools: dict[str, WebhookTool] = {}
    notes: list[str] = []
    for one in attached:
        integration, connection = _BY_ID.get(one.id), used.get(one.id)
        if integration is None:
            notes.append(f"There is no integration {one.id!r}.")
        elif not integration.tools:
            notes.append(f"{integration.title} has no tools on this server yet.")
        elif connection is None:
            notes.append(f"{integration.title} is not connected: its tools are not offered.")
        else:
            ready = connected(integration, connection, section(connection.secret))
            chosen = {tool.name: tool for tool in ready if one.allowed is None or tool.name in one.allowed}
            tools |= chosen
            if not chosen:
                notes.append(f"{integration.title} offers none of the tools that are allowed.")
    return tuple(tools.values()), tuple(notes)
