"""The one way in which a request leaves for an address that a user named: guarded, timed and capped."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NoReturn

from yarl import URL

from vivavoce.outbound.guard import Blocked, Guard, Refused, vetted

# At run time when something is first sent (``Session.client``): it is large, and many servers call nothing.
if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

Kind = Literal["timeout", "connect", "too_large", "protocol"]

_CHUNK = 64 * 1024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"})


class Unreachable(Exception):
    """There is no answer. The message is for a person and holds no secret.

    ``timeout``: not complete in time; ``connect``: no connection, or it was lost before the answer;
    ``too_large``: more bytes than allowed; ``protocol``: what was to be sent, or what came back, is not HTTP.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.plain: str = kind  # for logs: some secrets are part of a path


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, whatever its status. Header names are in lower case; ``took_ms`` includes reading the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    took_ms: int


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer whose body is still to come. Header names are in lower case.

    ``pieces`` gives the body as it arrives and raises ``Unreachable``. ``close`` must be called, at any time, and may
    be called again.
    """

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]
    close: Callable[[], None]


class Session:
    """Pooled connections behind one guard. Made by ``open_session``; ``ticks`` are monotonic seconds."""

    def __init__(
        self,
        guard: Guard,
        ticks: Callable[[], float],
        stack: AsyncExitStack,
        connections: int,
        resolver: "AbstractResolver | None",
    ) -> None:
        self.guard, self.ticks = guard, ticks
        self._stack, self._connections, self._resolver = stack, connections, resolver
        self._opening = asyncio.Lock()
        self._client: aiohttp.ClientSession | None = None
        self._over = False

    async def client(self) -> "aiohttp.ClientSession":
        """The HTTP client, imported and opened when it is first asked for; that takes a moment, in a thread.

        Raises ``Unreachable`` when the session is over.
        """
        async with self._opening:
            if self._client is None:
                await asyncio.to_thread(import_module, "vivavoce.outbound.client")
                from vivavoce.outbound.client import opened

                if self._over:  # nobody would close it
                    raise Unreachable("connect", "nothing is called any more: this server stops")
                made = opened(self.guard, self._connections, self._resolver)
                self._client = await self._stack.enter_async_context(made)
        return self._client

    def end(self) -> None:
        """Open no client any more."""
        self._over = True


@asynccontextmanager
async def open_session(
    guard: Guard,
    *,
    connections: int = 1000,
    ticks: Callable[[], float] = time.monotonic,
    resolver: "AbstractResolver | None" = None,
) -> AsyncGenerator[Session]:
    """A session to share by everybody in the process; at most ``connections`` are open at once.

    It keeps no cookies, since its users are strangers to each other, and reads no proxy settings or
    credentials from the environment.
    """
    async with AsyncExitStack() as stack:
        session = Session(guard, ticks, stack, connections, resolver)
        try:
            yield session
        finally:
            session.end()


async def fetch(
    session: Session,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_s: float,
    max_bytes: int,
) -> Fetched:
    """One request, made once; redirects are answers like any other and are not followed.

    ``timeout_s`` holds from the look-up of the name to the last byte, however slowly they trickle.
    Raises ``Refused`` for an address that may not be called and ``Unreachable`` where there is no answer.
    """
    target = vetted(session.guard, url)
    _check_head(method, headers)
    client = await session.client()
    began = session.ticks()
    with _told_plainly(url, timeout_s):
        async with (
            asyncio.timeout(timeout_s),
            client.request(method, target, headers=headers, data=body, allow_redirects=False) as answer,
        ):
            content = await _read(answer, max_bytes, target)
            took_ms = round((session.ticks() - began) * 1000)
            return Fetched(answer.status, {k.lower(): v for k, v in answer.headers.items()}, content, took_ms)


async def begin(
    session: Session,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_s: float,
    max_bytes: int,
) -> Begun:
    """As ``fetch``, for an answer that is read while it is being written; reading it raises ``Unreachable`` too."""
    target = vetted(session.guard, url)
    _check_head(method, headers)
    client = await session.client()
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=timeout_s)
    with _told_plainly(url, timeout_s):
        answer = await client.request(
            method, target, headers=headers, data=body, allow_redirects=False, timeout=timeout
        )

    async def pieces() -> AsyncIterator[bytes]:
        left = max_bytes
        with _told_plainly(url, timeout_s):
            async for piece in answer.content.iter_any():
                left -= len(piece)
                if left < 0:
                    raise _too_large(url, max_bytes)
                yield piece

    return Begun(answer.status, {k.lower(): v for k, v in answer.headers.items()}, pieces(), answer.close)


@contextmanager
def _told_plainly(url: str, timeout_s: float) -> Generator[None]:
    """Whatever the client's failures are called, ``Refused`` and ``Unreachable`` is what comes out."""
    import aiohttp

    try:
        yield
    except TimeoutError:
        raise Unreachable("timeout", f"no answer from {shown(url)} within {timeout_s:g} seconds") from None
    except aiohttp.InvalidURL:
        raise Refused("this URL's host is not written in the usual form") from None
    except (aiohttp.ClientError, OSError) as error:
        _give_up(error, url)


def _too_large(url: str, max_bytes: int) -> Unreachable:
    return Unreachable("too_large", f"the answer of {shown(url)} is larger than {max_bytes} bytes")


def shown(url: str) -> str:
    """A URL as a message may show it: without credentials, query and fragment, where secrets tend to be."""
    try:
        parsed = URL(url)
        if not parsed.host:
            return "the address"
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "the address"


def whose(url: str) -> str:
    """A URL as a log may show it: only where it leads to, since in some the path is the secret."""
    try:
        parsed = URL(url)
        return str(parsed.origin().with_user(None)) if parsed.host else "the address"
    except ValueError:
        return "the address"


def _check_head(method: str, headers: Mapping[str, str]) -> None:
    if not _TOKEN.fullmatch(method):
        raise Unreachable("protocol", "the method is not one of HTTP")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise Unreachable("protocol", "a header's name has characters that HTTP does not allow")
        if name.lower() in _OURS:
            raise Unreachable("protocol", f"the header {name} cannot be chosen")
        if _UNSAFE.search(value):
            raise Unreachable("protocol", f"the header {name} has characters that HTTP does not allow")


async def _read(answer: "aiohttp.ClientResponse", max_bytes: int, target: URL) -> bytes:
    content = bytearray()
    if (answer.content_length or 0) <= max_bytes:
        async for piece in answer.content.iter_chunked(_CHUNK):
            content += piece
            if len(content) > max_bytes:
                break
        else:
            return bytes(content)
    raise _too_large(str(target), max_bytes)


def refusal(error: "aiohttp.ClientError | OSError") -> Refused | None:
    """The guard's no, where that is why a session's client made no connection."""
    import aiohttp

    cause: BaseException = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return Refused(str(cause)) if isinstance(cause, Blocked) else None


def _give_up(error: "aiohttp.ClientError | OSError", url: str) -> NoReturn:
    import aiohttp

    if (refused := refusal(error)) is not None:
        raise refused from None
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        raise Unreachable("connect", f"the name of {shown(url)} is not known") from None
    if isinstance(error, aiohttp.ClientSSLError):
        raise Unreachable("connect", f"no secure connection to {shown(url)}") from None
    if isinstance(error, aiohttp.ClientConnectorError):
        raise Unreachable("connect", f"no connection to {shown(url)}") from None
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        raise Unreachable("connect", f"{shown(url)} closed the connection without an answer") from None
    raise Unreachable("protocol", f"the answer of {shown(url)} is not HTTP that can be read") from None
