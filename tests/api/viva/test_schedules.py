"""The schedules' part of the server's own API."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand
from tests.support.duties import work_off
from tests.support.store import NOW, ORG, Hand, a_scenario

from vivavoce.core.times import iso
from vivavoce.services.context import Context
from vivavoce.storage import scenarios

__all__ = ["ctx", "hand"]

HOUR_S = 3600
DRAFT = {"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Dublin", "suite": "smoke"}


@pytest.fixture
async def served(ctx: Context) -> AsyncGenerator[tuple[Context, httpx.AsyncClient]]:
    """A server with a suite of two tests, ``t-1`` and ``t-2``. It is 08:00 on 15 January 2027."""
    for number in (1, 2):
        one = a_scenario(id=f"t-{number}", suite="smoke")
        await ctx.database.write(lambda tx, one=one: scenarios.add(tx, ORG, one))
    woken: list[None] = []
    async with client_of(replace(ctx, wake=lambda: woken.append(None))) as client:
        yield ctx, client


Served = tuple[Context, httpx.AsyncClient]


async def made(client: httpx.AsyncClient, **given: Any) -> Any:
    answer = await client.post("/schedules", json=DRAFT | given)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_schedule_is_made_shown_and_listed(served: Served) -> None:
    _, client = served
    first = await made(client)
    assert first == {
        "id": first["id"],
        "name": "nightly",
        "cron": "30 2 * * *",
        "timezone": "Europe/Dublin",
        "suite": "smoke",
        "test_ids": [],
        "version_id": None,
        "priority": "scheduled",
        "missed": "skip",
        "grace_seconds": 300,
        "overlap": "allow",
        "paused": False,
        "created_at": iso(NOW),
        "updated_at": iso(NOW),
        "next_at": "2027-01-16T02:30:00.000Z",
        "last_firing": None,
        "next_firings": [f"2027-01-{day}T02:30:00+00:00" for day in range(16, 21)],
    }
    assert (await client.get(f"/schedules/{first['id']}")).json() == first
    second = await made(
        client,
        suite=None,
        test_ids=["t-2"],
        version_id="v-1",
        priority="batch",
        missed="all",
        grace_seconds=0,
        overlap="skip",
        paused=True,
    )
    assert (second["next_at"], second["next_firings"]) == (None, [])
    page = (await client.get("/schedules", params={"size": 1})).json()
    assert (page["page"], page["size"], page["total"]) == (1, 1, 2)
    del second["next_firings"]
    assert page["data"] == [second]


async def test_it_is_changed_paused_and_deleted(served: Served) -> None:
    _, client = served
    path = f"/schedules/{(await made(client))['id']}"
    changed = (await client.patch(path, json={"test_ids": ["t-2"], "timezone": "UTC"})).json()
    assert (changed["suite"], changed["test_ids"], changed["cron"]) == (None, ["t-2"], "30 2 * * *")
    changed = (await client.patch(path, json={"suite": "smoke", "grace_seconds": 9, "priority": "batch"})).json()
    assert (changed["suite"], changed["test_ids"]) == ("smoke", [])
    assert (changed["grace_seconds"], changed["priority"]) == (9, "batch")
    assert (await client.patch(path, json={})).json() == changed
    paused = (await client.post(f"{path}/pause")).json()
    assert (paused["paused"], paused["next_firings"]) == (True, [])
    assert (await client.post(f"{path}/resume")).json()["next_at"] == changed["next_at"]
    gone = await client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get(path)).status_code == 404
    assert (await client.get("/schedules")).json()["total"] == 0


async def test_it_fires_at_its_time_and_by_hand(served: Served, hand: Hand) -> None:
    ctx, client = served
    path = f"/schedules/{(await made(client))['id']}"
    fired = (await client.post(f"{path}/fire")).json()["last_firing"]
    assert fired == {
        "due_at": iso(NOW),
        "fired_at": iso(NOW),
        "outcome": "started",
        "batch_id": fired["batch_id"],
        "runs": 2,
        "reason": "",
    }
    hand.turn(19 * HOUR_S)
    await client.patch(path, json={"missed": "once"})
    assert await work_off(ctx) == []
    shown = (await client.get(path)).json()
    assert shown["last_firing"]["due_at"] == "2027-01-16T02:30:00.000Z"
    assert shown["last_firing"]["batch_id"] not in (None, fired["batch_id"])
    for number in (1, 2):
        await ctx.database.write(lambda tx, number=number: scenarios.drop(tx, ORG, f"t-{number}"))
    refused = await client.post(f"{path}/fire")
    assert (refused.status_code, "'smoke'" in refused.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("given", "status", "at"),
    [
        ({"cron": "30 2 * *"}, 400, "/cron"),
        ({"cron": "61 2 * * *"}, 400, "/cron"),
        ({"cron": "0 0 LW * */6"}, 400, "/cron"),
        ({"timezone": "Mars/Olympus"}, 400, "/timezone"),
        ({"suite": "nobody's"}, 400, "/suite"),
        ({"suite": None}, 400, "/suite"),
        ({"test_ids": ["t-1"]}, 400, "/suite"),
        ({"suite": None, "test_ids": ["t-9"]}, 400, "/test_ids"),
        ({"name": ""}, 422, "/body/name"),
        ({"name": None}, 422, "/body/name"),
        ({"cron": "a\x00b"}, 422, "/body/cron"),
        ({"cron": "x" * 256}, 422, "/body/cron"),
        ({"timezone": 3}, 422, "/body/timezone"),
        ({"test_ids": ["x"] * 1001}, 422, "/body/test_ids"),
        ({"priority": "urgent"}, 422, "/body/priority"),
        ({"missed": "some"}, 422, "/body/missed"),
        ({"grace_seconds": -1}, 422, "/body/grace_seconds"),
        ({"overlap": "never"}, 422, "/body/overlap"),
        ({"odd": 1}, 422, "/body/odd"),
    ],
)
async def test_what_is_refused_changes_nothing(served: Served, given: dict[str, Any], status: int, at: str) -> None:
    _, client = served
    answer = await client.post("/schedules", json=DRAFT | given)
    assert (answer.status_code, [place["at"] for place in answer.json()["error"]["places"]]) == (status, [at])
    assert (await client.get("/schedules")).json()["total"] == 0
    schedule = await made(client)
    answer = await client.patch(
        f"/schedules/{schedule['id']}", json=given | ({"suite": "smoke"} if "t-1" in str(given) else {})
    )
    assert answer.status_code == status
    assert (await client.get(f"/schedules/{schedule['id']}")).json() == schedule


async def test_half_a_schedule_is_refused(served: Served) -> None:
    _, client = served
    answer = await client.post("/schedules", json={"suite": "smoke"})
    assert answer.status_code == 422
    assert [place["at"] for place in answer.json()["error"]["places"]] == ["/body/name", "/body/cron"]


async def test_others_find_nothing(served: Served) -> None:
    ctx, client = served
    schedule = await made(client)
    path = f"/schedules/{schedule['id']}"
    async with client_of(ctx, "org-b") as theirs:
        assert (await theirs.get("/schedules")).json()["total"] == 0
        for method, place, body in (
            ("GET", path, None),
            ("PATCH", path, {"name": "stolen"}),
            ("POST", f"{path}/pause", None),
            ("POST", f"{path}/resume", None),
            ("POST", f"{path}/fire", None),
            ("DELETE", path, None),
        ):
            answer = await theirs.request(method, place, json=body)
            assert answer.status_code == 404, (method, place, answer.text)
        assert (await theirs.post("/schedules", json=DRAFT)).status_code == 400  # the suite is not theirs
    assert (await client.get(path)).json() == schedule
