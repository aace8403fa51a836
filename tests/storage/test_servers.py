from dataclasses import replace

import pytest
from tests.support.store import NOW, ORG

from vivavoce.core.server import McpServer
from vivavoce.storage import servers
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.page import Window

OTHER = "org-b"
SHOP = McpServer("id-1", "shop", "http", "http", "https://a.example/mcp", NOW)
FULL = McpServer(
    "id-2", "Küche", "sse", "sse", "https://b.example/{{#integration_secret}}x{{/integration_secret}}", NOW + 1,
    allowed=("find", "add"), secret="kitchen", extra={"odd": [1, None]},
)  # fmt: skip


@pytest.fixture
async def kept(database: Database) -> Database:
    def work(tx: Tx) -> None:
        servers.add(tx, ORG, SHOP)
        servers.add(tx, ORG, FULL)

    await database.write(work)
    return database


async def test_what_is_kept_comes_back(kept: Database) -> None:
    for one in (SHOP, FULL):
        assert await kept.read(lambda tx, one=one: servers.get(tx, ORG, one.id)) == one
        assert await kept.write(lambda tx, one=one: servers.get(tx, ORG, one.id, lock=True)) == one
    found = await kept.read(lambda tx: servers.get_many(tx, ORG, ["id-2", "id-9", "id-1"]))
    assert found == {"id-1": SHOP, "id-2": FULL}
    assert await kept.read(lambda tx: servers.get_many(tx, ORG, [])) == {}


async def test_a_server_is_overwritten_with_what_it_is_found_by(kept: Database) -> None:
    changed = replace(SHOP, type="sse", transport="sse", url="https://c.example", allowed=())
    await kept.write(lambda tx: servers.put(tx, ORG, changed))
    assert await kept.read(lambda tx: servers.get(tx, ORG, "id-1")) == changed
    page = await kept.read(lambda tx: servers.get_page(tx, ORG, Window(), type="sse", url="https://c.example"))
    assert page.items == (changed,)


async def test_pages_are_newest_first_and_filters_are_exact(kept: Database) -> None:
    async def ids(window: Window | None = None, type: str | None = None, url: str | None = None) -> list[str]:  # noqa: A002
        page = await kept.read(lambda tx: servers.get_page(tx, ORG, window or Window(), type=type, url=url))
        return [one.id for one in page.items]

    assert await ids() == ["id-2", "id-1"]
    assert await ids(Window(2, 1)) == ["id-1"]
    assert await ids(Window(3, 1)) == []
    assert await ids(type="http") == ["id-1"]
    assert await ids(type="htt") == []
    assert await ids(url=FULL.url) == ["id-2"]
    assert await ids(type="http", url=FULL.url) == []


async def test_nobody_else_sees_or_changes_it(kept: Database) -> None:
    def work(tx: Tx) -> None:
        assert servers.get(tx, OTHER, "id-1") is None
        assert servers.get_many(tx, OTHER, ["id-1"]) == {}
        assert servers.get_page(tx, OTHER, Window()).items == ()
        servers.put(tx, OTHER, replace(SHOP, name="stolen"))
        assert not servers.drop(tx, OTHER, "id-1")
        assert servers.get(tx, ORG, "id-1") == SHOP

    await kept.write(work)


async def test_what_is_dropped_is_gone(kept: Database) -> None:
    assert await kept.write(lambda tx: servers.drop(tx, ORG, "id-1"))
    assert not await kept.write(lambda tx: servers.drop(tx, ORG, "id-1"))
    assert await kept.read(lambda tx: servers.get(tx, ORG, "id-1")) is None
