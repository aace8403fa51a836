"""Whatever is sent, the answer is one of the documented ones, nothing is half done and nothing falls over."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.raw import JSON, Answer, connect, send, send_json
from tests.support.routes import (
    AI,
    ASSISTANT,
    BODIES,
    IDS,
    PAGED,
    ROUTES,
    TEST,
    UNKNOWN,
    Route,
    World,
    each,
    is_detail,
    is_errors,
    make_world,
)
from tests.support.server import Server, serving

MAX_BODY = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def world(live_server: Server) -> Iterator[World]:
    yield make_world(live_server)
    # Nothing of all this was a surprise to the server.
    assert "request failed" not in live_server.log
    assert "Traceback" not in live_server.log


def test_the_table_holds_every_route(world: World) -> None:
    paths = send(world.server, "GET", "/v2/openapi.json").json["paths"]
    served = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways}
    assert served == {route.name for route in ROUTES}


def test_there_is_nothing_wrong_with_the_good_bodies(world: World) -> None:
    for route in BODIES:
        fresh = world.fresh(route)
        assert send_json(world.server, route.method, fresh.path(route), fresh.body(route)).status == route.success


# --- bodies ---------------------------------------------------------------------------------------------------------


def nested(depth: int) -> str:
    return '{"odd": ' + "[" * depth + "]" * depth + "}"


POISON: dict[str, tuple[bytes, Callable[[Answer], None]]] = {
    "nothing closed": (b'{"name": "x"', lambda answer: is_detail(answer, "body")),
    "not JSON": (b"name=x", lambda answer: is_detail(answer, "body")),
    "two values": (b"{} {}", lambda answer: is_detail(answer, "body")),
    "not UTF-8": (b'{"name": "\xff\xfe"}', lambda answer: is_errors(answer, 400, "400")),
    "a list": (b"[]", lambda answer: is_detail(answer, "body")),
    "a string": (b'"{}"', lambda answer: is_detail(answer, "body")),
    "a number": (b"17", lambda answer: is_detail(answer, "body")),
    "NUL in a value": (rb'{"odd": "a\u0000b"}', lambda answer: is_detail(answer, "body", "odd")),
    "NUL in a key": (rb'{"a\u0000b": 1}', lambda answer: is_detail(answer, "body")),
    "half a surrogate": (rb'{"odd": ["\ud800"]}', lambda answer: is_detail(answer, "body", "odd")),
    "half a surrogate in a key": (rb'{"\udfff": 1}', lambda answer: is_detail(answer, "body")),
    "not a number": (b'{"odd": NaN}', lambda answer: is_detail(answer, "body", "odd")),
    "infinity": (b'{"odd": [-Infinity, 1e999]}', lambda answer: is_detail(answer, "body", "odd")),
    "nested too deeply": (nested(500).encode(), lambda answer: is_detail(answer, "body", "odd")),
    "nested out of reach": (nested(100_000).encode(), lambda answer: is_errors(answer, 400, "400")),
    "a number without end": (b'{"odd": ' + b"1" * 10_000 + b"}", lambda answer: is_errors(answer, 400, "400")),
}


@pytest.mark.parametrize("poison", POISON)
def test_bodies_that_cannot_be_taken_change_nothing(world: World, poison: str) -> None:
    raw, check = POISON[poison]
    before = world.count()
    for route in BODIES:
        check(world.send(route, raw, JSON))
    assert world.count() == before


@each([route for route in BODIES if route.required])
def test_required_fields(world: World, route: Route) -> None:
    is_detail(world.send(route, b"", JSON), "body")
    is_detail(world.send(route, b"null", JSON), "body")
    is_detail(world.send(route, json.dumps(world.body(route)).encode()), "body")  # nobody said that it is JSON
    for name in route.required:
        rest = {other: value for other, value in world.body(route).items() if other != name}
        is_detail(send_json(world.server, route.method, world.path(route), rest), "body", name)


@each(BODIES)
def test_fields_of_another_type(world: World, route: Route) -> None:
    good = world.body(route)
    for name, value in good.items():
        wrong: list[Any] = [None, [[]], {"a": {}} if not isinstance(value, dict) else "x"]
        if isinstance(value, str):
            wrong += [17, True]
        if name == "dynamic_variables":
            wrong.remove([[]])
            wrong.append([1])
        for other in wrong:
            answer = send_json(world.server, route.method, world.path(route), {**good, name: other})
            is_detail(answer, "body", name)


def test_what_a_test_may_hold_is_limited(world: World) -> None:
    for field, value in (
        ("name", ""),
        ("name", "x" * 256),
        ("instructions", "x" * 5001),
        ("description", "x" * 1001),
        ("test_suite", "x" * 101),
        ("rubric", []),
        ("rubric", [{"name": "x"}]),
        ("rubric", [{"name": "x", "criteria": "y", "weight": 1}]),
        ("max_duration_seconds", 0),
        ("max_duration_seconds", 3601),
        ("max_duration_seconds", 1.5),
        ("telnyx_conversation_channel", "fax"),
    ):
        body = {**TEST, "destination": world.ids["assistant_id"], field: value}
        is_detail(send_json(world.server, "POST", f"{AI}/assistants/tests", body), "body", field)


@each(BODIES)
def test_a_body_that_is_too_large(world: World, route: Route) -> None:
    large = b" " * (MAX_BODY + 1)
    is_errors(world.send(route, large, JSON), 413, "10007")
    chunks = (large[place : place + 65_536] for place in range(0, len(large), 65_536))
    is_errors(send(world.server, route.method, world.path(route), chunks, [JSON]), 413, "10007")


def test_a_far_too_large_body_is_not_even_read(world: World) -> None:
    for headers in ([("Content-Length", str(10**12))], [("Content-Length", str(10**7)), ("Expect", "100-continue")]):
        is_errors(send(world.server, "POST", f"{AI}/assistants", None, headers), 413, "10007")


def test_a_client_that_is_large_and_slow_to_listen_still_gets_its_answer(world: World) -> None:
    is_errors(send(world.server, "POST", f"{AI}/assistants", b" " * (4 * MAX_BODY), [JSON]), 413, "10007")


def test_half_a_request_is_not_done(world: World) -> None:
    before = world.count()
    connection = connect(world.server)
    connection.putrequest("POST", f"{AI}/assistants/tests/{world.ids['test_id']}/runs")
    connection.putheader("Authorization", f"Bearer {world.server.key}")
    connection.putheader("Content-Length", "2")
    connection.endheaders()
    connection.close()
    for _ in range(10):
        assert world.count() == before


# --- paths and queries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("route", "name"), IDS, ids=lambda one: one.name if isinstance(one, Route) else one)
def test_unknown_ids(world: World, route: Route, name: str) -> None:
    body = None if route.body is None else world.body(route)
    for id_ in (UNKNOWN, "x", "a%27b%22--", "%F0%9F%98%80", "%FF", "a" * 256, "..%2e"):
        answer = send_json(world.server, route.method, world.path(route, **{name: id_}), body)
        if name == "suite_name" and route.method == "GET":
            assert (answer.status, answer.json["data"]) == (200, [])
        else:
            is_errors(answer, 404, "10005")
    is_detail(send_json(world.server, route.method, world.path(route, **{name: "a" * 257}), body), "path", name)
    is_errors(send_json(world.server, route.method, world.path(route, **{name: "a%00b"}), body), 400, "10015")


def test_ids_of_somebody_else_s_children(world: World) -> None:
    other = send_json(world.server, "POST", f"{AI}/assistants", ASSISTANT).json
    test = {**TEST, "destination": other["id"]}
    other_test = send_json(world.server, "POST", f"{AI}/assistants/tests", test).json["test_id"]
    paths = (
        f"/assistants/{other['id']}/versions/{world.ids['version_id']}",
        f"/assistants/tests/{other_test}/runs/{world.ids['run_id']}",
    )
    for path in paths:
        is_errors(send(world.server, "GET", AI + path), 404, "10005")
    body = {"destination_version_id": other["version_id"]}
    refused = send_json(world.server, "POST", f"{AI}/assistants/tests/{world.ids['test_id']}/runs", body)
    is_errors(refused, 400, "10015", "/destination_version_id")


@each(list(ROUTES))
def test_wrong_methods(world: World, route: Route) -> None:
    known = {one.method for one in ROUTES if one.path == route.path}
    # To a method that only an id can have, the last word of a path such as /assistants/tests is an id.
    parent = route.path.rpartition("/")[0]
    as_id = {one.method for one in ROUTES if re.fullmatch(re.escape(parent) + r"/\{\w+\}", one.path)}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - known:
        answer = send_json(world.server, method, world.path(route), {})
        if method in as_id:
            is_errors(answer, 404, "10005")
        else:
            is_errors(answer, 405, "405")
            assert set(answer.headers["allow"].split(", ")) <= known


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/ai",
        "/ai/assistants/",
        "/ai/assistants//versions",
        "/ai/assistants/a/b/c",
        "/ai/assistants/tests/a/runs/b/c",
        "/docs",
        "/redoc",
    ],
)
def test_unknown_paths(world: World, path: str) -> None:
    is_errors(send(world.server, "GET", "/v2" + path), 404, "404")


@each(PAGED)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page[number]", "0"),
        ("page[number]", "-1"),
        ("page[number]", "x"),
        ("page[number]", ""),
        ("page[number]", "1.5"),
        ("page[number]", str(2**63)),
        ("page[size]", "0"),
        ("page[size]", "101"),
        ("page%5Bsize%5D", "many"),
    ],
)
def test_bad_pages(world: World, route: Route, name: str, value: str) -> None:
    answer = send(world.server, "GET", f"{world.path(route)}?{name}={value}")
    is_detail(answer, "query", name.replace("%5B", "[").replace("%5D", "]"))


@each(PAGED)
def test_a_page_behind_the_last_is_empty(world: World, route: Route) -> None:
    answer = send(world.server, "GET", f"{world.path(route)}?page[number]={2**31 - 1}&page[size]=100")
    assert answer.status == 200
    assert answer.json["data"] == []
    assert answer.json["meta"]["page_number"] == 2**31 - 1


@pytest.mark.parametrize(
    "query",
    [
        "color=eq.red",
        "name=red",
        "name=around.red",
        "created_at=eq.yesterday",
        "created_at=like.2026*",
        "limit=0",
        "limit=many",
        "order=color",
        "or=(",
        "or=()",
        "id=in.()",
        "name=is.true",
        "metadata->=eq.x",
        "&".join(["name=eq.x"] * 101),
    ],
)
def test_bad_filters(world: World, query: str) -> None:
    answer = send(world.server, "GET", f"{AI}/conversations?{query}")
    assert answer.status == 400, answer.body
    assert answer.json["errors"][0]["source"]["pointer"].startswith("/query")


def test_bad_statuses_and_flags(world: World) -> None:
    runs = f"{AI}/assistants/tests/{world.ids['test_id']}/runs"
    is_errors(send(world.server, "GET", f"{runs}?status=sleeping"), 400, "10015", "/query/status")
    is_errors(send(world.server, "GET", f"{runs}?status=a%00b"), 400, "10015")
    assistant = f"{AI}/assistants/{world.ids['assistant_id']}"
    is_detail(send(world.server, "DELETE", f"{assistant}?hard_delete=perhaps"), "query", "hard_delete")
    assert send(world.server, "GET", assistant).status == 200


# --- keys, ids of requests, rates -----------------------------------------------------------------------------------


@each(list(ROUTES))
def test_without_a_good_key_nothing_is_told(world: World, route: Route) -> None:
    secret = world.server.key
    refused = [
        send(world.server, route.method, world.path(route), b"{}", [JSON, *headers], key="")
        for headers in (
            [],
            [("Authorization", "Bearer wrong")],
            [("Authorization", "Bearer ")],
            [("Authorization", f"Basic {secret}")],
            [("Authorization", secret)],
            [("Authorization", f"Bearer {secret} x")],
            [("Authorization", "Bearer \xff\xfe")],
            [("X-API-Key", secret)],
        )
    ]
    for answer in refused:
        is_errors(answer, 401, "10009")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "x-ratelimit-limit" not in answer.headers


def test_a_key_is_asked_for_before_anything_else(world: World) -> None:
    for method, path in (("GET", "/v2/nothing"), ("PATCH", f"{AI}/assistants"), ("GET", "/v2/openapi.json")):
        is_errors(send(world.server, method, path, key=""), 401, "10009")
    large = send(world.server, "POST", f"{AI}/assistants", None, [("Content-Length", str(10**12))], key="")
    is_errors(large, 401, "10009")


def test_request_ids_come_back_where_they_are_harmless(world: World) -> None:
    def echoed(*headers: tuple[str, str]) -> str:
        return send(world.server, "GET", f"{AI}/assistants", None, headers).headers["x-request-id"]

    assert echoed(("X-Request-Id", "my id: 17/a")) == "my id: 17/a"
    made = [echoed(), echoed(), echoed(("X-Request-Id", "x" * 129)), echoed(("X-Request-Id", "\xe4")), echoed()]
    assert len(set(made)) == len(made)
    for one in made:
        assert re.fullmatch(r"[0-9a-f-]{36}", one)
    refused = send(world.server, "GET", f"{AI}/assistants/x", None, [("X-Request-Id", "mine")])
    assert (refused.status, refused.headers["x-request-id"]) == (404, "mine")


def test_the_rate_is_told_and_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("rate"), {"VIVA_RATE_LIMIT": "5"}) as server:
        assert send(server, "GET", f"{AI}/assistants", key="wrong").status == 401
        answers = [send(server, "GET", path) for path in [f"{AI}/assistants", "/v2/nothing"] * 3]
        assert [answer.status for answer in answers] == [200, 404, 200, 404, 200, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
        refused = answers[-1]
        is_errors(refused, 429, "10011")
        assert refused.headers["x-ratelimit-limit"] == "5"
        assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert send(server, "GET", "/healthz").status == 200
