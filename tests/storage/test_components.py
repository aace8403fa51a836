"""Shared components, kept."""

from dataclasses import replace
from typing import Any

from tests.support.store import NOW, ORG, a_version

from vivavoce.core.assistant import Assistant, Form, Version
from vivavoce.core.component import Component
from vivavoce.core.flow import ComponentNode, DefaultCondition, Edge, EndNode, Flow, NodeTarget, PromptNode
from vivavoce.core.server import OwnServer
from vivavoce.storage import assistants, components
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Span

OTHER = "org-b"
ENDS = Edge("e", "s", DefaultCondition(), NodeTarget("x"))
PART = Flow("s", (PromptNode("s", "Ask."), EndNode("x")), (ENDS,), routes="before")


def a_component(id_: str, **given: Any) -> Component:
    return replace(Component(id_, "part", PART, NOW, NOW), **given)


def through(*names: str) -> Flow:
    nodes = tuple(ComponentNode(f"n{number}", name) for number, name in enumerate(names))
    return Flow("x", (*nodes, EndNode("x")), routes="before")


async def put(database: Database, *kept: Component, org: str = ORG) -> None:
    def work(tx: Tx) -> None:
        for one in kept:
            components.add(tx, org, one)

    await database.write(work)


def add(tx: Tx, id_: str, *flows: Flow, org: str = ORG, form: Form = Form.FLOW) -> tuple[Version, ...]:
    """An assistant with one version for each flow, the last of which is main."""
    first, *more = (a_version(id=f"{id_}-{n}", assistant_id=id_, flow=flow) for n, flow in enumerate(flows))
    assistants.add(tx, org, Assistant(id_, first, NOW, form=form))
    made = [first, *(assistants.add_version(tx, version) for version in more)]
    assistants.set_main(tx, id_, made[-1].id)
    return tuple(made)


async def test_a_component_comes_back(database: Database) -> None:
    kept = a_component("a", servers=(OwnServer("shop", "https://s.example"),), extra={"body": {"deep": [None, 1.5]}})
    await put(database, kept)
    assert await database.read(lambda tx: components.get(tx, ORG, "a")) == kept
    assert await database.read(lambda tx: components.get(tx, ORG, "b")) is None
    assert await database.read(lambda tx: components.get(tx, OTHER, "a")) is None
    assert await database.write(lambda tx: components.get_many(tx, ORG, ["b", "a"], keep=True)) == {"a": kept}
    assert await database.read(lambda tx: components.get_many(tx, OTHER, ["a"])) == {}
    assert await database.read(lambda tx: components.get_many(tx, ORG, [])) == {}


async def test_a_component_is_overwritten_and_removed(database: Database) -> None:
    await put(database, a_component("a"), a_component("b"))
    changed = a_component("a", name="new", changed_at=NOW + 1)
    await database.write(lambda tx: components.put(tx, ORG, changed))
    await database.write(lambda tx: components.put(tx, OTHER, a_component("b", name="theirs")))
    assert await database.read(lambda tx: components.get_all(tx, ORG)) == (a_component("b"), changed)
    assert not await database.write(lambda tx: components.drop(tx, OTHER, "a"))
    assert await database.write(lambda tx: components.drop(tx, ORG, "a"))
    assert not await database.write(lambda tx: components.drop(tx, ORG, "a"))
    assert await database.read(lambda tx: components.get_all(tx, ORG)) == (a_component("b"),)


async def test_components_are_listed_by_stretches(database: Database) -> None:
    await put(database, *(a_component(id_) for id_ in "abc"))
    await put(database, a_component("d"), org=OTHER)
    first = await database.read(lambda tx: components.get_slice(tx, ORG, Span(2)))
    assert ([one.id for one in first.items], first.more) == (["c", "b"], True)
    rest = await database.read(lambda tx: components.get_slice(tx, ORG, Span(2, "b")))
    assert ([one.id for one in rest.items], rest.more) == (["a"], False)
    up = await database.read(lambda tx: components.get_slice(tx, ORG, Span(2, None, ascending=True)))
    assert [one.id for one in up.items] == ["a", "b"]


async def test_the_users_of_components_are_the_newest_versions_of_flows(database: Database) -> None:
    def work(tx: Tx) -> tuple[Version, ...]:
        _, newest = add(tx, "one", through("a"), through("b"))
        add(tx, "none", through())
        add(tx, "plain", through("a"), form=Form.ASSISTANT)
        add(tx, "theirs", through("a"), org=OTHER)
        add(tx, "gone", through("a"))
        assistants.set_deleted(tx, "gone", NOW)
        return (newest,)

    (newest,) = await database.write(work)
    assert await database.read(lambda tx: components.get_users(tx, ORG)) == (("one", newest),)


async def test_held_users_are_all_versions_that_may_name_a_component(database: Database) -> None:
    def work(tx: Tx) -> tuple[str, ...]:
        add(tx, "one", through("part-a"), through("part-b"), through("part-a", "part-b"))
        add(tx, "theirs", through("part-a"), org=OTHER)
        return tuple(version.id for version in components.held_users(tx, ORG, "part-a"))

    assert await database.write(work) == ("one-0", "one-2")
