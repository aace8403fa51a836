"""Every route of the server's own API, and one object of each kind to try them on."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tests.support.raw import send_json
from tests.support.route import Route
from tests.support.server import Server

ROOT = "/viva/v1"
SCHEDULE = {"name": "nightly", "cron": "0 3 * * *", "suite": "{suite}"}
HOOK = {"url": "https://a.example/viva", "kinds": ["run.completed"]}
TEST = {"name": "a test", "assistant": {"id": "{target}"}, "scenario": "You wait.", "criteria": ["is kind"]}
HANDS_OVER = {"kind": "handoff", "targets": [{"assistant_id": "{target}", "name": "other"}]}
MESSAGE = {"from": "+15550990001", "to": "+15550990002", "text": "Hello"}

ROUTES = (
    Route("GET", "/inbox"),
    Route("POST", "/inbox", MESSAGE, ("from", "to", "text"), success=201),
    Route("GET", "/inbox/{message_id}"),
    Route("GET", "/workers"),
    Route("GET", "/limits"),
    Route("GET", "/runs/{run_id}"),
    Route("POST", "/runs/{run_id}/cancel", {"reason": "enough"}),
    Route("POST", "/suites/{suite}/cancel"),
    Route("PUT", "/suites/{written}", {"suite": "{written}", "tests": [TEST]}, ("suite", "tests")),
    Route("GET", "/suites/{written}"),
    Route("GET", "/tests"),
    Route("POST", "/tests", TEST, ("name",), success=201),
    Route("GET", "/tests/{written_test}"),
    Route("PUT", "/tests/{written_test}", TEST, ("name",)),
    Route("DELETE", "/tests/{written_test}", success=204),
    Route("GET", "/assistants"),
    Route("GET", "/assistants/{written_assistant}"),
    Route("PUT", "/assistants/{desk}", {"name": "{desk}", "tools": [HANDS_OVER]}, ("name",)),
    Route("POST", "/batches", {"test_ids": ["{test_id}"]}, success=201),
    Route("GET", "/batches/{batch_id}"),
    Route("GET", "/batches/{batch_id}/runs"),
    Route("POST", "/batches/{batch_id}/cancel"),
    Route("GET", "/keys"),
    Route("POST", "/keys", {"name": "ci", "scope": "run"}, ("name", "scope"), success=201),
    Route("DELETE", "/keys/{key_id}", success=204),
    Route("GET", "/schedules"),
    Route("POST", "/schedules", SCHEDULE, ("name", "cron"), success=201),
    Route("GET", "/schedules/{schedule_id}"),
    Route("PATCH", "/schedules/{schedule_id}", {"name": "weekly"}),
    Route("DELETE", "/schedules/{schedule_id}", success=204),
    Route("POST", "/schedules/{schedule_id}/pause"),
    Route("POST", "/schedules/{schedule_id}/resume"),
    Route("POST", "/schedules/{schedule_id}/fire"),
    Route("GET", "/runs/{run_id}/events?follow=false"),
    Route("GET", "/batches/{batch_id}/events?follow=false"),
    Route("GET", "/events?follow=false"),
    Route("GET", "/suites"),
    Route("GET", "/suites/{written}/history"),
    Route("GET", "/runs"),
    Route("GET", "/runs/{run_id}/transcript"),
    Route("GET", "/comparisons/runs?left={run_id}&right={run_id}"),
    Route("GET", "/comparisons/batches?left={batch_id}&right={batch_id}"),
    Route("GET", "/comparisons/versions?left={version_id}&right={version_id}"),
    Route("GET", "/models"),
    Route("POST", "/models/probe"),
    Route("POST", "/conversations", {"assistant_id": "{target}"}, ("assistant_id",), success=201),
    Route("POST", "/conversations/{conversation_id}/messages", {"text": "Hello"}, ("text",)),
    Route("DELETE", "/conversations/{conversation_id}", success=204),
    Route("GET", "/webhooks"),
    Route("POST", "/webhooks", HOOK, ("url",), success=201),
    Route("GET", "/webhooks/{hook_id}"),
    Route("DELETE", "/webhooks/{hook_id}", success=204),
    Route("POST", "/webhooks/{hook_id}/test"),
)


def make_world(server: Server, test_id: str) -> dict[str, str]:
    """The ids of one object of each kind; ``test_id`` is a test that exists."""

    def made(path: str, body: Mapping[str, Any]) -> Any:
        answer = send_json(server, "POST", ROOT + path, body)
        assert answer.status == 201, answer.body
        return answer.json

    def put(path: str, body: Mapping[str, Any]) -> Any:
        answer = send_json(server, "PUT", ROOT + path, body)
        assert answer.status == 200, answer.body
        return answer.json

    batch = made("/batches", {"test_ids": [test_id]})
    suite, written, desk = f"suite-{uuid4().hex}", f"written-{uuid4().hex}", f"desk-{uuid4().hex}"
    applied = put(f"/assistants/target-{desk}", {"name": f"target-{desk}"})
    target = applied["id"]
    hands_over = {**HANDS_OVER, "targets": [{"assistant_id": target, "name": "other"}]}
    tests = put(f"/suites/{written}", {"suite": written, "tests": [{**TEST, "assistant": {"id": target}}]})["tests"]
    return {
        "target": target,
        "version_id": applied["version_id"],
        "conversation_id": made("/conversations", {"assistant_id": target})["id"],
        "desk": desk,
        "written": written,
        "written_test": tests[0]["id"],
        "written_assistant": put(f"/assistants/{desk}", {"name": desk, "tools": [hands_over]})["id"],
        "test_id": test_id,
        "suite": suite,
        "batch_id": batch["id"],
        "run_id": batch["runs"][0]["id"],
        "message_id": made("/inbox", MESSAGE)["id"],
        "key_id": made("/keys", {"name": f"key-{suite}", "scope": "read"})["id"],
        # Nobody takes anything there, and whoever is told so does not try again.
        "hook_id": made("/webhooks", {"url": f"{server.url}/healthz"})["id"],
        "schedule_id": made("/schedules", {"name": suite, "cron": "0 3 * * *", "test_ids": [test_id]})["id"],
    }
