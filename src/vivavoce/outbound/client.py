"""The HTTP client behind a session: it connects only where the session's guard permits."""

import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from vivavoce import __version__
from vivavoce.outbound.guard import Blocked, Guard, not_public, permits


class _GuardedResolver(AbstractResolver):
    """Hands out only permitted addresses. The connector connects to exactly these, so a name that changes
    its mind between the check and the connection changes nothing."""

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """As the interface says; a host without a permitted address is an ``OSError``."""
        try:
            found = await self._inner.resolve(host, port, family)
        except UnicodeError:  # an empty label, or one that is too long; connectors expect only this of resolvers
            raise OSError("no name can be written like this") from None
        kept = [each for each in found if permits(self._guard, each["host"])]
        if found and not kept:
            raise Blocked(not_public(host))
        return kept

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._inner.close()

    aclose = close


@asynccontextmanager
async def opened(
    guard: Guard, connections: int, resolver: AbstractResolver | None
) -> AsyncGenerator[aiohttp.ClientSession]:
    """A client with at most so many connections. The rules are those of ``vivavoce.outbound.fetch.open_session``."""

    def connectable(info: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        # The resolver is not asked for literal addresses; every connection passes here.
        family, kind, protocol, _, address = info
        if not permits(guard, str(address[0])):
            raise Blocked(not_public("this host"))
        return socket.socket(family, kind, protocol)

    async with (
        aclosing(_GuardedResolver(guard, resolver or ThreadedResolver())) as names,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, resolver=names, socket_factory=connectable),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"User-Agent": f"vivavoce/{__version__}"},
            trust_env=False,
        ) as client,
    ):
        yield client
