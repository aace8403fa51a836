"""How calls become HTTP and answers become results, for both clients: what is sent, read, and tried again."""

import contextlib
import json
import re
from collections.abc import Generator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from vivavoce import __version__
from vivavoce.client.calls import ROOT, Call, sendable
from vivavoce.client.errors import ApiError, Unreachable, refusal, unreadable
from vivavoce.client.stream import Follower, News

T = TypeVar("T")

ATTEMPTS = 4
"""How often a request is sent whose repetition does no harm."""
STREAM_ATTEMPTS = 8
"""How often in a row a stream may break off without telling anything."""
LONGEST_PAUSE_S = 10.0
STREAM_TIMEOUT = httpx2.Timeout(10.0, read=60.0)
"""A stream is never silent for longer than 15 seconds."""
EVERYTHING_WAS_TOLD = 204
MAX_EVENT = 32 * 1024 * 1024
"""Bytes of one event: the answer of a tool may be long."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_AGAIN = frozenset({429, 503})
_BROKEN = (AttributeError, KeyError, TypeError, ValueError)


def options(base_url: str, api_key: str) -> dict[str, Any]:
    """What both kinds of HTTP clients are made with. Raises ``ValueError`` for an address that is none, and for a key
    that cannot be sent; it repeats neither the key nor a password of the address."""
    url = _address(base_url)
    # A file of variables with the line ends of Windows leaves one of them at the end.
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the key cannot be sent: there are characters in it that no key has")
    headers = {"User-Agent": f"vivavoce/{__version__}", "Authorization": f"Bearer {key}"}
    return {
        "base_url": url,
        "headers": headers,
        # A proxy of the environment cannot reach this machine's own loopback.
        "trust_env": url.host not in _LOOPBACK,
        "verify": url.scheme == "https",
    }


def _address(base_url: str) -> httpx2.URL:
    try:
        root = base_url.strip().rstrip("/").removesuffix(ROOT)
        parts = urlsplit(root)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError
        if parts.query or parts.fragment:  # the paths of calls would become part of it
            raise ValueError
        # A name and a password would be sent instead of the key, and shown wherever the address is.
        url = httpx2.URL(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() + ROOT)
        url.raw_host.decode().encode("idna")  # as the lookup of names does, which would raise it later
    except (ValueError, httpx2.InvalidURL):
        # What these errors say repeats parts of the address.
        raise ValueError(
            f"{_shown(base_url)!r} is no address of a server; it should be like http://127.0.0.1:8080"
        ) from None
    return url


def _shown(base_url: str) -> str:
    """An address that cannot be read, without what may be a password."""
    return re.sub(r"^(\w+://)?.*@", r"\1", base_url.strip(), flags=re.DOTALL).partition("?")[0]


@contextlib.contextmanager
def making() -> Generator[None]:
    """What keeps an HTTP client from being made in this environment becomes a ``ValueError``."""
    try:
        yield
    except OSError as failure:
        why = failure.strerror or type(failure).__name__
        raise ValueError(f"the certificates cannot be read: {why} (SSL_CERT_FILE, SSL_CERT_DIR)") from failure
    except ImportError as failure:
        raise ValueError("a SOCKS proxy needs the package socksio (ALL_PROXY, NO_PROXY)") from failure
    except httpx2.InvalidURL as failure:
        raise ValueError("the proxy of the environment has no address that can be read (HTTPS_PROXY)") from failure


def request(http: httpx2.Client | httpx2.AsyncClient, call: Call[Any]) -> httpx2.Request:
    """The request that a call stands for."""
    query = {name: plain(value) for name, value in (call.query or {}).items()}
    body = None if call.body is None else json.dumps(call.body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    timeout = httpx2.Timeout(10.0, read=call.patience_s, write=call.patience_s)
    return http.build_request(
        call.method, call.path, params=query or None, content=body, headers=headers, timeout=timeout
    )


def result(call: Call[T], response: httpx2.Response) -> T:
    """What the answer says. Raises ``ApiError``."""
    if not response.is_success:
        raise refused(response)
    try:
        return call.read(json.loads(response.content) if response.content else None)
    except _BROKEN as failure:
        raise unreadable(response.status_code, f"{type(failure).__name__}: {failure}") from failure


def refused(response: httpx2.Response) -> ApiError:
    """The error of an answer whose body was read."""
    try:
        body: object = json.loads(response.content)
    except ValueError:
        body = None
    return refusal(response.status_code, body)


def unreachable(failure: Exception, http: httpx2.Client | httpx2.AsyncClient) -> Unreachable:
    """What went wrong with the connection, in a sentence."""
    address = str(http.base_url).rstrip("/").removesuffix(ROOT)
    why = str(failure) or type(failure).__name__
    return Unreachable(f"no answer from {address}: {why}")


def pause(call: Call[Any], attempt: int, response: httpx2.Response | None) -> float | None:
    """How many seconds to wait before the call is sent again, or None to leave it: ``attempt`` counts from 1, and
    ``response`` is None where there was no connection."""
    if attempt >= ATTEMPTS:
        return None
    if response is None:
        return _growing(attempt) if call.repeatable else None
    if response.status_code not in _AGAIN:
        return None
    return asked(response.headers) or _growing(attempt)


def stream_pause(attempt: int, headers: Mapping[str, str] | None = None) -> float | None:
    """The same for a stream that broke off, or was refused with these headers."""
    if attempt >= STREAM_ATTEMPTS:
        return None
    return asked(headers or {}) or _growing(attempt)


def told(follower: Follower, event: httpx2.ServerSentEvent) -> News | None:
    """What an event says, if anything. Raises ``ApiError`` where it cannot be read."""
    try:
        return follower.take(event.event, event.data, event.id)
    except _BROKEN as failure:
        raise unreadable(200, f"{type(failure).__name__}: {failure}") from failure


def passing(response: httpx2.Response) -> Mapping[str, str]:
    """The headers of an answer after which a stream is asked for again. Raises ``ApiError`` for all others."""
    if response.status_code not in _AGAIN:
        raise refused(response)
    return response.headers


def asked(headers: Mapping[str, str]) -> float | None:
    """How long the server wants to be left alone, within reason."""
    text = headers.get("retry-after", "")
    return min(float(text), LONGEST_PAUSE_S) if text.isascii() and text.isdecimal() else None


def _growing(attempt: int) -> float:
    return min(0.25 * 2**attempt, LONGEST_PAUSE_S)


def plain(value: str | int | bool) -> str:
    """A value of a query. Raises ``ApiError`` (422)."""
    return str(value).lower() if isinstance(value, bool) else sendable(str(value))
