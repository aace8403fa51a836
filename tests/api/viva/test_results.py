"""Suites, history, lists of runs, transcripts, comparisons."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand
from tests.services.test_examinations import CALLER as BRIEF
from tests.services.test_examinations import MOCKS, RUBRIC, a_run, an_assistant, claimed, going_on
from tests.support.store import ORG, a_scenario

from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.services import assistants, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.examinations import conduct
from vivavoce.storage.database import Tx

__all__ = ["ctx", "hand"]

AT = "2027-01-15T08:00:00.000Z"
STANDING = {"failed": 0, "errors": 0, "cancelled": 0, "over": True, "pass_rate": 1.0, "at": AT}


@pytest.fixture
async def client(ctx: Context) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(ctx) as client:
        yield client


async def examined(ctx: Context, suite: str = "a/b", version_id: str | None = None) -> Run:
    """The only test of a suite, examined as a batch."""

    def work(tx: Tx) -> Run:
        (run,) = runs.trigger_suite(ctx, tx, ORG, suite, version_id)
        return run

    run = await ctx.database.write(work)
    await conduct(ctx, await claimed(ctx, run), going_on)
    return run


async def a_suite(ctx: Context, suite: str = "a/b") -> tuple[str, Run]:
    """(the assistant's id, a run of its only test)."""
    assistant = await an_assistant(ctx)

    def work(tx: Tx) -> None:
        draft = a_scenario(brief=BRIEF, criteria=RUBRIC, mocks=MOCKS, target=assistant.id, suite=suite)
        scenarios.create(ctx, tx, ORG, draft)

    await ctx.database.write(work)
    return assistant.id, await examined(ctx, suite)


async def test_suites_and_their_history(ctx: Context, client: httpx.AsyncClient) -> None:
    _, run = await a_suite(ctx)
    page = (await client.get("/suites")).json()
    last = {"batch_id": run.batch_id, "total": 1, "passed": 1, **STANDING}
    assert page == {"data": [{"name": "a/b", "tests": 1, "last": last}], "page": 1, "size": 20, "total": 1}
    for path in ("/suites/a%2Fb/history", "/suites/a/b/history?limit=3"):
        told = (await client.get(path)).json()
        assert told["suite"] == "a/b"
        (point,) = told["data"]
        assert point == {
            **last,
            "response_ms": {"p50": 0, "p95": 0, "max": 0},
            "talked_ms": None,
            "input_tokens": 0,
            "output_tokens": 0,
            "money": None,
            "unpriced_tokens": 0,
        }
    assert (await client.get("/suites/none/history")).status_code == 404
    assert (await client.get("/suites/a%2Fb/history?limit=0")).status_code == 422
    assert (await client.get("/suites?page=2")).json()["data"] == []


async def test_runs_are_listed_filtered_and_told(ctx: Context, client: httpx.AsyncClient) -> None:
    assistant_id, run = await a_suite(ctx)
    other = await a_run(ctx, target=assistant_id)
    page = (await client.get("/runs")).json()
    assert [one["id"] for one in page["data"]] == [other.id, run.id]
    assert page["total"] == 2
    named = {"id": run.scenario_id, "name": "where is it"}
    assert page["data"][1]["test"] == named
    for query, expected in (
        ({"suite": "a/b"}, [run.id]),
        ({"test_id": other.scenario_id}, [other.id]),
        ({"batch_id": run.batch_id}, [run.id]),
        ({"status": "pending"}, [other.id]),
        ({"status": ["pending", "passed"]}, [other.id, run.id]),
        ({"suite": "none"}, []),
    ):
        found = (await client.get("/runs", params=query)).json()
        assert [one["id"] for one in found["data"]] == expected
    assert (await client.get("/runs?status=nobody")).status_code == 422
    shown = (await client.get(f"/runs/{run.id}")).json()
    assert (shown["test"], shown["assistant"]) == (named, {"id": assistant_id, "name": "clerk"})


async def test_what_was_said_in_a_run(ctx: Context, client: httpx.AsyncClient) -> None:
    _, run = await a_suite(ctx)
    told = (await client.get(f"/runs/{run.id}/transcript")).json()
    events = told.pop("events")
    assert told == {
        "run_id": run.id,
        "conversation_id": run.conversation_id,
        "test": {"id": run.scenario_id, "name": "where is it"},
        "version_id": run.version_id,
    }
    assert [one["turn"] for one in events] == list(range(len(events)))
    assert [one["kind"] for one in events][-3:] == ["tool_returned", "message", "left"]
    assert (events[0]["speaker"], events[0]["text"]) == ("caller", "Where is my order?")
    waiting = await a_run(ctx)
    assert (await client.get(f"/runs/{waiting.id}/transcript")).json()["events"] == []
    assert (await client.get("/runs/none/transcript")).status_code == 404


async def test_comparisons(ctx: Context, client: httpx.AsyncClient) -> None:
    _, run = await a_suite(ctx)
    harder = (RUBRIC[0], Criterion("finds", 'says "never"'))
    await scenarios.update(ctx, ORG, run.scenario_id, lambda one: replace(one, criteria=harder))
    worse = await examined(ctx)
    for kind, left, right in (("runs", run.id, worse.id), ("batches", run.batch_id, worse.batch_id)):
        found = (await client.get(f"/comparisons/{kind}", params={"left": left, "right": right})).json()
        (change,) = found["changes"]
        assert (change["kind"], change["criterion"]) == ("broke", "finds")
        assert change["test"] == {"id": run.scenario_id, "name": "where is it"}
        assert (change["left"]["met"], change["left"]["of"], change["left"]["run_id"]) == (1, 1, run.id)
        assert (change["right"]["unmet"], change["right"]["run_id"]) == (1, worse.id)
        assert (found["same"], found["pass_rate"]) == (1, [1.0, 0.0])
        assert (found["tokens"], found["money"]) == ([0, 0], [None, None])
        assert found["response_ms"] == [{"p50": 0, "p95": 0, "max": 0}] * 2
        assert found["left"] == {
            "id": left,
            "version_ids": [run.version_id],
            "total": 1,
            "passed": 1,
            **STANDING,
            "response_ms": {"p50": 0, "p95": 0, "max": 0},
            "talked_ms": None,
            "input_tokens": 0,
            "output_tokens": 0,
            "money": None,
            "unpriced_tokens": 0,
        }
        assert "fields" not in found


async def test_versions_tell_their_fields(ctx: Context, client: httpx.AsyncClient) -> None:
    assistant_id, run = await a_suite(ctx)
    changed = await assistants.update(
        ctx, ORG, assistant_id, lambda one: replace(one, greeting="Hi."), lambda _: None, promote=True
    )
    query = {"left": run.version_id, "right": changed.main.id}
    found = (await client.get("/comparisons/versions", params=query)).json()
    assert found["fields"] == [{"path": "greeting", "left": None, "right": "Hi."}]
    assert (found["left"]["passed"], found["right"]["total"], found["right"]["at"]) == (1, 0, None)
    assert {one["kind"] for one in found["changes"]} == {"gone"}


@pytest.mark.parametrize("kind", ["runs", "batches", "versions"])
async def test_what_there_is_not_cannot_be_compared(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.get(f"/comparisons/{kind}", params={"left": "none", "right": "none"})
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, 404)
    assert (await client.get(f"/comparisons/{kind}", params={"left": "none"})).status_code == 422


async def test_other_organisations_see_nothing(ctx: Context) -> None:
    _, run = await a_suite(ctx)
    async with client_of(ctx, "org-b") as client:
        assert (await client.get("/suites")).json()["data"] == []
        assert (await client.get("/runs")).json()["data"] == []
        for path in ("/suites/a/b/history", f"/runs/{run.id}/transcript", f"/runs/{run.id}"):
            assert (await client.get(path)).status_code == 404


async def test_models(client: httpx.AsyncClient) -> None:
    found: list[dict[str, Any]] = (await client.get("/models")).json()["data"]
    assert [one["role"] for one in found] == ["assistants", "tester", "judge", "insights", "embeddings"]
    assert found[0] == {
        "role": "assistants",
        "model": "scripted",
        "ok": True,
        "reason": found[0]["reason"],
        "asked": False,
        "took_ms": None,
    }
    assert (await client.post("/models/probe")).json()["data"] == found  # nobody to be asked


async def test_a_chat(ctx: Context, client: httpx.AsyncClient) -> None:
    echo = 'on hear /(.+)/: say "You said $1, {{who}}."'
    assistant = await an_assistant(ctx, instructions=echo, greeting="Hello.", tools=())
    answer = await client.post("/conversations", json={"assistant_id": assistant.id, "variables": {"who": "Ada"}})
    assert answer.status_code == 201
    began = answer.json()
    assert (began["over"], began["version_id"]) == (False, assistant.main.id)
    (greeting,) = began["events"]
    assert (greeting["turn"], greeting["speaker"], greeting["text"]) == (0, "assistant", "Hello.")
    path = f"/conversations/{began['id']}"
    said = (await client.post(f"{path}/messages", json={"text": "Hm"})).json()
    assert said["over"] is False
    assert [(one["turn"], one["text"]) for one in said["events"]] == [(2, "You said Hm, Ada.")]
    for body in ({}, {"text": ""}, {"text": "a\x00"}, {"text": "a", "more": 1}):
        assert (await client.post(f"{path}/messages", json=body)).status_code == 422
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 204
    over = await client.post(f"{path}/messages", json={"text": "Hm"})
    assert (over.status_code, "over" in over.json()["error"]["message"]) == (400, True)
    missing = await client.post("/conversations", json={"assistant_id": assistant.id, "version_id": "none"})
    assert (missing.status_code, missing.json()["error"]["places"][0]["at"]) == (400, "/body/version_id")
    assert (await client.post("/conversations", json={"assistant_id": "none"})).status_code == 404
    assert (await client.post("/conversations/none/messages", json={"text": "Hm"})).status_code == 404
