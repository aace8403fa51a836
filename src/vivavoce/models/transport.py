"""One provider over HTTP: a request sent, its limits kept, and every way it can fail told apart."""

import asyncio
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from yarl import URL

from vivavoce import __version__
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.models.config import OPENAI_BASE_URL, Provider
from vivavoce.models.limiter import Limiter
from vivavoce.models.messages import Garbage, decode, tokens
from vivavoce.models.pace import LONGEST_WAIT_S, TOO_MANY, Pace, Setback, asked_wait
from vivavoce.models.post import Broken, NoConnection, NotHttp, NotSecure, Poster, Slow, TooLarge, Whole
from vivavoce.outbound.fetch import refusal

if TYPE_CHECKING:  # at run time when a session is first opened: whole answers need none
    import aiohttp

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ERROR_CHARS = 300
_LARGE_BODY_BYTES = 1024 * 1024
_CONNECT_TIMEOUT_S = 10.0
_LINGER_S = 0.1
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_NEVER_AGAIN = frozenset({501, 505})
_HOPELESS_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


Mode = Literal["json_schema", "json_object", "plain"]
"""How a model is held to a schema, from the strictest to mere words."""


class Transport:
    """The way to one provider. All models of a provider share one, and with it its limit of requests at once.

    Whole answers come by a way of their own (``vivavoce.models.post``), unless the session guards where requests may
    go (``guarded``); everything else goes through the session. ``modes``, ``refused`` (a model, and a field of requests
    that it will not have) and ``tells_stream_usage`` are what was learnt about the provider while the process runs.
    """

    def __init__(
        self,
        provider: Provider,
        session: "Callable[[], Awaitable[aiohttp.ClientSession]]",
        pace: Pace,
        *,
        guarded: bool = False,
    ) -> None:
        key = provider.api_key.strip()
        if not (key.isascii() and key.isprintable()):
            raise ModelFailure(
                Trouble.UNRESOLVED, f"the key of provider {provider.name!r} holds characters that no header may carry"
            )
        self.provider = provider
        self.pace = pace
        self.modes: dict[str, Mode] = {}
        self.refused: set[tuple[str, str]] = set()
        self.tells_stream_usage = True
        self._key = key
        self._base = _base_url(provider, has_key=bool(key))
        self._url = _below(self._base, "chat", "completions")
        self._session = session
        self.limiter = Limiter(provider.rates, ticks=pace.ticks)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._poster = (
            None
            if guarded
            else Poster(
                self._url,
                {**self._headers, "Accept-Encoding": "identity", "User-Agent": f"vivavoce/{__version__}"},
                most=MAX_ANSWER_BYTES,
                connect_s=_CONNECT_TIMEOUT_S,
            )
        )

    def close(self) -> None:
        """Close the connections that nobody uses."""
        if self._poster is not None:
            self._poster.close()

    async def fetch(self, body: bytes) -> dict[str, Any]:
        """Send a request and read the JSON object that comes back. Raises ``Setback``."""
        return (await self._whole(body))[1]

    async def whole(self, body: bytes) -> bytes:
        """Send a request and give the JSON object that comes back as it is written. Raises ``Setback``."""
        return (await self._whole(body))[0]

    async def pieces(self, body: bytes) -> AsyncGenerator[bytes]:
        """Send a request and give what comes back as it comes: a server-sent stream, or one JSON object of a server
        that does not stream. Raises ``Setback``."""
        async with self.open(body) as response:
            if response.content_type == "text/event-stream":
                async with aclosing(chunks(response)) as parts:
                    async for part in parts:
                        yield part
            else:
                yield (await self._read(response))[0]

    async def models(self, timeout_s: float) -> list[Any]:
        """What the provider says of its models, one item each, unchecked. Raises ``Setback``."""
        async with self._asked("GET", _below(self._base, "models"), None, timeout_s) as response:
            items = (await self._read(response))[1].get("data")
        return cast("list[Any]", items) if isinstance(items, list) else []

    async def embed(self, body: bytes) -> dict[str, Any]:
        """Send a request for vectors and read the JSON object that comes back. Raises ``Setback``."""
        url = _below(self._base, "embeddings")
        reserved = await self.limiter.enter(len(body), answers=False)
        try:
            async with self._asked("POST", url, body, self.provider.timeout_s) as response:
                return (await self._read(response))[1]
        finally:
            self.limiter.leave(reserved)

    @asynccontextmanager
    async def open(
        self, body: bytes, used: Callable[[], tuple[int, int]] = lambda: (0, 0)
    ) -> "AsyncGenerator[aiohttp.ClientResponse]":
        """Send a request; the block has the answer's head and may read on. ``used`` tells afterwards how many tokens
        the provider counted for question and answer, where it said so. Raises ``Setback``, also for the block."""
        data = body if len(body) < _LARGE_BODY_BYTES else io.BytesIO(body)
        reserved, refused = await self.limiter.enter(len(body)), False
        try:
            async with self._asked("POST", self._url, data, self.provider.timeout_s) as response:
                yield response
        except Setback as setback:
            refused = setback.status > 0
            raise
        finally:
            self.limiter.leave(reserved, *used(), refused=refused)

    async def _whole(self, body: bytes) -> tuple[bytes, dict[str, Any]]:
        used = 0, 0
        if self._poster is None or len(body) >= _LARGE_BODY_BYTES:
            async with self.open(body, lambda: used) as response:
                raw, answer = await self._read(response)
                used = tokens(answer)
                return raw, answer
        limiter, refused = self.limiter, False
        reserved = await limiter.enter(len(body))
        try:
            whole = await self._posted(self._poster, body)
            answer = self.checked(_whole(whole.headers.get("content-type", ""), whole.body))
            if limiter.counts_tokens:
                used = tokens(answer)
            return whole.body, answer
        except Garbage as garbage:
            raise self.garbled(str(garbage)) from None
        except Setback as setback:
            refused = setback.status > 0
            raise
        finally:
            limiter.leave(reserved, *used, refused=refused)

    async def _posted(self, poster: Poster, body: bytes) -> Whole:
        try:
            whole = await poster.post(body, self.provider.timeout_s)
        except Slow as slow:
            if slow.connected:
                raise self._setback(f"gave no answer within {self.provider.timeout_s:g} s") from None
            raise self._setback("could not be reached: it did not take the connection in time") from None
        except Broken as broken:
            if broken.begun:
                raise self.broken() from None
            raise self._setback("could not be reached: it closed the connection without an answer") from None
        except NotSecure as failure:
            raise self._setback(f"could not be reached securely: {self._scrub(str(failure))}", again=False) from None
        except (NoConnection, NotHttp) as failure:
            raise self._setback(f"could not be reached: {self._scrub(str(failure))}") from None
        except TooLarge:
            raise _too_large() from None
        if whole.status != 200:
            self._refuse(whole.status, whole.headers, whole.body)
        return whole

    async def _read(self, response: "aiohttp.ClientResponse") -> tuple[bytes, dict[str, Any]]:
        raw = await _read_capped(response)
        try:
            return raw, self.checked(_whole(response.content_type, raw))
        except Garbage as garbage:
            raise self.garbled(str(garbage)) from None

    @asynccontextmanager
    async def _asked(
        self, method: str, url: URL, data: bytes | io.BytesIO | None, timeout_s: float
    ) -> "AsyncGenerator[aiohttp.ClientResponse]":
        session = await self._session()
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_TIMEOUT_S, timeout_s))
        try:
            async with session.request(
                method, url, data=data, headers=self._headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    self._refuse(response.status, response.headers, await _start_of(response))
                yield response
        except aiohttp.ConnectionTimeoutError:
            raise self._setback("could not be reached: it did not take the connection in time") from None
        except TimeoutError:
            raise self._setback(f"gave no answer within {timeout_s:g} s") from None
        except aiohttp.ClientPayloadError:
            raise self._setback("broke off in the middle of its answer") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise self._setback(f"could not be reached securely: {self._scrub(str(error))}", again=False) from None
        except (aiohttp.ClientError, OSError) as error:
            if (refused := refusal(error)) is not None:
                raise Setback(Trouble.UNRESOLVED, f"{self._who} is not asked: {refused}", again=False) from None
            why = self._scrub(str(error)) or type(error).__name__
            raise self._setback(f"could not be reached: {why}") from None

    def checked(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body, unless it tells of an error under a successful status, as gateways do. Raises ``Setback``."""
        error = body.get("error")
        if not error or body.get("choices"):
            return body
        code = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        raise self._status(status, body, {}, "")

    def garbled(self, message: str, *, again: bool = True) -> Setback:
        """The setback of an answer that cannot be read."""
        return Setback(Trouble.GARBLED, f"{self._who} gave an answer that cannot be read: {message}", again=again)

    def broken(self) -> Setback:
        """The setback of a stream that ended before it was complete."""
        return self._setback("broke off in the middle of its answer")

    @property
    def _who(self) -> str:
        return f"provider {self.provider.name} ({self._url.host})"

    def _setback(self, message: str, *, again: bool = True) -> Setback:
        return Setback(Trouble.UNAVAILABLE, f"{self._who} {message}", again=again)

    def _refuse(self, status: int, headers: Mapping[str, str], raw: bytes) -> NoReturn:
        if status < 400:
            hint = "redirects are not followed, so set its base URL to where it really is" if status >= 300 else ""
            raise Setback(Trouble.REFUSED, f"{self._who} answered {status}: {hint}", again=False, status=status)
        try:
            body = decode(raw)
        except Garbage:
            body = {}
        raise self._status(status, body, headers, raw[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))

    def _status(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str], text: str) -> Setback:
        words, code = _error_words(body)
        if not words and not text.lstrip().startswith("<"):
            words = text
        words = " ".join(self._scrub(words).split())[:_MAX_ERROR_CHARS]
        message = f"{self._who} answered {status}" + (f": {words}" if words else "")
        if status in (401, 403):
            message += f" (check the key of provider {self.provider.name})"
        transient = status in _TRY_AGAIN or status >= 500
        again = transient and status not in _NEVER_AGAIN and code not in _HOPELESS_CODES
        wait_s = asked_wait(headers, self.pace.now())
        if status == TOO_MANY and again and wait_s:
            self.limiter.pause(min(wait_s, LONGEST_WAIT_S))
        return Setback(
            Trouble.UNAVAILABLE if transient else Trouble.REFUSED,
            message,
            again=again,
            wait_s=wait_s,
            status=status,
            code=code,
        )

    def _scrub(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


async def _start_of(response: "aiohttp.ClientResponse") -> bytes:
    raw = b""
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) >= _MAX_ERROR_BYTES:
            break
    return raw


async def chunks(response: "aiohttp.ClientResponse") -> AsyncGenerator[bytes]:
    """The body as it comes, up to the cap. Raises ``Setback`` beyond it."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            response.close()
            raise _too_large()
        yield chunk


async def events(response: "aiohttp.ClientResponse") -> AsyncGenerator[dict[str, Any] | None]:
    """The JSON objects of a server-sent stream, then None if the server closed it with ``[DONE]``.

    A server that does not stream, and sends one whole answer, is one object. Raises ``Garbage`` and ``Setback``.
    """
    from aiohttp import ClientError

    streamed, stray = False, bytearray()
    async with aclosing(_lines(response)) as lines:
        async for line in lines:
            if line.startswith(b"data:"):
                streamed = True
                data = line[5:].strip()
                if data == b"[DONE]":
                    yield None
                    break
                if data:
                    yield decode(data)
            elif not streamed and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                stray += line + b"\n"
        else:
            if not streamed and stray.strip():
                yield _whole(response.content_type, bytes(stray))
            return
    # Read to the end if it is near: only then can the connection be used again.
    with suppress(TimeoutError, ClientError):
        async with asyncio.timeout(_LINGER_S):
            while await response.content.readany():
                pass


async def _lines(response: "aiohttp.ClientResponse") -> AsyncGenerator[bytes]:
    rest = b""
    async with aclosing(chunks(response)) as parts:
        async for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield line.rstrip(b"\r")
    if rest:
        yield rest


def _whole(content_type: str, raw: bytes) -> dict[str, Any]:
    try:
        return decode(raw)
    except Garbage as garbage:
        raise Garbage(f"{garbage}{_told_apart(content_type, raw)}") from None


async def _read_capped(response: "aiohttp.ClientResponse") -> bytes:
    length = response.content_length
    if length is not None and length > MAX_ANSWER_BYTES:
        response.close()
        raise _too_large()
    if length is not None and "Content-Encoding" not in response.headers:
        return await response.read()
    return b"".join([chunk async for chunk in chunks(response)])


def _too_large() -> Setback:
    return Setback(Trouble.GARBLED, f"the answer is larger than {MAX_ANSWER_BYTES // (1024 * 1024)} MiB", again=False)


def _told_apart(content_type: str, raw: bytes) -> str:
    """A hint for the commonest mistake: a base URL that leads to a page for people."""
    if raw.lstrip()[:1] == b"<":
        kind = content_type.partition(";")[0]
        return f" but a page ({kind}); does the base URL lead to the API, usually ending in /v1?"
    return "" if raw else ", it is empty"


def _error_words(body: Mapping[str, Any]) -> tuple[str, str]:
    """The message and the code in an error's body, as the known servers write them."""
    error = body.get("error") or body.get("detail") or body.get("message") or body
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return (str(error) if error else ""), ""
    fields = cast("dict[str, Any]", error)
    message, code = fields.get("message"), fields.get("code") or fields.get("type")
    return (message if isinstance(message, str) else ""), (code if isinstance(code, str) else "")


def _base_url(provider: Provider, *, has_key: bool) -> URL:
    try:
        url = URL(provider.base_url or OPENAI_BASE_URL)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ModelFailure(
            Trouble.UNRESOLVED, f"the base URL of provider {provider.name!r} is not an http or https address"
        )
    # One way of proving who is asking is enough, and two are refused.
    return url.with_user(None) if has_key else url


def _below(base: URL, *parts: str) -> URL:
    return base.joinpath(*parts).with_query(base.query)
