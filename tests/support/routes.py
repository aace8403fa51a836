"""Every route with a good body, one object of each kind to try them on, and the two families of errors."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.support.raw import Answer, send, send_json
from tests.support.server import Server

AI = "/v2/ai"
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


@dataclass(frozen=True)
class Route:
    """``body`` is a good one; ``required`` are the fields that may not be left out. ``{name}`` in a path is an id."""

    method: str
    path: str
    body: Any = None
    required: tuple[str, ...] = ()
    keyed: bool = False
    paged: bool = False
    success: int = 200

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


ROUTES = (
    Route("POST", "/assistants", ASSISTANT, ("name", "instructions"), keyed=True),
    Route("GET", "/assistants"),
    Route("GET", "/assistants/{assistant_id}"),
    Route("POST", "/assistants/{assistant_id}", {**ASSISTANT, "promote_to_main": True}),
    Route("DELETE", "/assistants/{assistant_id}"),
    Route("GET", "/assistants/{assistant_id}/versions"),
    Route("GET", "/assistants/{assistant_id}/versions/{version_id}"),
    Route("POST", "/assistants/{assistant_id}/versions/{version_id}/promote"),
    Route(
        "POST",
        "/assistants/{assistant_id}/chat",
        {"content": "hello", "conversation_id": "{conversation_id}", "stream": False},
        ("content", "conversation_id"),
    ),
    Route("GET", "/assistants/tests/test-suites"),
    Route(
        "POST",
        "/assistants/tests/test-suites/{suite_name}/runs",
        {"destination_version_id": "{version_id}"},
        keyed=True,
        success=201,
    ),
    Route("GET", "/assistants/tests/test-suites/{suite_name}/runs", paged=True),
    Route(
        "POST",
        "/assistants/tests",
        TEST,
        ("name", "destination", "instructions", "rubric"),
        keyed=True,
        success=201,
    ),
    Route("GET", "/assistants/tests", paged=True),
    Route("GET", "/assistants/tests/{test_id}"),
    Route("PUT", "/assistants/tests/{test_id}", TEST),
    Route("DELETE", "/assistants/tests/{test_id}"),
    Route(
        "POST",
        "/assistants/tests/{test_id}/runs",
        {"destination_version_id": "{version_id}"},
        keyed=True,
        success=201,
    ),
    Route("GET", "/assistants/tests/{test_id}/runs", paged=True),
    Route("GET", "/assistants/tests/{test_id}/runs/{run_id}"),
    Route("POST", "/conversations", {"name": "talk", "metadata": {"a": "b"}}, keyed=True),
    Route("GET", "/conversations"),
    Route("GET", "/conversations/{conversation_id}"),
    Route("GET", "/conversations/{conversation_id}/messages", paged=True),
)
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

    def path(self, route: Route, **other: str) -> str:
        return AI + route.path.format(**{**self.ids, **other})

    def body(self, route: Route) -> Any:
        def filled(value: Any) -> Any:
            return value.format(**self.ids) if isinstance(value, str) else value

        return {name: filled(value) for name, value in route.body.items()}

    def send(self, route: Route, body: bytes | None, *headers: tuple[str, str]) -> Answer:
        return send(self.server, route.method, self.path(route), body, headers)

    def count(self) -> list[int]:
        """How many objects there are of the kinds that can be made."""
        lists = ("assistants", "conversations")
        counted = [len(send(self.server, "GET", f"{AI}/{name}").json["data"]) for name in lists]
        tests = send(self.server, "GET", f"{AI}/assistants/tests").json["meta"]["total_results"]
        runs = f"{AI}/assistants/tests/{self.ids['test_id']}/runs"
        return [*counted, tests, send(self.server, "GET", runs).json["meta"]["total_results"]]


def make_world(server: Server) -> World:
    """One object of each kind, through the API."""

    def made(path: str, body: Any) -> Any:
        answer = send_json(server, "POST", AI + path, body)
        assert answer.status < 300, answer.body
        return answer.json

    assistant = made("/assistants", ASSISTANT)
    suite = f"suite-{uuid4().hex}"
    test = made("/assistants/tests", {**TEST, "destination": assistant["id"], "test_suite": suite})
    run = made(f"/assistants/tests/{test['test_id']}/runs", {})
    ids = {
        "assistant": assistant["id"],
        "assistant_id": assistant["id"],
        "version_id": assistant["version_id"],
        "test_id": test["test_id"],
        "run_id": run["run_id"],
        "suite_name": suite,
        "conversation_id": made("/conversations", {"name": "talk"})["id"],
    }
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
    """The ``detail`` family of validation errors, one of them at or below this place."""
    assert answer.status == 422, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"detail"}
    for item in answer.json["detail"]:
        assert {"loc", "msg", "type"} <= set(item)
        assert {type(part) for part in item["loc"]} <= {str, int}
    assert any(item["loc"][: len(place)] == list(place) for item in answer.json["detail"]), answer.body
