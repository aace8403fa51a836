"""MCP servers over both transports: real ones, made with the reference SDK, and ones that behave badly."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tests.outbound.local_server import LOCAL, Seen, always, raw_serving, serving
from tests.support.mcp_server import TOKEN, Shop, serving_mcp

from vivavoce.assistant.ports import ToolOutput
from vivavoce.outbound.fetch import Session, open_session
from vivavoce.outbound.guard import Guard
from vivavoce.tools import mcp, mcp_client
from vivavoce.tools.answers import MODEL_READS
from vivavoce.tools.mcp import Endpoint, Failed

PATIENCE_S = 20.0
BRIEF_S = 0.3
ALL = ("add", "find.order", "bare", "mixed", "broken", "long", "slow", "tagged", "curious")
WAYS: dict[str, dict[str, Any]] = {
    "of 2026": {},
    "of before": {"legacy": True},
    "of before, without sessions": {"legacy": True, "stateless_http": True},
    "in plain JSON": {"json_response": True},
    "over SSE": {"transport": "sse"},
}
each_way = pytest.mark.parametrize("way", WAYS)


def endpoint(shop: Shop, token: str | None = None) -> Endpoint:
    return Endpoint(shop.url, shop.transport, token)


async def call(session: Session, server: Endpoint, tool: str, timeout_s: float = PATIENCE_S, **arguments: Any) -> str:
    """What a model reads of a call that succeeds; with a stop in front of a call that fails."""
    output = await mcp.call(session, server, tool, arguments, meta={}, timeout_s=timeout_s)
    return output.text if output.ok else f"!{output.text}"


@each_way
async def test_tools_are_listed_as_the_server_tells_of_them(session: Session, way: str) -> None:
    async with serving_mcp(**WAYS[way]) as shop:
        tools = await mcp.get_tools(session, endpoint(shop), PATIENCE_S)
    assert tuple(tool.name for tool in tools) == ALL
    add = tools[0]
    assert add.description == "Adds two numbers."
    assert add.parameters["type"] == "object"
    assert add.parameters["properties"]["a"]["type"] == "integer"
    assert add.parameters["required"] == ["a", "b"]


@each_way
async def test_rule_3_a_call_carries_what_it_is_given_in_meta(session: Session, way: str) -> None:
    meta = {"acme_conversation_id": "conversation-1", "other": "x"}
    async with serving_mcp(**WAYS[way]) as shop:
        output = await mcp.call(session, endpoint(shop), "add", {"a": 2, "b": 3}, meta=meta, timeout_s=PATIENCE_S)
    assert output == ToolOutput("5", ok=True)
    [(name, arguments, seen)] = shop.calls
    assert (name, arguments) == ("add", {"a": 2, "b": 3})
    assert meta.items() <= seen.items()


@each_way
async def test_what_a_tool_answers_becomes_text(session: Session, way: str) -> None:
    async with serving_mcp(**WAYS[way]) as shop:
        place = endpoint(shop)
        found = json.loads(await call(session, place, "find.order", number="A-1"))
        assert found == {"number": "A-1", "arrives": "Friday"}
        assert await call(session, place, "bare") == '{"weight": 3, "name": "Bürste"}'
        assert await call(session, place, "mixed") == (
            "first\n[image: image/png]\n[resource manual: https://example.com/manual]\nembedded\nlast"
        )
        long = await call(session, place, "long", characters=MODEL_READS + 1)
    assert long == "x" * MODEL_READS + f"\n[cut: the answer has {MODEL_READS + 1} characters]"


@each_way
async def test_a_tool_that_fails_is_an_output_that_says_so(session: Session, way: str) -> None:
    async with serving_mcp(**WAYS[way]) as shop:
        assert (await call(session, endpoint(shop), "broken")).startswith("!The tool failed. It answered: ")
        assert "nowhere" in await call(session, endpoint(shop), "nowhere")
        assert (await call(session, endpoint(shop), "add", a="many", b=1)).startswith("!The tool failed.")


@each_way
async def test_the_token_is_sent_with_every_request(session: Session, way: str) -> None:
    async with serving_mcp(token=TOKEN, **WAYS[way]) as shop:
        assert await call(session, endpoint(shop, TOKEN), "add", a=1, b=1) == "2"
        assert {head.get("authorization") for _, _, head in shop.heads} == {f"Bearer {TOKEN}"}
        assert {head["user-agent"].partition("/")[0] for _, _, head in shop.heads} == {"vivavoce"}
        for wrong in (None, "another"):
            with pytest.raises(Failed, match="401"):
                await mcp.get_tools(session, endpoint(shop, wrong), PATIENCE_S)
            assert "401" in await call(session, endpoint(shop, wrong), "add", a=1, b=1)


async def test_a_token_that_no_header_can_carry_is_not_sent(session: Session) -> None:
    async with serving_mcp() as shop:
        with pytest.raises(Failed):
            await mcp.get_tools(session, endpoint(shop, "two\nlines"), PATIENCE_S)
    assert shop.heads == []


async def test_an_argument_that_is_wanted_in_a_header_is_sent_there_too(session: Session) -> None:
    async with serving_mcp() as shop:
        assert await call(session, endpoint(shop), "tagged", place="Oslo") == "Oslo"
    assert [head.get("mcp-param-place") for _, _, head in shop.heads][-1] == "Oslo"


async def test_a_session_that_a_server_keeps_is_ended(session: Session) -> None:
    async with serving_mcp(legacy=True) as shop:
        await call(session, endpoint(shop), "add", a=1, b=1)
        assert shop.methods()[-1] == "DELETE"


@each_way
async def test_a_tool_that_takes_too_long_is_given_up(session: Session, way: str) -> None:
    async with serving_mcp(**WAYS[way]) as shop:
        said = await call(session, endpoint(shop), "slow", BRIEF_S)
        assert said == "!The tool failed: its server did not answer within 0.3 seconds."
        assert await call(session, endpoint(shop), "add", a=1, b=1) == "2"


@each_way
async def test_an_answer_that_is_too_large_is_given_up(
    session: Session, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_client, "MAX_BYTES", 50_000)
    async with serving_mcp(**WAYS[way]) as shop:
        said = await call(session, endpoint(shop), "long", characters=100_000)
    assert said == "!The tool failed: its server answered with more than can be read."


@each_way
async def test_addresses_that_are_not_public_are_refused(way: str) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(Guard()))
        shop = await stack.enter_async_context(serving_mcp(**WAYS[way]))
        for url in (shop.url, shop.url.replace("127.0.0.1", "localhost"), shop.url.replace("127.0.0.1", "[::1]")):
            with pytest.raises(Failed, match="may not be called from here"):
                await mcp.get_tools(session, Endpoint(url, shop.transport), PATIENCE_S)
        said = await call(session, endpoint(shop), "add", a=1, b=1)
        assert said == "!The tool failed: its server may not be called from here."
    assert shop.heads == []


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "http://", "nothing", "http://me:secret@127.0.0.1/mcp", "", "http://[x"]
)
@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_what_is_no_address_is_no_server(session: Session, url: str, transport: Literal["http", "sse"]) -> None:
    with pytest.raises(Failed) as failure:
        await mcp.get_tools(session, Endpoint(url, transport), PATIENCE_S)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_the_proxy_and_the_passwords_of_the_environment_are_not_used(
    session: Session, transport: Literal["http", "sse"], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving_mcp(transport) as shop:
        assert await call(session, endpoint(shop), "add", a=1, b=1) == "2"
    assert {head.get("authorization") for _, _, head in shop.heads} == {None}


# --- servers that behave badly ---------------------------------------------------------------------------------------

TRANSPORTS: list[Literal["http", "sse"]] = ["http", "sse"]
Reply = Callable[[Seen], web.StreamResponse | Awaitable[web.StreamResponse]]


def redirecting(to: str, status: int = 307) -> Reply:
    return lambda seen: web.Response(status=status, headers={"Location": to})


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_place_is_not_followed(
    session: Session, transport: Literal["http", "sse"], status: int
) -> None:
    async with serving_mcp(transport) as inside, serving(redirecting(inside.url, status)) as server:
        for to in (inside.url, "http://10.0.0.1/mcp", "http://169.254.169.254/latest/meta-data"):
            server.reply = redirecting(to, status)
            with pytest.raises(Failed, match="a redirect, which is not followed"):
                await mcp.get_tools(session, Endpoint(f"{server.url}/mcp", transport, TOKEN), PATIENCE_S)
    assert inside.heads == []


async def test_a_redirect_on_the_same_server_is_followed(session: Session) -> None:
    moved = discovering([{"name": "here", "inputSchema": {"type": "object"}}])

    def reply(seen: Seen) -> web.StreamResponse:
        return moved(seen) if seen.target == "/new" else web.Response(status=307, headers={"Location": "/new"})

    async with serving(reply) as server:
        [tool] = await mcp.get_tools(session, Endpoint(f"{server.url}/old", "http", TOKEN), PATIENCE_S)
        assert tool.name == "here"
        assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {TOKEN}"}


async def test_messages_are_not_sent_where_a_server_of_the_old_kind_points_elsewhere(session: Session) -> None:
    async def reply(seen: Seen) -> web.StreamResponse:
        events = f"event: endpoint\ndata: {other.url}/messages\n\n"
        return web.Response(text=events, content_type="text/event-stream")

    async with serving(always({})) as other, serving(reply) as server:
        with pytest.raises(Failed, match="did not answer"):
            await mcp.get_tools(session, Endpoint(f"{server.url}/sse", "sse", TOKEN), BRIEF_S)
    assert other.seen == []


def answered(seen: Seen, result: dict[str, Any]) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": seen.json["id"], "result": {"resultType": "complete", **result}})


def discovering(tools: list[Any] | Callable[[Seen], dict[str, Any]]) -> Callable[[Seen], web.StreamResponse]:
    """A server of 2026 by hand, which can say what the SDK would not."""
    hints = {"ttlMs": 0, "cacheScope": "private"}

    def reply(seen: Seen) -> web.StreamResponse:
        if seen.json["method"] == "server/discover":
            return answered(seen, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **hints})
        return answered(seen, {**hints, **(tools(seen) if callable(tools) else {"tools": tools})})

    return reply


async def listed(session: Session, tools: list[Any] | Callable[[Seen], dict[str, Any]]) -> tuple[mcp.Listed, ...]:
    async with serving(discovering(tools)) as server:
        return await mcp.get_tools(session, Endpoint(server.url, "http"), PATIENCE_S)


def tool(name: str, **given: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **given}


async def test_all_pages_of_a_listing_are_read_and_each_name_is_taken_once(session: Session) -> None:
    def page(seen: Seen) -> dict[str, Any]:
        number = int(seen.json["params"].get("cursor", "0"))
        more = {"nextCursor": str(number + 1)} if number < 2 else {}
        return {"tools": [tool("same", description=str(number)), tool(f"tool-{number}")], **more}

    found = await listed(session, page)
    assert [one.name for one in found] == ["same", "tool-0", "tool-1", "tool-2"]
    assert found[0].description == "0"


async def test_a_listing_without_an_end_is_left(session: Session) -> None:
    count = iter(range(10_000))
    found = await listed(session, lambda _: {"tools": [tool(f"tool-{next(count)}")], "nextCursor": "on"})
    assert len(found) == mcp_client.MOST_PAGES
    found = await listed(
        session, lambda _: {"tools": [tool(f"tool-{next(count)}") for _ in range(99)], "nextCursor": "x"}
    )
    assert len(found) == mcp.MOST_TOOLS


async def test_tools_that_cannot_be_kept_or_offered_are_left_out(session: Session) -> None:
    large = {"type": "object", "description": "x" * mcp_client.MAX_SCHEMA}
    found = await listed(
        session,
        [
            tool("a\x00b", description="\x00" + "y" * 5000),
            tool("large", inputSchema=large),
            tool("n" * 256),
            tool("odd", inputSchema={"type": "object", "default": {"\x00": ["\x00"]}}),
        ],
    )
    assert [one.name for one in found] == ["a�b", "odd"]
    assert found[0].description == "�" + "y" * (mcp_client.MAX_DESCRIPTION - 1)
    assert found[1].parameters == {"type": "object", "default": {"�": ["�"]}}


def text(body: str, content_type: str) -> Reply:
    return lambda seen: web.Response(text=body, content_type=content_type)


def status(number: int) -> Reply:
    return lambda seen: web.Response(status=number)


NO_ANSWER = "did not answer|refused|broke off"
ODD: list[tuple[Reply, str]] = [
    (always({"hello": "world"}), NO_ANSWER),
    (always([], 500), "HTTP status 500"),
    (always({}, 404), "HTTP status 404"),
    (text("<html>", "text/html"), NO_ANSWER),
    (text("{" * 100_000, "application/json"), NO_ANSWER),
    (text("data: x\n\n", "text/event-stream"), NO_ANSWER),
    (text("event: endpoint\ndata: http://[\n\n", "text/event-stream"), NO_ANSWER),
    (status(202), NO_ANSWER),
    (status(204), NO_ANSWER),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("reply", "reason"), ODD)
async def test_what_does_not_speak_the_protocol_has_no_tools(
    session: Session, transport: Literal["http", "sse"], reply: Reply, reason: str
) -> None:
    async with serving(reply) as server:
        place = Endpoint(f"{server.url}/my-secret", transport)
        with pytest.raises(Failed, match=reason) as failure:
            await mcp.get_tools(session, place, 1.0)
        assert "my-secret" not in str(failure.value)
        assert (await call(session, place, "add", 1.0)).startswith("!The tool failed: its server ")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_stream_without_an_end_is_left(
    session: Session, transport: Literal["http", "sse"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_client, "MAX_BYTES", 1024 * 1024)

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            writer.write(b": nothing\n" * 1000)
            await writer.drain()

    async with raw_serving(flood) as url:
        with pytest.raises(Failed, match="more than can be read"):
            await mcp.get_tools(session, Endpoint(url, transport), PATIENCE_S)


async def _spaces() -> AsyncIterator[bytes]:
    """Every byte comes well within the time limit; the whole never would."""
    while True:
        yield b": \n"
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("head", [False, True])
async def test_a_server_that_only_listens_or_trickles_is_left(
    session: Session, transport: Literal["http", "sse"], head: bool
) -> None:
    never = asyncio.Event()

    async def hang(_: Seen) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async def trickle(_: Seen) -> web.StreamResponse:
        return web.Response(body=_spaces(), headers={"Content-Type": "text/event-stream"})

    async with serving(trickle if head else hang) as server:
        with pytest.raises(Failed, match=r"did not answer within 0\.3 seconds"):
            await mcp.get_tools(session, Endpoint(server.url, transport), BRIEF_S)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_is_not_there_cannot_be_reached(transport: Literal["http", "sse"]) -> None:
    async with open_session(LOCAL) as session, serving(always({})) as server:
        url = server.url
    async with open_session(LOCAL) as session:
        with pytest.raises(Failed, match="cannot be reached"):
            await mcp.get_tools(session, Endpoint(url, transport), PATIENCE_S)


async def test_a_server_that_asks_to_be_asked_again_and_again_is_left(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_client, "MOST_REQUESTS", 8)
    again = "id: 1\nretry: 0\ndata:\n\n"
    async with serving(lambda _: web.Response(text=again, content_type="text/event-stream")) as server:
        with pytest.raises(Failed):
            await mcp.get_tools(session, Endpoint(server.url, "http"), PATIENCE_S)
    assert len(server.seen) == 8


async def test_what_a_server_asks_back_is_not_answered(session: Session) -> None:
    async with serving_mcp(legacy=True) as shop:
        assert await call(session, endpoint(shop), "curious") == "nobody is asked"
    asking = {"method": "elicitation/create", "params": {"message": "Which?", "requestedSchema": {"type": "object"}}}
    answer = {"resultType": "input_required", "inputRequests": {"one": asking}}
    async with serving(discovering(lambda _: answer)) as server:
        said = await call(session, Endpoint(server.url, "http"), "add")
    assert said == "!The tool failed: its server did not answer as the protocol asks."


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "server", "taken", "expected"),
    [
        ("find", "Shop", set[str](), "find"),
        ("find.order/new", "Shop", set[str](), "find_order_new"),
        ("find", "My Shop!", {"find"}, "My_Shop_find"),
        ("find", "Shop", {"find", "Shop_find"}, "Shop_find_2"),
        ("find", "Shop", {"find", "Shop_find", "Shop_find_2"}, "Shop_find_3"),
        ("größe", "", {"gr_e"}, "server_gr_e"),
        ("…", "", set[str](), "tool"),
        ("x" * 70, "y", set[str](), "x" * 64),
        ("x" * 70, "y" * 70, {"x" * 64}, "y" * 64),
        ("x", "y" * 70, {"x", "y" * 64}, "y" * 59 + "_2"),
    ],
)
def test_a_model_calls_every_tool_by_a_name_of_its_own(tool: str, server: str, taken: set[str], expected: str) -> None:
    assert mcp.model_name(tool, server, taken) == expected


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80)), max_size=30))
def test_names_are_those_that_models_take_and_never_the_same(tools: list[tuple[str, str]]) -> None:
    taken = set[str]()
    for name, server in [*tools, *tools]:
        found = mcp.model_name(name, server, taken)
        assert found not in taken
        assert 0 < len(found) <= 64
        assert found.isascii()
        assert found.replace("_", "").replace("-", "").isalnum() or set(found) <= set("_-")
        taken.add(found)
