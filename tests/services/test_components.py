"""Parts that flows share (contract, section 7.2)."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_version

from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.component import Component
from vivavoce.core.flow import ComponentNode, DefaultCondition, Edge, EndNode, Flow, NodeTarget, PromptNode
from vivavoce.core.server import OwnServer
from vivavoce.services import components, engines
from vivavoce.services.components import Linked
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants
from vivavoce.storage.page import Span

OTHER = "org-b"
PART = Flow("s", (PromptNode("s", "Ask."), EndNode("x")), routes="before")
SHOP = OwnServer("shop", "https://s.example")


def through(*names: str, **more: Any) -> Flow:
    nodes = tuple(ComponentNode(f"n{number}", name) for number, name in enumerate(names))
    return Flow("x", (*nodes, EndNode("x")), routes="before", **more)


def localise(version: Version, component: Component) -> Version:
    """The flow names its copy by the component's id."""
    assert version.flow is not None
    copies = {**version.flow.components, component.id: component.flow}
    return replace(version, flow=replace(version.flow, components=copies), extra={"copied": component.name})


async def made(ctx: Context, **given: Any) -> Component:
    draft = replace(Component("", "part", PART, 0, 0), **given)
    component, flows = await ctx.database.write(lambda tx: components.create(ctx, tx, ORG, draft))
    assert flows == ()
    return component


async def a_flow(ctx: Context, flow: Flow, **given: Any) -> Assistant:
    draft = a_version(flow=flow, **given)
    return await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, Form.FLOW, draft))


async def version_of(ctx: Context, assistant: Assistant) -> Version:
    return (await engines.retrieve(ctx, ORG, assistant.id, (Form.FLOW,)))[1]


async def test_a_component_is_made_and_found(ctx: Context, hand: Hand) -> None:
    component = await made(ctx)
    assert (component.created_at, component.changed_at) == (hand.now(), hand.now())
    assert await components.retrieve(ctx, ORG, component.id) == (component, ())
    with pytest.raises(NotFound, match="component 'none' was not found"):
        await components.retrieve(ctx, ORG, "none")
    with pytest.raises(NotFound):
        await components.retrieve(ctx, OTHER, component.id)


async def test_a_component_knows_the_flows_whose_newest_version_goes_through_it(ctx: Context) -> None:
    one, two = await made(ctx), await made(ctx)
    both = await a_flow(ctx, through(one.id, two.id, one.id))
    single = await a_flow(ctx, through(one.id))
    copied = through(one.id, components={one.id: PART})
    await a_flow(ctx, copied)
    assert await components.retrieve(ctx, ORG, one.id) == (one, (both.id, single.id))
    every: tuple[Linked, ...] = ((two, (both.id,)), (one, (both.id, single.id)))
    assert await components.get_all(ctx, ORG) == every
    stretch = await components.get_slice(ctx, ORG, Span(1))
    assert (stretch.items, stretch.more) == (every[:1], True)


async def test_a_changed_component_keeps_its_id_and_its_age(ctx: Context, hand: Hand) -> None:
    before = await made(ctx)
    flow = await a_flow(ctx, through(before.id))
    hand.turn(1)
    changed, links = await components.update(
        ctx, ORG, before.id, lambda one: replace(one, id="mine", name="new", created_at=5)
    )
    assert changed == replace(before, name="new", changed_at=NOW + 1000)
    assert links == (flow.id,)
    assert await components.retrieve(ctx, ORG, before.id) == (changed, links)
    with pytest.raises(NotFound):
        await components.update(ctx, OTHER, before.id, lambda one: one)


async def test_a_flow_can_only_go_through_what_is_there(ctx: Context) -> None:
    component = await made(ctx)

    async def check(flow: Flow | None) -> None:
        await ctx.database.write(lambda tx: components.check(tx, ORG, a_version(flow=flow)))

    await check(None)
    await check(through(component.id))
    await check(through("own", components={"own": PART}))
    with pytest.raises(NotFound, match="component 'none' was not found"):
        await check(through(component.id, "none"))


async def test_section_7_2_what_is_published_has_copies(ctx: Context) -> None:
    component = await made(ctx, servers=(SHOP, OwnServer("own", "https://theirs.example")))
    own = OwnServer("own", "https://o.example")
    version = a_version(flow=through(component.id, "gone"), own_servers=(own,))
    frozen = await ctx.database.read(lambda tx: components.frozen(tx, ORG, version))
    assert frozen.flow is not None
    assert frozen.flow.components == {component.id: PART}
    assert frozen.own_servers == (own, SHOP)
    plain = a_version()
    assert await ctx.database.read(lambda tx: components.frozen(tx, ORG, plain)) is plain


async def test_section_7_2_a_deleted_component_leaves_copies_in_every_version(ctx: Context) -> None:
    component, other = await made(ctx, servers=(SHOP,)), await made(ctx)
    user = await a_flow(ctx, through(component.id))
    published = replace(user.main, id=ctx.new_id(), published=True)
    await ctx.database.write(lambda tx: assistants.add_version(tx, published))
    copy = replace(PART, start="x")
    holder = await a_flow(ctx, through(component.id, components={component.id: copy}))
    stranger = await a_flow(ctx, through(other.id), name=component.id)  # names it, and does not go through it
    await components.delete(ctx, ORG, component.id, localise)
    for version in await ctx.database.read(lambda tx: assistants.get_versions(tx, user.id)):
        assert version.flow is not None
        assert version.flow.components == {component.id: PART}
        assert version.extra == {"copied": "part"}
        assert version.own_servers == (SHOP,)
    assert await version_of(ctx, holder) == holder.main
    assert await version_of(ctx, stranger) == stranger.main
    with pytest.raises(NotFound):
        await components.retrieve(ctx, ORG, component.id)
    with pytest.raises(NotFound):
        await components.delete(ctx, ORG, component.id, localise)


def large(ends: int) -> Flow:
    return Flow("s", (PromptNode("s", "Ask."), *(EndNode(f"x{number}") for number in range(ends))), routes="before")


async def test_a_small_body_makes_no_flow_of_millions(ctx: Context) -> None:
    """Every end of a component leads on by all ways of the node that stands for it."""
    component = await made(ctx)
    ways = tuple(Edge(f"e{number}", "n0", DefaultCondition(), NodeTarget("x")) for number in range(200))
    flow = through(component.id, edges=ways)
    await ctx.database.write(lambda tx: components.check(tx, ORG, a_version(flow=flow)))
    kept = await a_flow(ctx, flow)
    with pytest.raises(Rejected, match="more than 20000 nodes and edges"):
        await components.update(ctx, ORG, component.id, lambda one: replace(one, flow=large(100)))
    assert (await components.retrieve(ctx, ORG, component.id))[0] == component
    wide = a_version(flow=through("own", edges=ways, components={"own": large(100)}))
    often = a_version(flow=through(*(["own"] * 250), components={"own": large(99)}))
    for version in (wide, often):
        with pytest.raises(Rejected, match="more than 20000 nodes and edges"):
            await ctx.database.write(lambda tx, one=version: components.check(tx, ORG, one))
        with pytest.raises(Rejected, match="more than 20000 nodes and edges"):
            await ctx.database.read(lambda tx, one=version: engines.completed(tx, ORG, one))
    assert len((await ctx.database.read(lambda tx: engines.completed(tx, ORG, kept.main))).flow.edges) > 200  # pyright: ignore[reportOptionalMemberAccess]
