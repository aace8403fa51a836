"""Whatever is sent, the answer is one of the documented ones, nothing is half done and nothing falls over."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.raw import JSON, send, send_json
from tests.support.retell_routes import (
    BODIES,
    DEFINITION,
    LLM,
    NOT_FOUND,
    OTHERWISE_NOT_FOUND,
    QUERIES,
    ROUTES,
    UNKNOWN,
    World,
    is_error,
    make_world,
)
from tests.support.route import Route
from tests.support.server import Server

IDS = [(route, name) for route in ROUTES for name in re.findall(r"\{(\w+)\}", route.path)]
PREFIXED = {
    "chat_agent_id": "agent",
    "test_case_definition_id": "test_case",
    "test_case_batch_job_id": "test_batch",
    "test_case_job_id": "test_job",
}


@pytest.fixture(scope="module")
def world(wild_server: Server) -> Iterator[World]:
    yield make_world(wild_server)
    # Nothing of all this was a surprise to the server.
    assert "request failed" not in wild_server.log
    assert "Traceback" not in wild_server.log


def test_the_table_holds_every_route(world: World) -> None:
    paths = send(world.server, "GET", "/openapi.json").json["paths"]
    served = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways}
    plain = re.compile(r"\{\w+\}")
    assert {plain.sub("{}", one) for one in served} == {plain.sub("{}", route.name) for route in ROUTES}


# --- bodies ---------------------------------------------------------------------------------------------------------


def nested(depth: int) -> str:
    return '{"odd": ' + "[" * depth + "]" * depth + "}"


POISON = {
    "nothing closed": b'{"name": "x"',
    "not JSON": b"name=x",
    "two values": b"{} {}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "a list": b"[]",
    "a string": b'"{}"',
    "a number": b"17",
    "NUL in a value": rb'{"odd": "a\u0000b"}',
    "NUL in a key": rb'{"a\u0000b": 1}',
    "half a surrogate": rb'{"odd": ["\ud800"]}',
    "half a surrogate in a key": rb'{"\udfff": 1}',
    "not a number": b'{"odd": NaN}',
    "infinity": b'{"odd": [-Infinity, 1e999]}',
    "nested too deeply": nested(500).encode(),
    "nested out of reach": nested(100_000).encode(),
    "a number without end": b'{"odd": ' + b"1" * 10_000 + b"}",
}


@pytest.mark.parametrize("poison", POISON)
def test_bodies_that_cannot_be_taken_change_nothing(world: World, poison: str) -> None:
    before = world.count()
    for route in BODIES:
        is_error(world.send(route, POISON[poison], JSON), 400)
    assert world.count() == before


@pytest.mark.parametrize("route", [route for route in BODIES if route.required], ids=lambda one: one.name)
def test_required_fields(world: World, route: Route) -> None:
    is_error(world.send(route, b"", JSON), 400)
    is_error(world.send(route, b"null", JSON), 400)
    for name in route.required:
        rest = {other: value for other, value in world.filled(route.body).items() if other != name}
        answer = send_json(world.server, route.method, world.path(route), rest)
        is_error(answer, 400)
        assert name in answer.json["message"]


@pytest.mark.parametrize("route", BODIES, ids=lambda one: one.name)
def test_fields_of_another_type(world: World, route: Route) -> None:
    good = world.filled(route.body)
    for name, value in good.items():
        wrong: list[Any] = [[[[]]], "x" if isinstance(value, dict | list | int) else {"a": {}}]
        for other in wrong:
            answer = send_json(world.server, route.method, world.path(route), {**good, name: other})
            is_error(answer, 400)


@pytest.mark.parametrize("route", BODIES, ids=lambda one: one.name)
def test_a_body_that_is_too_large(world: World, route: Route) -> None:
    is_error(world.send(route, b" " * (2 * 1024 * 1024 + 1), JSON), 413)


# --- paths and queries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("route", "name"), IDS, ids=lambda one: one.name if isinstance(one, Route) else one)
def test_section_1_1_which_code_means_no_such_object(world: World, route: Route, name: str) -> None:
    body = world.filled(route.body)
    missing = OTHERWISE_NOT_FOUND.get(route.name, NOT_FOUND.get(name, 422))
    prefix = PREFIXED.get(name, name.removesuffix("_id"))
    for id_ in (f"{prefix}_{UNKNOWN}", UNKNOWN, "x", "a%27b%22--", "%F0%9F%98%80", "%FF", "a" * 256, "..%2e"):
        is_error(send_json(world.server, route.method, world.path(route, **{name: id_}), body), missing)
    for id_ in ("a" * 257, "a%00b"):
        answer = send_json(world.server, route.method, world.path(route, **{name: id_}), body)
        assert answer.status in (400, missing)
        is_error(answer, answer.status)


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_wrong_methods(world: World, route: Route) -> None:
    plain = re.compile(r"\{\w+\}")
    known = {one.method for one in ROUTES if plain.sub("{}", one.path) == plain.sub("{}", route.path)}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - known:
        answer = send_json(world.server, method, world.path(route), {})
        is_error(answer, 405)
        assert set(answer.headers["allow"].split(", ")) <= known


@pytest.mark.parametrize("path", ["/nothing", "/get-agent", "/get-agent/", "/v2/list-nothing", "/v3", "/docs"])
def test_unknown_paths(world: World, path: str) -> None:
    is_error(send(world.server, "GET", path), 404)


LISTS = [
    route
    for route in ROUTES
    if route.method == "GET" and (route.path.startswith("/v2/") or "list-agent-v" in route.path)
]


@pytest.mark.parametrize("route", LISTS, ids=lambda one: one.name)
def test_section_1_3_bad_limits_and_keys(world: World, route: Route) -> None:
    path = world.path(route)
    for query in (
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "limit=1.5",
        "pagination_key=x",
        "pagination_key=%F0",
    ):
        is_error(send(world.server, "GET", f"{path}{'&' if '?' in path else '?'}{query}"), 400)


def test_section_1_3_a_key_of_another_list_is_refused(world: World) -> None:
    for _ in range(2):
        assert send_json(world.server, "POST", "/create-retell-llm", LLM).status == 201
    key = send(world.server, "GET", "/v2/list-retell-llms?limit=1").json["pagination_key"]
    assert send(world.server, "GET", f"/v2/list-retell-llms?limit=1&pagination_key={key}").status == 200
    is_error(send(world.server, "GET", f"/v2/list-conversation-flows?limit=1&pagination_key={key}"), 400)


@pytest.mark.parametrize("name", [name for name in QUERIES if name.startswith("GET") and "list" in name])
def test_section_2_3_a_list_of_tests_needs_its_engine(world: World, name: str) -> None:
    path = name.removeprefix("GET ")
    for query in ("", "?type=retell-llm", "?type=conversation-flow", "?type=custom-llm", "?llm_id=x"):
        is_error(send(world.server, "GET", path + query), 400)


def test_section_2_what_a_definition_may_not_be(world: World) -> None:
    wrong: list[dict[str, Any]] = [
        {"response_engine": {"type": "custom-llm", "llm_websocket_url": "wss://a.example"}},
        {"response_engine": {"type": "retell-llm"}},
        {"response_engine": {"type": "retell-llm", "llm_id": f"llm_{UNKNOWN}"}},
        {"response_engine": {"type": "conversation-flow", "conversation_flow_id": "x"}},
        {"response_engine": {"type": "retell-llm", "llm_id": world.ids["llm_id"], "version": 7}},
        {"dynamic_variables": {"a": 1}},
        {"metrics": "m"},
        {"metrics": [1]},
        {"llm_model": ""},
        {"tool_mocks": [{"tool_name": "t", "output": "{}"}]},
        {"tool_mocks": [{"tool_name": "t", "input_match_rule": {"type": "partial_match"}, "output": "{}"}]},
        {"tool_mocks": [{"tool_name": "t", "input_match_rule": {"type": "any"}, "output": "x" * 15_001}]},
    ]
    before = world.count()
    for change in wrong:
        body = {**world.filled(DEFINITION), **change}
        is_error(send_json(world.server, "POST", "/create-test-case-definition", body), 400)
    assert world.count() == before


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_without_a_good_key_nothing_is_told(world: World, route: Route) -> None:
    for headers in ([], [("Authorization", "Bearer wrong")], [("Authorization", world.server.key)]):
        answer = send(world.server, route.method, world.path(route), b"{}", [JSON, *headers], key="")
        is_error(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
