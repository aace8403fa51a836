"""Webhooks that go out: a real request to a real server, checked by the verifier of the vendor's own SDK."""

import json
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from telnyx import Telnyx
from tests.outbound.local_server import LOCAL, Seen, always, raw_serving, serving
from tests.support.store import ORG, Hand

from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard
from vivavoce.services import deliveries
from vivavoce.services.context import Context
from vivavoce.services.deliveries import NotTaken
from vivavoce.storage import duties
from vivavoce.storage.duties import Duty

PAYLOAD = {"data": {"event_type": "call.conversation.ended", "id": "1", "payload": {"words": "Grüße 👋 \ud800"}}}


@pytest.fixture
async def local(ctx: Context, hand: Hand) -> AsyncGenerator[Context]:
    """The context of a server that may call this machine, and whose clock is right."""
    hand.ms = int(time.time() * 1000)
    async with open_session(LOCAL, ticks=hand.ticks) as session:
        yield replace(ctx, outbound=session)


@pytest.fixture
def verifier() -> Telnyx:
    return Telnyx(api_key="none", base_url="http://127.0.0.1:9", max_retries=0)


async def wanted(ctx: Context, url: str, subject: str = "ended of c1", **payload: Any) -> Duty:
    """The duty as whoever performs it gets it."""

    def work(tx: Any) -> Duty:
        deliveries.want(ctx, tx, ORG, subject, url, "telnyx_", payload or PAYLOAD)
        [duty] = duties.take(tx, ctx.clock.now(), 0, "token", 1000, 10)
        return duty

    return await ctx.database.write(work)


def unwrapped(verifier: Telnyx, ctx: Context, seen: Seen) -> Any:
    return verifier.webhooks.unwrap(seen.body.decode(), headers=seen.headers, key=ctx.signer.public_key)


async def test_rule_6_8_what_is_sent_passes_the_vendor_s_own_verifier(local: Context, verifier: Telnyx) -> None:
    async with serving(always({})) as server:
        await deliveries.perform(local, await wanted(local, f"{server.url}/hook?a=b"))
        [seen] = server.seen
    assert (seen.method, seen.target) == ("POST", "/hook?a=b")
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == PAYLOAD
    event = unwrapped(verifier, local, seen)
    assert event.data.event_type == "call.conversation.ended"
    forged = replace(seen, body=seen.body.replace(b"ended", b"begun"))
    with pytest.raises(ValueError, match="signature does not match"):
        unwrapped(verifier, local, forged)
    with pytest.raises(ValueError, match="Missing required header"):
        unwrapped(verifier, local, replace(seen, headers={}))


async def test_every_attempt_is_signed_anew_and_bears_the_same_key(
    local: Context, hand: Hand, verifier: Telnyx
) -> None:
    async with serving(always({}, 500)) as server:
        duty = await wanted(local, server.url)
        with pytest.raises(NotTaken, match="500"):
            await deliveries.perform(local, duty)
        hand.turn(-200)
        server.reply = always({})
        await deliveries.perform(local, duty)
        first, second = server.seen
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == duty.id
    assert int(first.headers["telnyx-timestamp"]) - int(second.headers["telnyx-timestamp"]) == 200
    assert unwrapped(verifier, local, first) == unwrapped(verifier, local, second)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 301, 307])
async def test_it_is_tried_again_where_that_can_help(local: Context, status: int) -> None:
    async with serving(always({}, status)) as server:
        with pytest.raises(NotTaken, match=str(status)):
            await deliveries.perform(local, await wanted(local, f"{server.url}?token=sesame"))


async def test_a_redirect_is_not_followed(local: Context) -> None:
    def elsewhere(_: Seen) -> web.Response:
        return web.Response(status=307, headers={"location": "/other"})

    async with serving(elsewhere) as server:
        with pytest.raises(NotTaken):
            await deliveries.perform(local, await wanted(local, server.url))
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [200, 202, 204, 404, 410])
async def test_it_is_not_tried_again_where_it_was_taken_or_is_not_wanted(local: Context, status: int) -> None:
    async with serving(always({}, status)) as server:
        await deliveries.perform(local, await wanted(local, server.url))
        assert len(server.seen) == 1


async def test_a_long_answer_is_an_answer(local: Context) -> None:
    async with serving(always({"words": "x" * 100_000})) as server:
        await deliveries.perform(local, await wanted(local, server.url))


async def test_a_server_that_hangs_up_is_tried_again(local: Context) -> None:
    async def talk(_: Any) -> None:
        return None

    async with raw_serving(talk) as url:
        with pytest.raises(NotTaken):
            await deliveries.perform(local, await wanted(local, url))


async def test_rule_6_8_addresses_that_may_not_be_called_are_not(
    ctx: Context, hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(always({})) as server, open_session(Guard(), ticks=hand.ticks) as session:
        guarded = replace(ctx, outbound=session)
        for url in (f"{server.url}/?token=sesame", server.url.replace("127.0.0.1", "localhost"), "ftp://a", "x"):
            await deliveries.perform(guarded, await wanted(guarded, url, subject=url))
        assert server.seen == []
    told = capsys.readouterr().out
    assert told.count("a webhook may not be sent") == 4
    assert "sesame" not in told


async def test_wanting_it_twice_sends_it_once_and_as_it_was_wanted_last(local: Context) -> None:
    def work(tx: Any) -> tuple[Duty, ...]:
        for number in (1, 2):
            deliveries.want(local, tx, ORG, "one", "http://a.example", "telnyx_", {"number": number})
        return duties.take(tx, local.clock.now(), 0, "token", 1000, 10)

    [duty] = await local.database.write(work)
    assert (duty.kind, json.loads(duty.body)["payload"]) == (deliveries.KIND, {"number": 2})
