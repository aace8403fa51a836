"""Chat completions handed on to who serves the model, and answered here where it is the scripted one."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.endpoint import Endpoint, serve
from tests.support.store import ORG

from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.services import completions, secrets
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, Rejected
from vivavoce.storage.seal import Seal

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello?"}], "temperature": 0.2, "guided_regex": "a+"}
SCRIPT = {"role": "system", "content": 'on hear "hello": say "Good day."'}
SCRIPTED: dict[str, Any] = {"messages": [SCRIPT, {"role": "user", "content": "hello"}]}


@pytest.fixture
async def endpoint() -> AsyncGenerator[Endpoint]:
    async with serve() as server:
        yield server


@pytest.fixture
async def near(ctx: Context, endpoint: Endpoint) -> AsyncGenerator[Context]:
    """A server whose default model is at the endpoint."""
    provider = Provider("local", endpoint.base_url, "sk-configured")
    models = Models(ModelSettings({"local": provider}, {"short": "local/long"}, default_model="local/default"))
    yield replace(ctx, models=models)
    await models.close()


async def streamed(ctx: Context, request: dict[str, Any], **given: Any) -> tuple[str, str]:
    stream = await completions.stream(ctx, ORG, {**request, "stream": True}, **given)
    return stream.media_type, b"".join([piece async for piece in stream.pieces]).decode()


@pytest.mark.parametrize(
    ("model", "asked"), [("local/org/m", "org/m"), ("short", "long"), (None, "default")], ids=["name", "alias", "none"]
)
async def test_rule_5_18_the_model_is_found_and_the_rest_is_unchanged(
    near: Context, endpoint: Endpoint, model: str | None, asked: str
) -> None:
    answer = json.loads(await completions.complete(near, ORG, ASKED, model=model))
    assert answer["choices"][0]["message"]["content"] == "answer 1 to: Hello?"
    media_type, text = await streamed(near, ASKED, model=model)
    assert media_type == "text/event-stream"
    assert text.endswith("data: [DONE]\n\n")
    assert endpoint.bodies() == [{**ASKED, "model": asked}, {**ASKED, "model": asked, "stream": True}]


async def test_a_stored_key_pays(near: Context, endpoint: Endpoint) -> None:
    await near.database.write(lambda tx: secrets.create(near, tx, ORG, "mine", "bearer", "sk-mine"))
    await completions.complete(near, ORG, ASKED, model="local/m", key_ref="mine")
    await streamed(near, ASKED, model="local/m", key_ref="mine")
    assert [one["authorization"] for one in endpoint.requests] == ["Bearer sk-mine"] * 2
    with pytest.raises(Broken, match="cannot be read"):
        await completions.complete(replace(near, seal=Seal("another")), ORG, ASKED, model="local/m", key_ref="mine")


async def test_a_secret_that_is_not_there_is_the_request_s_fault(near: Context, endpoint: Endpoint) -> None:
    with pytest.raises(Rejected, match="'lost'") as caught:
        await completions.complete(near, ORG, ASKED, model="local/m", key_ref="lost")
    assert caught.value.part == "api_key_ref"
    assert endpoint.total == 0


async def test_a_model_that_nobody_serves_is_the_request_s_fault(ctx: Context) -> None:
    with pytest.raises(Rejected, match="nobody serves") as caught:
        await completions.complete(ctx, ORG, ASKED, model="nobody/knows")
    assert caught.value.part == "model"


async def test_a_default_that_nobody_serves_is_the_server_s_fault(ctx: Context) -> None:
    lost = replace(ctx, models=Models(ModelSettings(default_model="nobody/knows")))
    with pytest.raises(Broken, match="nobody serves"):
        await completions.complete(lost, ORG, ASKED)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"kind": "status", "status": 400, "body": {"error": {"message": "guided_regex: no"}}}, Rejected, "regex: no"),
        ({"kind": "status", "status": 500}, Broken, "answered 500"),
        ({"kind": "reset"}, Broken, "could not be reached"),
        ({"kind": "garbage"}, Broken, "cannot be read"),
    ],
)
async def test_what_the_provider_says_no_to(
    near: Context, endpoint: Endpoint, fault: dict[str, Any], kind: type[Exception], words: str
) -> None:
    endpoint.faults = [{**fault, "times": -1}]
    with pytest.raises(kind, match=words):
        await completions.complete(near, ORG, ASKED, model="local/m")
    with pytest.raises(kind, match=words):
        await completions.stream(near, ORG, {**ASKED, "stream": True}, model="local/m")
    assert endpoint.total == 2


async def test_a_stream_that_breaks_off_says_so_and_is_not_done(near: Context, endpoint: Endpoint) -> None:
    endpoint.faults = [{"kind": "half"}]
    _, text = await streamed(near, ASKED, model="local/m")
    last = [line for line in text.split("\n") if line.startswith("data: ")][-1]
    error = json.loads(last[6:])["error"]
    assert (error["type"], error["code"]) == ("server_error", "unavailable")
    assert "broke off" in error["message"]
    assert "[DONE]" not in text


async def test_a_provider_that_does_not_stream(near: Context, endpoint: Endpoint) -> None:
    whole = '{"choices": [{"message": {"content": "All of it."}}]}'
    endpoint.faults = [{"kind": "garbage", "content_type": "application/json", "body": whole}]
    assert await streamed(near, ASKED, model="local/m") == ("application/json", whole)


async def test_who_stops_listening_frees_the_place(ctx: Context, endpoint: Endpoint) -> None:
    models = Models(ModelSettings({"local": Provider("local", endpoint.base_url, concurrency=1)}))
    one = replace(ctx, models=models)
    stream = await completions.stream(one, ORG, {**ASKED, "stream": True}, model="local/m")
    del stream
    assert await completions.complete(one, ORG, ASKED, model="local/m")
    await models.close()


# --- the scripted model ---------------------------------------------------------------------------------------------


async def test_the_scripted_model_answers_here(ctx: Context) -> None:
    answer = json.loads(await completions.complete(ctx, ORG, SCRIPTED))
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Good day."}
    media_type, text = await streamed(ctx, {**SCRIPTED, "stream_options": {"include_usage": True}})
    assert media_type == "text/event-stream"
    events = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1]) == "Good day."
    assert events[-1]["usage"]["total_tokens"] == 0
    assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("response_format", {"type": "json_object"}),
        ("guided_json", {}),
        ("guided_choice", ["a"]),
        ("guided_regex", "a"),
        ("logprobs", True),
    ],
)
async def test_the_scripted_model_says_what_cannot_be_asked_of_it(ctx: Context, field: str, value: object) -> None:
    with pytest.raises(Rejected, match=f"{field} cannot be asked") as caught:
        await completions.complete(ctx, ORG, {**SCRIPTED, field: value})
    assert caught.value.part == field


@pytest.mark.parametrize(
    "given", [{"n": 1}, {"response_format": {"type": "text"}}, {"logprobs": False}, {"temperature": 0.0}]
)
async def test_what_changes_nothing_may_be_asked_of_it(ctx: Context, given: dict[str, Any]) -> None:
    assert await completions.complete(ctx, ORG, {**SCRIPTED, **given})


async def test_calls_that_make_no_sense_are_the_request_s_fault(ctx: Context) -> None:
    odd = {"role": "assistant", "tool_calls": [{"function": {"name": ""}}]}
    with pytest.raises(Rejected, match="without a name") as caught:
        await completions.complete(ctx, ORG, {"messages": [odd]})
    assert caught.value.part == "messages"


async def test_models_are_listed(near: Context) -> None:
    assert [one.name for one in await completions.listed(near)] == ["local/default", "short", "scripted"]
