"""Parts that flows share: made, changed, removed, and put into the versions that go through them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from vivavoce.core.assistant import Version
from vivavoce.core.component import Component
from vivavoce.core.flow import ComponentNode, EndNode, Flow
from vivavoce.core.server import OwnServer
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants, components
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Slice, Span

MOST_SPREAD = 20_000
"""How many nodes and edges a flow may have when each of its components stands wherever it is gone through: a few large
ones that are named often would make millions of a small body."""

Change = Callable[[Component], Component]

Localise = Callable[[Version, Component], Version]
"""The version with a copy of its own of the component, in all that is kept of it."""

Linked = tuple[Component, tuple[str, ...]]
"""A component, and the ids of the flows whose newest version goes through it."""


def create(ctx: Context, tx: Tx, org: str, draft: Component) -> Linked:
    """Keep a component (its id and its times are set here)."""
    now = ctx.clock.now()
    component = replace(draft, id=ctx.new_id(), created_at=now, changed_at=now)
    components.add(tx, org, component)
    return component, ()


async def retrieve(ctx: Context, org: str, component_id: str) -> Linked:
    """One component. Raises ``NotFound``."""

    def work(tx: Tx) -> Linked:
        component = _get(tx, org, component_id)
        return component, _links(tx, org, component_id).get(component_id, ())

    return await ctx.database.read(work)


async def update(ctx: Context, org: str, component_id: str, change: Change) -> Linked:
    """Change a component, for all flows that go through it at once; what runs has frozen it. Raises ``NotFound``, what
    ``change`` raises, and ``Rejected`` where one of the flows becomes too large."""

    def work(tx: Tx) -> Linked:
        before = _get(tx, org, component_id, lock=True)
        own = {"id": before.id, "created_at": before.created_at, "changed_at": ctx.clock.now()}
        component = replace(change(before), **own)
        components.put(tx, org, component)
        for _, version in components.get_users(tx, org, component_id):
            check_size(frozen(tx, org, version))
        return component, _links(tx, org, component_id).get(component_id, ())

    return await ctx.database.write(work)


async def delete(ctx: Context, org: str, component_id: str, localise: Localise) -> None:
    """Remove a component. Versions that go through it keep a copy of it, so that nothing changes for them, also those
    that are published (contract, section 7.2). Raises ``NotFound``."""

    def work(tx: Tx) -> None:
        component = _get(tx, org, component_id, lock=True)
        for version in components.held_users(tx, org, component_id):
            if version.flow is not None and component_id in _missing(version.flow):
                kept = localise(version, component)
                assistants.put_version(tx, replace(kept, own_servers=_with(kept.own_servers, component.servers)))
        components.drop(tx, org, component_id)

    await ctx.database.write(work)


async def get_slice(ctx: Context, org: str, span: Span) -> Slice[Linked]:
    """A stretch of the components."""

    def work(tx: Tx) -> Slice[Linked]:
        found, links = components.get_slice(tx, org, span), _links(tx, org)
        return Slice(tuple((one, links.get(one.id, ())) for one in found.items), found.more)

    return await ctx.database.read(work)


async def get_all(ctx: Context, org: str) -> tuple[Linked, ...]:
    """Every component, newest first."""

    def work(tx: Tx) -> tuple[Linked, ...]:
        links = _links(tx, org)
        return tuple((one, links.get(one.id, ())) for one in components.get_all(tx, org))

    return await ctx.database.read(work)


def check(tx: Tx, org: str, version: Version) -> None:
    """Raises ``NotFound`` where the version's flow goes through a shared component that does not exist; those that do
    stay until the commit. Raises ``Rejected`` where it is too large with them."""
    wanted = _missing(version.flow) if version.flow is not None else ()
    known = components.get_many(tx, org, wanted, keep=True)
    gone = next((id_ for id_ in wanted if id_ not in known), None)
    if gone is not None:
        raise NotFound("component", gone)
    check_size(frozen(tx, org, version))


def check_size(version: Version) -> None:
    """Raises ``Rejected`` where the version's flow would be too large with its components in their places."""
    flow = version.flow
    if flow is None:
        return
    leaving = Counter(edge.start for edge in flow.edges)
    sizes = {name: len(part.nodes) + len(part.edges) for name, part in flow.components.items()}
    ends = {name: sum(isinstance(node, EndNode) for node in part.nodes) for name, part in flow.components.items()}
    # Every end of a component leads on by all ways of the node that stands for it.
    places = [(node.id, node.component) for node in flow.nodes if isinstance(node, ComponentNode)]
    more = sum(sizes.get(name, 0) + ends.get(name, 0) * leaving[id_] for id_, name in places)
    if places and len(flow.nodes) + len(flow.edges) + more > MOST_SPREAD:
        raise Rejected(f"With its components in their places the flow has more than {MOST_SPREAD} nodes and edges.")


def frozen(tx: Tx, org: str, version: Version) -> Version:
    """The version with copies of its own of the shared components as they are now, which no later change reaches
    (contract, section 7.2): for versions that are published."""
    if version.flow is None:
        return version
    found = components.get_many(tx, org, _missing(version.flow))
    copies = {id_: component.flow for id_, component in found.items()}
    servers = version.own_servers
    for component in found.values():
        servers = _with(servers, component.servers)
    flow = replace(version.flow, components={**version.flow.components, **copies})
    return replace(version, flow=flow, own_servers=servers)


def _missing(flow: Flow) -> tuple[str, ...]:
    """The ids of the components that it goes through and has no copy of."""
    named = (node.component for node in flow.nodes if isinstance(node, ComponentNode))
    return tuple(id_ for id_ in dict.fromkeys(named) if id_ not in flow.components)


def _with(own: tuple[OwnServer, ...], more: tuple[OwnServer, ...]) -> tuple[OwnServer, ...]:
    """Those of a version and those of a component: a name that both have is the version's."""
    names = {server.name for server in own}
    return (*own, *(server for server in more if server.name not in names))


def _links(tx: Tx, org: str, component_id: str | None = None) -> dict[str, tuple[str, ...]]:
    """The ids of the flows that go through each component, or at least through this one."""
    found: dict[str, tuple[str, ...]] = {}
    for assistant_id, version in components.get_users(tx, org, component_id):
        for id_ in _missing(version.flow) if version.flow is not None else ():
            found[id_] = (*found.get(id_, ()), assistant_id)
    return found


def _get(tx: Tx, org: str, component_id: str, *, lock: bool = False) -> Component:
    component = components.get(tx, org, component_id, lock=lock)
    if component is None:
        raise NotFound("component", component_id)
    return component
