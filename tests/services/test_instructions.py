"""Better instructions: what the model is told, and how a failure is told before and after the first word."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.endpoint import Endpoint, serve
from tests.support.store import ORG, a_version

from vivavoce.core.assistant import Assistant
from vivavoce.core.mind import Mind
from vivavoce.core.tool import FunctionTool
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.models.scripted.model import REWRITES_NOTHING
from vivavoce.services import assistants, instructions
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken, NotFound, Rejected

FIND = FunctionTool("find", "Finds orders.", {"type": "object", "properties": {"größe": {"type": "string"}}})


@pytest.fixture
async def endpoint() -> AsyncGenerator[Endpoint]:
    async with serve() as server:
        yield server


@pytest.fixture
async def near(ctx: Context, endpoint: Endpoint) -> AsyncGenerator[Context]:
    models = Models(ModelSettings({"local": Provider("local", endpoint.base_url, max_attempts=1)}))
    yield replace(ctx, models=models)
    await models.close()


async def an_assistant(ctx: Context, **given: Any) -> Assistant:
    draft = a_version(instructions="Be kind to {{name}}.", **{"mind": Mind("local/m"), "tools": (FIND,), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))


async def enhanced(ctx: Context, assistant: Assistant, **given: Any) -> str:
    return "".join([piece async for piece in await instructions.enhance(ctx, ORG, assistant.id, **given)])


async def test_rule_5_7_the_model_reads_instructions_and_tools(near: Context, endpoint: Endpoint) -> None:
    assistant = await an_assistant(near)
    endpoint.behaviours = [{"say": ["Be very kind to {{name}}."]}]
    assert await enhanced(near, assistant) == "Be very kind to {{name}}."
    [body] = endpoint.bodies()
    assert body["model"] == "m"
    assert body["stream"] is True
    assert "tools" not in body  # it reads of them and is not to call them
    system, user = (message["content"] for message in body["messages"])
    assert "new instructions alone" in system
    assert "<instructions>\nBe kind to {{name}}.\n</instructions>" in user
    assert '"name": "find", "description": "Finds orders."' in user
    assert "größe" in user
    assert "<changes>" not in user
    assert (await assistants.retrieve(near, ORG, assistant.id)).main == assistant.main


async def test_instructions_and_wishes_may_be_given(near: Context, endpoint: Endpoint) -> None:
    assistant = await an_assistant(near, tools=())
    await enhanced(near, assistant, instructions="Sell.", wish="Be brief.")
    user = endpoint.bodies()[0]["messages"][1]["content"]
    assert "<instructions>\nSell.\n</instructions>" in user
    assert "<tools>\nnone\n</tools>" in user
    assert "<changes>\nBe brief.\n</changes>" in user
    assert "Be kind" not in user


async def test_the_scripted_model_changes_nothing_and_says_so(near: Context) -> None:
    assistant = await an_assistant(near, mind=Mind("scripted"))
    assert await enhanced(near, assistant) == REWRITES_NOTHING + "Be kind to {{name}}."
    assert await enhanced(near, assistant, instructions="") == REWRITES_NOTHING


async def test_the_assistant_s_fallback_rewrites_where_its_model_is_down(near: Context, endpoint: Endpoint) -> None:
    endpoint.faults = [{"kind": "status", "status": 503, "times": -1}]
    assistant = await an_assistant(near, fallback=Mind("scripted"))
    assert (await enhanced(near, assistant)).startswith(REWRITES_NOTHING)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"kind": "status", "status": 503}, Broken, "answered 503"),
        ({"kind": "status", "status": 400}, Rejected, "answered 400"),
    ],
)
async def test_a_failure_before_the_first_word_is_an_answer(
    near: Context, endpoint: Endpoint, given: dict[str, Any], kind: type[Exception], words: str
) -> None:
    assistant = await an_assistant(near)
    endpoint.faults = [given]
    with pytest.raises(kind, match=words):
        await instructions.enhance(near, ORG, assistant.id)


async def test_a_model_that_writes_nothing_failed(near: Context, endpoint: Endpoint) -> None:
    assistant = await an_assistant(near)
    endpoint.behaviours = [{"say": [""]}]
    with pytest.raises(Broken, match="wrote nothing"):
        await instructions.enhance(near, ORG, assistant.id)


async def test_a_model_that_is_late_failed(near: Context, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = await an_assistant(near)
    endpoint.faults = [{"kind": "hang"}]
    monkeypatch.setattr(instructions, "WITHIN_S", 0.1)
    with pytest.raises(Broken, match="wrote nothing within"):
        await instructions.enhance(near, ORG, assistant.id)


async def test_a_failure_after_the_first_word_breaks_off(near: Context, endpoint: Endpoint) -> None:
    assistant = await an_assistant(near)
    endpoint.faults = [{"kind": "half"}]
    pieces = await instructions.enhance(near, ORG, assistant.id)
    assert await anext(pieces)
    with pytest.raises(Broken, match="broke off"):
        [piece async for piece in pieces]


async def test_unknown_assistants_and_models(near: Context) -> None:
    with pytest.raises(NotFound):
        await instructions.enhance(near, ORG, "assistant-nobody")
    assistant = await an_assistant(near, mind=Mind("nobody/knows"))
    with pytest.raises(NotFound):
        await instructions.enhance(near, "another", assistant.id)
    with pytest.raises(Broken, match="nobody serves"):
        await instructions.enhance(near, ORG, assistant.id)
