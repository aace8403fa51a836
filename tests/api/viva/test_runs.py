from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand
from tests.services.test_cancelling import a_suite
from tests.services.test_examinations import a_run, an_assistant, claimed, going_on
from tests.support.store import ORG, set_row

from vivavoce.api.viva.runs import dump_run
from vivavoce.services import runs
from vivavoce.services.context import Context
from vivavoce.services.examinations import conduct

__all__ = ["ctx", "hand"]


@pytest.fixture
async def client(ctx: Context) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(ctx) as client:
        yield client


async def test_a_run_that_is_over(ctx: Context, client: httpx.AsyncClient) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id, suite="checkout")
    await ctx.database.write(
        lambda tx: set_row(tx, run.id, setbacks=["it was busy"], attempts=2, started_at=run.created_at)
    )
    await conduct(ctx, await claimed(ctx, run), going_on)
    answer = await client.get(f"/runs/{run.id}")
    assert answer.status_code == 200
    shown = answer.json()
    story = shown.pop("story")
    assert shown.pop("test") == {"id": run.scenario_id, "name": "where is it"}
    assert shown.pop("assistant") == {"id": assistant.id, "name": "clerk"}
    assert "attempt 2: the one before broke off: it was busy" in story
    assert shown == dump_run(await runs.retrieve(ctx, ORG, None, run.id))
    verdicts = shown.pop("verdicts")
    assert verdicts[0] == {
        "criterion": "asks",
        "decision": "met",
        "reason": verdicts[0]["reason"],
        "decided_by": "scripted",
        "quote": {"turn": 1, "text": "What is your order number?"},
    }
    assert shown == {
        "id": run.id,
        "test_id": run.scenario_id,
        "batch_id": None,
        "suite": "checkout",
        "version_id": run.version_id,
        "conversation_id": run.conversation_id,
        "trigger": "manual",
        "priority": "interactive",
        "status": "passed",
        "fault": None,
        "reason": "every criterion is met",
        "ending": "goodbye",
        "criteria": ["asks", "finds"],
        "attempts": 2,
        "setbacks": ["it was busy"],
        "talked_seconds": 0.0,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "created_at": "2027-01-15T08:00:00.000Z",
        "updated_at": "2027-01-15T08:00:00.000Z",
        "started_at": "2027-01-15T08:00:00.000Z",
        "completed_at": "2027-01-15T08:00:00.000Z",
    }


async def test_cancelling_answers_with_the_run_and_can_be_repeated(ctx: Context, client: httpx.AsyncClient) -> None:
    run = await a_run(ctx)
    waiting = (await client.get(f"/runs/{run.id}")).json()
    assert (waiting["status"], waiting["reason"], waiting["usage"], waiting["story"]) == ("pending", None, None, None)
    answer = await client.post(f"/runs/{run.id}/cancel", json={"reason": "wrong version"})
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["ending"], shown["fault"]) == ("cancelled", "cancelled", "nobody")
    assert shown["reason"] == "cancelled: wrong version"
    assert "cancelled: wrong version" in shown["story"]
    assert (await client.post(f"/runs/{run.id}/cancel")).json() == shown
    assert (await client.get(f"/runs/{run.id}")).json() == shown


async def test_a_batch_and_a_suite(ctx: Context, client: httpx.AsyncClient) -> None:
    made = await a_suite(ctx, "one", "two", suite="checkout/eu")
    batch = made[0].batch_id
    answer = await client.post(f"/batches/{batch}/cancel")
    assert (answer.status_code, answer.json()) == (200, {"batch_id": batch, "cancelled": 2})
    assert (await client.get(f"/runs/{made[1].id}")).json()["reason"] == "cancelled: by request"
    await a_suite(ctx, suite="checkout/eu")
    answer = await client.post("/suites/checkout%2Feu/cancel", json={"reason": "late"})
    assert (answer.status_code, answer.json()) == (200, {"suite": "checkout/eu", "cancelled": 2})
    assert (await client.post("/suites/checkout/eu/cancel")).json() == {"suite": "checkout/eu", "cancelled": 0}


@pytest.mark.parametrize("path", ["/runs/none/cancel", "/batches/none/cancel", "/suites/none/cancel"])
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path)
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, 404)


async def test_other_organisations_see_and_stop_nothing(ctx: Context) -> None:
    (run,) = await a_suite(ctx, "one")
    async with client_of(ctx, "org-b") as client:
        assert (await client.get(f"/runs/{run.id}")).status_code == 404
        for path in (f"/runs/{run.id}", f"/batches/{run.batch_id}", "/suites/checkout"):
            assert (await client.post(f"{path}/cancel")).status_code == 404
    assert (await runs.retrieve(ctx, ORG, None, run.id)).state == "pending"


@pytest.mark.parametrize(
    "body", [{"reason": ""}, {"reason": 5}, {"reason": "x" * 501}, {"reason": "a\x00b"}, {"why": "x"}, [], "late"]
)
async def test_a_reason_that_is_none_is_refused_and_nothing_happens(
    ctx: Context, client: httpx.AsyncClient, body: Any
) -> None:
    run = await a_run(ctx)
    assert (await client.post(f"/runs/{run.id}/cancel", json=body)).status_code == 422
    assert (await runs.retrieve(ctx, ORG, None, run.id)).state == "pending"
