"""Every setting of the server, read once from ``VIVA_…`` variables and the command line, and passed in."""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from vivavoce.models.config import COMPATIBLE_VENDORS, OTHER_VENDORS, ModelSettings, Provider

_DATABASE = re.compile(r"postgres(ql(\+psycopg)?)?://.+|sqlite:///(?!:memory:).+", re.DOTALL)


class ProviderSetting(BaseModel, extra="forbid"):
    """One OpenAI-compatible endpoint in ``VIVA_PROVIDERS``, or the limits of a vendor that is known without it."""

    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    api_key_env: str = ""
    concurrency: int = Field(default=256, ge=1)
    timeout_s: float = Field(default=60.0, gt=0)
    max_attempts: int = Field(default=4, ge=1, le=10)
    requests_per_minute: int = Field(default=0, ge=0)
    tokens_per_minute: int = Field(default=0, ge=0)


class PriceSetting(BaseModel, extra="forbid"):
    """What a million tokens of one model cost, in ``VIVA_PRICES``."""

    input: float = Field(ge=0, le=1_000_000)
    output: float = Field(ge=0, le=1_000_000)


class Settings(BaseSettings):
    """The settings, documented one by one in ``docs/reference/settings.md``."""

    model_config = SettingsConfigDict(
        env_prefix="VIVA_", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    data_dir: Path = Path("data")
    database_url: SecretStr | None = None
    database_connections: int = Field(default=16, ge=2, le=200)
    api_key: SecretStr | None = None

    default_model: str | None = None
    tester_model: str | None = None
    judge_model: str | None = None
    model_fallback: Literal["off", "default"] = "off"
    model_aliases: dict[str, str] = {}
    providers: dict[str, ProviderSetting] = {}

    secret_key: SecretStr | None = None
    messenger: str = "loopback"
    messenger_url: str = ""
    messenger_key: SecretStr | None = None
    messenger_public_key: str = ""
    import_urls: dict[str, str] = {}
    embedding_model: str | None = None

    allow_networks: Annotated[tuple[str, ...], NoDecode] = ()
    numbers: dict[str, str] = {}
    sandbox_url: str = Field(default="", pattern=r"^(https?://.+)?$")

    rate_limit: int = Field(default=6000, ge=0)
    max_body_bytes: int = Field(default=2 * 1024 * 1024, ge=1024)
    worker_concurrency: int = Field(default=256, ge=1, le=5000)
    total_concurrency: int | None = Field(default=None, ge=1)
    destination_concurrency: int | None = Field(default=None, ge=1)
    destination_limits: dict[str, Annotated[int, Field(ge=1)]] = {}
    grace_seconds: float = Field(default=20.0, ge=0, le=3600)
    run_timeout_seconds: int = Field(default=3600, ge=1, le=86_400)
    run_retries: int = Field(default=2, ge=0, le=20)
    prices: dict[str, PriceSetting] = {}
    batch_token_limit: int | None = Field(default=None, ge=1, le=10**15)
    batch_money_limit: float | None = Field(default=None, gt=0, le=10**9)
    keep_conversations_days: int = Field(default=0, ge=0, le=36_500)
    keep_runs_days: int = Field(default=0, ge=0, le=36_500)
    metrics_open: bool = False
    otlp_endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    turn_limit: int = Field(default=40, ge=1, le=1000)
    utterance_limit: int = Field(default=400, ge=1, le=10_000)
    repeat_limit: int = Field(default=3, ge=2, le=1000)
    max_duration_seconds: int = Field(default=600, ge=1, le=3600)
    idle_minutes: int = Field(default=30, ge=1, le=10_000_000)
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool | None = None

    @field_validator("database_url")
    @classmethod
    def _kind(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _DATABASE.fullmatch(value.get_secret_value()):
            raise ValueError("Value should be an address such as postgresql://user:password@host/name")
        return value

    @field_validator("providers")
    @classmethod
    def _somewhere(cls, value: dict[str, ProviderSetting]) -> dict[str, ProviderSetting]:
        for name, one in value.items():
            if not one.base_url and name not in {"openai", *COMPATIBLE_VENDORS, *OTHER_VENDORS}:
                raise ValueError(f"Provider {name!r} should have a base_url")
        return value

    @field_validator("allow_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Accept ``10.0.0.0/8, 127.0.0.0/8`` as people write it in a variable."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None where the database is a server."""
        return Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite:///") else None

    @property
    def url(self) -> str:
        """The database's address in SQLAlchemy's form, with the driver that is used for it."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'viva.db'}"
        url = self.database_url.get_secret_value()
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    def for_models(self, environment: Mapping[str, str] = os.environ) -> ModelSettings:
        """What the models' room needs, with keys taken from the environment where they are named."""
        providers = {
            name: Provider(
                name,
                one.base_url,
                environment.get(one.api_key_env, "") if one.api_key_env else one.api_key.get_secret_value(),
                one.concurrency,
                one.timeout_s,
                one.max_attempts,
                one.requests_per_minute,
                one.tokens_per_minute,
            )
            for name, one in self.providers.items()
        }
        key, base = environment.get("OPENAI_API_KEY", ""), environment.get("OPENAI_BASE_URL", "")
        if "openai" not in providers and (key or base):
            providers["openai"] = Provider("openai", base or "https://api.openai.com/v1", key)
        return ModelSettings(
            providers,
            self.model_aliases,
            self.default_model,
            self.tester_model,
            self.judge_model,
            self.model_fallback,
            environment,
        )
