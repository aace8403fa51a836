"""One POST and its whole answer, over connections that are kept: what every turn of every examination waits for.

HTTP/1.1 (RFC 9112) parsed by httptools, without what this one use does not need: no redirects, no cookies, no proxies,
no compression, no streaming. Everything else goes through the general client (``vivavoce.models.transport``);
docs/decisions/0008 says what that costs and why this file is worth having.
"""

import asyncio
import socket
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]  # half typed
from httptools import HttpParserError, HttpResponseParser
from yarl import URL

IDLE_S = 15.0
"""How long a connection nobody uses is kept. Servers close theirs after some time too, and a request that crosses that
is lost."""
HEAD_START_S = 0.25
"""How long an address of a host is tried alone before the next one is tried as well."""
_INTERIM = range(100, 200)
_MOST_HEAD = 256 * 1024


class NotSecure(Exception):
    """The other side could not prove who it is."""


class NoConnection(Exception):
    """Nobody took the connection."""


class Slow(Exception):
    """The answer was not complete in time; ``connected`` is false where not even a connection was made."""

    def __init__(self, *, connected: bool) -> None:
        super().__init__("too slow")
        self.connected = connected


class Broken(Exception):
    """The connection ended before the answer was complete; ``begun`` where a part of it had come."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__("broken off")
        self.begun = begun


class NotHttp(Exception):
    """What came back is not HTTP; the message says why."""


class TooLarge(Exception):
    """The answer is larger than allowed; it was not read to its end."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer, whatever its status. Names of headers are in lower case; of a name that comes twice the last
    counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection, and at most one request under way on it. Its callbacks are those of the event loop and of the
    parser."""

    __slots__ = (
        "_answer",
        "_begun",
        "_chunks",
        "_fed",
        "_headed",
        "_headers",
        "_most",
        "_parser",
        "_size",
        "_timer",
        "_transport",
        "idle_since",
    )

    def __init__(self, most: int) -> None:
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Whole] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        # Made when the answer comes: a conversation is nearly always waiting for one.
        self._parser: HttpResponseParser | None = None
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._size = 0
        self._begun = self._headed = False
        self._fed = 0

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._answer is None

    def ask(self, request: bytes, within_s: float) -> asyncio.Future[Whole]:
        """Send a request; the future has the answer, or why there is none."""
        assert self._transport is not None, "only what is connected is asked"
        loop = asyncio.get_running_loop()
        answer = self._answer = loop.create_future()
        self._timer = loop.call_later(within_s, self._late)
        self._begin()
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Have nothing more to do with it."""
        if self._transport is not None:
            self._transport.abort()

    def _late(self) -> None:
        self._fail(Slow(connected=True))

    def _done(self) -> asyncio.Future[Whole] | None:
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return answer if answer is not None and not answer.done() else None

    def _fail(self, failure: Exception) -> None:
        waiting = self._done()
        self.close()
        if waiting is not None:
            waiting.set_exception(failure)

    # --- the event loop's calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody asked: it cannot be trusted with a next request
            self.close()
            return
        self._begun = True
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except HttpParserError as failure:
            self._fail(NotHttp(str(failure)))
            return
        if not self._headed:  # nor is there an end of interim answers
            self._fed += len(data)
            if self._fed > _MOST_HEAD:
                self._fail(TooLarge())

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        to_the_end = self._headed and not {"content-length", "transfer-encoding"} & self._headers.keys()
        if to_the_end and exc is None and self._answer is not None:
            self._complete()  # an answer without a length ends with its connection (RFC 9112, section 6.3)
        else:
            self._fail(Broken(begun=self._begun))

    # --- the parser's calls ---

    @property
    def _status(self) -> int:
        assert self._parser is not None, "only an answer that came has a status"
        return self._parser.get_status_code()

    def on_message_begin(self) -> None:
        if self._answer is None:  # a second answer to one request
            self.close()
        self._headers, self._chunks, self._size = {}, [], 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headed = self._status not in _INTERIM
        length = self._headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > self._most:
            self._fail(TooLarge())

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._most:
            self._fail(TooLarge())
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._headed and self._answer is not None:
            self._complete()

    def _complete(self) -> None:
        try:
            body = _unpacked(self._headers.get("content-encoding", ""), b"".join(self._chunks), self._most)
        except (NotHttp, TooLarge) as failure:
            self._fail(failure)
            return
        keeps = self._transport is not None and self._parser is not None and self._parser.should_keep_alive()
        waiting = self._done()
        if not keeps:
            self.close()
        if waiting is not None:
            waiting.set_result(Whole(self._status, self._headers, body))


class Poster:
    """Posts to one address. ``most`` is how many bytes an answer may have. Used in one event loop, closed in it."""

    def __init__(self, url: URL, headers: Mapping[str, str], *, most: int, connect_s: float) -> None:
        self._url, self._most, self._connect_s = url, most, connect_s
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.raw_authority.rpartition('@')[2]}"]
        if url.user is not None and "Authorization" not in headers:
            lines.append(f"Authorization: {_basic(url)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode("latin-1")
        self._idle: list[_Connection] = []
        self._tls: ssl.SSLContext | None = None
        self._reaper: asyncio.TimerHandle | None = None

    async def post(self, body: bytes, within_s: float) -> Whole:
        """Send the body and read the answer. ``within_s`` holds from connecting to the last byte.

        Raises ``NoConnection``, ``NotSecure``, ``Slow``, ``Broken``, ``NotHttp``, ``TooLarge``.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        connection = self._kept(started) or await self._connected(min(self._connect_s, within_s))
        asked = connection.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), within_s - (loop.time() - started))
        try:
            whole = await asked
        except BaseException:  # also whoever is cancelled: its answer may still come, and is nobody else's
            connection.close()
            raise
        if connection.usable:
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._reaper is None:
                self._reaper = loop.call_later(IDLE_S, self._reap)
        return whole

    def close(self) -> None:
        """Close what nobody uses."""
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while self._idle:
            self._idle.pop().close()

    def _reap(self) -> None:
        """Close what nobody has used for long; a burst needed more connections than come after it."""
        loop = asyncio.get_running_loop()
        self._reaper = None
        # In the order in which they were laid aside.
        while self._idle and (not self._idle[0].usable or loop.time() - self._idle[0].idle_since >= IDLE_S):
            self._idle.pop(0).close()
        if self._idle:
            self._reaper = loop.call_later(IDLE_S, self._reap)

    def _kept(self, now: float) -> _Connection | None:
        """The connection that was used last: the others may grow old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now - connection.idle_since < IDLE_S:
                return connection
            connection.close()
        return None

    async def _connected(self, within_s: float) -> _Connection:
        url, loop = self._url, asyncio.get_running_loop()
        if url.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(within_s):
                addresses = await loop.getaddrinfo(url.raw_host or "", url.port or 0, type=socket.SOCK_STREAM)
                # A host may have addresses that do not answer: the next one is tried before the first gives up
                # (RFC 8305), or one of them would use up all the time there is.
                connected = await start_connection(addresses, happy_eyeballs_delay=HEAD_START_S, loop=loop)
                try:
                    _, connection = await loop.create_connection(
                        lambda: _Connection(self._most),
                        sock=connected,
                        ssl=self._tls,
                        server_hostname=url.raw_host if self._tls else None,
                    )
                except BaseException:
                    connected.close()
                    raise
        except TimeoutError:
            raise Slow(connected=False) from None
        except ssl.SSLError as failure:
            raise NotSecure(str(failure)) from None
        except (OSError, UnicodeError) as failure:  # the latter for what cannot be the name of a host
            raise NoConnection(str(failure)) from None
        return connection


def _unpacked(encoding: str, body: bytes, most: int) -> bytes:
    """The body as it was before a server packed it, which nobody asked for and some do all the same."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip" | "deflate":
            packed = zlib.decompressobj(zlib.MAX_WBITS | 32)
            try:
                plain = packed.decompress(body, most)
            except zlib.error as failure:
                raise NotHttp(f"it is not {encoding}: {failure}") from None
            if packed.unconsumed_tail:
                raise TooLarge
            return plain
        case other:
            raise NotHttp(f"it is packed as {other}")


def _basic(url: URL) -> str:
    from base64 import b64encode

    pair = f"{url.user or ''}:{url.password or ''}".encode()
    return f"Basic {b64encode(pair).decode('ascii')}"
