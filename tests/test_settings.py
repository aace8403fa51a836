from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from vivavoce import house
from vivavoce.core.budget import Budget
from vivavoce.models.config import Provider
from vivavoce.services.errors import Rejected
from vivavoce.services.prices import Price
from vivavoce.settings import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the developer has set."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"VIVA_{name.upper()}", value)
    return Settings()


def test_without_any_setting_everything_has_a_value() -> None:
    settings = Settings()
    assert settings.url == "sqlite:///data/viva.db"
    models = settings.for_models({})
    assert (models.providers, models.aliases, models.default_model, models.fallback) == ({}, {}, None, "off")
    assert settings.api_key is None


def test_variables_are_read_and_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_PORT", "1234")
    monkeypatch.setenv("VIVA_HOST", "::1")
    settings = Settings(port=99)
    assert (settings.port, settings.host) == (99, "::1")


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file of settings with gaps in it makes them."""
    settings = given(monkeypatch, **dict.fromkeys(Settings.model_fields, ""))
    assert settings == Settings.model_construct()


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("postgresql://u:p@h:5432/d", "postgresql+psycopg://u:p@h:5432/d"),
        ("postgres://h/d?sslmode=require", "postgresql+psycopg://h/d?sslmode=require"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:///some/where.db", "sqlite:///some/where.db"),
    ],
)
def test_an_address_gets_the_driver_that_is_used(monkeypatch: pytest.MonkeyPatch, address: str, url: str) -> None:
    assert given(monkeypatch, database_url=address).url == url


def test_sqlite_lives_in_the_directory(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).url == f"sqlite:///{tmp_path}/viva.db"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("rate_limit", "-1"),
        ("max_body_bytes", "1023"),
        ("worker_concurrency", "0"),
        ("worker_concurrency", "5001"),
        ("turn_limit", "0"),
        ("max_duration_seconds", "3601"),
        ("model_fallback", "on"),
        ("log_format", "xml"),
        ("allow_networks", "10.0.0.0/8,nonsense"),
        ("database_url", "secret-nonsense"),
        ("database_url", "mysql://u:secret@h/d"),
        ("database_url", "postgresql+asyncpg://u:secret@h/d"),
        ("providers", '{"a": {}}'),
        ("providers", '{"a": {"base_url": "http://x", "concurrency": 0}}'),
        ("providers", '{"a": {"base_url": "http://x", "timeout_s": 0}}'),
        ("providers", '{"a": {"base_url": "http://x", "max_attempts": 11}}'),
        ("providers", '{"a": {"base_url": "http://x", "apikey": "secret"}}'),
        ("providers", '{"a": {"requests_per_minute": 5}}'),
        ("providers", '{"a": {"base_url": "http://x", "tokens_per_minute": -1}}'),
        ("prices", '{"m": {"input": 1}}'),
        ("prices", '{"m": {"input": -1, "output": 1}}'),
        ("prices", '{"m": {"input": Infinity, "output": 1}}'),
        ("batch_token_limit", "0"),
        ("batch_money_limit", "0"),
        ("batch_money_limit", "nan"),
        ("numbers", '{"+1": 2}'),
        ("sandbox_url", "localhost:9000"),
        ("sandbox_url", "file:///secret"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as failure:
        given(monkeypatch, **{name: value})
    assert {error["loc"][0] for error in failure.value.errors()} == {name}
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("name", ["providers", "model_aliases", "numbers"])
def test_a_mapping_that_is_no_json_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        given(monkeypatch, **{name: "{"})


@pytest.mark.parametrize(
    ("text", "networks"),
    [("10.0.0.0/8, 127.0.0.1", ("10.0.0.0/8", "127.0.0.1")), (" ", ()), ("::1,,fd00::/8,", ("::1", "fd00::/8"))],
)
def test_networks_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, networks: tuple[str, ...]
) -> None:
    assert given(monkeypatch, allow_networks=text).allow_networks == networks


PROVIDERS = '{"local": {"base_url": "http://l/v1", "api_key_env": "LOCAL_KEY", "api_key": "unused", "concurrency": 3}}'


LIMITS = '{"anthropic": {"requests_per_minute": 50, "tokens_per_minute": 1000}, "openai": {"concurrency": 2}}'


def test_vendors_may_be_named_for_their_limits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = given(monkeypatch, providers=LIMITS).for_models({}).providers
    assert providers == {
        "anthropic": Provider("anthropic", "", requests_per_minute=50, tokens_per_minute=1000),
        "openai": Provider("openai", "", concurrency=2),
    }


PRICES = '{"openai/m": {"input": 0.15, "output": 0.6}}'


def test_prices_and_the_budget_of_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, prices=PRICES, batch_token_limit="1000", batch_money_limit="2.5")
    assert house.prices(settings) == {"openai/m": Price(0.15, 0.6)}
    assert house.budget(settings) == Budget(1000, 2_500_000)


def test_a_budget_of_money_needs_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert house.budget(given(monkeypatch)) == Budget()
    with pytest.raises(Rejected, match="VIVA_PRICES"):
        house.budget(given(monkeypatch, batch_money_limit="2.5"))


@pytest.mark.parametrize(("environment", "key"), [({"LOCAL_KEY": "sk-1"}, "sk-1"), ({}, "")])
def test_a_key_is_taken_from_the_variable_that_is_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], key: str
) -> None:
    providers = given(monkeypatch, providers=PROVIDERS).for_models(environment).providers
    assert providers == {"local": Provider("local", "http://l/v1", key, 3, 60.0, 4)}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"OPENAI_API_KEY": "sk-1"}, ("https://api.openai.com/v1", "sk-1")),
        ({"OPENAI_BASE_URL": "http://l/v1"}, ("http://l/v1", "")),
        ({"OPENAI_BASE_URL": "http://l/v1", "OPENAI_API_KEY": "sk-1"}, ("http://l/v1", "sk-1")),
    ],
)
def test_openai_is_read_from_its_own_variables(environment: dict[str, str], expected: Any) -> None:
    found = Settings().for_models(environment).providers.get("openai")
    assert (found and (found.base_url, found.api_key)) == expected


def test_a_provider_that_is_named_openai_wins_over_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, providers='{"openai": {"base_url": "http://own/v1", "api_key": "mine"}}')
    found = settings.for_models({"OPENAI_API_KEY": "sk-1"}).providers["openai"]
    assert (found.base_url, found.api_key) == ("http://own/v1", "mine")


def test_a_provider_is_not_read_from_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", "http://elsewhere")
    with pytest.raises(ValidationError):
        given(monkeypatch, providers='{"a": {}}')


def test_the_models_get_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        default_model="a",
        tester_model="b",
        judge_model="c",
        model_fallback="default",
        model_aliases='{"x": "y"}',
    )
    models = settings.for_models({"ANTHROPIC_API_KEY": "k"})
    assert (models.default_model, models.tester_model, models.judge_model) == ("a", "b", "c")
    assert (models.fallback, models.aliases) == ("default", {"x": "y"})
    assert models.environment == {"ANTHROPIC_API_KEY": "k"}


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        api_key="secret-1",
        database_url="postgresql://u:secret-2@h/d",
        providers='{"a": {"base_url": "http://x", "api_key": "secret-3"}}',
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "secret-" not in shown


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "nonsense"])
def test_an_address_of_no_lasting_database_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with pytest.raises(ValidationError):
        given(monkeypatch, database_url=address)
