import asyncio
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from tests.outbound.local_server import Seen, Server, always, raw_serving, serving

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.tool import Header, StoredField, WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.answers import MODEL_READS
from vivavoce.tools.webhook import call_webhook


def schema(*names: str, **types: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {} for name in names} | {name: {"type": kind} for name, kind in types.items()},
    }


async def call(
    session: Session, url: str, arguments: dict[str, Any], variables: dict[str, str] | None = None, **fields: Any
) -> ToolOutput:
    tool = WebhookTool("look_up", "Looks it up.", url, **fields)
    return await call_webhook(session, tool, arguments, key="run:1:call_3", filling=Filling(variables or {}))


def only(server: Server) -> Seen:
    (seen,) = server.seen
    return seen


async def test_arguments_go_where_their_schemas_say(session: Session) -> None:
    async with serving(always({"found": True})) as server:
        output = await call(
            session,
            server.url + "/orders/{id}/{kind}?v=1",
            {"id": "a/b?c", "kind": 7, "lang": ["de", "fr"], "deep": True, "note": {"x": "ü"}, "extra": 1, "no": None},
            path_parameters=schema("id", "kind"),
            query_parameters=schema("lang", "deep", "no"),
            body_parameters=schema("note"),
        )
    assert output == ToolOutput('{"found": true}', ok=True, status_code=200)
    seen = only(server)
    assert (seen.method, seen.target) == ("POST", "/orders/a%2Fb%3Fc/7?v=1&lang=de&lang=fr&deep=true")
    assert seen.json == {"note": {"x": "ü"}, "extra": 1}
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Idempotency-Key"] == "run:1:call_3"


async def test_presets_win_and_are_rendered_but_arguments_are_not(session: Session) -> None:
    async with serving(always({})) as server:
        await call(
            session,
            server.url + "/{{folder}}/{id}",
            {"id": "{{secret}}", "q": "model", "b": "model", "own": "{{secret}}"},
            {"folder": "f", "secret": "s&cret"},
            path_parameters=schema("id"),
            query_parameters=schema("q"),
            body_parameters=schema("b", "own"),
            preset_query={"q": "{{secret}}", "n": 5},
            preset_body={"b": "{{secret}}", "deep": {"list": ["{{secret}}", 1, None]}},
            headers=(Header("X-Secret", "Bearer {{secret}}"), Header("Idempotency-KEY", "mine")),
        )
    seen = only(server)
    assert seen.target == "/f/%7B%7Bsecret%7D%7D?q=s%26cret&n=5"
    assert seen.json == {"b": "s&cret", "own": "{{secret}}", "deep": {"list": ["s&cret", 1, None]}}
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert headers["x-secret"] == "Bearer s&cret"
    assert headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("value", ["../admin", "1?role=admin", "1#x", "1/2", "é"])
async def test_a_variable_cannot_choose_another_resource(session: Session, value: str) -> None:
    """A caller may have chosen its value."""
    async with serving(always({})) as server:
        await call(session, server.url + "/orders/{{id}}/{{{id}}}?of={{id}}", {}, {"id": value}, method="GET")
    seen = only(server).target
    assert seen.startswith("/orders/")
    path, _, query = seen.partition("?")
    assert [unquote(part) for part in path.removeprefix("/orders/").split("/")] == [value, value]
    assert unquote(query) == f"of={value}"


async def test_a_variable_can_name_the_server(session: Session) -> None:
    async with serving(always({})) as server:
        await call(session, "{{base}}/orders", {}, {"base": server.url + "/v1"}, method="GET")
    assert only(server).target == "/v1/orders"


async def test_the_model_does_not_override_what_stands_in_the_url(session: Session) -> None:
    async with serving(always({})) as server:
        await call(
            session,
            server.url + "/?account=1#part",
            {"account": "2", "page": 3},
            method="get",
            query_parameters=schema("account", "page"),
        )
    assert only(server).target == "/?account=1&page=3"


@pytest.mark.parametrize(
    ("method", "arguments", "body"),
    [
        ("GET", {"a": 1}, b""),
        ("DELETE", {}, b""),
        ("DELETE", {"a": 1}, b'{"a": 1}'),
        ("POST", {}, b"{}"),
        ("PUT", {"a": 1}, b'{"a": 1}'),
        ("PATCH", {"a": 1}, b'{"a": 1}'),
    ],
)
async def test_methods_and_bodies(session: Session, method: str, arguments: dict[str, Any], body: bytes) -> None:
    async with serving(always({})) as server:
        await call(session, server.url, arguments, method=method, body_parameters=schema("a"))
    seen = only(server)
    assert (seen.method, seen.body) == (method, body)
    assert ("Content-Type" in seen.headers) is bool(body)
    assert ("Idempotency-Key" in seen.headers) is (method != "GET")


@pytest.mark.parametrize("value", ["", ".", "..", None])
async def test_a_path_is_not_left(session: Session, value: str | None) -> None:
    async with serving(always({})) as server:
        output = await call(session, server.url + "/a/{id}", {"id": value}, path_parameters=schema("id"))
    assert output == ToolOutput("The tool was not called: its address needs a value for id.", ok=False)
    assert server.seen == []


@pytest.mark.parametrize(
    "value", ["a/../b", "../..", "%2e%2e", "a\\b", "?x=1", "#x", "é", "\n", " ", "{id}", "{{id}}", "a;b", "...x"]
)
async def test_a_path_parameter_is_one_segment(session: Session, value: str) -> None:
    async with serving(always({})) as server:
        await call(session, server.url + "/a/{id}/z", {"id": value}, method="GET", path_parameters=schema("id"))
    first, second, third = only(server).target.removeprefix("/").split("/")
    assert (first, unquote(second), third) == ("a", value, "z")


async def test_placeholders_that_nobody_fills_stay(session: Session) -> None:
    async with serving(always({})) as server:
        await call(session, server.url + "/{id}/{{unknown}}", {"id": "1"}, method="GET")
    assert only(server).target == "/%7Bid%7D/%7B%7Bunknown%7D%7D"


async def test_arguments_that_do_not_fit_are_named_and_nothing_is_sent(session: Session) -> None:
    async with serving(always({})) as server:
        output = await call(session, server.url, {"n": "many"}, body_parameters=schema(n="integer"))
    assert not output.ok
    assert "n: 'many' is not of type 'integer'" in output.text
    assert server.seen == []


async def test_presets_need_not_come_from_the_model(session: Session) -> None:
    async with serving(always({})) as server:
        body = schema(n="integer") | {"required": ["n"]}
        output = await call(session, server.url, {}, body_parameters=body, preset_body={"n": 5})
    assert output.ok
    assert only(server).json == {"n": 5}


async def test_fields_are_kept_as_variables(session: Session) -> None:
    answer = {"user": {"name": "Ann", "tags": ["a", {"n": 2}], "none": None}, "yes": True}
    paths = {"who": "user.name", "second": "user.tags.1.n", "tag": "user.tags", "yes": "yes"}
    missing = {"none": "user.none", "gone": "user.tags.9", "odd": "user.name.0", "key": "user.tags.x"}
    stored = tuple(StoredField(name, path) for name, path in (paths | missing).items())
    async with serving(always(answer)) as server:
        output = await call(session, server.url, {}, stored=stored)
    assert output.variables == {"who": "Ann", "second": "2", "tag": '["a", {"n": 2}]', "yes": "true"}


@pytest.mark.parametrize(("text", "status"), [("not json", 200), ('{"a": 1}', 500)])
async def test_nothing_is_kept_of_an_answer_that_is_no_success(session: Session, text: str, status: int) -> None:
    async with serving(lambda _: web.Response(text=text, status=status)) as server:
        output = await call(session, server.url, {}, stored=(StoredField("a", "a"),))
    assert output.variables == {}


async def test_a_long_answer_is_cut_and_the_cut_is_told(session: Session) -> None:
    async with serving(lambda _: web.Response(text="x" * (MODEL_READS + 1))) as server:
        output = await call(session, server.url, {})
    assert output.ok
    assert output.text == "x" * MODEL_READS + f"\n[cut: the answer has {MODEL_READS + 1} characters]"


async def test_an_answer_that_is_far_too_long_is_a_failure(session: Session) -> None:
    async with serving(lambda _: web.Response(text="x" * 2_000_000)) as server:
        output = await call(session, server.url, {})
    assert output == ToolOutput("The tool answered with more than can be read.", ok=False)


@pytest.mark.parametrize(("text", "said"), [("no such order", " It answered: no such order"), ("", "")])
async def test_a_failure_is_told_with_its_status(session: Session, text: str, said: str) -> None:
    async with serving(lambda _: web.Response(text=text, status=404)) as server:
        output = await call(session, server.url, {})
    assert output == ToolOutput(f"The tool failed with HTTP status 404.{said}", ok=False, status_code=404)


async def test_a_redirect_is_a_failure(session: Session) -> None:
    async with serving(lambda _: web.Response(status=302, headers={"Location": "/x"})) as server:
        output = await call(session, server.url, {})
    assert (output.ok, output.status_code, len(server.seen)) == (False, 302, 1)


async def test_a_timeout_is_told(session: Session) -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_serving(silence) as url:
        output = await call(session, url, {}, timeout_ms=50)
    assert output == ToolOutput("The tool did not answer within 0.05 seconds.", ok=False)


async def test_a_tool_that_is_not_there_is_told(session: Session) -> None:
    async def nothing(_: asyncio.StreamWriter) -> None:
        return

    async with raw_serving(nothing) as url:
        assert await call(session, url, {}) == ToolOutput("The tool cannot be reached.", ok=False)


async def test_an_address_that_is_not_public_is_told_without_saying_more(session: Session) -> None:
    output = await call(session, "http://10.0.0.1/", {})
    assert output == ToolOutput("The tool was not called: its address may not be called from here.", ok=False)


@pytest.mark.parametrize("url", ["http://[::1/", "{{nothing}}", "ftp://example.com/"])
async def test_an_address_that_is_none_is_told(session: Session, url: str) -> None:
    output = await call(session, url, {})
    assert not output.ok
    assert output.text.startswith("The tool was not called: ")


async def test_a_variable_cannot_add_headers(session: Session) -> None:
    async with serving(always({})) as server:
        output = await call(session, server.url, {}, {"x": "a\r\nb: c"}, headers=(Header("X-A", "{{x}}"),))
    assert not output.ok
    assert "x-a" in output.text
    assert server.seen == []
