from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from telnyx.types.ai import McpServer as WireServer
from telnyx.types.ai import mcp_server_create_params, mcp_server_update_params

from vivavoce.api.telnyx.wire.mcp_servers import (
    McpServerCreate,
    McpServerUpdate,
    change_server,
    dump_attached,
    dump_server,
    to_server,
)
from vivavoce.core.assistant import Attached
from vivavoce.core.server import McpServer

SECTION = "{{#integration_secret}}place{{/integration_secret}}"
COMPLETE: dict[str, Any] = {
    "name": "Shop",
    "type": "sse",
    "url": "https://shop.example.com/sse",
    "allowed_tools": ["find", "add"],
    "api_key_ref": "shop-key",
}
SMALL = {key: COMPLETE[key] for key in ("name", "type", "url")}


def made(body: dict[str, Any]) -> McpServer:
    return to_server(McpServerCreate.model_validate(body), id="id-1", now=1500)


def changed(server: McpServer, body: dict[str, Any]) -> McpServer:
    return change_server(server, McpServerUpdate.model_validate(body))


def test_every_field_of_the_sdk_is_known() -> None:
    create = set(mcp_server_create_params.McpServerCreateParams.__annotations__) - {"idempotency_key"}
    assert create == set(COMPLETE)
    assert set(mcp_server_update_params.McpServerUpdateParams.__annotations__) == set(McpServerUpdate.model_fields)
    assert set(dump_server(made(SMALL))) == set(WireServer.model_fields)


def test_rule_5_13_what_is_sent_comes_back() -> None:
    stamp = {"id": "id-1", "created_at": "1970-01-01T00:00:01.500Z"}
    assert dump_server(made({**COMPLETE, "odd": {"a": [1]}})) == {**COMPLETE, "odd": {"a": [1]}, **stamp}
    assert dump_server(made(SMALL)) == {**SMALL, "allowed_tools": None, "api_key_ref": None, **stamp}


@pytest.mark.parametrize(
    ("type_", "transport"),
    [("http", "http"), ("streamable_http", "http"), ("streamable-http", "http"), ("sse", "sse")],
)
def test_the_type_says_how_it_is_spoken_to(type_: str, transport: str) -> None:
    server = made({**SMALL, "type": type_})
    assert (server.type, server.transport) == (type_, transport)
    assert changed(made(COMPLETE), {"type": type_}).transport == transport


def test_rule_5_13_a_change_leaves_the_rest_alone() -> None:
    server = made({**COMPLETE, "odd": 1})
    assert changed(server, {}) == server
    assert changed(server, {"name": "Store"}) == replace(server, name="Store")
    assert changed(server, {"url": "http://b.example"}) == replace(server, url="http://b.example")
    assert changed(server, {"allowed_tools": []}) == replace(server, allowed=())
    assert changed(server, {"allowed_tools": None, "api_key_ref": None}) == replace(server, allowed=None, secret=None)
    assert changed(server, {"odd": 2, "more": 3}) == replace(server, extra={"odd": 2, "more": 3})


def test_rule_5_13_id_and_created_at_are_not_looked_at() -> None:
    server = made(COMPLETE)
    assert changed(server, dump_server(server)) == server
    assert changed(server, {"id": "other", "created_at": "2020-01-01"}) == server
    assert made({**SMALL, "id": "other", "created_at": "2020-01-01"}) == made(SMALL)


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "https://a.example:8443/x?y=z#w",
        f"https://a.example/mcp?key={SECTION}",
        SECTION,
        f"http://{SECTION}/mcp",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert made({**SMALL, "url": url}).url == url


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("url", url) for url in ("", "a.example", "ftp://a", "http://", "http:///x", "http://[x", "http://a b", " http://a")],
        ("url", "http://a/" + "x" * 2048),
        ("url", "{{url}}"),
        ("url", None),
        ("type", "stdio"),
        ("type", "HTTP"),
        ("type", None),
        ("name", ""),
        ("name", "x" * 256),
        ("allowed_tools", "find"),
        ("allowed_tools", [1]),
        ("allowed_tools", [""]),
        ("allowed_tools", ["x"] * 1001),
        ("api_key_ref", 1),
        ("api_key_ref", "x" * 256),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_at_its_place(field: str, value: Any) -> None:
    for shape, body in ((McpServerCreate, {**SMALL, field: value}), (McpServerUpdate, {field: value})):
        with pytest.raises(ValidationError) as failure:
            shape.model_validate(body)
        assert {error["loc"][0] for error in failure.value.errors()} == {field}


def test_an_assistant_can_be_shown_with_its_servers_in_it() -> None:
    server = made(COMPLETE)
    attached = [Attached("id-1"), Attached("id-1", ("find",)), Attached("gone"), Attached("gone", ())]
    assert dump_attached(attached, {"id-1": server}) == [
        dump_server(server),
        {**dump_server(server), "allowed_tools": ["find"]},
        {"id": "gone"},
        {"id": "gone", "allowed_tools": []},
    ]
