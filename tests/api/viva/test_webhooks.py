"""The webhooks' part of the server's own API."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand
from tests.support.store import NOW, only_sqlite

from vivavoce.core.times import iso
from vivavoce.services.context import Context

__all__ = ["ctx", "hand"]
pytestmark = only_sqlite

URL = "https://ci.example.com/hook"


@pytest.fixture
async def client(ctx: Context) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(ctx) as client:
        yield client


async def test_webhooks_are_made_shown_listed_and_removed(ctx: Context, client: httpx.AsyncClient) -> None:
    answer = await client.post("/webhooks", json={"url": URL, "kinds": ["batch.completed", "batch.completed"]})
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "url": URL,
        "kinds": ["batch.completed"],
        "public_key": ctx.signer.public_key,
        "created_at": iso(NOW),
    }
    assert (await client.get(f"/webhooks/{made['id']}")).json() == made
    every = (await client.post("/webhooks", json={"url": URL})).json()
    assert every["kinds"] == ["run.completed", "batch.completed"]
    page = (await client.get("/webhooks", params={"size": 1})).json()
    assert page == {"data": [every], "page": 1, "size": 1, "total": 2}
    assert (await client.delete(f"/webhooks/{made['id']}")).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await client.request(method, f"/webhooks/{made['id']}")).status_code == 404
    async with client_of(ctx, "org-b") as theirs:
        assert (await theirs.get("/webhooks")).json()["total"] == 0
        assert (await theirs.post(f"/webhooks/{every['id']}/test")).status_code == 404


async def test_a_trial_says_what_came_of_it(client: httpx.AsyncClient) -> None:
    # A name that leads to this machine, as is found out only now.
    made = (await client.post("/webhooks", json={"url": "http://localhost:9/x"})).json()
    tried = (await client.post(f"/webhooks/{made['id']}/test")).json()
    assert (tried["taken"], tried["status"]) == (False, None)
    assert "not a public address" in tried["reason"]


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({}, 422, "/body/url"),
        ({"url": ""}, 422, "/body/url"),
        ({"url": "https://a b"}, 422, "/body/url"),
        ({"url": "https://a.example/" + "x" * 2048}, 422, "/body/url"),
        ({"url": URL, "kinds": []}, 422, "/body/kinds"),
        ({"url": URL, "kinds": ["run.started"]}, 422, "/body/kinds/0"),
        ({"url": URL, "odd": 1}, 422, "/body/odd"),
        ({"url": "ftp://a.example"}, 400, "/url"),
        ({"url": "http://169.254.169.254/"}, 400, "/url"),
        ({"url": "https://me:secret@a.example"}, 400, "/url"),
    ],
)
async def test_bad_webhooks(client: httpx.AsyncClient, body: Any, status: int, at: str) -> None:
    answer = await client.post("/webhooks", json=body)
    assert answer.status_code == status
    assert [place["at"] for place in answer.json()["error"]["places"]] == [at]
    assert (await client.get("/webhooks")).json()["total"] == 0
