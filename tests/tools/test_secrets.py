"""Contract, section 3: header, body and query values are templates, and may name secrets."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tests.outbound.local_server import Seen, always, serving

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.assistant.variables import render
from vivavoce.core.tool import Header, StoredField, WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.reach import Reach
from vivavoce.tools.secrets import HIDDEN, filled, hidden, opened, section
from vivavoce.tools.webhook import call_webhook

VALUE = 's/cret "{{shop}}" ü'


async def secret(identifier: str) -> str | None:
    return {"key": VALUE, "ascii": "t0ken"}.get(identifier)


REACH = Reach(secret=secret)


async def call(session: Session, url: str, reach: Reach = REACH, **fields: Any) -> ToolOutput:
    arguments = fields.pop("arguments", {})
    variables = {"shop": "Birch", "asks": section("key")}
    tool = WebhookTool("look_up", "Looks it up.", url, **fields)
    return await call_webhook(session, tool, arguments, key="k", filling=Filling(variables), reach=reach)


async def test_secrets_go_into_url_headers_query_and_body(session: Session) -> None:
    async with serving(always({})) as server:
        await call(
            session,
            server.url + "/" + section("ascii"),
            headers=(Header("Authorization", f"Bearer {section('ascii')} {{{{shop}}}}"),),
            preset_query={"q": section("key")},
            preset_body={"deep": [{"key": section(" key ")}], "n": 1},
        )
    (seen,) = server.seen
    assert seen.target == "/t0ken?q=s/cret%20%22%7B%7Bshop%7D%7D%22%20%C3%BC"
    assert seen.headers["Authorization"] == "Bearer t0ken Birch"
    # A value is never read as a template.
    assert seen.json == {"deep": [{"key": VALUE}], "n": 1}


async def test_neither_variables_nor_arguments_can_ask_for_a_secret(session: Session) -> None:
    body = {"type": "object", "properties": {"x": {"type": "string"}}}
    async with serving(always({})) as server:
        await call(
            session,
            server.url,
            headers=(Header("X-Asks", "{{asks}}"),),
            body_parameters=body,
            preset_body={"y": "{{asks}}"},
            arguments={"x": section("key")},
        )
    (seen,) = server.seen
    assert seen.headers["X-Asks"] == section("key")
    assert seen.json == {"x": section("key"), "y": section("key")}


@pytest.mark.parametrize("reach", [REACH, Reach()])
async def test_without_its_secret_the_tool_is_not_called(session: Session, reach: Reach) -> None:
    async with serving(always({})) as server:
        output = await call(session, server.url, reach, headers=(Header("X-A", section("gone")),))
    assert output == ToolOutput("The tool was not called: there is no secret 'gone' here.", ok=False)
    assert server.seen == []


async def test_an_answer_that_echoes_the_secret_does_not_show_it(session: Session) -> None:
    def echo(seen: Seen) -> web.Response:
        return web.json_response({"got": seen.json["key"], "query": seen.target, "fine": True})

    async with serving(echo) as server:
        output = await call(
            session,
            server.url,
            preset_body={"key": section("key")},
            preset_query={"q": section("key")},
            stored=(StoredField("kept", "got"),),
        )
    assert output.text == f'{{"got": "{HIDDEN}", "query": "/?q={HIDDEN}", "fine": true}}'
    assert output.variables == {"kept": HIDDEN}


async def test_a_failure_does_not_show_the_secret_either(session: Session) -> None:
    async def silence(_: Seen) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(silence) as server:
        late = await call(session, server.url + "/" + section("ascii"), timeout_ms=30)
    refused = await call(session, "http://10.0.0.1/" + section("ascii"))
    odd = await call(session, "http://a.example", headers=(Header("X-A", section("ascii") + "\r\n"),))
    for output in (late, refused, odd):
        assert not output.ok
        assert "t0ken" not in output.text


@given(st.text(), st.text(min_size=1))
def test_what_is_hidden_is_not_there(text: str, value: str) -> None:
    if value not in HIDDEN:
        assert value not in hidden(f"{text}{value}{text}", {"a": value}).replace(HIDDEN, "")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda value: quote(value, safe=""),
    "quoted in part": quote,
    "quoted in small letters": lambda value: quote(value, safe="").lower(),
    "a form": quote_plus,
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON with letters": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON with slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "JSON with numbers": lambda value: "".join(f"\\u{ord(sign):04X}" for sign in value),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_hidden_however_it_is_spelled(spelling: str) -> None:
    value = 's/c\\r "e" +t&ü€'.lower()
    assert hidden(f"<{SPELLINGS[spelling](value)}>", {"a": value}) == f"<{HIDDEN}>"


@pytest.mark.parametrize("sign", ["\\", "%", "%25", "/"])
def test_no_text_takes_long_to_search(sign: str) -> None:
    began = time.monotonic()
    assert hidden(sign * 2000, {"a": sign * 60 + "x"}) == sign * 2000
    assert hidden(sign * 60 + "x", {"a": sign * 60 + "x"}) == HIDDEN
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("value", ["a" * 999 + "b", "ab" * 200 + "c", "a" * 17 + "b"])
def test_a_secret_that_repeats_itself_takes_no_longer(value: str) -> None:
    began = time.monotonic()
    assert hidden(value[:-1] * 300 + value, {"a": value}).endswith(HIDDEN)
    assert time.monotonic() - began < 5


def test_a_very_long_secret_is_hidden_in_the_usual_spellings() -> None:
    value = 'ab/"c' * 1000
    for way in (value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1]):
        assert hidden(f"<{way}>", {"a": value}) == f"<{HIDDEN}>"


def test_a_secret_within_another_does_not_uncover_it() -> None:
    assert hidden("<abcdef>", {"a": "cd", "b": "abcdef"}) == f"<{HIDDEN}>"


def test_an_empty_secret_hides_nothing() -> None:
    assert hidden("text", {"a": ""}) == "text"


@given(st.text())
def test_text_without_a_section_is_only_rendered(text: str) -> None:
    assert filled(text, Filling({"a": "1"}), {}) == render(text, {"a": "1"})


async def test_each_secret_is_asked_for_once() -> None:
    asked: list[str] = []

    async def counted(identifier: str) -> str:
        asked.append(identifier)
        return base64.b64encode(identifier.encode()).decode()

    found = await opened([section("a") * 2, [section("b")], {"x": section("a"), "n": 5}], Reach(secret=counted))
    assert (asked, found) == (["a", "b"], {"a": "YQ==", "b": "Yg=="})


def test_what_is_no_whole_section_stays_as_it_was_written() -> None:
    for text in (
        "{{#integration_secret}}a",
        "{{#integration_secret}}{{x}}{{/integration_secret}}",
        "{{#other}}a{{/other}}",
    ):
        assert filled(text, Filling(), {}) == text
