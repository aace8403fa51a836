"""Chat completions handed on: one attempt, unchanged, in time."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest
from tests.models.conftest import KEY, Waits, through
from tests.support.endpoint import Endpoint

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.models.config import Provider
from vivavoce.models.relay import relayed, relayed_stream
from vivavoce.models.transport import Transport

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hé?"}], "min_p": 0.25, "odd": {"a": 1}}
STREAMED = {**ASKED, "stream": True}


@pytest.fixture
async def transport(endpoint: Endpoint, waits: Waits) -> AsyncGenerator[Transport]:
    async with aiohttp.ClientSession() as session:
        yield Transport(Provider("local", endpoint.base_url, KEY, timeout_s=5.0), through(session), waits.pace)


async def streamed(transport: Transport, within_s: float = 5.0) -> list[bytes]:
    return await rest(relayed_stream(transport, STREAMED, within_s=within_s))


async def rest(stream: AsyncGenerator[bytes]) -> list[bytes]:
    return [piece async for piece in stream]


async def test_question_and_answer_are_unchanged(endpoint: Endpoint, transport: Transport) -> None:
    written = '{ "choices": [ {"message": {"content": "Yes", "reasoning": "…"}} ],\n "odd": 1.50 }'
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": written}]
    assert await relayed(transport, ASKED, within_s=5.0) == written.encode()
    [request] = endpoint.requests
    assert request["body"] == ASKED
    assert request["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("fault", "trouble", "words"),
    [
        ({"status": 400, "body": {"error": {"message": "min_p: no"}}}, Trouble.REFUSED, "answered 400: min_p: no"),
        ({"status": 401}, Trouble.REFUSED, "check the key of provider local"),
        ({"status": 429}, Trouble.UNAVAILABLE, "answered 429"),
        ({"status": 503}, Trouble.UNAVAILABLE, "answered 503"),
        ({"kind": "reset"}, Trouble.UNAVAILABLE, "could not be reached"),
        ({"kind": "half"}, Trouble.UNAVAILABLE, "broke off"),
        ({"kind": "garbage"}, Trouble.GARBLED, "a page"),
        ({"kind": "hang"}, Trouble.UNAVAILABLE, "gave no answer within 0.2 s"),
        (
            {"kind": "garbage", "content_type": "application/json", "body": '{"error": {"message": "busy"}}'},
            Trouble.UNAVAILABLE,
            "busy",
        ),
    ],
)
async def test_a_failure_is_told_at_once(
    endpoint: Endpoint, transport: Transport, waits: Waits, fault: dict[str, Any], trouble: Trouble, words: str
) -> None:
    whole = {"kind": "status", **fault, "times": -1}
    endpoint.faults = [whole]
    with pytest.raises(ModelFailure, match=words) as caught:
        await relayed(transport, ASKED, within_s=0.2)
    assert caught.value.trouble is trouble
    if whole["kind"] != "half":  # half a stream has begun
        with pytest.raises(ModelFailure, match=words) as caught:
            await streamed(transport, within_s=0.2)
        assert caught.value.trouble is trouble
    assert len(endpoint.records) == (1 if whole["kind"] == "half" else 2)
    assert waits.seconds == []
    assert KEY not in str(caught.value)


async def test_a_stream_is_unchanged(endpoint: Endpoint, transport: Transport) -> None:
    written = ': hello\n\nevent: x\ndata: {"choices": [ {"delta": {"content": "Hé"}} ]}\r\n\r\ndata: [DONE]\n\n'
    endpoint.faults = [{"kind": "garbage", "content_type": "text/event-stream", "body": written}]
    assert b"".join(await streamed(transport)) == written.encode()
    assert endpoint.bodies() == [STREAMED]


async def test_half_a_stream_fails_after_its_pieces(endpoint: Endpoint, transport: Transport) -> None:
    endpoint.faults = [{"kind": "half"}]
    stream = relayed_stream(transport, STREAMED, within_s=5.0)
    assert (await anext(stream)).startswith(b"data: ")
    with pytest.raises(ModelFailure, match="broke off"):
        await rest(stream)


async def test_a_server_that_does_not_stream_is_one_piece(endpoint: Endpoint, transport: Transport) -> None:
    written = json.dumps({"choices": [{"message": {"content": "All of it."}}]})
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": written}]
    assert await streamed(transport) == [written.encode()]


async def test_an_empty_stream_is_none(endpoint: Endpoint, transport: Transport) -> None:
    endpoint.faults = [{"kind": "garbage", "content_type": "text/event-stream", "body": ""}]
    with pytest.raises(ModelFailure, match="broke off"):
        await streamed(transport)
