"""Shared tools and connections, kept; what belongs to another organisation is neither found nor changed."""

from dataclasses import replace

from tests.support.store import NOW, ORG, a_version

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.flow import Flow, PromptNode
from vivavoce.core.integration import Connection
from vivavoce.core.library import SharedTool
from vivavoce.core.tool import FunctionTool
from vivavoce.storage import assistants, connections, tools
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window

OTHER = "org-b"
TOOL = SharedTool("tool-1", "Finder", "function", FunctionTool("find"), NOW)


async def test_tools_of_others_are_neither_found_nor_changed(database: Database) -> None:
    def work(tx: Tx) -> None:
        tools.add(tx, ORG, TOOL)
        tools.put(tx, OTHER, replace(TOOL, name="stolen"))
        assert not tools.drop(tx, OTHER, TOOL.id)
        assert tools.get(tx, OTHER, TOOL.id, lock=True) is None
        assert tools.get_page(tx, OTHER, Window()).total == 0
        assert tools.get_many(tx, OTHER, [TOOL.id]) == {}
        assert tools.get(tx, ORG, TOOL.id, lock=True) == TOOL
        assert tools.get_many(tx, ORG, [TOOL.id, "x"]) == {TOOL.id: TOOL.tool}
        assert tools.get_many(tx, ORG, []) == {}
        tools.put(tx, ORG, replace(TOOL, name="new", created_at=0))
        assert tools.get(tx, ORG, TOOL.id) == replace(TOOL, name="new")
        assert tools.drop(tx, ORG, TOOL.id)
        assert not tools.drop(tx, ORG, TOOL.id)

    await database.write(work)


async def test_users_are_those_who_speak_with_the_tool(database: Database) -> None:
    def made(tx: Tx, name: str, **given: object) -> Version:
        version = a_version(id=f"{name}-1", assistant_id=name, **given)
        assistants.add(tx, ORG, Assistant(name, version, NOW))
        return version

    def work(tx: Tx) -> None:
        tools.add(tx, ORG, TOOL)
        plain = made(tx, "a", shared=(TOOL.id,))
        flow = made(tx, "b", flow=Flow("n", (PromptNode("n", "x", tools=(TOOL.id,)),)))
        made(tx, "c", instructions=f"Talk about {TOOL.id}.")  # it only looks like a user
        deleted = made(tx, "d", shared=(TOOL.id,))
        assistants.set_deleted(tx, deleted.assistant_id, NOW)
        old = made(tx, "e", shared=(TOOL.id,))
        new = replace(old, id="e-2", shared=())
        assistants.add_version(tx, new)
        assistants.set_main(tx, "e", new.id)
        assert tools.users(tx, ORG, TOOL.id) == (("a", plain), ("b", flow))
        assert tools.users(tx, OTHER, TOOL.id) == ()

    await database.write(work)


async def test_a_version_is_overwritten_in_its_place(database: Database) -> None:
    def work(tx: Tx) -> None:
        first = a_version(id="v-1", assistant_id="a")
        assistants.add(tx, ORG, Assistant("a", first, NOW))
        second = assistants.add_version(tx, replace(first, id="v-2"))
        assistants.put_version(tx, replace(first, name="changed"))
        assert assistants.get_versions(tx, "a") == (second, replace(first, name="changed"))

    await database.write(work)


async def test_connections_of_others_are_neither_found_nor_changed(database: Database) -> None:
    def work(tx: Tx) -> None:
        mine = Connection("c-1", "github", "key", NOW, "https://a.example", ("one",))
        newer = Connection("c-2", "jira", "key", NOW)
        connections.put(tx, ORG, mine)
        connections.put(tx, ORG, newer)
        assert (connections.get(tx, OTHER, mine.id), connections.get_all(tx, OTHER)) == (None, ())
        assert not connections.drop(tx, OTHER, mine.id)
        assert (connections.get(tx, ORG, mine.id), connections.get_all(tx, ORG)) == (mine, (newer, mine))
        connections.put(tx, ORG, replace(mine, allowed=None))
        assert connections.get_all(tx, ORG) == (newer, replace(mine, allowed=None))
        assert connections.drop(tx, ORG, mine.id)
        assert not connections.drop(tx, ORG, mine.id)

    await database.write(work)
