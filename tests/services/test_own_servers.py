"""MCP servers that belong to one assistant alone: whose they are, and how they are called."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, serving
from tests.support.mcp_server import TOKEN, Shop, serving_mcp
from tests.support.store import NOW, ORG
from tests.tools.test_mcp import discovering, tool

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Cast, Rules, Templating, Version
from vivavoce.core.flow import Flow, PromptNode
from vivavoce.core.server import OwnServer
from vivavoce.core.tool import Header, RemoteTool, StoredField
from vivavoce.outbound.fetch import open_session
from vivavoce.services import casting, mcp_servers
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken
from vivavoce.services.tooling import ToolsOf

ADD = RemoteTool("add", "", {"type": "object"}, "shop", "add", own=True, mockable=False)
NESTED = Templating("", Rules.NESTED)


@pytest.fixture
async def near(ctx: Context) -> AsyncGenerator[Context]:
    """A context whose requests may go to this machine."""
    async with open_session(LOCAL) as session:
        yield replace(ctx, outbound=session)


@pytest.fixture
async def shop() -> AsyncGenerator[Shop]:
    async with serving_mcp(token=TOKEN) as shop:
        yield shop


def version(assistant_id: str, *servers: OwnServer, tools: tuple[RemoteTool, ...] = ()) -> Version:
    return Version("v", assistant_id, "clerk", "", NOW, tools=tools, own_servers=servers)


def own(url: str) -> OwnServer:
    return OwnServer("shop", url, (Header("Authorization", "Bearer {{token}}"),), timeout_ms=20_000)


async def call(ctx: Context, cast: Cast, tool: RemoteTool, **variables: str) -> ToolOutput:
    box = ToolsOf(ctx, ORG, "", conversation_id="talk-1", cast=cast)
    return await box.call(tool, {"a": 1, "b": 2}, key="run:1:call_3", filling=Filling(variables, NESTED))


async def test_an_own_server_is_called_with_its_templates_filled_in(near: Context, shop: Shop) -> None:
    cast = Cast(version("a-1", own(shop.url), tools=(ADD,)))
    assert await call(near, cast, ADD, token=TOKEN) == ToolOutput("3", ok=True)
    [(name, arguments, meta)] = shop.calls
    assert (name, arguments) == ("add", {"a": 1, "b": 2})
    assert (meta["conversation_id"], meta["vivavoce/idempotency-key"]) == ("talk-1", "run:1:call_3")
    refused = await call(near, cast, ADD, token="wrong")
    assert not refused.ok
    assert "401" in refused.text


async def test_variables_cannot_lead_to_another_place_of_the_server(near: Context) -> None:
    reply = discovering(lambda _: {"content": [{"type": "text", "text": '{"order": {"arrives": "Friday"}}'}]})
    query = {"shop": "{{shop}}", "page": "1"}
    async with serving(reply) as server:
        place = OwnServer("shop", server.url + "/{{tenant}}/mcp?v=1#part", query=query)
        tool = replace(ADD, stored=(StoredField("arrival", "order.arrives"), StoredField("gone", "order.gone")))
        output = await call(near, Cast(version("a-1", place, tools=(tool,))), tool, tenant="../x?y", shop="a&b")
    assert output.variables == {"arrival": "Friday"}
    assert {seen.target for seen in server.seen} == {"/..%2Fx%3Fy/mcp?v=1&shop=a%26b&page=1"}


async def test_a_server_that_is_not_there_is_told_to_the_model(near: Context) -> None:
    gone = ToolOutput("The tool was not called: its server is not there any more.", ok=False)
    assert await call(near, Cast(version("a-1")), ADD) == gone
    box = ToolsOf(near, ORG, "", conversation_id="talk-1")
    assert await box.call(ADD, {}, key="k", filling=Filling({})) == gone
    odd = OwnServer("shop", "http://127.0.0.1:9/", (Header("X-Name", "{{name}}"),))
    output = await call(near, Cast(version("a-1", odd)), ADD, name="Jürgen\n")
    assert output.text == (
        "The tool was not called: its server needs headers with characters that HTTP does not allow."
    )


async def test_own_servers_are_called_under_the_same_guard(ctx: Context, shop: Shop) -> None:
    output = await call(ctx, Cast(version("a-1", own(shop.url), tools=(ADD,))), ADD, token=TOKEN)
    assert (output.ok, output.text) == (False, "The tool failed: its server may not be called from here.")
    assert shop.heads == []


def test_each_version_has_servers_of_its_own() -> None:
    """Also where two of them have servers of one name, and tools that are alike."""
    first, second, third = (OwnServer("shop", f"https://{name}.example") for name in "abc")
    one, other = replace(ADD, name="one"), replace(ADD, name="other")
    alike = replace(one)
    nested = replace(one)
    flow = Flow("n", (PromptNode("n", "", inline=(nested,)),))
    cast = Cast(
        version("a-1", first, tools=(one,)),
        {
            "a-2": version("a-2", second, tools=(other, alike)),
            "a-3": replace(version("a-3", OwnServer("else", "https://d.example"), third), flow=flow),
            "a-4": replace(version("a-4", OwnServer("books", "https://e.example")), library={"t": one}),
        },
    )
    assert mcp_servers.owned(cast, one) is first
    assert mcp_servers.owned(cast, other) is second
    assert mcp_servers.owned(cast, alike) is second
    assert mcp_servers.owned(cast, nested) is third
    assert mcp_servers.owned(cast, replace(other)) is second
    assert mcp_servers.owned(cast, replace(one, name="nobody's")) is first
    assert mcp_servers.owned(cast, replace(one, server_id="gone")) is None


async def test_an_own_server_lists_its_tools(near: Context, ctx: Context, shop: Shop) -> None:
    tools = await mcp_servers.get_own_tools(near, own(shop.url), Filling({"token": TOKEN}, NESTED))
    assert [one.name for one in tools][:2] == ["add", "find.order"]
    with pytest.raises(Broken, match=r"^The MCP server 'shop' .*401"):
        await mcp_servers.get_own_tools(near, own(shop.url), Filling({}, NESTED))
    with pytest.raises(Broken, match="may not be called from here"):
        await mcp_servers.get_own_tools(ctx, own(shop.url), Filling({}, NESTED))


async def test_a_server_that_is_ill_lists_nothing(near: Context) -> None:
    async with serving(discovering([tool("add")])) as server:
        place = OwnServer("shop", server.url)
        assert [one.name for one in await mcp_servers.get_own_tools(near, place, Filling())] == ["add"]
        server.reply = lambda _: web.Response(status=503)
        with pytest.raises(Broken):
            await mcp_servers.get_own_tools(near, place, Filling())


async def test_what_a_node_calls_is_described_by_its_server(near: Context, shop: Shop) -> None:
    named = RemoteTool("add", "", {"type": "object", "properties": {}}, "shop", "add", own=True, mockable=False)
    gone = replace(named, name="gone", tool="gone")
    flow = Flow("n", (PromptNode("n", ""),), tools={"add": named, "gone": gone})
    clerk = replace(version("a-1", own(shop.url)), flow=flow, variables={"token": TOKEN}, templating=NESTED)
    cast, notes = await casting.attached(near, ORG, Cast(clerk))
    assert notes == ()
    assert cast.first.flow is not None
    described = cast.first.flow.tools["add"]
    assert isinstance(described, RemoteTool)
    assert set(described.parameters["properties"]) == {"a", "b"}
    assert described.description
    assert cast.first.flow.tools["gone"] == gone
    _, notes = await casting.attached(near, ORG, Cast(replace(clerk, variables={"token": "wrong"})))
    assert len(notes) == 1
