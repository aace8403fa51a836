from collections.abc import AsyncGenerator
from typing import Any

import pytest
from aiohttp import web
from tests.outbound.local_server import LOCAL, Seen, Server, StepClock, always, serving

from vivavoce.api.telnyx.messenger import BASE_URL, ApiMessenger
from vivavoce.channels.messenger import NotSent, Outgoing
from vivavoce.core.scenario import Medium
from vivavoce.outbound.fetch import Session, open_session
from vivavoce.outbound.guard import Guard

MESSAGE = Outgoing("+15550100001", "+15550100002", "Grüße", "text-1")


@pytest.fixture
async def session() -> AsyncGenerator[Session]:
    async with open_session(LOCAL, ticks=StepClock().ticks) as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving(always({})) as server:
        yield server


async def test_a_message_is_posted_and_its_id_is_kept(session: Session, server: Server) -> None:
    seen: list[Seen] = []

    def reply(request: Seen) -> web.StreamResponse:
        seen.append(request)
        return web.json_response({"data": {"id": "m-1", "record_type": "message"}})

    server.reply = reply
    messenger = ApiMessenger(session, f"{server.url}/v2/", "KEY123")
    assert await messenger.send(MESSAGE) == "m-1"
    [request] = seen
    assert (request.method, request.target) == ("POST", "/v2/messages")
    assert request.json == {"from": "+15550100001", "to": "+15550100002", "text": "Grüße"}
    assert request.headers["Authorization"] == "Bearer KEY123"
    assert request.headers["Idempotency-Key"] == "text-1"


@pytest.mark.parametrize(
    ("status", "body", "final", "told"),
    [
        (400, {"errors": [{"code": "1", "title": "Bad", "detail": "Invalid 'to' address"}]}, True, "Invalid 'to'"),
        (401, {"errors": [{"title": "Unauthorized"}]}, True, "401: Unauthorized"),
        (422, {"errors": [3]}, True, "422"),
        (404, {"errors": "none"}, True, "404"),
        (302, {}, True, "302"),
        (408, {}, False, "408"),
        (409, {}, False, "409"),
        (429, {"errors": []}, False, "429"),
        (503, {}, False, "503"),
    ],
)
async def test_what_it_refuses_for_good_and_what_is_worth_another_try(
    session: Session, server: Server, status: int, body: Any, final: bool, told: str
) -> None:
    server.reply = always(body, status)
    with pytest.raises(NotSent, match=told) as failure:
        await ApiMessenger(session, server.url, "k").send(MESSAGE)
    assert failure.value.final is final


@pytest.mark.parametrize("body", [{}, [], {"data": None}, {"data": {"id": 7}}, {"data": {"id": "x" * 256}}])
async def test_an_answer_without_an_id_is_an_answer(session: Session, server: Server, body: Any) -> None:
    server.reply = always(body)
    assert await ApiMessenger(session, server.url, "k").send(MESSAGE) == "text-1"
    server.reply = lambda _: web.Response(text="not JSON")
    assert await ApiMessenger(session, server.url, "k").send(MESSAGE) == "text-1"


async def test_nobody_there_is_worth_another_try(session: Session, server: Server) -> None:
    def hangs_up(_request: Seen) -> web.StreamResponse:
        raise ConnectionResetError

    server.reply = hangs_up
    with pytest.raises(NotSent) as failure:
        await ApiMessenger(session, "http://127.0.0.1:1", "k").send(MESSAGE)
    assert not failure.value.final


async def test_an_address_that_may_not_be_called_never_will_be() -> None:
    async with open_session(Guard(), ticks=StepClock().ticks) as guarded:
        with pytest.raises(NotSent) as failure:
            await ApiMessenger(guarded, "http://127.0.0.1:1", "k").send(MESSAGE)
    assert failure.value.final


def test_it_carries_sms_from_its_usual_place(session: Session) -> None:
    messenger = ApiMessenger(session, "", "k")
    assert messenger._url == f"{BASE_URL}/messages"
    assert [medium for medium in Medium if messenger.carries(medium)] == [Medium.SMS_CHAT]
    assert messenger.name
