"""Providers' limits where requests are really sent, and which provider has which."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.models.conftest import KEY, Connect, Waits, through
from tests.support.endpoint import Endpoint

from vivavoce.core.model import ModelFailure, Prompt, PromptLine, Reply
from vivavoce.core.waiting import Stopwatch, measured
from vivavoce.examination import tasks
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.embeddings import Embedder
from vivavoce.models.limiter import Bucket, Busy, Limiter, Rates
from vivavoce.models.openai import OpenAIModel
from vivavoce.models.others import OtherModel
from vivavoce.models.relay import relayed
from vivavoce.models.resolve import Models, Standing
from vivavoce.models.transport import Transport

PROMPT = Prompt((PromptLine("user", "Hello?"),))
TOO_MANY = {"kind": "status", "status": 429, "headers": {"retry-after-ms": "150"}}


def limiter_of(model: Any) -> Limiter:
    assert isinstance(model, OpenAIModel | OtherModel)
    return model._transport.limiter if isinstance(model, OpenAIModel) else model._vendor.limiter


def spent(limiter: Limiter) -> float:
    """How many tokens are missing from a bucket that was full."""
    bucket = limiter._tokens
    assert bucket is not None
    return bucket.size - bucket.level


async def drained(stream: AsyncIterator[str | Reply]) -> Reply:
    *_, last = [item async for item in stream]
    assert isinstance(last, Reply)
    return last


@pytest.fixture
async def bounded(connect: Connect) -> OpenAIModel:
    """A model that may use ten million tokens a minute, which come back slowly enough for a test."""
    return connect(tokens_per_minute=10_000_000)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes back meanwhile."""

    def fill(_bucket: Bucket, _now: float) -> None: ...

    monkeypatch.setattr(Bucket, "fill", fill)


async def test_what_an_answer_cost_is_counted(bounded: OpenAIModel) -> None:
    limiter = limiter_of(bounded)
    first = (await bounded.reply(PROMPT)).usage
    assert spent(limiter) == first.input_tokens + first.output_tokens > 0
    second = (await bounded.decide(PROMPT, tasks.TesterMove)).usage
    third = (await drained(bounded.stream(PROMPT))).usage
    expected = sum(one.input_tokens + one.output_tokens for one in (first, second, third))
    assert spent(limiter) == pytest.approx(expected)
    assert limiter.busy == Busy(0, 0, 0.0)


async def test_what_a_guarded_endpoint_answers_is_counted_too(endpoint: Endpoint, waits: Waits) -> None:
    provider = Provider("local", endpoint.base_url, KEY, tokens_per_minute=10_000_000)
    async with aiohttp.ClientSession() as session:
        transport = Transport(provider, through(session), waits.pace, guarded=True)
        usage = (await OpenAIModel(transport, "m").reply(PROMPT)).usage
        assert spent(transport.limiter) == pytest.approx(usage.input_tokens + usage.output_tokens)


async def test_what_was_refused_cost_nothing(endpoint: Endpoint, bounded: OpenAIModel) -> None:
    for ask in (lambda: bounded.reply(PROMPT), lambda: drained(bounded.stream(PROMPT))):
        endpoint.faults = [{"kind": "status", "status": 400}]
        with pytest.raises(ModelFailure):
            await ask()
    assert spent(limiter_of(bounded)) == pytest.approx(0)
    assert limiter_of(bounded).busy.under_way == 0


async def test_what_broke_off_is_taken_for_what_it_may_have_cost(endpoint: Endpoint, connect: Connect) -> None:
    model = connect(tokens_per_minute=10_000_000, max_attempts=1)
    endpoint.faults = [{"kind": "reset"}]
    with pytest.raises(ModelFailure):
        await model.reply(PROMPT)
    assert spent(limiter_of(model)) > 300
    assert limiter_of(model).busy.under_way == 0


async def test_vectors_cost_their_question(connect: Connect) -> None:
    transport = connect(tokens_per_minute=10_000_000)._transport
    with pytest.raises(ModelFailure):  # the endpoint makes none
        await Embedder(transport, "e", "local/e").embed(["some words"])
    assert 0 < spent(transport.limiter) < 100
    assert transport.limiter.busy.under_way == 0


async def test_too_many_requests_hold_up_everybody_and_nobodys_time(
    endpoint: Endpoint, connect: Connect, waits: Waits
) -> None:
    """The client would try again at once here: it is the gate that waits, for others too."""
    waits.passes = False
    model = connect()
    endpoint.faults = [dict(TOO_MANY)]
    watch = Stopwatch(time.monotonic)
    with measured(watch):
        await model.reply(PROMPT)
    first, second = (one["at"] for one in endpoint.requests)
    assert second - first >= 0.14
    assert 0.1 < watch.waited_s <= second - first
    assert waits.seconds == [0.15]
    await relayed(model._transport, {"messages": [{"role": "user", "content": "Hello?"}]}, within_s=5)
    assert limiter_of(model).busy == Busy(0, 0, 0.0)


# --- who has which limits ---


@pytest.fixture
async def models() -> AsyncGenerator[Models]:
    providers = {
        "local": Provider("local", "http://localhost:8000/v1", concurrency=3, requests_per_minute=60),
        "xai": Provider("xai", "", requests_per_minute=30),
        "anthropic": Provider("anthropic", "", tokens_per_minute=1000, timeout_s=7.0, max_attempts=2),
        "openai": Provider("openai", "", requests_per_minute=500),
        "groq": Provider("groq", "http://localhost:8001/v1"),
    }
    environment = {
        "XAI_API_KEY": "x-1",
        "ANTHROPIC_API_KEY": "a-1",
        "OPENAI_API_KEY": "o-1",
        "OPENAI_BASE_URL": "http://localhost:8002/v1",
    }
    made = Models(ModelSettings(providers, environment=environment))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("local/m", Rates(3, 60, 0)),
        ("xai/grok-4", Rates(256, 30, 0)),
        ("anthropic/claude-haiku-4-5", Rates(256, 0, 1000)),
        ("gpt-5", Rates(256, 500, 0)),
        ("groq/m", Rates()),
    ],
)
async def test_a_vendor_can_be_named_for_its_limits_alone(models: Models, name: str, rates: Rates) -> None:
    assert limiter_of(models.resolve(name, "assistant")).rates == rates


async def test_what_is_named_for_its_limits_stays_where_it_is(models: Models) -> None:
    where: dict[str, str] = {}
    for name in ("xai/m", "openai/m", "groq/m"):
        model = models.resolve(name, "assistant")
        assert isinstance(model, OpenAIModel)
        where[name] = str(model._transport._url)
    assert where == {
        "xai/m": "https://api.x.ai/v1/chat/completions",
        "openai/m": "http://localhost:8002/v1/chat/completions",
        "groq/m": "http://localhost:8001/v1/chat/completions",
    }
    claude = models.resolve("anthropic/claude", "assistant")
    assert isinstance(claude, OtherModel)
    assert (claude._timeout_s, claude._max_attempts) == (7.0, 2)


async def test_a_share_holds_for_those_who_are_asked_and_will_be(models: Models) -> None:
    before = limiter_of(models.resolve("local/m", "tester"))
    models.share(3)
    after = limiter_of(models.resolve("xai/m", "tester"))
    vendor = limiter_of(models.resolve("anthropic/claude", "tester"))
    lent = limiter_of(models.resolve("xai/m", "assistant", key="theirs"))
    assert before._requests is not None
    assert after._requests is not None
    assert vendor._tokens is not None
    assert lent._requests is not None
    rates = [one.per_second * 60 for one in (before._requests, after._requests, lent._requests, vendor._tokens)]
    assert rates == [pytest.approx(20), pytest.approx(10), pytest.approx(10), pytest.approx(317.67, abs=0.01)]
    models.share(0)
    assert before._requests.per_second * 60 == pytest.approx(58)


async def test_how_they_stand(models: Models) -> None:
    assert models.limited
    gate = limiter_of(models.resolve("local/m", "tester"))
    await gate.enter(10)
    standing = {one.name: one for one in models.standing()}
    assert list(standing) == ["anthropic", "groq", "local", "openai", "xai"]
    assert standing["local"] == Standing("local", Rates(3, 60), Busy(1, 0, 0.0))
    assert standing["groq"] == Standing("groq", Rates(), Busy(0, 0, 0.0))


def test_most_servers_have_no_limits_to_share() -> None:
    assert not Models(ModelSettings({"local": Provider("local", "http://x/v1")})).limited


@pytest.mark.parametrize("wrong", [{"requests_per_minute": -1}, {"tokens_per_minute": -1}])
def test_limits_are_not_negative(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="per_minute"):
        Provider("local", "http://x/v1", **wrong)
