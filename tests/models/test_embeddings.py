"""Vectors from an OpenAI-compatible endpoint."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from aiohttp import web
from tests.models.conftest import Waits
from tests.outbound.local_server import Reply, Seen, Server, always, serving

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.embeddings import AT_ONCE, Embedder, embedder
from vivavoce.models.resolve import Models

KEY = "sk-very-secret-0123456789"
Make = Callable[..., Embedder]


def vectors(seen: Seen) -> web.Response:
    """A vector that says how long its text is, last one first."""
    data = [{"index": place, "embedding": [len(text), 1]} for place, text in enumerate(seen.json["input"])]
    return web.json_response({"object": "list", "data": data[::-1]})


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving(vectors) as server:
        yield server


@pytest.fixture
async def model(server: Server, waits: Waits) -> AsyncGenerator[Embedder]:
    provider = Provider("local", f"{server.url}/v1", KEY, timeout_s=5.0)
    models = Models(ModelSettings({"local": provider}, {"short": "local/e-1"}), waits.pace)
    yield embedder(models, "short")
    await models.close()


async def test_every_text_gets_its_own_vector(server: Server, model: Embedder) -> None:
    assert model.name == "short"
    assert await model.embed(["aaa", "", "ü"]) == [[3.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    [seen] = server.seen
    assert (seen.method, seen.target) == ("POST", "/v1/embeddings")
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.json == {"model": "e-1", "input": ["aaa", "", "ü"], "encoding_format": "float"}
    assert await model.embed([]) == []


async def test_many_texts_go_in_several_requests(server: Server, model: Embedder) -> None:
    texts = ["x" * number for number in range(AT_ONCE + 1)]
    assert [int(vector[0]) for vector in await model.embed(texts)] == list(range(AT_ONCE + 1))
    assert [len(seen.json["input"]) for seen in server.seen] == [AT_ONCE, 1]


async def test_what_passes_is_tried_again(server: Server, model: Embedder, waits: Waits) -> None:
    answers = iter([web.Response(status=503), web.Response(status=429)])
    server.reply = lambda seen: next(answers, None) or vectors(seen)
    assert await model.embed(["a"]) == [[1.0, 1.0]]
    assert len(waits.seconds) == 2


async def test_who_has_no_time_tries_once(server: Server, model: Embedder) -> None:
    server.reply = always({}, 503)
    with pytest.raises(ModelFailure):
        await model.embed(["a"], max_attempts=1)
    assert len(server.seen) == 1


async def test_a_refusal_is_final_and_says_why(server: Server, model: Embedder) -> None:
    server.reply = always({"error": {"message": f"no such model, {KEY}"}}, 404)
    with pytest.raises(ModelFailure, match="no such model") as failure:
        await model.embed(["a"])
    assert KEY not in str(failure.value)
    assert len(server.seen) == 1


def data(*items: Any) -> Reply:
    return always({"data": list(items)})


ODD: list[Reply] = [
    always({}),
    always({"data": "x"}),
    always([]),
    data(),
    data({"embedding": [1]}),
    data({"embedding": [1]}, {"embedding": [1]}, {"embedding": [1]}),
    data({"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}),
    data({"index": 1, "embedding": [1]}, {"index": 2, "embedding": [1]}),
    data({"index": "0", "embedding": [1]}, {"embedding": [1]}),
    data({"embedding": [1, 2]}, {"embedding": [1]}),
    data({"embedding": []}, {"embedding": []}),
    data({"embedding": ["1"]}, {"embedding": [1]}),
    data({"embedding": "AAAA"}, {"embedding": "AAAA"}),
    data(7, None),
    lambda _: web.Response(text='{"data": [{"embedding": [1e999]}, {"embedding": [1]}]}'),
]


@pytest.mark.parametrize("reply", ODD)
async def test_answers_that_are_none_are_told(server: Server, model: Embedder, reply: Reply) -> None:
    server.reply = reply
    with pytest.raises(ModelFailure) as failure:
        await model.embed(["a", "b"])
    assert failure.value.trouble is Trouble.GARBLED


async def test_vectors_without_a_number_are_in_order(server: Server, model: Embedder) -> None:
    server.reply = data({"embedding": [1]}, {"embedding": [2]})
    assert await model.embed(["a", "b"]) == [[1.0], [2.0]]


async def test_a_name_that_nobody_serves_is_told() -> None:
    models = Models(ModelSettings())
    for name in ("nobody/e-1", "scripted"):
        with pytest.raises(ModelFailure) as failure:
            embedder(models, name)
        assert failure.value.trouble is Trouble.UNRESOLVED
    await models.close()
