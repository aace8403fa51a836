import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.services.conftest import ctx, hand
from tests.support.duties import Carrier, work_off
from tests.support.store import NOW, ORG, a_version

from vivavoce.api.telnyx import inbound
from vivavoce.core.mind import Mind
from vivavoce.core.text import Text, TextStatus
from vivavoce.outbound.signing import Signer
from vivavoce.services import assistants, incoming, messaging
from vivavoce.services.context import Context
from vivavoce.services.messaging import Wish
from vivavoce.storage import keys
from vivavoce.storage.keys import Key
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.page import Window
from vivavoce.storage.texts import TextFilter

__all__ = ["ctx", "hand"]

AGENT, USER = "+15550100001", "+15550100002"
CARRIER = Signer(lambda: b"the carrier's key, 32 bytes long")
ECHO = 'on hear /(.+)/: say "You said $1."'


def event(kind: str = "message.received", **payload: Any) -> dict[str, Any]:
    given = {"id": "m-1", "from": {"phone_number": USER}, "to": [{"phone_number": AGENT}], "text": "hello", **payload}
    return {"data": {"event_type": kind, "payload": given}}


def signed(body: bytes, at: int = NOW) -> dict[str, str]:
    return CARRIER.headers("telnyx_", body, at)


@pytest.fixture
async def served(ctx: Context) -> AsyncGenerator[tuple[Context, httpx.AsyncClient]]:
    """The webhook of a server on which one assistant has the number."""
    draft = a_version(instructions=ECHO, mind=Mind("scripted"))
    assistant = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))
    key = Key("k", ORG, "key", "hint", 0)
    await ctx.database.write(lambda tx: keys.add(tx, key, "secret"))
    ctx = replace(ctx, numbers={AGENT: assistant.id}, messenger=Carrier())
    transport = httpx.ASGITransport(inbound.application(ctx, CARRIER.public_key))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield ctx, client


async def post(client: httpx.AsyncClient, body: Any, path: str = "/") -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(path, content=raw, headers=signed(raw))


async def kept(ctx: Context) -> list[Text]:
    page = await messaging.get_page(ctx, ORG, TextFilter(), Window())
    return list(reversed(page.items))


Served = tuple[Context, httpx.AsyncClient]


@pytest.mark.parametrize("path", ["/", "/webhooks/messages"])
async def test_a_message_is_taken_at_once_and_answered_after(served: Served, path: str) -> None:
    ctx, client = served
    answer = await post(client, event(), path)
    assert (answer.status_code, answer.content) == (200, b"")
    [text] = await kept(ctx)
    assert (text.sender, text.recipient, text.body, text.provider_id) == (USER, AGENT, "hello", "m-1")
    assert (await post(client, event())).status_code == 200  # carriers repeat themselves
    assert await work_off(ctx) == []
    assert [text.body for text in await kept(ctx)] == ["hello", "You said hello."]


async def test_what_is_not_signed_by_the_carrier_is_refused(served: Served) -> None:
    ctx, client = served
    body = json.dumps(event()).encode()
    good = signed(body)
    for headers in (
        {},
        {**good, "telnyx-signature-ed25519": "AAAA"},
        {**good, "telnyx-timestamp": str(NOW // 1000 + 1)},
        signed(body + b" "),
        signed(body, NOW - 301_000),
        Signer(lambda: bytes(32)).headers("telnyx_", body, NOW),
    ):
        answer = await client.post("/", content=body, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["code"] == "10010"
    transport = httpx.ASGITransport(inbound.application(ctx, ""))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as keyless:
        assert (await keyless.post("/", content=body, headers=good)).status_code == 403
    assert await kept(ctx) == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        event(id=None),
        event(id="x" * 256),
        event(to=[]),
        event(to=[{"phone_number": 3}]),
        event(to="nobody"),
        {"data": {"event_type": "message.received"}},
        event(to=[{"phone_number": "1" * 257}]),
    ],
)
async def test_what_is_no_message_is_refused(served: Served, body: Any) -> None:
    ctx, client = served
    assert (await post(client, body)).status_code == 400
    assert await kept(ctx) == []


@pytest.mark.parametrize(
    "body",
    [event("message.sent"), event("call.initiated"), {}, []],
)
async def test_what_is_of_no_interest_is_taken_and_forgotten(served: Served, body: Any) -> None:
    ctx, client = served
    assert (await post(client, body)).status_code == 200
    assert await kept(ctx) == []


async def test_what_comes_for_a_number_of_nobody_is_shown_to_the_operator(served: Served) -> None:
    ctx, client = served
    body = event(to=[{"phone_number": "+15550109999"}])
    for _ in range(2):
        assert (await post(client, body)).status_code == 200
    assert await kept(ctx) == []
    page = await messaging.get_page(ctx, DEFAULT, TextFilter(), Window())
    assert [(text.recipient, text.status, text.reason) for text in page.items] == [
        ("+15550109999", TextStatus.FAILED, incoming.NOBODY)
    ]


async def test_of_several_recipients_the_one_that_is_ours_counts(served: Served) -> None:
    ctx, client = served
    to = [{"phone_number": "+15550109999"}, {"phone_number": AGENT}]
    await post(client, event(to=to, text=None, media=[{"url": "https://a.example/x.png"}]))
    [text] = await kept(ctx)
    assert (text.recipient, text.body) == (AGENT, inbound.ATTACHMENT)


async def test_what_cannot_be_kept_is_shown_as_such(served: Served) -> None:
    ctx, client = served
    await post(client, event(text="a\x00b\ud800"))
    assert [text.body for text in await kept(ctx)] == ["a\ufffdb\ufffd"]


async def test_too_much_is_refused_before_it_is_looked_at(served: Served) -> None:
    _, client = served
    assert (await client.post("/", content=b"x" * (inbound.MAX_BODY + 1))).status_code == 413
    assert (await client.get("/")).status_code == 405


@pytest.mark.parametrize(
    ("told", "status", "reason"),
    [
        ("delivered", TextStatus.DELIVERED, ""),
        ("delivery_failed", TextStatus.FAILED, "delivery_failed; Landline; Bad"),
        ("delivery_unconfirmed", TextStatus.SENT, ""),
    ],
)
async def test_what_became_of_a_message(served: Served, told: str, status: TextStatus, reason: str) -> None:
    ctx, client = served
    wish = Wish(AGENT, USER, "Hi")
    text = await messaging.send(ctx, ORG, ctx.numbers[AGENT], wish)
    await work_off(ctx)
    errors = [{"detail": "Landline"}, {"title": "Bad"}, {}]
    body = event("message.finalized", id="carrier-1", to=[{"status": told}], errors=errors)
    assert (await post(client, body)).status_code == 200
    found = await messaging.retrieve(ctx, ORG, text.id)
    assert (found.status, found.reason) == (status, reason)
    for other in (event("message.finalized", id="unknown", to=[{"status": told}]), event("message.finalized", to=[])):
        assert (await post(client, other)).status_code == 200
