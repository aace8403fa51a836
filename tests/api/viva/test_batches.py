from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand
from tests.support.store import NOW, ORG, a_scenario, set_row

from vivavoce.core.scenario import Scenario
from vivavoce.core.times import iso
from vivavoce.services import scenarios
from vivavoce.services.context import Context
from vivavoce.services.prices import Price
from vivavoce.storage import budgets
from vivavoce.storage.budgets import Spent

__all__ = ["ctx", "hand"]

Served = tuple[Context, httpx.AsyncClient, list[Scenario]]


@pytest.fixture
async def served(ctx: Context) -> AsyncGenerator[Served]:
    """A server with prices and a suite of two tests."""
    ctx = replace(ctx, prices={"m": Price(1, 2)})
    made = [
        await ctx.database.write(lambda tx, draft=draft: scenarios.create(ctx, tx, ORG, draft))
        for draft in (a_scenario(suite="suite", name="a"), a_scenario(suite="suite", name="b"))
    ]
    async with client_of(ctx) as client:
        yield ctx, client, made


async def test_a_batch_from_its_trigger_to_its_end(served: Served) -> None:
    ctx, client, (first, second) = served
    answer = await client.post(
        "/batches", json={"suite": "suite", "repeats": 2, "budget": {"tokens": 1000, "money": 2.5}}
    )
    assert answer.status_code == 201
    batch: dict[str, Any] = answer.json()
    assert [run["test_id"] for run in batch["runs"]] == [first.id, second.id] * 2
    assert {(run["batch_id"], run["status"], run["priority"]) for run in batch["runs"]} == {
        (batch["id"], "pending", "batch")
    }
    counts = {"pending": 4, "starting": 0, "running": 0, "passed": 0, "failed": 0, "error": 0, "cancelled": 0}
    budget = {
        "tokens": 1000,
        "money": 2.5,
        "spent_tokens": 0,
        "spent_money": 0.0,
        "unpriced_tokens": 0,
        "exhausted_at": None,
    }
    expected = {
        "id": batch["id"],
        "total": 4,
        "counts": counts,
        "over": False,
        "created_at": iso(NOW),
        "updated_at": iso(NOW),
        "started_at": None,
        "completed_at": None,
        "budget": budget,
    }
    assert {name: value for name, value in batch.items() if name != "runs"} == expected
    path = f"/batches/{batch['id']}"
    assert (await client.get(path)).json() == expected

    ids = [run["id"] for run in batch["runs"]]
    over = {"started_at": NOW + 1, "completed_at": NOW + 5, "updated_at": NOW + 5}
    await ctx.database.write(lambda tx: set_row(tx, ids[0], status="passed", **over))
    await ctx.database.write(lambda tx: set_row(tx, ids[1], status="running", started_at=NOW + 3))
    await ctx.database.write(lambda tx: budgets.spend(tx, [Spent(batch["id"], 1200, 2_600_000, 7)], NOW + 6))
    found = (await client.get(path)).json()
    assert found["counts"] == {**counts, "pending": 2, "running": 1, "passed": 1}
    assert (found["over"], found["started_at"], found["completed_at"]) == (False, iso(NOW + 1), None)
    assert found["budget"] == {
        **budget,
        "spent_tokens": 1200,
        "spent_money": 2.6,
        "unpriced_tokens": 7,
        "exhausted_at": iso(NOW + 6),
    }

    assert (await client.post(f"{path}/cancel", json={"reason": "enough"})).json()["cancelled"] == 3
    found = (await client.get(path)).json()
    assert found["counts"] == {**counts, "pending": 0, "passed": 1, "cancelled": 3}
    assert (found["total"], found["over"], found["completed_at"]) == (4, True, iso(NOW + 5))

    page = (await client.get(f"{path}/runs", params={"page": 2, "size": 3})).json()
    assert (page["page"], page["size"], page["total"]) == (2, 3, 4)
    assert [run["id"] for run in page["data"]] == ids[:1]


async def test_a_batch_of_single_tests(served: Served) -> None:
    _, client, (first, second) = served
    body = {"test_ids": [second.id, first.id, second.id], "priority": "interactive"}
    batch = (await client.post("/batches", json=body)).json()
    assert [run["test_id"] for run in batch["runs"]] == [second.id, first.id, second.id]
    assert {run["priority"] for run in batch["runs"]} == {"interactive"}
    assert batch["budget"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"suite": "suite", "test_ids": ["x"]},
        {"suite": ""},
        {"suite": "a\x00"},
        {"test_ids": []},
        {"test_ids": [""]},
        {"suite": "suite", "repeats": 0},
        {"suite": "suite", "repeats": 5001},
        {"suite": "suite", "priority": "urgent"},
        {"suite": "suite", "budget": {"tokens": 0}},
        {"suite": "suite", "budget": {"tokens": 10**16}},
        {"suite": "suite", "budget": {"money": 0}},
        {"suite": "suite", "budget": {"dollars": 1}},
        {"suite": "suite", "more": 1},
    ],
)
async def test_what_has_the_wrong_shape(served: Served, body: dict[str, Any]) -> None:
    answer = await served[1].post("/batches", json=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({"suite": "nothing"}, 404, None),
        ({"test_ids": ["nobody"]}, 404, None),
        ({"suite": "suite", "repeats": 4000}, 400, "/repeats"),
        ({"suite": "suite", "version_id": "none"}, 400, "/version_id"),
    ],
)
async def test_what_cannot_be_run(served: Served, body: dict[str, Any], status: int, at: str | None) -> None:
    answer = await served[1].post("/batches", json=body)
    assert answer.status_code == status, answer.text
    assert [place["at"] for place in answer.json()["error"]["places"]] == ([at] if at else [])


async def test_money_needs_prices(served: Served) -> None:
    ctx, _, _ = served
    async with client_of(replace(ctx, prices={})) as client:
        answer = await client.post("/batches", json={"suite": "suite", "budget": {"money": 1}})
    assert answer.status_code == 400
    assert "VIVA_PRICES" in answer.json()["error"]["message"]
    assert answer.json()["error"]["places"][0]["at"] == "/budget/money"


async def test_others_see_nothing_of_it(served: Served) -> None:
    ctx, client, _ = served
    batch = (await client.post("/batches", json={"suite": "suite"})).json()
    async with client_of(ctx, "org-b") as other:
        for path in (f"/batches/{batch['id']}", f"/batches/{batch['id']}/runs", "/batches/nobody"):
            assert (await other.get(path)).status_code == 404
        assert (await other.post("/batches", json={"suite": "suite"})).status_code == 404
