"""MCP servers, through the vendor's own Python SDK (contract, section 5.13)."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
import telnyx
from telnyx import Telnyx
from tests.support.server import Server


@pytest.fixture
def client(live_server: Server) -> Iterator[Telnyx]:
    with Telnyx(
        api_key=live_server.key,
        base_url=f"{live_server.url}/v2",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def address() -> str:
    return f"https://{uuid4().hex}.example.com/mcp"


@pytest.mark.operation("ai.mcp_servers.create", "ai.mcp_servers.retrieve")
def test_a_server_is_kept_as_it_was_sent(client: Telnyx) -> None:
    url = address()
    made = client.ai.mcp_servers.create(
        name="shop", type="http", url=url, allowed_tools=["find"], api_key_ref="shop-key"
    )
    assert (made.name, made.type, made.url, made.allowed_tools, made.api_key_ref) == (
        "shop", "http", url, ["find"], "shop-key",
    )  # fmt: skip
    assert made.created_at.tzinfo is not None
    assert client.ai.mcp_servers.retrieve(made.id) == made
    plain = client.ai.mcp_servers.create(name="plain", type="sse", url=address())
    assert (plain.allowed_tools, plain.api_key_ref) == (None, None)


@pytest.mark.operation("ai.mcp_servers.create")
def test_rule_1_5_a_key_makes_one_server(client: Telnyx) -> None:
    url, key = address(), uuid4().hex
    first, second = (
        client.ai.mcp_servers.create(name="one", type="http", url=url, idempotency_key=key) for _ in range(2)
    )
    assert first == second
    assert [one.id for one in client.ai.mcp_servers.list(url=url)] == [first.id]


@pytest.mark.operation("ai.mcp_servers.update")
def test_an_update_changes_what_it_names(client: Telnyx) -> None:
    made = client.ai.mcp_servers.create(name="a", type="http", url=address(), allowed_tools=["x"], api_key_ref="k")
    url = address()
    changed = client.ai.mcp_servers.update(
        made.id, id="another", created_at="2020-01-01T00:00:00Z", name="b", type="sse", url=url
    )
    assert (changed.id, changed.created_at) == (made.id, made.created_at)
    assert (changed.name, changed.type, changed.url) == ("b", "sse", url)
    assert (changed.allowed_tools, changed.api_key_ref) == (["x"], "k")
    emptied = client.ai.mcp_servers.update(made.id, allowed_tools=None, api_key_ref=None)
    assert (emptied.allowed_tools, emptied.api_key_ref, emptied.name) == (None, None, "b")
    assert client.ai.mcp_servers.retrieve(made.id) == emptied


@pytest.mark.operation("ai.mcp_servers.list")
def test_rule_1_3_the_pages_come_to_an_end(client: Telnyx) -> None:
    url = address()
    made = [client.ai.mcp_servers.create(name=f"{number}", type="sse", url=url).id for number in range(5)]
    newest_first = made[::-1]
    assert [one.id for one in client.ai.mcp_servers.list(url=url)] == newest_first
    assert [one.id for one in client.ai.mcp_servers.list(url=url, type="sse", page_size=2)] == newest_first
    first = client.ai.mcp_servers.list(url=url, page_size=2)
    assert [one.id for one in first.items] == newest_first[:2]
    third = client.ai.mcp_servers.list(url=url, page_size=2, page_number=3)
    assert [one.id for one in third.items] == newest_first[4:]
    assert client.ai.mcp_servers.list(url=url, page_size=2, page_number=4).items == []
    assert list(client.ai.mcp_servers.list(url=url, type="http")) == []
    assert set(made) <= {one.id for one in client.ai.mcp_servers.list(page_size=100)}


@pytest.mark.operation("ai.mcp_servers.delete")
def test_a_deleted_server_is_gone(client: Telnyx) -> None:
    made = client.ai.mcp_servers.create(name="a", type="http", url=address())
    client.ai.mcp_servers.delete(made.id)
    for ask in (client.ai.mcp_servers.retrieve, client.ai.mcp_servers.delete, client.ai.mcp_servers.update):
        with pytest.raises(telnyx.NotFoundError):
            ask(made.id)
    assert list(client.ai.mcp_servers.list(url=made.url)) == []


def test_a_way_that_nobody_speaks_is_refused(client: Telnyx) -> None:
    for name, kind, url in (
        ("a", "stdio", address()),
        ("a", "http", "ftp://a.example"),
        ("a", "http", "shop"),
        ("", "http", address()),
    ):
        with pytest.raises(telnyx.UnprocessableEntityError):
            client.ai.mcp_servers.create(name=name, type=kind, url=url)
