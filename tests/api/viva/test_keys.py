import re
from typing import Any

import pytest
from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand

from vivavoce.services import keys
from vivavoce.services.context import Context
from vivavoce.storage.orgs import DEFAULT

__all__ = ["ctx", "hand"]


async def test_a_key_is_made_listed_and_revoked(ctx: Context) -> None:
    async with client_of(ctx, DEFAULT) as client:
        assert (await client.get("/keys")).json() == {"data": [], "page": 1, "size": 20, "total": 0}
        made: list[dict[str, Any]] = []
        for scope in ("admin", "run"):
            answer = await client.post("/keys", json={"name": f"for {scope}", "scope": scope})
            assert answer.status_code == 201
            assert answer.headers["cache-control"] == "no-store"
            made.insert(0, answer.json())
        runner, admin = made
        assert re.fullmatch(r"viva_[\w-]{43}", runner["key"])
        assert runner["hint"] == runner["key"][-4:]
        assert (runner["name"], runner["scope"], runner["revoked_at"]) == ("for run", "run", None)
        opened = await keys.check(ctx.database, runner["key"])
        assert opened is not None
        assert (opened.org, opened.scope) == (DEFAULT, "run")

        # The secret is shown once.
        page = (await client.get("/keys", params={"size": 1})).json()
        assert page == {"data": [{k: v for k, v in runner.items() if k != "key"}], "page": 1, "size": 1, "total": 2}
        assert [one["id"] for one in (await client.get("/keys", params={"size": 1, "page": 2})).json()["data"]] == [
            admin["id"]
        ]

        answer = await client.delete(f"/keys/{runner['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.delete(f"/keys/{runner['id']}")).status_code == 404
        assert (await client.get("/keys")).json()["data"][0]["revoked_at"] is not None
        last = await client.delete(f"/keys/{admin['id']}")
        assert last.status_code == 409
        assert "last key" in last.json()["error"]["message"]
        assert await keys.check(ctx.database, admin["key"]) is not None


async def test_keys_of_others_are_not_there(ctx: Context) -> None:
    async with client_of(ctx, DEFAULT) as client:
        made = [(await client.post("/keys", json={"name": "key", "scope": "admin"})).json() for _ in range(2)]
    async with client_of(ctx, "org-b") as strangers:
        assert (await strangers.get("/keys")).json()["total"] == 0
        assert (await strangers.delete(f"/keys/{made[0]['id']}")).status_code == 404
        # Nor is one made in an organisation that was deleted in this moment.
        assert (await strangers.post("/keys", json={"name": "key", "scope": "admin"})).status_code == 404
    assert await keys.check(ctx.database, made[0]["key"]) is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "key"}, 422),
        ({"scope": "run"}, 422),
        ({"name": "", "scope": "run"}, 422),
        ({"name": "key", "scope": "owner"}, 422),
        ({"name": "key", "scope": "run", "org": "default"}, 422),
        ({"name": "a\nb", "scope": "run"}, 400),
        ({"name": "a\x00b", "scope": "run"}, 400),
    ],
)
async def test_what_is_no_key_is_refused(ctx: Context, body: Any, status: int) -> None:
    async with client_of(ctx, DEFAULT) as client:
        answer = await client.post("/keys", json=body)
        assert answer.status_code == status
        assert "name" in answer.text or "scope" in answer.text or "org" in answer.text
    assert await keys.get_all(ctx.database) == ()
