from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.services.conftest import ctx, hand
from tests.support.duties import Carrier, work_off
from tests.support.store import ORG, a_version

from vivavoce.api.viva.application import application, render
from vivavoce.core.mind import Mind
from vivavoce.services import assistants, messaging
from vivavoce.services.context import Context
from vivavoce.services.messaging import Wish

__all__ = ["ctx", "hand"]

AGENT, USER = "+15550100001", "+15550100002"
ECHO = 'on hear /(.+)/: say "You said $1."'


def client_of(ctx: Context, org: str = ORG) -> httpx.AsyncClient:
    """A client behind the gate."""
    app = application(ctx)

    async def admitted(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {}).update(org=org, request_id="r-1", body=b"")
        await app(scope, receive, send)

    transport = httpx.ASGITransport(admitted, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://here")


@pytest.fixture
async def served(ctx: Context) -> AsyncGenerator[tuple[Context, httpx.AsyncClient]]:
    """A server on which one assistant has the number."""
    draft = a_version(instructions=ECHO, mind=Mind("scripted"))
    assistant = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))
    ctx = replace(ctx, numbers={AGENT: assistant.id})
    async with client_of(ctx) as client:
        yield ctx, client


Served = tuple[Context, httpx.AsyncClient]


async def test_a_conversation_by_text_messages(served: Served) -> None:
    ctx, client = served
    sent = await messaging.send(ctx, ORG, ctx.numbers[AGENT], Wish(AGENT, USER, "Your order is here."))
    await work_off(ctx)
    answer = await client.post("/inbox", json={"from": USER, "to": AGENT, "text": "Thanks"})
    assert answer.status_code == 201
    arrived = answer.json()
    assert arrived["conversation_id"] == sent.conversation_id
    assert (arrived["direction"], arrived["channel"], arrived["status"]) == ("inbound", "sms_chat", "received")
    await work_off(ctx)
    page = (await client.get("/inbox", params={"conversation_id": sent.conversation_id})).json()
    assert (page["page"], page["size"], page["total"]) == (1, 20, 3)
    assert [(one["from"], one["to"], one["text"], one["status"]) for one in page["data"]] == [
        (AGENT, USER, "You said Thanks.", "sent"),
        (USER, AGENT, "Thanks", "handled"),
        (AGENT, USER, "Your order is here.", "sent"),
    ]
    newest = page["data"][0]
    assert newest["created_at"].endswith("Z")
    assert (await client.get(f"/inbox/{newest['id']}")).json() == newest


async def test_the_list_is_filtered_and_paged(served: Served) -> None:
    _, client = served
    for number in range(3):
        await client.post("/inbox", json={"from": f"+1555010001{number}", "to": AGENT, "text": str(number)})

    async def texts(**params: Any) -> list[str]:
        return [one["text"] for one in (await client.get("/inbox", params=params)).json()["data"]]

    assert await texts() == ["2", "1", "0"]
    assert await texts(number="+15550100011") == ["1"]
    assert await texts(direction="outbound") == []
    assert await texts(page=2, size=2) == ["0"]


async def test_the_same_message_twice_is_one(served: Served) -> None:
    _, client = served
    body = {"from": USER, "to": AGENT, "text": "Hi", "id": "m-1", "channel": "whatsapp_chat"}
    first, second = [(await client.post("/inbox", json=body)).json() for _ in range(2)]
    assert first == second
    assert (first["provider_id"], first["channel"]) == ("m-1", "whatsapp_chat")


async def test_where_a_carrier_brings_the_messages_nobody_else_does(served: Served) -> None:
    ctx, _ = served
    async with client_of(replace(ctx, messenger=Carrier())) as client:
        answer = await client.post("/inbox", json={"from": USER, "to": AGENT, "text": "Hi"})
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == 400
    assert "loopback" in answer.json()["error"]["message"]


async def test_others_find_nothing(served: Served) -> None:
    ctx, client = served
    id_ = (await client.post("/inbox", json={"from": USER, "to": AGENT, "text": "Hi"})).json()["id"]
    async with client_of(ctx, "org-b") as theirs:
        assert (await theirs.get("/inbox")).json()["total"] == 0
        missing = await theirs.get(f"/inbox/{id_}")
        nobody = (await theirs.post("/inbox", json={"from": USER, "to": AGENT, "text": "Hi"})).json()
    assert missing.status_code == 404
    assert missing.json() == {"error": {"status": 404, "message": f"text message '{id_}' was not found.", "places": []}}
    assert nobody["status"] == "failed"


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"to": AGENT, "text": "x"}, "/body/from"),
        ({"from": "", "to": AGENT, "text": "x"}, "/body/from"),
        ({"from": USER, "to": 3, "text": "x"}, "/body/to"),
        ({"from": USER, "to": AGENT, "text": "a\x00b"}, "/body/text"),
        ({"from": USER, "to": AGENT, "text": "x", "channel": "fax"}, "/body/channel"),
        ({"from": USER, "to": AGENT, "text": "x", "id": ""}, "/body/id"),
        ({"from": USER, "to": AGENT, "text": "x", "odd": 1}, "/body/odd"),
    ],
)
async def test_bad_messages(served: Served, body: Any, at: str) -> None:
    _, client = served
    answer = await client.post("/inbox", json=body)
    assert answer.status_code == 422
    assert [place["at"] for place in answer.json()["error"]["places"]] == [at]
    assert (await client.get("/inbox")).json()["total"] == 0


async def test_half_a_surrogate_is_refused(served: Served) -> None:
    _, client = served
    raw = b'{"from": "+1", "to": "+2", "text": "\\ud800"}'
    answer = await client.post("/inbox", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize("query", ["page=0", "size=101", "direction=up", f"page={2**31}"])
async def test_bad_queries(served: Served, query: str) -> None:
    _, client = served
    answer = await client.get(f"/inbox?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["places"][0]["at"] == f"/query/{query.partition('=')[0]}"


async def test_unknown_paths_and_defects_are_answered_in_the_one_shape(served: Served) -> None:
    ctx, client = served
    assert (await client.get("/nothing")).json() == {"error": {"status": 404, "message": "Not Found", "places": []}}
    assert (await client.delete("/inbox")).json()["error"]["status"] == 405
    async with client_of(replace(ctx, database=None)) as broken:  # type: ignore[arg-type]
        answer = await broken.get("/inbox")
    assert answer.status_code == 500
    assert "r-1" in answer.json()["error"]["message"]
    assert render(401, "No key.", "/header/authorization") == {
        "error": {
            "status": 401,
            "message": "No key.",
            "places": [{"at": "/header/authorization", "message": "No key."}],
        }
    }
