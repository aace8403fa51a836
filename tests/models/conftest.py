"""The real client and the real test endpoint, joined by a socket."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
from tests.support.endpoint import Endpoint, serve

from vivavoce.models.config import Provider
from vivavoce.models.openai import OpenAIModel
from vivavoce.models.pace import Pace
from vivavoce.models.transport import Transport

KEY = "sk-very-secret-0123456789"
NOW = 1_700_000_000.0


@dataclass(slots=True)
class Waits:
    """Records waits instead of waiting; what was waited for ``passes`` on the clock."""

    seconds: list[float] = field(default_factory=list[float])
    passes: bool = True

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def ticks(self) -> float:
        return time.monotonic() + (sum(self.seconds) if self.passes else 0.0)

    @property
    def pace(self) -> Pace:
        return Pace(self.sleep, lambda: 0.0, lambda: NOW, self.ticks)


Connect = Callable[..., OpenAIModel]


def through(session: aiohttp.ClientSession) -> Callable[[], Awaitable[aiohttp.ClientSession]]:
    """The session as a transport asks for it."""

    async def opened() -> aiohttp.ClientSession:
        return session

    return opened


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
async def endpoint() -> AsyncGenerator[Endpoint]:
    async with serve() as server:
        yield server


@pytest.fixture
async def connect(endpoint: Endpoint, waits: Waits) -> AsyncGenerator[Connect]:
    """Makes a model of the endpoint; keywords change its provider."""
    made: list[Transport] = []
    async with aiohttp.ClientSession() as session:

        def make(**changes: object) -> OpenAIModel:
            provider = replace(Provider("local", endpoint.base_url, KEY, timeout_s=5.0), **changes)  # type: ignore[arg-type]
            made.append(Transport(provider, through(session), waits.pace))
            return OpenAIModel(made[-1], "m-1")

        yield make
        for transport in made:
            transport.close()


@pytest.fixture
def model(connect: Connect) -> OpenAIModel:
    return connect()
