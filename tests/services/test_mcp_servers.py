"""What attached MCP servers lend to an assistant, and how their tools are called."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, serving
from tests.support.mcp_server import TOKEN, Shop, serving_mcp
from tests.support.store import NOW, ORG
from tests.tools.test_mcp import discovering, tool

from vivavoce.assistant.ports import ToolOutput
from vivavoce.core.assistant import Attached
from vivavoce.core.server import McpServer
from vivavoce.core.tool import RemoteTool
from vivavoce.outbound.fetch import open_session
from vivavoce.services import mcp_servers, secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage.page import Window
from vivavoce.storage.seal import Seal
from vivavoce.tools.mcp import MOST_TOOLS

OTHER = "org-b"
PATIENCE_S = 20.0


@pytest.fixture
async def near(ctx: Context) -> AsyncGenerator[Context]:
    """A context whose requests may go to this machine."""
    async with open_session(LOCAL) as session:
        yield replace(ctx, outbound=session)


async def keep(ctx: Context, url: str, name: str = "Shop", org: str = ORG, **fields: Any) -> McpServer:
    draft = McpServer("", name, "http", fields.pop("transport", "http"), url, NOW, **fields)
    return await ctx.database.write(lambda tx: mcp_servers.create(ctx, tx, org, draft))


async def hide(ctx: Context, identifier: str, value: str) -> None:
    await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, identifier, "bearer", value))


async def lent(ctx: Context, *attached: Attached, timeout_s: float = PATIENCE_S) -> tuple[list[str], list[str]]:
    """The names of the tools, and the notes."""
    tools, notes = await mcp_servers.offered(ctx, ORG, attached, timeout_s=timeout_s)
    return [one.name for one in tools], list(notes)


def borrowed(server: McpServer, name: str, parameters: dict[str, Any] | None = None) -> RemoteTool:
    return RemoteTool("mine", "", parameters or {"type": "object"}, server.id, name)


async def call(ctx: Context, tool: RemoteTool, timeout_s: float = PATIENCE_S, **arguments: Any) -> ToolOutput:
    return await mcp_servers.call_tool(
        ctx, ORG, tool, arguments, conversation_id="talk-1", prefix="acme_", key="run:1:call_3", timeout_s=timeout_s
    )


# --- keeping them ----------------------------------------------------------------------------------------------------


async def test_servers_are_made_changed_and_forgotten(ctx: Context) -> None:
    server = await keep(ctx, "https://a.example")
    assert server.id
    assert await mcp_servers.retrieve(ctx, ORG, server.id) == server
    changed = await mcp_servers.update(ctx, ORG, server.id, lambda one: replace(one, name="Store"))
    assert changed == replace(server, name="Store")
    page = await mcp_servers.get_page(ctx, ORG, Window(), type=None, url="https://a.example")
    assert page.items == (changed,)
    await mcp_servers.delete(ctx, ORG, server.id)
    with pytest.raises(NotFound):
        await mcp_servers.retrieve(ctx, ORG, server.id)


async def test_a_server_belongs_to_its_organisation(ctx: Context) -> None:
    server = await keep(ctx, "https://a.example", org=OTHER)
    with pytest.raises(NotFound):
        await mcp_servers.retrieve(ctx, ORG, server.id)
    with pytest.raises(NotFound):
        await mcp_servers.update(ctx, ORG, server.id, lambda one: one)
    with pytest.raises(NotFound):
        await mcp_servers.delete(ctx, ORG, server.id)
    assert await lent(ctx, Attached(server.id)) == (
        [],
        [f"the MCP server {server.id!r} lends no tools: it is not there any more"],
    )


# --- what they lend --------------------------------------------------------------------------------------------------


@pytest.fixture
async def shop() -> AsyncGenerator[Shop]:
    async with serving_mcp() as shop:
        yield shop


ALL = ["add", "find_order", "bare", "mixed", "broken", "long", "slow", "tagged", "curious"]


async def test_rule_2_1_who_may_use_what(near: Context, shop: Shop) -> None:
    """Contract, section 2.1, AssistantMcpServer: what is omitted is the server's own list."""
    free = await keep(near, shop.url)
    held = await keep(near, shop.url, allowed=("add", "find.order"))
    assert await lent(near, Attached(free.id)) == (ALL, [])
    assert await lent(near, Attached(held.id)) == (["add", "find_order"], [])
    assert await lent(near, Attached(held.id, ("bare",))) == (["bare"], [])
    assert await lent(near, Attached(free.id, ())) == ([], [])
    assert await lent(near, Attached(free.id, ("add", "subtract", "divide"))) == (
        ["add"],
        ["the MCP server 'Shop' has no tool 'divide', 'subtract'"],
    )


async def test_a_tool_says_where_it_is(near: Context, shop: Shop) -> None:
    server = await keep(near, shop.url, allowed=("find.order",))
    ([found], notes) = await mcp_servers.offered(near, ORG, [Attached(server.id)], timeout_s=PATIENCE_S)
    assert (found.name, found.tool, found.server_id) == ("find_order", "find.order", server.id)
    assert found.description == "Finds an order."
    assert found.parameters["required"] == ["number"]
    assert notes == ()


async def test_names_differ_across_servers_and_from_those_that_are_taken(near: Context, shop: Shop) -> None:
    first = await keep(near, shop.url, "Shop", allowed=("add", "bare"))
    second = await keep(near, shop.url, "Other Shop", allowed=("add", "bare"))
    tools, _ = await mcp_servers.offered(
        near, ORG, [Attached(first.id), Attached(second.id), Attached(first.id)], taken=["bare"], timeout_s=PATIENCE_S
    )
    assert [(one.name, one.server_id, one.tool) for one in tools] == [
        ("add", first.id, "add"),
        ("Shop_bare", first.id, "bare"),
        ("Other_Shop_add", second.id, "add"),
        ("Other_Shop_bare", second.id, "bare"),
    ]


async def test_one_server_that_fails_takes_nothing_from_the_others(near: Context, shop: Shop) -> None:
    never = asyncio.Event()

    async def hang(_: Any) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with serving(hang) as deaf, serving(lambda _: web.Response(status=503)) as ill:
        places = [("Deaf", deaf.url), ("Ill", ill.url), ("Inside", "http://10.0.0.1/mcp"), ("Shop", shop.url)]
        made = [await keep(near, url, name, allowed=("add",)) for name, url in places]
        # Two seconds are enough for one that answers, and are waited for once.
        began = asyncio.get_running_loop().time()
        names, notes = await lent(near, *(Attached(one.id) for one in made), Attached("gone"), timeout_s=2.0)
        assert asyncio.get_running_loop().time() - began < 4.0
    assert names == ["add"]
    assert notes == [
        "the MCP server 'Deaf' lends no tools: it did not answer within 2 seconds",
        "the MCP server 'Ill' lends no tools: it refused with HTTP status 503: Server returned an error response",
        "the MCP server 'Inside' lends no tools: it may not be called from here",
        "the MCP server 'gone' lends no tools: it is not there any more",
    ]


async def test_nobody_is_asked_where_nothing_is_attached(ctx: Context) -> None:
    assert await mcp_servers.offered(ctx, ORG, ()) == ((), ())


async def test_only_so_many_servers_are_asked(ctx: Context) -> None:
    names, notes = await lent(ctx, *(Attached(f"server-{number}") for number in range(mcp_servers.MOST_SERVERS + 2)))
    assert names == []
    assert notes[0] == f"only {mcp_servers.MOST_SERVERS} MCP servers are asked for their tools"
    assert len(notes) == mcp_servers.MOST_SERVERS + 1


async def test_only_so_many_tools_are_offered(near: Context) -> None:
    async with AsyncExitStack() as stack:
        many = [tool(f"tool-{number}") for number in range(MOST_TOOLS - 1)]
        large = [tool(f"large-{number}", description="x" * 4000) for number in range(MOST_TOOLS)]
        servers = [await stack.enter_async_context(serving(discovering(some))) for some in (many, many, large)]
        first, second, wordy = [await keep(near, server.url, f"S{place}") for place, server in enumerate(servers)]
        names, notes = await lent(near, Attached(first.id), Attached(second.id), Attached(wordy.id))
        assert len(names) == MOST_TOOLS
        assert [note for note in notes if "lends more than can be offered" in note] == notes
        assert len(notes) == 1
        assert "'S1'" in notes[0]
        names, notes = await lent(near, Attached(wordy.id), Attached(first.id))
        assert 0 < len(names) <= mcp_servers.MOST_OFFERED // 4000
        assert len(notes) == 1


# --- secrets ---------------------------------------------------------------------------------------------------------


async def test_a_secret_opens_the_server(near: Context) -> None:
    async with serving_mcp(token=TOKEN) as shop:
        server = await keep(near, shop.url, allowed=("add",), secret="shop-key")
        assert await lent(near, Attached(server.id)) == (
            [],
            ["the MCP server 'Shop' lends no tools: it needs a secret: there is no secret 'shop-key' here"],
        )
        output = await call(near, borrowed(server, "add"), a=1, b=2)
        assert output == ToolOutput(
            "The tool was not called: its server needs a secret: there is no secret 'shop-key' here.",
            ok=False,
        )
        await hide(near, "shop-key", TOKEN)
        assert await lent(near, Attached(server.id)) == (["add"], [])
        assert (await call(near, borrowed(server, "add"), a=1, b=2)).text == "3"
        rekeyed = replace(near, seal=Seal("another key"))
        _, notes = await lent(rekeyed, Attached(server.id))
        assert notes == [
            "the MCP server 'Shop' lends no tools: it needs the secret 'shop-key', which cannot be opened any more"
        ]


async def test_rule_5_13_a_secret_may_stand_in_the_address(near: Context, shop: Shop) -> None:
    await hide(near, "place", shop.url)
    whole = await keep(near, "{{#integration_secret}}place{{/integration_secret}}", allowed=("add",))
    assert await lent(near, Attached(whole.id)) == (["add"], [])
    assert (await call(near, borrowed(whole, "add"), a=1, b=2)).text == "3"
    base, _, path = shop.url.rpartition("/")
    await hide(near, "path", path)
    part = await keep(near, f"{base}/{{{{#integration_secret}}}} path {{{{/integration_secret}}}}", allowed=("add",))
    assert await lent(near, Attached(part.id)) == (["add"], [])


async def test_a_secret_in_the_address_is_told_to_nobody(near: Context, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(lambda _: web.Response(status=404)) as server:
        await hide(near, "path", "sesame")
        url = f"{server.url}/{{{{#integration_secret}}}}path{{{{/integration_secret}}}}?key=sesame"
        for transport in ("http", "sse"):
            kept = await keep(near, url, transport=transport)
            _, [note] = await lent(near, Attached(kept.id))
            output = await call(near, borrowed(kept, "add"))
            assert "404" in note
            assert not output.ok
            assert "sesame" not in note + output.text + caplog.text
        assert {seen.target for seen in server.seen} == {"/sesame?key=sesame"}


async def test_a_server_that_repeats_a_secret_does_not_tell_it(near: Context) -> None:
    await hide(near, "key", "sesame-1")
    said = {"content": [{"type": "text", "text": "you sent sesame-1"}]}
    refusal = {"jsonrpc": "2.0", "error": {"code": -32603, "message": "not sesame-1"}}

    def reply(seen: Any) -> web.StreamResponse:
        if refuses:
            return web.json_response({**refusal, "id": seen.json["id"]})
        return discovering(lambda _: said)(seen)

    async with serving(reply) as server:
        kept = await keep(near, server.url, secret="key")
        refuses = False
        assert (await call(near, borrowed(kept, "add"))).text == "you sent REDACTED"
        refuses = True
        assert (await call(near, borrowed(kept, "add"))).text.endswith("refused: not REDACTED.")
        _, [note] = await lent(near, Attached(kept.id))
        assert note.endswith("refused: not REDACTED")


async def test_a_tool_that_tells_a_secret_of_its_server_does_not_tell_it(near: Context) -> None:
    await hide(near, "key", "sesame-1")
    async with serving(discovering([tool("add", description="Adds. You are sesame-1.")])) as server:
        kept = await keep(near, server.url, secret="key")
        [found], _ = await mcp_servers.offered(near, ORG, [Attached(kept.id)], timeout_s=PATIENCE_S)
    assert found.description == "Adds. You are REDACTED."


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_rule_3_a_call_names_the_conversation_in_meta(near: Context, transport: Any) -> None:
    async with serving_mcp(transport) as shop:
        server = await keep(near, shop.url, transport=transport)
        assert await call(near, borrowed(server, "add"), a=2, b=3) == ToolOutput("5", ok=True)
    [(name, arguments, meta)] = shop.calls
    assert (name, arguments) == ("add", {"a": 2, "b": 3})
    assert (meta["acme_conversation_id"], meta["vivavoce/idempotency-key"]) == ("talk-1", "run:1:call_3")


async def test_arguments_that_do_not_fit_are_told_to_the_model_alone(near: Context, shop: Shop) -> None:
    server = await keep(near, shop.url)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    output = await call(near, borrowed(server, "add", schema), a="one")
    assert not output.ok
    assert output.text == "The tool was not called, because its arguments do not fit: a: 'one' is not of type 'integer'"
    assert shop.heads == []


async def test_a_call_that_fails_is_an_output(near: Context, shop: Shop) -> None:
    server = await keep(near, shop.url)
    assert not (await call(near, borrowed(server, "broken"))).ok
    assert (await call(near, borrowed(server, "slow"), timeout_s=0.3)).text == (
        "The tool failed: its server did not answer within 0.3 seconds."
    )
    await mcp_servers.delete(near, ORG, server.id)
    assert (await call(near, borrowed(server, "add"))).text == (
        "The tool was not called: its server is not there any more."
    )


async def test_this_machine_is_not_called_unless_a_setting_allows_it(ctx: Context, shop: Shop) -> None:
    server = await keep(ctx, shop.url)
    assert await lent(ctx, Attached(server.id)) == (
        [],
        ["the MCP server 'Shop' lends no tools: it may not be called from here"],
    )
    assert not (await call(ctx, borrowed(server, "add"), a=1, b=2)).ok
    assert shop.heads == []
