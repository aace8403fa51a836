"""Which model speaks for an assistant: endpoints and keys of users, fallbacks, and nothing of it on the short way."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.endpoint import Endpoint, serve
from tests.support.store import ORG

from vivavoce.core.mind import Endpoint as Address
from vivavoce.core.mind import Mind
from vivavoce.core.model import Model, ModelFailure, Prompt, PromptLine, Reply, Trouble
from vivavoce.core.secret import Secret
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.pace import Pace
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard, networks
from vivavoce.services import secrets
from vivavoce.services.context import Context
from vivavoce.services.minds import Minds
from vivavoce.storage.seal import Seal

HELLO = Prompt((PromptLine("user", "Hello?"),))
NOBODY = Mind("nobody/serves-this")
SCRIPTED = Mind("scripted")


@pytest.fixture
async def endpoint() -> AsyncGenerator[Endpoint]:
    async with serve() as server:
        yield server


@pytest.fixture
async def near(ctx: Context, endpoint: Endpoint) -> AsyncGenerator[Context]:
    """A server that may call this machine, with the endpoint as its provider ``local``."""

    async def at_once(_seconds: float) -> None:
        pass

    models = Models(
        ModelSettings({"local": Provider("local", endpoint.base_url, "sk-configured")}), Pace(at_once, lambda: 0.0)
    )
    async with open_session(Guard(networks(["127.0.0.0/8"]))) as session:
        yield replace(ctx, outbound=session, models=models)
    await models.close()


async def keep(ctx: Context, name: str, value: str, org: str = ORG) -> Secret:
    return await ctx.database.write(lambda tx: secrets.create(ctx, tx, org, name, "bearer", value))


async def chosen(ctx: Context, mind: Mind, fallback: Mind | None = None, **variables: Any) -> Model:
    return await Minds(ctx, ORG).chosen(mind, fallback, variables)


def at(endpoint: Endpoint, **given: Any) -> Mind:
    return Mind("ignored", endpoint=Address(endpoint.base_url, "own-model", **given))


async def test_a_name_is_resolved_without_looking_anything_up(ctx: Context) -> None:
    ctx.database.close()
    assert (await chosen(ctx, SCRIPTED)).name == "scripted"
    assert (await chosen(ctx, Mind())).name == "scripted"
    with pytest.raises(ModelFailure) as caught:
        await chosen(ctx, NOBODY)
    assert caught.value.trouble is Trouble.UNRESOLVED


# --- endpoints ------------------------------------------------------------------------------------------------------


async def test_rule_2_1_an_endpoint_wins_and_gets_its_key(near: Context, endpoint: Endpoint) -> None:
    await keep(near, "mine", "sk-mine")
    model = await chosen(near, at(endpoint, key_ref="mine"), shop="Birch")
    assert model.name == "127.0.0.1/own-model"
    assert (await model.reply(HELLO)).text == "answer 1 to: Hello?"
    [request] = endpoint.requests
    assert request["authorization"] == "Bearer sk-mine"
    assert request["body"]["model"] == "own-model"
    assert "extra_metadata" not in request["body"]


async def test_rule_2_1_variables_travel_as_extra_metadata_where_they_are_wanted(
    near: Context, endpoint: Endpoint
) -> None:
    model = await chosen(near, at(endpoint, forwards=True), shop="Birch", open=True, hours=[9, 17])
    await model.reply(HELLO)
    assert [item async for item in model.stream(HELLO)]
    expected = {"shop": "Birch", "open": True, "hours": [9, 17]}
    assert [body["extra_metadata"] for body in endpoint.bodies()] == [expected, expected]
    assert endpoint.requests[0]["authorization"] == ""


async def test_without_the_setting_an_endpoint_on_this_machine_is_refused(ctx: Context, endpoint: Endpoint) -> None:
    with pytest.raises(ModelFailure, match="VIVA_ALLOW_NETWORKS") as caught:
        await chosen(ctx, at(endpoint))
    assert caught.value.trouble is Trouble.UNRESOLVED
    by_name = Mind(endpoint=Address(f"http://localhost:{endpoint.port}/v1", "m"))
    model = await chosen(ctx, by_name)
    with pytest.raises(ModelFailure, match="VIVA_ALLOW_NETWORKS"):
        await model.reply(HELLO)
    assert endpoint.total == 0


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_rule_6_9_a_stored_key_is_sent_instead_of_the_configured_one(near: Context, endpoint: Endpoint) -> None:
    await keep(near, "mine", "sk-mine")
    model = await chosen(near, Mind("local/m", "mine"))
    assert (await model.reply(HELLO)).usage.model == "local/m"
    await (await chosen(near, Mind("local/m"))).reply(HELLO)
    assert [one["authorization"] for one in endpoint.requests] == ["Bearer sk-mine", "Bearer sk-configured"]


async def test_a_new_value_of_a_secret_counts_at_once(near: Context, endpoint: Endpoint) -> None:
    for value in ("sk-old", "sk-new"):
        kept = await keep(near, "mine", value)
        await (await chosen(near, Mind("local/m", "mine"))).reply(HELLO)
        await secrets.delete(near, ORG, kept.id)
    assert [one["authorization"] for one in endpoint.requests] == ["Bearer sk-old", "Bearer sk-new"]


@pytest.mark.parametrize("which", ["endpoint", "model"])
async def test_a_secret_that_is_missing_or_somebody_else_s_is_told(
    near: Context, endpoint: Endpoint, which: str
) -> None:
    await keep(near, "theirs", "sk-theirs", org="another")
    for name in ("lost", "theirs"):
        mind = at(endpoint, key_ref=name) if which == "endpoint" else Mind("local/m", name)
        with pytest.raises(ModelFailure, match=f"no integration secret '{name}'") as caught:
            await chosen(near, mind)
        assert caught.value.trouble is Trouble.UNRESOLVED
    assert endpoint.total == 0


async def test_a_secret_of_another_server_key_is_told(near: Context) -> None:
    await keep(near, "mine", "sk-mine")
    with pytest.raises(ModelFailure, match="cannot be read"):
        await chosen(replace(near, seal=Seal("another key")), Mind("local/m", "mine"))


# --- fallbacks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "reset"}])
async def test_the_fallback_answers_while_the_provider_is_down(
    near: Context, endpoint: Endpoint, fault: dict[str, Any]
) -> None:
    endpoint.faults = [{**fault, "times": -1}]
    model = await chosen(near, at(endpoint), SCRIPTED)
    assert (await model.reply(HELLO)).usage.model == "scripted"
    *_, last = [item async for item in model.stream(HELLO)]
    assert isinstance(last, Reply)
    assert last.usage.model == "scripted"
    assert endpoint.total == 4  # twice each: somebody is waiting
    endpoint.faults = []
    assert (await model.reply(HELLO)).usage.model == "127.0.0.1/own-model"


async def test_the_fallback_answers_where_nobody_listens(near: Context, endpoint: Endpoint) -> None:
    gone = Mind(endpoint=Address("http://127.0.0.1:9/v1", "m"))
    model = await chosen(near, gone, at(endpoint, forwards=True), shop="Birch")
    assert (await model.reply(HELLO)).usage.model == "127.0.0.1/own-model"
    assert endpoint.bodies()[0]["extra_metadata"] == {"shop": "Birch"}


async def test_a_request_that_is_refused_is_not_sent_to_the_fallback(near: Context, endpoint: Endpoint) -> None:
    endpoint.faults = [{"kind": "status", "status": 400, "times": -1}]
    model = await chosen(near, at(endpoint), SCRIPTED)
    with pytest.raises(ModelFailure) as caught:
        await model.reply(HELLO)
    assert caught.value.trouble is Trouble.REFUSED
    assert endpoint.total == 1


@pytest.mark.parametrize("first", [NOBODY, Mind("local/m", "lost"), Mind(endpoint=Address("http://10.0.0.1", "m"))])
async def test_the_fallback_answers_for_a_model_that_cannot_be_asked(near: Context, first: Mind) -> None:
    assert (await chosen(near, first, SCRIPTED)).name == "scripted"


async def test_an_assistant_s_own_fallback_comes_before_the_default_model(near: Context, endpoint: Endpoint) -> None:
    provider = Provider("local", endpoint.base_url)
    models = Models(ModelSettings({"local": provider}, default_model="local/default", fallback="default"))
    ctx = replace(near, models=models)
    assert (await chosen(ctx, NOBODY)).name == "local/default"
    assert (await chosen(ctx, NOBODY, SCRIPTED)).name == "scripted"
    assert (await chosen(ctx, NOBODY, NOBODY)).name == "local/default"
    await models.close()


async def test_where_the_fallback_cannot_be_asked_either_both_are_told_of(near: Context) -> None:
    with pytest.raises(ModelFailure, match=r"nobody/serves-this.*; and its fallback: .*'lost'"):
        await chosen(near, NOBODY, Mind("local/m", "lost"))
