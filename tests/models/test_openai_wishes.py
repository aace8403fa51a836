"""What a prompt may wish for beside its words: a temperature, a call; and models that will not have it."""

from typing import Any

import pytest
from tests.models.conftest import Waits
from tests.support.endpoint import Endpoint

from vivavoce.core.model import ModelFailure, Prompt, PromptLine, Reply, ToolSpec
from vivavoce.models.openai import OpenAIModel

LINES = (PromptLine("user", "Hello?"),)
FIND = ToolSpec("find", "Finds.", {})
WISHES = Prompt(LINES, (FIND,), temperature=0.0, must_call=True)


def refusing(*words: str, **more: Any) -> dict[str, Any]:
    body = {"error": {"message": f"Unsupported value: {' and '.join(words)} cannot be this with this model."}}
    return {"kind": "status", "status": 400, "body": body, **more}


async def streamed(model: OpenAIModel, prompt: Prompt) -> str:
    last = [item async for item in model.stream(prompt)][-1]
    assert isinstance(last, Reply)
    return last.text


async def test_a_temperature_is_sent_only_where_one_is_given(endpoint: Endpoint, model: OpenAIModel) -> None:
    await model.reply(Prompt(LINES))
    await model.reply(Prompt(LINES, temperature=0.0))
    await streamed(model, Prompt(LINES, temperature=0.7))
    assert [body.get("temperature") for body in endpoint.bodies()] == [None, 0.0, 0.7]


async def test_a_call_is_required_only_where_it_is_wished_for_and_possible(
    endpoint: Endpoint, model: OpenAIModel
) -> None:
    await model.reply(Prompt(LINES, (FIND,)))
    await model.reply(Prompt(LINES, must_call=True))
    await model.reply(Prompt(LINES, (FIND,), must_call=True))
    await streamed(model, Prompt(LINES, (FIND,), must_call=True))
    assert [body.get("tool_choice") for body in endpoint.bodies()] == [None, None, "required", "required"]


async def test_a_model_that_will_not_have_a_temperature_is_asked_without_from_then_on(
    endpoint: Endpoint, model: OpenAIModel, waits: Waits
) -> None:
    endpoint.faults = [refusing("'temperature'")]
    reply = await model.reply(WISHES)
    assert reply.text
    assert reply.usage.attempts == 2
    await model.reply(WISHES)
    assert [("temperature" in body, "tool_choice" in body) for body in endpoint.bodies()] == [
        (True, True),
        (False, True),
        (False, True),
    ]
    assert waits.seconds == []


async def test_a_stream_is_asked_for_without_it_too(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [refusing("tool_choice"), refusing("temperature")]
    assert await streamed(model, WISHES)
    assert [("temperature" in body, "tool_choice" in body) for body in endpoint.bodies()] == [
        (True, True),
        (True, False),
        (False, False),
    ]


async def test_both_can_be_refused_at_once(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [refusing("temperature", "tool_choice")]
    assert (await model.reply(WISHES)).usage.attempts == 2


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_of_something_else_is_final(endpoint: Endpoint, model: OpenAIModel, status: int) -> None:
    endpoint.faults = [refusing("temperature" if status == 401 else "top_p", status=status, times=2)]
    with pytest.raises(ModelFailure, match="Unsupported"):
        await model.reply(WISHES)
    assert len(endpoint.requests) == 1


async def test_who_did_not_wish_for_it_is_refused(endpoint: Endpoint, model: OpenAIModel) -> None:
    endpoint.faults = [refusing("temperature", times=-1)]
    with pytest.raises(ModelFailure, match="temperature"):
        await model.reply(Prompt(LINES))
    with pytest.raises(ModelFailure, match="temperature"):
        await model.reply(WISHES)
    # Once to learn it, and never again.
    with pytest.raises(ModelFailure, match="temperature"):
        await model.reply(WISHES)
    assert [("temperature" in body) for body in endpoint.bodies()] == [False, True, False, False]
