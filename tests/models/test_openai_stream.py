"""Answers that come in pieces."""

import json
from contextlib import aclosing
from typing import Any, cast

import aiohttp
import pytest
from tests.models.conftest import Connect, Waits, through
from tests.models.test_openai import HELLO
from tests.support.endpoint import Endpoint

from vivavoce.core.event import ToolCall, Usage
from vivavoce.core.model import ModelFailure, Reply, Trouble
from vivavoce.models.config import Provider
from vivavoce.models.openai import OpenAIModel
from vivavoce.models.transport import Transport


async def heard(model: OpenAIModel) -> tuple[list[str], Reply]:
    items = [item async for item in model.stream(HELLO)]
    assert isinstance(items[-1], Reply)
    assert all(isinstance(item, str) for item in items[:-1])
    return cast("list[str]", items[:-1]), items[-1]


def events(*pieces: object, end: str = "data: [DONE]\n\n") -> dict[str, Any]:
    lines = [piece if isinstance(piece, str) else f"data: {json.dumps(piece)}\n\n" for piece in pieces]
    return {"kind": "garbage", "content_type": "text/event-stream", "body": "".join(lines) + end}


def delta(finish: str | None = None, **fields: object) -> dict[str, Any]:
    return {"choices": [{"delta": fields, "finish_reason": finish}]}


def part(call: dict[str, Any], **more: object) -> dict[str, Any]:
    return delta(tool_calls=[{"function": call, **more}])


async def test_words_come_one_by_one_and_then_the_whole(endpoint: Endpoint, model: OpenAIModel) -> None:
    pieces, reply = await heard(model)
    assert pieces == ["answer ", "1 ", "to: ", "Hello?"]
    assert reply == Reply("answer 1 to: Hello?", (), Usage("local/m-1", 4, 5, attempts=1))
    (body,) = endpoint.bodies()
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


async def test_calls_are_put_together(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.behaviours = [{"call": {"name": "find", "arguments": {"city": "Köln", "deep": [1, {"a": None}]}}}]
    pieces, reply = await heard(model)
    assert pieces == []
    assert reply.calls == (ToolCall("call_find", "find", {"city": "Köln", "deep": [1, {"a": None}]}),)


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [
                part({"name": "a", "arguments": '{"x":'}, index=0, id="1"),
                part({"name": "b"}, index=1, id="2"),
                part({"arguments": "1}"}, index=0),
                part({"arguments": "{}"}, index=1),
            ],
            [ToolCall("1", "a", {"x": 1}), ToolCall("2", "b", {})],
            id="interleaved",
        ),
        pytest.param(
            [
                part({"name": "a", "arguments": "{}"}, index=0, id="1"),
                part({"name": "b", "arguments": "{}"}, index=0, id="2"),
            ],
            [ToolCall("1", "a", {}), ToolCall("2", "b", {})],
            id="all numbered zero",
        ),
        pytest.param(
            [
                part({"name": "a", "arguments": '{"x":'}, id="1"),
                part({"name": "a", "arguments": "2}"}, id="1"),
                part({"name": "b", "arguments": {"y": 3}}, id="2"),
            ],
            [ToolCall("1", "a", {"x": 2}), ToolCall("2", "b", {"y": 3})],
            id="no numbers",
        ),
        pytest.param(
            [
                part({"name": "a", "arguments": "{}"}),
                part({"name": "b", "arguments": '{"z"'}),
                part({"arguments": ": 4}"}),
            ],
            [ToolCall("call_0", "a", {}), ToolCall("call_1", "b", {"z": 4})],
            id="no numbers and no ids",
        ),
    ],
)
async def test_fragments_of_odd_servers(
    endpoint: Endpoint, model: OpenAIModel, pieces: list[object], calls: list[ToolCall]
) -> None:
    endpoint.faults = [events(*pieces, delta("tool_calls"))]
    _, reply = await heard(model)
    assert list(reply.calls) == calls


async def test_comments_and_windows_line_ends_are_no_trouble(endpoint: Endpoint, model: OpenAIModel) -> None:
    odd = events(
        ": ping\r\n\r\n", "event: message\r\nid: 7\r\n", 'data:{"choices":[{"delta":{"content":"Hé"}}]}\r\n\r\n'
    )
    endpoint.faults = [{**odd, "content_type": "text/plain"}]
    assert (await heard(model))[1].text == "Hé"


async def test_the_last_count_of_tokens_counts(endpoint: Endpoint, model: OpenAIModel) -> None:
    counted = [
        {**delta(content=word), "usage": {"prompt_tokens": 9, "completion_tokens": n}} for n, word in enumerate("ab")
    ]
    endpoint.faults = [events(*counted)]
    assert (await heard(model))[1].usage == Usage("local/m-1", 9, 1, attempts=1)


@pytest.mark.parametrize("end", ["", 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}'])
async def test_an_end_is_said_by_a_reason_or_by_done(endpoint: Endpoint, connect: Connect, end: str) -> None:
    endpoint.faults = [events(delta(content="Hi"), end=end)]
    if end:
        assert (await heard(connect()))[1].text == "Hi"
    else:
        with pytest.raises(ModelFailure, match="in the middle of its answer"):
            await heard(connect())


async def test_a_server_that_does_not_stream(endpoint: Endpoint, model: OpenAIModel) -> None:
    call = {"id": "1", "function": {"name": "find", "arguments": "{}"}}
    whole = {"choices": [{"message": {"content": "All of it.", "tool_calls": [call]}}], "usage": {"prompt_tokens": 3}}
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": json.dumps(whole, indent=1)}]
    pieces, reply = await heard(model)
    assert pieces == ["All of it."]
    assert reply == Reply("All of it.", (ToolCall("1", "find", {}),), Usage("local/m-1", 3, 0))


async def test_half_a_stream_after_words_is_not_begun_again(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [{"kind": "half"}]
    with pytest.raises(ModelFailure) as caught:
        await heard(model)
    assert caught.value.trouble is Trouble.UNAVAILABLE
    assert len(endpoint.records) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "reset"},
        events(end=""),
        events({"error": {"message": "overloaded", "code": 529}}),
        events(delta(role="assistant", content=""), end=""),
    ],
)
async def test_trouble_before_the_first_word_is_tried_again(
    endpoint: Endpoint, model: OpenAIModel, waits: Waits, fault: dict[str, Any]
) -> None:
    endpoint.faults = [fault]
    assert (await heard(model))[1].usage.attempts == 2
    assert waits.seconds == [0.5]


@pytest.mark.parametrize(
    "fault",
    [events("data: {nonsense\n\n"), {"kind": "garbage"}, events(part({"name": "a", "arguments": "[]"}), delta("stop"))],
)
async def test_unreadable_twice_is_garbled(endpoint: Endpoint, model: OpenAIModel, fault: dict[str, Any]) -> None:
    endpoint.faults = [{**fault, "times": -1}]
    with pytest.raises(ModelFailure) as caught:
        await heard(model)
    assert caught.value.trouble is Trouble.GARBLED
    assert len(endpoint.records) == 2


async def test_an_error_after_words_is_a_failure(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [events(delta(content="Well"), {"error": {"message": "lost it"}})]
    with pytest.raises(ModelFailure, match="lost it"):
        await heard(model)
    assert len(endpoint.records) == 1


async def test_a_stream_that_trickles_is_given_up(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.faults = [{"kind": "trickle"}]
    with pytest.raises(ModelFailure, match=r"no answer within 0\.2 s"):
        await heard(connect(timeout_s=0.2, max_attempts=1))


async def test_a_server_that_knows_no_stream_options_is_remembered(endpoint: Endpoint, model: OpenAIModel) -> None:
    refusal = {"error": {"message": "unknown field: stream_options"}}
    endpoint.faults = [{"kind": "status", "status": 400, "body": refusal}]
    assert (await heard(model))[1].text == "answer 1 to: Hello?"
    await heard(model)
    assert ["stream_options" in body for body in endpoint.bodies()] == [True, False, False]


async def test_who_stops_listening_frees_the_place(endpoint: Endpoint, connect: Connect) -> None:
    model = connect(concurrency=1)
    async with aclosing(cast("Any", model.stream(HELLO))) as items:
        async for _ in items:
            break
    assert (await model.reply(HELLO)).text == "answer 1 to: Hello?"


async def test_the_connection_of_a_stream_is_used_again(endpoint: Endpoint, waits: Waits) -> None:
    endpoint.faults = [{"kind": "linger", "times": -1}]
    opened: list[object] = []

    async def note(*event: object) -> None:
        opened.append(event)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        provider = Provider("local", endpoint.base_url)
        model = OpenAIModel(Transport(provider, through(session), waits.pace), "m-1")
        for _ in range(3):
            await heard(model)
    assert len(opened) == 1
