"""Every route with a good body, one object of each kind to try them on, and the two families of errors."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.support.raw import Answer, send, send_json
from tests.support.route import Route
from tests.support.rows import (
    canary,
    conversations,
    imports,
    insights,
    instructions,
    integrations,
    library,
    lifecycle,
    mcp_servers,
    messaging,
    openai,
    scheduled_events,
    secrets,
    tags,
)
from tests.support.server import Server

V2 = "/v2"
AI = f"{V2}/ai"
UNKNOWN = "0199c0de-0000-7000-8000-000000000000"

ASSISTANT = {
    "name": "desk",
    "instructions": "Help.",
    "model": "scripted",
    "greeting": "Hello",
    "tools": [{"type": "webhook", "webhook": {"name": "find", "description": "Finds.", "url": "https://a.example"}}],
    "dynamic_variables": {"shop": "Birch"},
    "tags": ["one"],
}
TEST = {
    "name": "hello",
    "destination": "{assistant}",
    "instructions": "on start: hang up",
    "rubric": [{"name": "greets", "criteria": 'says "hello"'}],
    "max_duration_seconds": 60,
    "telnyx_conversation_channel": "web_chat",
}


OLD = (
    Route("POST", "/ai/assistants", ASSISTANT, ("name", "instructions"), keyed=True),
    Route("GET", "/ai/assistants"),
    Route("GET", "/ai/assistants/{assistant_id}"),
    Route("POST", "/ai/assistants/{assistant_id}", {**ASSISTANT, "promote_to_main": True}),
    Route("DELETE", "/ai/assistants/{assistant_id}"),
    Route("GET", "/ai/assistants/{assistant_id}/versions"),
    Route("GET", "/ai/assistants/{assistant_id}/versions/{version_id}"),
    Route("POST", "/ai/assistants/{assistant_id}/versions/{version_id}/promote"),
    Route(
        "POST",
        "/ai/assistants/{assistant_id}/chat",
        {"content": "hello", "conversation_id": "{conversation_id}", "stream": False},
        ("content", "conversation_id"),
    ),
    Route("GET", "/ai/assistants/tests/test-suites"),
    Route(
        "POST",
        "/ai/assistants/tests/test-suites/{suite_name}/runs",
        {"destination_version_id": "{version_id}"},
        keyed=True,
        success=201,
    ),
    Route("GET", "/ai/assistants/tests/test-suites/{suite_name}/runs", paged=True),
    Route(
        "POST",
        "/ai/assistants/tests",
        TEST,
        ("name", "destination", "instructions", "rubric"),
        keyed=True,
        success=201,
    ),
    Route("GET", "/ai/assistants/tests", paged=True),
    Route("GET", "/ai/assistants/tests/{test_id}"),
    Route("PUT", "/ai/assistants/tests/{test_id}", TEST),
    Route("DELETE", "/ai/assistants/tests/{test_id}"),
    Route(
        "POST",
        "/ai/assistants/tests/{test_id}/runs",
        {"destination_version_id": "{version_id}"},
        keyed=True,
        success=201,
    ),
    Route("GET", "/ai/assistants/tests/{test_id}/runs", paged=True),
    Route("GET", "/ai/assistants/tests/{test_id}/runs/{run_id}"),
    Route("POST", "/ai/conversations", {"name": "talk", "metadata": {"a": "b"}}, keyed=True),
    Route("GET", "/ai/conversations"),
    Route("GET", "/ai/conversations/{conversation_id}"),
    Route("GET", "/ai/conversations/{conversation_id}/messages", paged=True),
)
AREAS = (
    canary,
    conversations,
    imports,
    insights,
    instructions,
    integrations,
    library,
    lifecycle,
    mcp_servers,
    messaging,
    openai,
    scheduled_events,
    secrets,
    tags,
)
ROUTES = (*OLD, *(row for area in AREAS for row in area.ROWS))
BODIES = [route for route in ROUTES if route.body is not None]
KEYED = [route for route in ROUTES if route.keyed]
PAGED = [route for route in ROUTES if route.paged]
IDS = [(route, name) for route in ROUTES for name in re.findall(r"\{(\w+)\}", route.path)]


def each(routes: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=lambda route: route.name)


@dataclass
class World:
    """One object of each kind."""

    server: Server
    ids: dict[str, str]

    def fresh(self, route: Route) -> "World":
        """The same with what this route needs anew to succeed."""
        return World(self.server, {**self.ids, **(route.fresh(self.server, self.ids) if route.fresh else {})})

    def path(self, route: Route, **other: str) -> str:
        return V2 + route.path.format(**{**self.ids, **other})

    def body(self, route: Route) -> Any:
        def filled(value: Any) -> Any:
            return value.format(**self.ids) if isinstance(value, str) else value

        return {name: filled(value) for name, value in route.body.items()} if route.body else {}

    def send(self, route: Route, body: bytes | None, *headers: tuple[str, str]) -> Answer:
        return send(self.server, route.method, self.path(route), body, headers)

    def count(self) -> list[int]:
        """How many objects there are of the kinds that can be made."""
        lists = ("assistants", "conversations")
        counted = [len(send(self.server, "GET", f"{AI}/{name}").json["data"]) for name in lists]
        counted.append(send(self.server, "GET", f"{AI}/tools").json["meta"]["total_results"])
        events = f"{AI}/assistants/{self.ids['assistant_id']}/scheduled_events"
        counted.append(send(self.server, "GET", events).json["meta"]["total_results"])
        kinds = [f"{AI}/conversations/{kind}" for kind in ("insights", "insight-groups")]
        counted += [send(self.server, "GET", path).json["meta"]["total_results"] for path in kinds]
        servers = [f"{AI}/mcp_servers?page[size]=100&page[number]={number}" for number in range(1, 6)]
        counted.append(sum(len(send(self.server, "GET", page).json) for page in servers))
        tests = send(self.server, "GET", f"{AI}/assistants/tests").json["meta"]["total_results"]
        runs = f"{AI}/assistants/tests/{self.ids['test_id']}/runs"
        messages = f"{AI}/conversations/{self.ids['conversation_id']}/messages"
        pages = [send(self.server, "GET", path).json["meta"]["total_results"] for path in (runs, messages)]
        return [*counted, tests, *pages]


def make_world(server: Server) -> World:
    """One object of each kind, through the API."""

    def made(path: str, body: Any) -> Any:
        answer = send_json(server, "POST", V2 + path, body)
        assert answer.status < 300, answer.body
        return answer.json

    assistant = made("/ai/assistants", ASSISTANT)
    suite = f"suite-{uuid4().hex}"
    test = made("/ai/assistants/tests", {**TEST, "destination": assistant["id"], "test_suite": suite})
    run = made(f"/ai/assistants/tests/{test['test_id']}/runs", {})
    ids = {
        "assistant": assistant["id"],
        "assistant_id": assistant["id"],
        "version_id": assistant["version_id"],
        "test_id": test["test_id"],
        "run_id": run["run_id"],
        "suite_name": suite,
        "conversation_id": made("/ai/conversations", {"name": "talk"})["id"],
    }
    for area in AREAS:
        ids |= area.make(made, ids)
    return World(server, ids)


def is_errors(answer: Answer, status: int, code: str, pointer: str | None = None) -> None:
    """The ``errors[]`` family."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"errors"}
    [error] = answer.json["errors"]
    assert error["code"] == code
    assert error["title"]
    assert error["detail"]
    assert error.get("source", {}).get("pointer") == pointer
    assert answer.headers["x-request-id"]


def is_detail(answer: Answer, *place: str) -> None:
    """The ``detail`` family of validation errors, one of them at or below this place; or the ``errors`` family, which
    integration secrets have for them too (contract, section 1.4)."""
    if "errors" in answer.json:
        assert answer.status in (400, 422), answer.body
        assert {error["code"] for error in answer.json["errors"]} == {"10015"}
        pointers = [f"{error['source']['pointer']}/" for error in answer.json["errors"]]
        expected = "".join(f"/{part}" for part in place if part != "body")
        assert any(one.startswith(expected) for one in pointers), answer.body
        return
    assert answer.status == 422, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"detail"}
    for item in answer.json["detail"]:
        assert {"loc", "msg", "type"} <= set(item)
        assert {type(part) for part in item["loc"]} <= {str, int}
    assert any(item["loc"][: len(place)] == list(place) for item in answer.json["detail"]), answer.body
