"""Limits, faults and refusals of a provider: what is tried again, after which wait, and what it ends as."""

import asyncio
import socket
from email.utils import formatdate
from typing import Any

import pytest
from tests.models.conftest import KEY, NOW, Connect, Waits
from tests.models.test_openai import HELLO
from tests.support.endpoint import Endpoint

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.examination import tasks
from vivavoce.models import transport
from vivavoce.models.openai import OpenAIModel

BROKE = {"error": {"message": "pay first", "code": "insufficient_quota"}}


async def failing(model: OpenAIModel) -> ModelFailure:
    with pytest.raises(ModelFailure) as caught:
        await model.reply(HELLO)
    return caught.value


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 0.5),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": formatdate(NOW + 12, usegmt=True)}, 12.0),
        ({"Retry-After": formatdate(NOW - 12, usegmt=True)}, 0.0),
        ({"Retry-After": "86400"}, 30.0),
        ({"Retry-After": formatdate(NOW + 86400, usegmt=True)}, 30.0),
        ({"Retry-After": "soon"}, 0.5),
        ({"Retry-After": "-3"}, 0.5),
        ({"retry-after-ms": "nan"}, 0.5),
    ],
)
async def test_the_wait_that_was_asked_for_is_kept(
    endpoint: Endpoint, model: OpenAIModel, waits: Waits, headers: dict[str, str], wait: float
) -> None:
    endpoint.faults = [{"kind": "status", "status": 429, "headers": headers}]
    reply = await model.reply(HELLO)
    assert reply.usage.attempts == 2
    assert waits.seconds == [wait]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_transient_troubles_are_tried_again_with_growing_waits(
    endpoint: Endpoint, connect: Connect, waits: Waits, status: int
) -> None:
    endpoint.faults = [{"kind": "status", "status": status, "times": -1}]
    failure = await failing(connect(max_attempts=3))
    assert failure.trouble is Trouble.UNAVAILABLE
    assert f"answered {status}" in str(failure)
    assert "after 3 attempts" in str(failure)
    assert waits.seconds == [0.5, 1.0]
    assert len(endpoint.records) == 3


async def test_the_waits_are_capped(endpoint: Endpoint, connect: Connect, waits: Waits) -> None:
    endpoint.faults = [{"kind": "status", "status": 500, "times": -1}]
    await failing(connect(max_attempts=8))
    assert waits.seconds == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_refusals_are_final(endpoint: Endpoint, model: OpenAIModel, waits: Waits, status: int) -> None:
    endpoint.faults = [{"kind": "status", "status": status, "body": {"error": {"message": "no thanks"}}, "times": -1}]
    failure = await failing(model)
    assert failure.trouble is Trouble.REFUSED
    assert "no thanks" in str(failure)
    assert ("check the key" in str(failure)) is (status in (401, 403))
    assert (len(endpoint.records), waits.seconds) == (1, [])


@pytest.mark.parametrize(
    ("fault", "trouble", "words"),
    [
        ({"status": 501}, Trouble.UNAVAILABLE, "answered 501"),
        (
            {"status": 429, "body": {"error": {"message": "pay", "code": "insufficient_quota"}}},
            Trouble.UNAVAILABLE,
            "pay",
        ),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, Trouble.REFUSED, "redirects are not followed"),
    ],
)
async def test_hopeless_troubles_are_not_tried_again(
    endpoint: Endpoint, model: OpenAIModel, fault: dict[str, Any], trouble: Trouble, words: str
) -> None:
    endpoint.faults = [{"kind": "status", "times": -1, **fault}]
    failure = await failing(model)
    assert failure.trouble is trouble
    assert words in str(failure)
    assert len(endpoint.records) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("plain words", "plain words"),
        ({"detail": [{"loc": ["body"], "msg": "bad"}]}, "bad"),
        ({"message": "top level"}, "top level"),
        ({"error": "just a string"}, "just a string"),
        ({"code": 17}, '{"code": 17}'),
    ],
)
async def test_the_providers_words_are_passed_on(
    endpoint: Endpoint, model: OpenAIModel, body: object, words: str
) -> None:
    endpoint.faults = [{"kind": "status", "status": 400, "body": body}]
    assert words in str(await failing(model))


async def test_an_error_page_is_not_quoted(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [{"kind": "status", "status": 403, "body": "<html><h1>Blocked</h1></html>"}]
    assert "<h1>" not in str(await failing(model))


async def test_an_error_under_a_good_status_is_one(endpoint: Endpoint, model: OpenAIModel, waits: Waits) -> None:
    body = '{"error": {"code": 429, "message": "upstream is busy"}}'
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": body}]
    assert (await model.reply(HELLO)).usage.attempts == 2
    assert waits.seconds == [0.5]


async def test_a_provider_that_hangs_is_given_up(endpoint: Endpoint, connect: Connect, waits: Waits) -> None:
    endpoint.faults = [{"kind": "hang", "times": -1}]
    failure = await failing(connect(timeout_s=0.1, max_attempts=2))
    assert failure.trouble is Trouble.UNAVAILABLE
    assert "no answer within 0.1 s" in str(failure)
    assert waits.seconds == [0.5]


async def test_a_provider_that_trickles_is_given_up_too(endpoint: Endpoint, connect: Connect) -> None:
    # Every byte comes well within the timeout; the whole never would.
    endpoint.faults = [{"kind": "trickle"}]
    failure = await failing(connect(timeout_s=0.2, max_attempts=1))
    assert failure.trouble is Trouble.UNAVAILABLE
    assert "no answer within 0.2 s" in str(failure)


@pytest.mark.parametrize("kind", ["half", "reset"])
async def test_broken_connections_are_tried_again(
    endpoint: Endpoint, model: OpenAIModel, waits: Waits, kind: str
) -> None:
    endpoint.faults = [{"kind": kind}]
    assert (await model.reply(HELLO)).usage.attempts == 2
    assert waits.seconds == [0.5]


@pytest.mark.parametrize(
    ("kind", "words"), [("half", "in the middle of its answer"), ("reset", "could not be reached")]
)
async def test_broken_connections_end_as_unavailable(
    endpoint: Endpoint, connect: Connect, kind: str, words: str
) -> None:
    endpoint.faults = [{"kind": kind, "times": -1}]
    failure = await failing(connect(max_attempts=2))
    assert failure.trouble is Trouble.UNAVAILABLE
    assert words in str(failure)


async def test_nobody_listens(connect: Connect, waits: Waits) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        failure = await failing(connect(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1", max_attempts=2))
    assert failure.trouble is Trouble.UNAVAILABLE
    assert "could not be reached" in str(failure)
    assert waits.seconds == [0.5]


async def test_a_connection_that_is_not_secure_is_not_tried_again(endpoint: Endpoint, connect: Connect) -> None:
    failure = await failing(connect(base_url=endpoint.base_url.replace("http:", "https:")))
    assert failure.trouble is Trouble.UNAVAILABLE
    assert "could not be reached securely" in str(failure)
    assert "attempts" not in str(failure)


async def test_too_large_an_answer_is_not_read(
    endpoint: Endpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 60)
    model = connect()
    announced = {"kind": "garbage", "content_type": "application/json", "body": '{"choices": []}' + " " * 100}
    for fault, ask in ((announced, model.reply(HELLO)), ({"kind": "half"}, model.reply(HELLO)), ({}, _drain(model))):
        endpoint.faults = [fault] if fault else []
        with pytest.raises(ModelFailure, match="larger than") as caught:
            await ask
        assert caught.value.trouble is Trouble.GARBLED
    assert len(endpoint.records) == 3


async def test_no_more_requests_at_once_than_allowed(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.latency = 0.01
    model = connect(concurrency=3)
    await asyncio.gather(*(model.reply(HELLO) for _ in range(12)))
    assert len(endpoint.records) == 12
    assert endpoint.most == 3


async def test_a_wait_between_attempts_holds_no_place(endpoint: Endpoint, connect: Connect, waits: Waits) -> None:
    model = connect(concurrency=1)
    endpoint.faults = [{"kind": "status", "status": 429}]
    meanwhile: list[str] = []

    async def sleep(seconds: float) -> None:
        meanwhile.append((await model.reply(HELLO)).text)

    object.__setattr__(model._transport.pace, "sleep", sleep)
    assert (await model.reply(HELLO)).usage.attempts == 2
    assert meanwhile == ["answer 1 to: Hello?"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 401, "body": {"error": {"message": f"Incorrect API key provided: {KEY}"}}},
        {"kind": "status", "status": 500, "body": f"cannot use Bearer {KEY} here"},
        {"kind": "garbage", "body": f"<html>{KEY}"},
        {"kind": "hang"},
        {"kind": "reset"},
    ],
)
async def test_no_failure_tells_the_key(endpoint: Endpoint, connect: Connect, fault: dict[str, Any]) -> None:
    endpoint.faults = [{**fault, "times": -1}]
    model = connect(max_attempts=1, timeout_s=0.2)
    for ask in (model.reply(HELLO), model.decide(HELLO, tasks.TesterMove), _drain(model)):
        with pytest.raises(ModelFailure) as caught:
            await ask
        error: BaseException | None = caught.value
        while error is not None:
            assert KEY not in f"{error}{error!r}"
            error = error.__cause__
    assert KEY not in repr(model)
    assert KEY not in repr(model._transport)
    assert KEY not in repr(model._transport.provider)


async def _drain(model: OpenAIModel) -> None:
    async for _ in model.stream(HELLO):
        pass
