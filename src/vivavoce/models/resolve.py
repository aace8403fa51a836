"""From a model's name to a model: aliases, roles, endpoints, vendors, and what to set when nobody serves the name."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.telemetry import NOBODY, Telemetry
from vivavoce.models.catalogue import Catalogue, Listed
from vivavoce.models.config import COMPATIBLE_VENDORS, OPENAI_BASE_URL, OTHER_VENDORS, ModelSettings, Provider
from vivavoce.models.limiter import Busy, Limiter, Rates
from vivavoce.models.observed import observed
from vivavoce.models.openai import OpenAIModel
from vivavoce.models.others import OtherModel, Vendor
from vivavoce.models.pace import Pace
from vivavoce.models.scripted import Scripted
from vivavoce.models.transport import Transport
from vivavoce.outbound.fetch import Session
from vivavoce.outbound.guard import Refused, vetted

if TYPE_CHECKING:
    import aiohttp

R = TypeVar("R")

Role = Literal["assistant", "tester", "judge"]
ROLES: tuple[Role, ...] = get_args(Role)

SCRIPTED = "scripted"
OPENAI = "openai"
ENDPOINT = "endpoint"
"""Whom those who watch are told of for the endpoints that users name."""
UNSET_WITH_OPENAI = "openai/gpt-4o-mini"
"""What is taken when no model is set, but OpenAI or something compatible is."""

_MAX_LENT = 512


@dataclass(frozen=True, slots=True)
class _Place:
    """Who serves a name. Without a provider it is the scripted model; ``variable`` names what holds the key of a vendor
    that has a protocol of its own, ``lent`` says that somebody else's key is used."""

    provider: Provider | None
    model: str
    variable: str = ""
    lent: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider that is set up here, what it allows (all processes together, but for ``rates.concurrency``), and how
    it stands in this process."""

    name: str
    rates: Rates
    busy: Busy


class Models:
    """All models of a process: one HTTP session, and for each provider one gate that keeps its limits.

    Made anywhere, used in one event loop, closed in it.
    """

    def __init__(self, settings: ModelSettings, pace: Pace | None = None, telemetry: Telemetry = NOBODY) -> None:
        self._settings = settings
        self.telemetry = telemetry
        self._pace = pace or Pace()
        self._session: aiohttp.ClientSession | None = None
        self._transports: dict[Provider, Transport] = {}
        self._vendors: dict[str, Vendor] = {}
        self._lent_transports: dict[object, Transport] = {}
        self._lent_vendors: dict[object, Vendor] = {}
        self._resolved: dict[object, Model] = {}
        self._openai = _openai_provider(settings)
        self._catalogue = Catalogue(self._pace)
        self._processes = 1

    def resolve(
        self, name: str | None, role: Role, *, key: str = "", max_attempts: int | None = None, stand_in: bool = True
    ) -> Model:
        """The model of that name, or the role's own when there is no name.

        ``key`` is sent instead of the configured one, and only to the vendor that the name names: where an alias leads
        to another, or the default model stands in, the configured key is used. ``max_attempts`` makes it give up
        sooner than its provider says; ``stand_in`` false keeps the default model from standing in. Raises
        ``ModelFailure`` with ``UNRESOLVED``; the message names the setting that is missing.
        """
        stand_in = stand_in and self._stands_in(role)

        def made() -> Model:
            model = self._served(name, role, key, lambda place: self._model(place, max_attempts), stand_in=stand_in)
            return model if self.telemetry is NOBODY else observed(model, role, self.telemetry)

        # It is asked for in every turn, and all conversations can share it: a model keeps nothing of what it is asked.
        return made() if key else _remembered(self._resolved, (name, role, max_attempts, stand_in), made)

    def relay(self, name: str | None, *, key: str = "", stand_in: bool = True) -> tuple[Transport, str] | None:
        """Where chat completions of an assistant's model are handed on to, and its name there; None is the scripted
        model. Names, keys and failures are those of ``resolve``."""

        def reached(place: _Place) -> tuple[Transport, str] | None:
            return None if place.provider is None else (self._transport(place.provider, place.lent), place.model)

        return self._served(name, "assistant", key, reached, stand_in=stand_in and self._stands_in("assistant"))

    def endpoint(
        self,
        session: Session,
        base_url: str,
        model: str,
        *,
        key: str = "",
        extra: Mapping[str, Any] | None = None,
        max_attempts: int | None = None,
    ) -> Model:
        """A model of an endpoint that a user named, reached through the guarded session only.

        ``extra`` goes into every request. Raises ``ModelFailure`` with ``UNRESOLVED`` where its address may not be
        called, now or, for a name that leads to such an address, when it is asked.
        """
        try:
            host = vetted(session.guard, base_url).host or ""
        except Refused as refused:
            raise ModelFailure(Trouble.UNRESOLVED, f"the endpoint of model {model!r} is not asked: {refused}") from None
        provider = Provider(host, base_url, key)

        transport = _remembered(
            self._lent_transports,
            (session, provider),
            lambda: Transport(provider, session.client, self._pace, guarded=True),
        )
        transport.limiter.told = self._waiting(ENDPOINT)
        asked = OpenAIModel(transport, model, extra=extra, max_attempts=max_attempts)
        # Its host is the user's own affair.
        return asked if self.telemetry is NOBODY else observed(asked, "assistant", self.telemetry, ENDPOINT)

    async def listed(self) -> tuple[Listed, ...]:
        """Every model that can be named here: the roles' own, the aliases, the scripted one, and what the providers
        that can be reached tell of theirs. Never raises."""
        named = [
            Listed(name, preferred=role == "assistant") for role in ROLES if self._serves(name := self._unset(role))
        ]
        aliases = self._settings.aliases
        named += [Listed(name, note=f"Served by {aliases[name]}.") for name in aliases if self._serves(name)]
        named.append(Listed(SCRIPTED, "vivavoce", note="Follows the script in its instructions; no language model."))
        told = await self._catalogue.told(self._reachable())
        found: dict[str, Listed] = {}
        for one in (*named, *told):
            before = found.get(one.name)
            found[one.name] = one if before is None else before.with_facts(one)
        return tuple(found.values())

    async def close(self) -> None:
        """Close all connections. Calls that are under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        for transport in (*self._transports.values(), *self._lent_transports.values()):
            transport.close()
        for vendor in (*self._vendors.values(), *self._lent_vendors.values()):
            await vendor.close()

    @property
    def limited(self) -> bool:
        """Whether any provider has limits that processes share."""
        return any(one.requests_per_minute or one.tokens_per_minute for one in self._settings.providers.values())

    def share(self, processes: int) -> None:
        """So many processes share the providers' limits from now on, evenly."""
        self._processes = max(processes, 1)
        transports = (*self._transports.values(), *self._lent_transports.values())
        vendors = (*self._vendors.values(), *self._lent_vendors.values())
        for one in (*transports, *vendors):
            one.limiter.share(self._processes)

    def standing(self) -> tuple[Standing, ...]:
        """How every provider stands that the settings name or that was asked."""
        found = {name: Standing(name, one.rates, Busy(0, 0, 0.0)) for name, one in self._settings.providers.items()}
        used = [(one.provider.name, one.limiter) for one in self._transports.values()]
        used += [(one.name, one.limiter) for one in self._vendors.values()]
        for name, limiter in used:
            found[name] = Standing(name, limiter.rates, limiter.busy)
        return tuple(found[name] for name in sorted(found))

    def _waiting(self, provider: str) -> Callable[[float], None]:
        return partial(self.telemetry.waited, provider)

    def _shared(self, limiter: Limiter, provider: str) -> None:
        limiter.told = self._waiting(provider)
        if self._processes > 1:
            limiter.share(self._processes)

    @property
    def has_stand_in(self) -> bool:
        """Whether the settings let a default model take the place of one that nobody serves."""
        return self._settings.fallback == "default"

    def _stands_in(self, role: Role) -> bool:
        """Only for assistants: whose model tests and judges is never swapped silently."""
        return role == "assistant" and self.has_stand_in

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

    def _served(
        self, name: str | None, role: Role, key: str, use: Callable[[_Place], R], *, stand_in: bool = False
    ) -> R:
        target = self._unaliased(name or self._unset(role))
        mine = key if name and _vendor_of(target) == _vendor_of(name) else ""
        try:
            return use(self._place(target, mine))
        except ModelFailure:
            if not stand_in:
                raise
        # The stand-in itself gets none, or a default that nobody serves would stand in for itself for ever.
        return use(self._place(self._unaliased(self._unset("assistant")), ""))

    def _serves(self, name: str) -> bool:
        try:
            self.resolve(name, "tester")
        except ModelFailure:
            return False
        return True

    def _place(self, name: str, key: str) -> _Place:
        if name == SCRIPTED:
            return _Place(None, name)
        prefix, slash, rest = name.partition("/")
        if slash and rest:
            if prefix == OPENAI or self._is_endpoint(prefix):
                return self._configured(prefix, rest, key)
            if prefix in COMPATIBLE_VENDORS or prefix in OTHER_VENDORS:
                return self._of_vendor(prefix, rest, key)
        elif not slash and (self._openai is not None or key):
            return self._configured(OPENAI, name, key)
        raise _unresolved(
            name,
            "nobody serves this name here; map it to one that is served in VIVA_MODEL_ALIASES, name the endpoint that"
            " serves it in VIVA_PROVIDERS, or set VIVA_MODEL_FALLBACK=default to take the default model instead",
        )

    def _is_endpoint(self, prefix: str) -> bool:
        """Whether the settings say where it is. A vendor can be named there for its limits alone."""
        named = self._settings.providers.get(prefix)
        return named is not None and (bool(named.base_url) or prefix not in {*COMPATIBLE_VENDORS, *OTHER_VENDORS})

    def _configured(self, prefix: str, model: str, key: str) -> _Place:
        provider = self._openai if prefix == OPENAI else self._settings.providers[prefix]
        if key:
            provider = replace(provider or Provider(OPENAI, OPENAI_BASE_URL), api_key=key)
        if provider is None:
            raise _unresolved(f"{prefix}/{model}", "set OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible endpoint")
        return _Place(provider, model, lent=bool(key))

    def _of_vendor(self, prefix: str, model: str, key: str) -> _Place:
        own_protocol = prefix in OTHER_VENDORS
        base_url, variables = OTHER_VENDORS[prefix] if own_protocol else COMPATIBLE_VENDORS[prefix]
        variable = next((each for each in variables if self._settings.environment.get(each)), variables[0])
        named = self._settings.providers.get(prefix) or Provider(prefix, "")
        given = key or named.api_key or self._settings.environment.get(variable, "")
        if not given:
            raise _unresolved(f"{prefix}/{model}", f"set {' or '.join(variables)}")
        provider = replace(named, base_url=base_url, api_key=given)
        return _Place(provider, model, variable if own_protocol else "", lent=bool(key))

    def _model(self, place: _Place, max_attempts: int | None) -> Model:
        if place.provider is None:
            return Scripted()
        if not place.variable:
            return OpenAIModel(self._transport(place.provider, place.lent), place.model, max_attempts=max_attempts)
        vendor = self._vendor(place.provider, place.variable, place.lent)
        most = min(max_attempts or place.provider.max_attempts, place.provider.max_attempts)
        name = f"{vendor.name}/{place.model}"
        return OtherModel(
            vendor.model(place.model),
            name=name,
            vendor=vendor,
            timeout_s=place.provider.timeout_s,
            max_attempts=most,
            pace=self._pace,
        )

    def _reachable(self) -> list[tuple[str, Transport]]:
        """The way to everybody whose address and key are set."""
        providers = {name: one for name, one in self._settings.providers.items() if self._is_endpoint(name)}
        if self._openai is not None:
            providers[OPENAI] = self._openai
        else:
            providers.pop(OPENAI, None)
        found: list[tuple[str, Transport]] = []
        for name in dict.fromkeys((*providers, *COMPATIBLE_VENDORS, *OTHER_VENDORS)):
            with suppress(ModelFailure):
                provider = providers.get(name) or self._of_vendor(name, "", "").provider
                found.append((name, self._transport(cast("Provider", provider))))
        return found

    def _vendor(self, provider: Provider, variable: str, lent: bool) -> Vendor:
        def made() -> Vendor:
            whose = "a key that was lent" if lent else variable
            vendor = Vendor(provider.name, whose, provider.api_key, provider.rates)
            self._shared(vendor.limiter, provider.name)
            return vendor

        if lent:
            return _remembered(self._lent_vendors, provider, made)
        if provider.name not in self._vendors:
            self._vendors[provider.name] = made()
        return self._vendors[provider.name]

    def _transport(self, provider: Provider, lent: bool = False) -> Transport:
        def made() -> Transport:
            transport = Transport(provider, self._open_session, self._pace)
            self._shared(transport.limiter, provider.name)
            return transport

        if lent:
            return _remembered(self._lent_transports, provider, made)
        if provider not in self._transports:
            self._transports[provider] = made()
        return self._transports[provider]

    async def _open_session(self) -> "aiohttp.ClientSession":
        if self._session is None or self._session.closed:
            # It takes a moment, and whole answers need none: they come by a way of their own.
            await asyncio.to_thread(import_module, "aiohttp")
            import aiohttp

            # Somebody may have been faster.
            if self._session is None or self._session.closed:
                # The providers' own limits hold; a second one in the pool would only queue without counting.
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60), cookie_jar=aiohttp.DummyCookieJar()
                )
        return self._session


def _remembered(known: dict[object, R], key: object, made: Callable[[], R]) -> R:
    """What serves a key, an endpoint or a name that is a user's: its limits and what it learnt hold while it is in use.

    The oldest are forgotten, not closed: a call may be under way, and what it holds ends with it.
    """
    found = known.get(key)
    if found is None:
        found = made()
        while len(known) >= _MAX_LENT:
            del known[next(iter(known))]
        known[key] = found
    return found


def _vendor_of(name: str) -> str:
    """Who a name belongs to; a bare one is OpenAI's."""
    prefix, slash, _ = name.partition("/")
    return prefix if slash else OPENAI


def _openai_provider(settings: ModelSettings) -> Provider | None:
    """The provider ``openai``, from the settings or from its usual variables; None when neither says enough."""
    given = settings.providers.get(OPENAI)
    key = settings.environment.get("OPENAI_API_KEY", "")
    base_url = settings.environment.get("OPENAI_BASE_URL", "")
    if given is None:
        given = Provider(OPENAI, base_url, key)
    elif not given.api_key and _is_openai_itself(given.base_url):
        # It may be named for its limits alone.
        given = replace(given, base_url=given.base_url or base_url, api_key=key)
    return None if not given.api_key and _is_openai_itself(given.base_url) else given


def _is_openai_itself(base_url: str) -> bool:
    return base_url.rstrip("/") in ("", OPENAI_BASE_URL)


def _unresolved(name: str, message: str) -> ModelFailure:
    return ModelFailure(Trouble.UNRESOLVED, f"model {name!r}: {message}")
