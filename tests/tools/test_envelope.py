"""Section 3.6 of the testing contract: the request of a function that its author runs on a server of their own."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from aiohttp import web
from tests.outbound.local_server import Reply, Seen, Server, always, raw_serving, serving

from vivavoce.assistant.ports import ToolOutput
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Rules, Templating
from vivavoce.core.tool import Envelope, Header, StoredField, WebhookTool
from vivavoce.outbound.fetch import Session
from vivavoce.tools.reach import Reach
from vivavoce.tools.webhook import MOST_RETRIES, call_webhook

ENVELOPE = Envelope("name", "args", "call", "call_id", "variables", {"call_type": "web_call"})
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
REACH = Reach(conversation="c1", pause_s=0)


async def call(
    session: Session,
    url: str,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any] | None = None,
    *,
    reach: Reach = REACH,
    **fields: Any,
) -> ToolOutput:
    given: dict[str, Any] = {"envelope": ENVELOPE, "body_parameters": SCHEMA}
    tool = WebhookTool("find_order", "", url, **{**given, **fields})
    filling = Filling(variables or {}, Templating("", Rules.NESTED, "UTC"))
    return await call_webhook(session, tool, arguments, key="run:1:call_3", filling=filling, reach=reach)


def only(server: Server) -> Seen:
    (seen,) = server.seen
    return seen


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_section_3_6_the_body_tells_the_name_the_call_and_the_arguments(session: Session, method: str) -> None:
    async with serving(always({})) as server:
        variables = {"user": "Ann", "count": 2}
        preset = {"shop": "{{user}}'s"}
        await call(session, server.url, {"id": "7", "more": 1}, variables, method=method, preset_body=preset)
    seen = only(server)
    assert (seen.method, seen.headers["Content-Type"]) == (method, "application/json")
    assert seen.json == {
        "name": "find_order",
        "call": {"call_id": "playground-c1", "variables": {"user": "Ann", "count": "2"}, "call_type": "web_call"},
        "args": {"id": "7", "more": 1, "shop": "Ann's"},
    }


async def test_a_function_without_parameters_still_has_arguments(session: Session) -> None:
    async with serving(always({})) as server:
        await call(session, server.url, {"a": 1}, body_parameters=None)
    assert only(server).json["args"] == {"a": 1}


async def test_section_3_6_without_an_envelope_the_arguments_are_the_body(session: Session) -> None:
    async with serving(always({})) as server:
        await call(session, server.url, {"id": "7"}, envelope=None)
    assert only(server).json == {"id": "7"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_section_3_6_get_and_delete_have_no_body_and_an_empty_text_is_signed(
    session: Session, method: str
) -> None:
    signed: list[tuple[bytes, str]] = []

    def sign(body: bytes, header: str) -> Mapping[str, str]:
        signed.append((body, header))
        return {header: "v=1,d=2"}

    async with serving(always({})) as server:
        reach = Reach(sign=sign, pause_s=0)
        await call(session, server.url, {"id": "7"}, method=method, signature="X-Signed", reach=reach)
    seen = only(server)
    assert (seen.body, seen.headers["X-Signed"], signed) == (b"", "v=1,d=2", [(b"", "X-Signed")])
    assert "Content-Type" not in seen.headers


async def test_a_form_is_sent_as_one(session: Session) -> None:
    async with serving(always({})) as server:
        await call(session, server.url, {"id": "a&b=ü", "tags": ["x", "y"], "no": None}, envelope=None, form=True)
        await call(session, server.url, {"id": "7"}, form=True)
    bare, full = server.seen
    assert bare.headers["Content-Type"] == full.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(bare.body.decode()) == {"id": ["a&b=ü"], "tags": ["x", "y"]}
    fields = parse_qs(full.body.decode())
    assert fields["name"] == ["find_order"]
    assert json.loads(fields["args"][0]) == {"id": "7"}
    assert json.loads(fields["call"][0])["call_id"] == "playground-c1"


# --- again ----------------------------------------------------------------------------------------------------------


def failing(times: int, status: int = 503) -> Reply:
    left = times

    def reply(_: Seen) -> web.Response:
        nonlocal left
        left -= 1
        return web.Response(text="down", status=status) if left >= 0 else web.Response(text="up")

    return reply


@pytest.mark.parametrize(
    ("retries", "failures", "status", "requests", "ok"),
    [
        (2, 2, 503, 3, True),
        (2, 3, 500, 3, False),
        (0, 1, 503, 1, False),
        (-1, 1, 503, 1, False),
        (2, 1, 404, 1, False),
        (2, 1, 429, 1, False),
        (99, 99, 502, MOST_RETRIES + 1, False),
    ],
)
async def test_section_3_6_a_server_that_fails_is_asked_again(
    session: Session, retries: int, failures: int, status: int, requests: int, ok: bool
) -> None:
    async with serving(failing(failures, status)) as server:
        output = await call(session, server.url, {"id": "7"}, retries=retries)
    assert (output.ok, len(server.seen)) == (ok, requests)
    assert {seen.headers["Idempotency-Key"] for seen in server.seen} == {"run:1:call_3"}
    assert len({seen.body for seen in server.seen}) == 1


async def test_every_request_is_signed_anew(session: Session) -> None:
    """The other side refuses a signature that is too old."""
    times = iter(range(9))

    def sign(_body: bytes, header: str) -> Mapping[str, str]:
        return {header: f"v={next(times)}"}

    async with serving(failing(1)) as server:
        reach = Reach(sign=sign, pause_s=0)
        await call(session, server.url, {"id": "7"}, retries=1, signature="X-Signed", reach=reach)
    assert [seen.headers["X-Signed"] for seen in server.seen] == ["v=0", "v=1"]


def _talking(do: Callable[[], Any]) -> tuple[list[int], Callable[[asyncio.StreamWriter], Any]]:
    seen: list[int] = []

    async def talk(_: asyncio.StreamWriter) -> None:
        seen.append(1)
        await do()

    return seen, talk


async def test_a_lost_connection_and_silence_are_tried_again(session: Session) -> None:
    async def gone() -> None:
        return

    async def silent() -> None:
        await asyncio.Event().wait()

    for do, told in ((gone, "The tool cannot be reached."), (silent, "The tool did not answer within 0.05 seconds.")):
        seen, talk = _talking(do)
        async with raw_serving(talk) as url:
            output = await call(session, url, {"id": "7"}, retries=2, timeout_ms=50)
        assert output == ToolOutput(told, ok=False)
        assert len(seen) == 3


async def test_what_cannot_get_better_is_not_tried_again(session: Session) -> None:
    async def huge(writer: asyncio.StreamWriter) -> None:
        seen.append(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\nx")
        await writer.drain()

    seen: list[int] = []
    async with raw_serving(huge) as url:
        output = await call(session, url, {"id": "7"}, retries=2)
    assert (output.text, len(seen)) == ("The tool answered with more than can be read.", 1)
    refused = await call(session, "http://10.0.0.1/", {"id": "7"}, retries=2)
    assert refused == ToolOutput("The tool was not called: its address may not be called from here.", ok=False)


# --- the answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("longest", "length"), [(200, 200), (5, 5), (40, 40), (1000, 1000), (1001, 1001), (5000, 1001)]
)
async def test_section_3_6_an_answer_is_capped_with_the_note_about_it(
    session: Session, longest: int, length: int
) -> None:
    async with serving(lambda _: web.Response(text="x" * 1001)) as server:
        output = await call(session, server.url, {"id": "7"}, longest=longest)
    assert len(output.text) == length
    assert ("[cut: the answer has 1001 characters]" in output.text) is (40 <= longest < 1001)


async def test_a_failure_is_capped_too(session: Session) -> None:
    async with serving(lambda _: web.Response(text="x" * 1001, status=400)) as server:
        output = await call(session, server.url, {"id": "7"}, longest=100)
    assert (len(output.text), output.ok) == (100, False)
    assert output.text.startswith("The tool failed with HTTP status 400. It answered: x")


async def test_variables_are_found_in_all_of_a_capped_answer(session: Session) -> None:
    answer = {"filler": "x" * 500, "items": [{"name": "Ann"}]}
    async with serving(always(answer)) as server:
        stored = (StoredField("who", "items.0.name"), StoredField("none", "items.1.name"))
        output = await call(session, server.url, {"id": "7"}, longest=100, stored=stored)
    assert output.variables == {"who": "Ann"}


# --- templates ------------------------------------------------------------------------------------------------------


async def test_section_6_names_within_names_are_filled_in_everywhere(session: Session) -> None:
    async with serving(always({})) as server:
        variables = {"env": "test", "base_test": server.url, "path_test": "a/b", "key_test": "k"}
        await call(
            session,
            "{{base_{{env}}}}/{{path_{{env}}}}/{{nobody_{{env}}}}",
            {"id": "7"},
            variables,
            headers=(Header("X-Key", "{{key_{{env}}}}"),),
            preset_query={"q": "{{ path_{{ env }} }}"},
        )
    seen = only(server)
    path, _, query = seen.target.partition("?")
    assert [unquote(part) for part in path.split("/")] == ["", "a/b", "{{nobody_{{env}}}}"]
    assert unquote(query) == "q=a/b"
    assert seen.headers["X-Key"] == "k"


async def test_a_section_does_not_name_the_server(session: Session) -> None:
    output = await call(session, "{{#x}}{{nobody}}{{/x}}", {"id": "7"})
    assert not output.ok
