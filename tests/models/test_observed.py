"""Calls of models as those see them who watch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.models.conftest import Waits
from tests.outbound.local_server import LOCAL
from tests.support.endpoint import Endpoint
from tests.telemetry.seen import Notes

from vivavoce.core.event import Usage
from vivavoce.core.model import ModelFailure, Prompt, PromptLine, Reply
from vivavoce.core.telemetry import ModelCall
from vivavoce.examination import tasks
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.embeddings import embedder
from vivavoce.models.observed import Observed
from vivavoce.models.relay import relayed, relayed_stream
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import open_session

PROMPT = Prompt((PromptLine("user", "Hello?"),))


def models_of(endpoint: Endpoint, notes: Notes, waits: Waits, **given: Any) -> Models:
    provider = Provider("local", endpoint.base_url, **given)
    return Models(ModelSettings({"local": provider}), waits.pace, notes)


def told(call: ModelCall) -> tuple[str, str, str, str, int]:
    assert call.seconds > 0
    return call.provider, call.model, call.role, call.outcome, call.attempts


async def test_every_way_to_ask_is_seen(endpoint: Endpoint, waits: Waits) -> None:
    notes = Notes()
    models = models_of(endpoint, notes, waits)
    model = models.resolve("local/org/m", "assistant")
    reply = await model.reply(PROMPT)
    await models.resolve("local/m", "tester").decide(PROMPT, tasks.TesterMove)
    async for _ in model.stream(PROMPT):
        pass
    assert [told(one) for one in notes.calls] == [
        ("local", "org/m", "assistant", "ok", 1),
        ("local", "m", "tester", "ok", 1),
        ("local", "org/m", "assistant", "ok", 1),
    ]
    first = notes.calls[0]
    assert (first.input_tokens, first.output_tokens) == (reply.usage.input_tokens, reply.usage.output_tokens)
    assert first.input_tokens > 0
    await models.close()


async def test_failures_are_seen_with_what_they_took(endpoint: Endpoint, waits: Waits) -> None:
    notes = Notes()
    models = models_of(endpoint, notes, waits, max_attempts=3)
    model = models.resolve("local/m", "judge")
    endpoint.faults = [{"kind": "status", "status": 503, "times": 3}, {"kind": "status", "status": 400, "times": 1}]
    with pytest.raises(ModelFailure) as caught:
        await model.reply(PROMPT)
    assert caught.value.plain == "unavailable (HTTP status 503)"
    with pytest.raises(ModelFailure):
        async for _ in model.stream(PROMPT):
            pass
    assert [told(one)[3:] for one in notes.calls] == [("unavailable", 3), ("refused", 1)]
    await models.close()


async def test_whoever_gives_up_is_seen_too(endpoint: Endpoint, waits: Waits) -> None:
    notes, asked = Notes(), asyncio.Event()
    models = models_of(endpoint, notes, waits)

    async def held(_role: str, _body: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    endpoint.gate = held
    task = asyncio.create_task(models.resolve("local/m", "assistant").reply(PROMPT))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [told(one)[3] for one in notes.calls] == ["given up"]
    await models.close()


class Broken:
    """A model with a defect; its stream says something before that shows."""

    name = "plain"

    async def reply(self, prompt: Prompt) -> Reply:
        raise ZeroDivisionError

    decide: Any = None

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Reply]:
        yield "a"
        yield Reply("ab", usage=Usage("m", 3, 4))


async def test_defects_and_listeners_that_leave_are_told_apart() -> None:
    notes = Notes()
    model = Observed(Broken(), "judge", notes)
    with pytest.raises(ZeroDivisionError):
        await model.reply(PROMPT)
    stream: Any = model.stream(PROMPT)
    assert await anext(stream) == "a"
    await stream.aclose()
    assert [item async for item in model.stream(PROMPT)] == ["a", Reply("ab", usage=Usage("m", 3, 4))]
    assert [(one.provider, one.model, one.outcome) for one in notes.calls] == [
        ("plain", "plain", "defect"),
        ("plain", "plain", "given up"),
        ("plain", "plain", "ok"),
    ]
    assert notes.calls[-1].output_tokens == 4


async def test_an_endpoint_of_a_user_is_not_named(endpoint: Endpoint, waits: Waits) -> None:
    notes = Notes()
    models = models_of(endpoint, notes, waits)
    async with open_session(LOCAL) as session:
        await models.endpoint(session, endpoint.base_url, "theirs").reply(PROMPT)
    assert [told(one)[:3] for one in notes.calls] == [("endpoint", "theirs", "assistant")]
    await models.close()


async def test_vectors_and_what_is_handed_on_are_seen(endpoint: Endpoint, waits: Waits) -> None:
    notes = Notes()
    models = models_of(endpoint, notes, waits)
    with pytest.raises(ModelFailure):  # it makes none
        await embedder(models, "local/e").embed(["a text"])
    way = models.relay("local/m")
    assert way is not None
    body = {"model": way[1], "messages": [{"role": "user", "content": "Hello?"}]}
    await relayed(way[0], body, within_s=5, telemetry=notes)
    async for _ in relayed_stream(way[0], {**body, "stream": True}, within_s=5, telemetry=notes):
        pass
    endpoint.faults = [{"kind": "status", "status": 503}]
    with pytest.raises(ModelFailure):
        await relayed(way[0], body, within_s=5, telemetry=notes)
    assert [(one.operation, one.outcome) for one in notes.calls[1:]] == [
        ("chat", "ok"),
        ("chat", "ok"),
        ("chat", "unavailable"),
    ]
    assert (notes.calls[0].operation, notes.calls[0].model) == ("embeddings", "e")
    assert notes.calls[1].input_tokens > 0
    await models.close()


async def test_waiting_for_a_limit_of_ours_is_seen(endpoint: Endpoint, waits: Waits) -> None:
    notes, asked, free = Notes(), asyncio.Event(), asyncio.Event()
    models = models_of(endpoint, notes, waits, concurrency=1)

    async def held(_role: str, _body: Any) -> None:
        asked.set()
        await free.wait()

    endpoint.gate = held
    model = models.resolve("local/m", "assistant")
    first = asyncio.create_task(model.reply(PROMPT))
    await asked.wait()
    second = asyncio.create_task(model.reply(PROMPT))
    while not models.standing()[0].busy.waiting:
        await asyncio.sleep(0)
    free.set()
    await asyncio.gather(first, second)
    [(provider, seconds)] = notes.waits
    assert (provider, seconds > 0) == ("local", True)
    await models.close()
