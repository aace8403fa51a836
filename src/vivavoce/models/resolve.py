"""From a model's name to a model: aliases, roles, endpoints, vendors, and what to set when nobody serves the name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import aiohttp

from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.models.config import OPENAI_BASE_URL, ModelSettings, Provider
from vivavoce.models.openai import OpenAIModel
from vivavoce.models.others import OtherModel, Vendor
from vivavoce.models.pace import Pace
from vivavoce.models.scripted import Scripted
from vivavoce.models.transport import Transport

Role = Literal["assistant", "tester", "judge"]

SCRIPTED = "scripted"
OPENAI = "openai"
UNSET_WITH_OPENAI = "openai/gpt-4o-mini"
"""What is taken when no model is set, but OpenAI or something compatible is."""

COMPATIBLE_VENDORS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cerebras": ("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
        "deepseek": ("https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
        "fireworks": ("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
        "moonshotai": ("https://api.moonshot.ai/v1", ("MOONSHOTAI_API_KEY",)),
        "openrouter": ("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
        "sambanova": ("https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
        "together": ("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
        "xai": ("https://api.x.ai/v1", ("XAI_API_KEY",)),
    }
)
"""Vendors that speak chat completions: where they are, and the variables that may hold their key."""

OTHER_VENDORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "anthropic": ("ANTHROPIC_API_KEY",),
        "cohere": ("CO_API_KEY",),
        "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "groq": ("GROQ_API_KEY",),
        "huggingface": ("HF_TOKEN",),
        "mistral": ("MISTRAL_API_KEY",),
    }
)
"""Vendors that pydantic-ai speaks to, and the variables that may hold their key."""


class Models:
    """All models of a process: one HTTP session, and for each provider one limit of requests at once.

    Made anywhere, used in one event loop, closed in it.
    """

    def __init__(self, settings: ModelSettings, pace: Pace | None = None) -> None:
        self._settings = settings
        self._pace = pace or Pace()
        self._session: aiohttp.ClientSession | None = None
        self._transports: dict[str, Transport] = {}
        self._vendors: dict[str, Vendor] = {}
        self._openai = _openai_provider(settings)

    def resolve(self, name: str | None, role: Role) -> Model:
        """The model of that name, or the role's own when there is no name.

        Raises ``ModelFailure`` with ``UNRESOLVED``; the message names the setting that is missing.
        """
        return self._serve(self._unaliased(name or self._unset(role)), stand_in=self._stands_in(role))

    async def close(self) -> None:
        """Close all connections. Calls that are under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        for vendor in self._vendors.values():
            await vendor.close()

    def _stands_in(self, role: Role) -> bool:
        """Only for assistants: whose model tests and judges is never swapped silently."""
        return role == "assistant" and self._settings.fallback == "default"

    def default_name(self, role: Role) -> str:
        """The name that stands where a role's model is not named."""
        return self._unset(role)

    def _unset(self, role: Role) -> str:
        settings = self._settings
        own = {"assistant": None, "tester": settings.tester_model, "judge": settings.judge_model}[role]
        chosen = own or settings.default_model
        if chosen:
            return chosen
        return UNSET_WITH_OPENAI if self._openai is not None else SCRIPTED

    def _unaliased(self, name: str) -> str:
        hops = [name]
        while hops[-1] in self._settings.aliases:
            target = self._settings.aliases[hops[-1]]
            hops.append(target)
            if target in hops[:-1]:
                raise _unresolved(name, f"VIVA_MODEL_ALIASES goes in a circle: {' -> '.join(hops)}")
        return hops[-1]

    def _serve(self, name: str, *, stand_in: bool) -> Model:
        try:
            return self._found(name)
        except ModelFailure:
            if not stand_in:
                raise
        # The stand-in itself gets none, or a default that nobody serves would stand in for itself for ever.
        return self._serve(self._unaliased(self._unset("assistant")), stand_in=False)

    def _found(self, name: str) -> Model:
        if name == SCRIPTED:
            return Scripted()
        prefix, slash, rest = name.partition("/")
        if slash and rest:
            if prefix in self._settings.providers or prefix == OPENAI:
                return self._configured(prefix, rest)
            if prefix in COMPATIBLE_VENDORS or prefix in OTHER_VENDORS:
                return self._of_vendor(prefix, rest)
        elif not slash and self._openai is not None:
            return OpenAIModel(self._transport(self._openai), name)
        raise _unresolved(
            name,
            "nobody serves this name here; map it to one that is served in VIVA_MODEL_ALIASES, name the endpoint that"
            " serves it in VIVA_PROVIDERS, or set VIVA_MODEL_FALLBACK=default to take the default model instead",
        )

    def _configured(self, prefix: str, model: str) -> Model:
        provider = self._openai if prefix == OPENAI else self._settings.providers[prefix]
        if provider is None:
            raise _unresolved(f"{prefix}/{model}", "set OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible endpoint")
        return OpenAIModel(self._transport(provider), model)

    def _of_vendor(self, prefix: str, model: str) -> Model:
        base_url, variables = COMPATIBLE_VENDORS.get(prefix) or ("", OTHER_VENDORS[prefix])
        variable = next((each for each in variables if self._settings.environment.get(each)), None)
        if variable is None:
            raise _unresolved(f"{prefix}/{model}", f"set {' or '.join(variables)}")
        key = self._settings.environment[variable]
        if base_url:
            return OpenAIModel(self._transport(Provider(prefix, base_url, key)), model)
        vendor = self._vendors.get(prefix)
        if vendor is None:
            vendor = self._vendors[prefix] = Vendor(prefix, variable, key)
        return OtherModel(vendor.model(model), name=f"{prefix}/{model}", vendor=vendor, pace=self._pace)

    def _transport(self, provider: Provider) -> Transport:
        transport = self._transports.get(provider.name)
        if transport is None:
            transport = self._transports[provider.name] = Transport(provider, self._open_session, self._pace)
        return transport

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # The providers' own limits hold; a second one in the pool would only queue without counting.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _openai_provider(settings: ModelSettings) -> Provider | None:
    """The provider ``openai``, from the settings or from its usual variables; None when neither says enough."""
    given = settings.providers.get(OPENAI)
    key = settings.environment.get("OPENAI_API_KEY", "")
    base_url = settings.environment.get("OPENAI_BASE_URL", "")
    if given is None:
        given = Provider(OPENAI, base_url, key)
    elif not given.api_key and _is_openai_itself(given.base_url):
        given = Provider(OPENAI, given.base_url, key, given.concurrency, given.timeout_s, given.max_attempts)
    return None if not given.api_key and _is_openai_itself(given.base_url) else given


def _is_openai_itself(base_url: str) -> bool:
    return base_url.rstrip("/") in ("", OPENAI_BASE_URL)


def _unresolved(name: str, message: str) -> ModelFailure:
    return ModelFailure(Trouble.UNRESOLVED, f"model {name!r}: {message}")
