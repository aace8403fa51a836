"""Which model a name and a role lead to, as a table, and what to set where they lead nowhere."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.models.conftest import KEY, Waits
from tests.support.endpoint import Endpoint

from vivavoce.core.model import ModelFailure, Prompt, PromptLine, Trouble
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import COMPATIBLE_VENDORS, OTHER_VENDORS, Models, Role
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard, networks

LOCAL = Provider("local", "http://localhost:8000/v1")
LOCALS = {"local": LOCAL}
KEYED = {"OPENAI_API_KEY": KEY}
LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
CIRCLE = {"a": "b", "b": "c", "c": "a"}
ROLES: tuple[Role, ...] = ("assistant", "tester", "judge")


def settings(**given: Any) -> ModelSettings:
    return ModelSettings(**given)


@pytest.mark.parametrize(
    ("given", "name", "role", "expected"),
    [
        # Nothing set.
        ({}, None, "assistant", "scripted"),
        ({}, "", "tester", "scripted"),
        ({}, None, "judge", "scripted"),
        ({}, "scripted", "judge", "scripted"),
        ({"environment": KEYED}, None, "judge", "openai/gpt-4o-mini"),
        ({"environment": {"OPENAI_BASE_URL": "http://localhost:1/v1"}}, None, "tester", "openai/gpt-4o-mini"),
        ({"providers": {"openai": Provider("openai", "", KEY)}}, None, "tester", "openai/gpt-4o-mini"),
        ({"providers": {"openai": Provider("openai", "http://x/v1")}}, None, "tester", "openai/gpt-4o-mini"),
        ({"providers": {"openai": Provider("openai", "")}}, None, "tester", "scripted"),
        ({"providers": LOCALS}, None, "tester", "scripted"),
        # Roles.
        ({"providers": LOCALS, "default_model": "local/d"}, None, "assistant", "local/d"),
        ({"providers": LOCALS, "default_model": "local/d"}, None, "tester", "local/d"),
        ({"providers": LOCALS, "default_model": "local/d"}, None, "judge", "local/d"),
        ({"providers": LOCALS, "default_model": "local/d", "tester_model": "local/t"}, None, "tester", "local/t"),
        ({"providers": LOCALS, "default_model": "local/d", "judge_model": "local/j"}, None, "judge", "local/j"),
        ({"providers": LOCALS, "tester_model": "local/t", "judge_model": "local/j"}, None, "assistant", "scripted"),
        ({"default_model": "scripted", "environment": KEYED}, None, "assistant", "scripted"),
        ({"providers": LOCALS, "default_model": "local/d"}, "local/named", "tester", "local/named"),
        # Endpoints.
        ({"providers": LOCALS}, "local/org/model:7b", "assistant", "local/org/model:7b"),
        ({"providers": {"groq": Provider("groq", "http://x/v1")}}, "groq/m", "assistant", "groq/m"),
        ({"environment": KEYED}, "openai/gpt-4o", "assistant", "openai/gpt-4o"),
        ({"environment": KEYED}, "gpt-4o", "assistant", "openai/gpt-4o"),
        ({"environment": {"OPENAI_BASE_URL": "http://localhost:1/v1"}}, "gpt-4o", "assistant", "openai/gpt-4o"),
        ({"environment": {"XAI_API_KEY": KEY}}, "xai/grok-4", "assistant", "xai/grok-4"),
        # Vendors.
        (
            {"environment": {"ANTHROPIC_API_KEY": KEY}},
            "anthropic/claude-haiku-4-5",
            "judge",
            "anthropic/claude-haiku-4-5",
        ),
        # Aliases.
        ({"providers": LOCALS, "aliases": {LLAMA: "local/llama"}}, LLAMA, "assistant", "local/llama"),
        ({"providers": LOCALS, "aliases": {"a": "b", "b": "local/c"}}, "a", "assistant", "local/c"),
        ({"providers": LOCALS, "aliases": {"local/x": "local/y"}}, "local/x", "assistant", "local/y"),
        ({"providers": LOCALS, "aliases": {"smart": "local/s"}, "judge_model": "smart"}, None, "judge", "local/s"),
        ({"aliases": {"gpt-4o": "scripted"}, "environment": KEYED}, "gpt-4o", "assistant", "scripted"),
        # The default model as a stand-in.
        ({"fallback": "default"}, LLAMA, "assistant", "scripted"),
        ({"fallback": "default", "providers": LOCALS, "default_model": "local/d"}, LLAMA, "assistant", "local/d"),
        ({"fallback": "default", "providers": LOCALS, "default_model": "local/d"}, "gpt-4o", "assistant", "local/d"),
        ({"fallback": "default"}, "openai/gpt-4o", "assistant", "scripted"),
        ({"fallback": "default"}, "anthropic/claude-haiku-4-5", "assistant", "scripted"),
        ({"fallback": "default", "environment": KEYED}, LLAMA, "assistant", "openai/gpt-4o-mini"),
        ({"fallback": "default", "aliases": {"d": "scripted"}, "default_model": "d"}, LLAMA, "assistant", "scripted"),
    ],
)
async def test_names_lead_to_models(given: dict[str, Any], name: str | None, role: Role, expected: str) -> None:
    models = Models(settings(**given))
    assert models.resolve(name, role).name == expected
    await models.close()


@pytest.mark.parametrize("role", ["tester", "judge"])
def test_nobody_stands_in_for_who_tests_and_judges(role: Role) -> None:
    with pytest.raises(ModelFailure, match="OPENAI_API_KEY"):
        Models(settings(fallback="default")).resolve("openai/gpt-5", role)


THREE_WAYS = ("VIVA_MODEL_ALIASES", "VIVA_PROVIDERS", "VIVA_MODEL_FALLBACK=default")


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({}, LLAMA, (LLAMA, *THREE_WAYS)),
        ({}, "gpt-4o", ("gpt-4o", *THREE_WAYS)),
        ({"environment": KEYED}, LLAMA, THREE_WAYS),
        ({"providers": LOCALS}, "local/", THREE_WAYS),
        ({"aliases": {"a": LLAMA}}, "a", (LLAMA, *THREE_WAYS)),
        ({"default_model": LLAMA, "fallback": "default"}, "nobody/knows", THREE_WAYS),
        ({"default_model": LLAMA}, None, THREE_WAYS),
        ({}, "openai/gpt-4o", ("OPENAI_API_KEY",)),
        ({"providers": {"openai": Provider("openai", "https://api.openai.com/v1/")}}, "openai/m", ("OPENAI_API_KEY",)),
        ({"environment": {"ANTHROPIC_API_KEY": ""}}, "anthropic/claude", ("ANTHROPIC_API_KEY",)),
        ({}, "google/gemini-2.5-pro", ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
        ({}, "mistral/large", ("MISTRAL_API_KEY",)),
        ({}, "xai/grok-4", ("XAI_API_KEY",)),
        ({"environment": {"CO_API_KEY": "k"}}, "cohere/command-r", ("vivavoce[providers]", "cohere")),
        ({"aliases": CIRCLE}, "a", ("VIVA_MODEL_ALIASES", "a -> b -> c -> a")),
        ({"aliases": {"a": "a"}}, "a", ("a -> a",)),
        ({"providers": {"local": Provider("local", "localhost:8000")}}, "local/m", ("base URL", "local")),
        ({"providers": {"local": Provider("local", "ftp://x/v1")}}, "local/m", ("base URL",)),
        ({"providers": {"local": Provider("local", "http://[broken")}}, "local/m", ("base URL",)),
        ({"providers": {"local": Provider("local", "http://x", "two\nlines")}}, "local/m", ("key", "local")),
    ],
)
@pytest.mark.parametrize("role", ROLES)
def test_names_that_lead_nowhere_say_what_to_set(
    given: dict[str, Any], name: str | None, words: tuple[str, ...], role: Role
) -> None:
    with pytest.raises(ModelFailure) as caught:
        Models(settings(**given)).resolve(name, role)
    assert caught.value.trouble is Trouble.UNRESOLVED
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("vendor", [*COMPATIBLE_VENDORS, *OTHER_VENDORS])
def test_every_vendor_is_one_that_pydantic_ai_knows(vendor: str) -> None:
    from pydantic_ai.providers import infer_provider_class

    # A vendor whose package is missing here is known all the same; an unknown one is a ValueError.
    with contextlib.suppress(ImportError):
        assert infer_provider_class(vendor)


def test_the_name_that_stands_where_none_is_given() -> None:
    models = Models(settings(default_model="local/d", judge_model="local/j"))
    assert [models.default_name(role) for role in ROLES] == ["local/d", "local/d", "local/j"]


PROMPT = Prompt((PromptLine("user", "Hello?"),))


@pytest.fixture
async def models(endpoint: Endpoint, waits: Waits) -> AsyncGenerator[Models]:
    made = Models(
        settings(
            providers={"local": Provider("local", endpoint.base_url + "/", f"  {KEY}\n", concurrency=2)},
            environment={"OPENAI_BASE_URL": f"{endpoint.base_url}?api-version=1"},
        ),
        waits.pace,
    )
    yield made
    await made.close()


async def test_resolved_models_speak_with_their_endpoints(endpoint: Endpoint, models: Models) -> None:
    assert (await models.resolve("local/m", "assistant").reply(PROMPT)).text == "answer 1 to: Hello?"
    assert (await models.resolve("gpt-4o", "assistant").reply(PROMPT)).text == "answer 1 to: Hello?"
    first, second = endpoint.requests
    assert (first["authorization"], first["body"]["model"]) == (f"Bearer {KEY}", "m")
    assert (second["authorization"], second["body"]["model"]) == ("", "gpt-4o")


async def test_models_of_a_provider_share_its_limit(endpoint: Endpoint, models: Models) -> None:
    endpoint.latency = 0.01
    asked = [models.resolve(f"local/m-{number}", "assistant").reply(PROMPT) for number in range(8)]
    assert len(await asyncio.gather(*asked)) == 8
    assert endpoint.most == 2


async def test_closing_is_for_good_measure_repeatable(models: Models) -> None:
    await models.resolve("local/m", "assistant").reply(PROMPT)
    await models.close()
    await models.close()
    assert (await models.resolve("local/m", "assistant").reply(PROMPT)).text


def test_no_repr_tells_a_key() -> None:
    provider = Provider("local", f"https://user:{KEY}@example.com:8443/v1?key={KEY}", KEY)
    given = settings(providers={"local": provider}, environment={"ANTHROPIC_API_KEY": KEY})
    assert KEY not in f"{provider!r}{given!r}{Models(given)!r}"
    assert repr(provider) == "Provider(name='local', base_url='https://example.com:8443/v1', api_key=set)"


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"max_attempts": 0}, {"timeout_s": 0.0}])
def test_limits_must_be_positive(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Provider("local", "http://x/v1", **wrong)


# --- keys that are lent, fewer attempts, requests handed on, endpoints of users ---------------------------------------

LENT = "sk-somebody-else-s"


@pytest.mark.parametrize(
    ("given", "name", "sent"),
    [
        ({}, "local/m", LENT),
        ({}, "gpt-4o", LENT),
        ({}, "openai/gpt-4o", LENT),
        ({"aliases": {"local/m": "local/n"}}, "local/m", LENT),
        # The vendor of the alias is not whom the key was meant for.
        ({"aliases": {"gpt-4o": "local/m"}}, "gpt-4o", KEY),
        ({"aliases": {LLAMA: "local/m"}}, LLAMA, KEY),
        # Nobody knows whom the key is for.
        ({"default_model": "local/m"}, None, KEY),
        ({"default_model": "local/m", "fallback": "default"}, LLAMA, KEY),
    ],
)
async def test_rule_6_9_a_lent_key_goes_to_the_vendor_that_is_named(
    endpoint: Endpoint, waits: Waits, given: dict[str, Any], name: str | None, sent: str
) -> None:
    providers = {
        "local": Provider("local", endpoint.base_url, KEY),
        "openai": Provider("openai", endpoint.base_url, KEY),
    }
    models = Models(settings(providers=providers, **given), waits.pace)
    model = models.resolve(name, "assistant", key=LENT)
    await model.reply(PROMPT)
    await models.resolve("local/m", "assistant").reply(PROMPT)
    assert [one["authorization"] for one in endpoint.requests] == [f"Bearer {sent}", f"Bearer {KEY}"]
    assert LENT not in model.name
    await models.close()


@pytest.mark.parametrize("name", ["openai/gpt-4o", "gpt-4o", "xai/grok-4", "anthropic/claude-haiku-4-5"])
async def test_a_lent_key_is_enough_where_none_is_configured(name: str) -> None:
    models = Models(settings())
    assert models.resolve(name, "assistant", key=LENT).name.endswith(name)
    with pytest.raises(ModelFailure):
        models.resolve(name, "assistant")
    await models.close()


async def test_what_was_learnt_of_a_lent_key_is_kept_for_a_while(endpoint: Endpoint, models: Models) -> None:
    refusal = {"error": {"message": "unknown field: stream_options"}}
    endpoint.faults = [{"kind": "status", "status": 400, "body": refusal}]

    async def options_sent() -> list[bool]:
        endpoint.records.clear()
        async for _ in models.resolve("local/m", "assistant", key="key-0").stream(PROMPT):
            pass
        return ["stream_options" in body for body in endpoint.bodies()]

    assert await options_sent() == [True, False]
    assert await options_sent() == [False]
    for number in range(1, 600):
        models.resolve("local/m", "assistant", key=f"key-{number}")
    assert await options_sent() == [True]  # among so many, the oldest are forgotten


async def test_a_key_that_no_header_carries_is_told(models: Models) -> None:
    with pytest.raises(ModelFailure, match="holds characters"):
        models.resolve("local/m", "assistant", key="two\nlines")


async def test_a_model_may_be_told_to_give_up_sooner(endpoint: Endpoint, models: Models, waits: Waits) -> None:
    endpoint.faults = [{"kind": "status", "status": 503, "times": -1}]
    with pytest.raises(ModelFailure, match="after 2 attempts"):
        await models.resolve("local/m", "assistant", max_attempts=2).reply(PROMPT)
    with pytest.raises(ModelFailure, match="after 4 attempts"):
        await models.resolve("local/m", "assistant", max_attempts=9).reply(PROMPT)
    assert len(endpoint.records) == 6


def test_the_default_model_can_be_kept_from_standing_in() -> None:
    models = Models(settings(fallback="default"))
    assert models.resolve(LLAMA, "assistant").name == "scripted"
    with pytest.raises(ModelFailure, match="nobody serves"):
        models.resolve(LLAMA, "assistant", stand_in=False)


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ({}, None, None),
        ({"fallback": "default"}, LLAMA, None),
        ({"providers": LOCALS}, "local/org/m", ("http://localhost:8000/v1", "org/m")),
        ({"environment": {"ANTHROPIC_API_KEY": KEY}}, "anthropic/c", ("https://api.anthropic.com/v1", "c")),
        ({"environment": {"GEMINI_API_KEY": KEY}}, "google/g", (OTHER_VENDORS["google"][0], "g")),
        ({"environment": {"XAI_API_KEY": KEY}}, "xai/g", ("https://api.x.ai/v1", "g")),
    ],
)
async def test_where_requests_are_handed_on_to(
    given: dict[str, Any], name: str | None, expected: tuple[str, str] | None
) -> None:
    way = Models(settings(**given)).relay(name)
    assert (way and (way[0].provider.base_url, way[1])) == expected
    if way:
        lent = Models(settings(**given)).relay(name, key=LENT)
        assert lent is not None
        assert lent[0].provider.api_key == LENT


def test_nobody_to_hand_a_request_on_to() -> None:
    with pytest.raises(ModelFailure, match="ANTHROPIC_API_KEY"):
        Models(settings()).relay("anthropic/claude")
    with pytest.raises(ModelFailure, match="nobody serves"):
        Models(settings(fallback="default")).relay(LLAMA, stand_in=False)


async def test_an_endpoint_of_a_user_is_reached_through_the_guard(endpoint: Endpoint, models: Models) -> None:
    async with open_session(Guard(networks(["127.0.0.0/8"]))) as session:
        model = models.endpoint(session, endpoint.base_url, "m-2", key=LENT, extra={"extra_metadata": {"a": 1}})
        assert (await model.reply(PROMPT)).usage.model == "127.0.0.1/m-2"
        async for _ in model.stream(PROMPT):
            pass
    assert [one["authorization"] for one in endpoint.requests] == [f"Bearer {LENT}"] * 2
    assert [(one["model"], one["extra_metadata"]) for one in endpoint.bodies()] == [("m-2", {"a": 1})] * 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/v1",
        "http://[::1]:1/v1",
        "http://169.254.169.254/v1",
        "ftp://example.com",
        "",
        "https://u:p@x",
    ],
)
async def test_an_endpoint_may_not_be_just_anywhere(models: Models, url: str) -> None:
    async with open_session(Guard()) as session:
        with pytest.raises(ModelFailure, match="is not asked") as caught:
            models.endpoint(session, url, "m")
    assert caught.value.trouble is Trouble.UNRESOLVED


async def test_a_name_that_leads_inside_is_refused_when_it_is_asked(endpoint: Endpoint, models: Models) -> None:
    async with open_session(Guard()) as session:
        model = models.endpoint(session, f"http://localhost:{endpoint.port}/v1", "m", key=LENT)
        with pytest.raises(ModelFailure, match="VIVA_ALLOW_NETWORKS") as caught:
            await model.reply(PROMPT)
    assert caught.value.trouble is Trouble.UNRESOLVED
    assert endpoint.records == []


async def test_an_endpoint_s_redirect_is_not_followed(endpoint: Endpoint, models: Models) -> None:
    endpoint.faults = [{"kind": "status", "status": 302, "headers": {"Location": endpoint.base_url}, "times": -1}]
    async with open_session(Guard(networks(["127.0.0.0/8"]))) as session:
        with pytest.raises(ModelFailure, match="redirects are not followed"):
            await models.endpoint(session, endpoint.base_url, "m").reply(PROMPT)
    assert len(endpoint.records) == 1
