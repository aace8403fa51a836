"""The way of a whole answer: against a server that says exactly what the test wants, byte for byte."""

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from vivavoce.models import post
from vivavoce.models.post import IDLE_S, Broken, NoConnection, NotHttp, NotSecure, Poster, Slow, TooLarge

WITHIN_S = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Counter:
    """Answers each request on each connection with the next of these pieces; an empty one closes the connection, None
    leaves the request waiting."""

    answers: list[Sequence[bytes] | None]
    requests: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    await reader.read()
                    return
                for piece in answer:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if not answer or b"to the end" in answer[0]:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone.set()
            writer.close()


@asynccontextmanager
async def posting(
    *answers: Sequence[bytes] | None,
    most: int = 1000,
    url: Callable[[int], str] = lambda port: f"http://127.0.0.1:{port}/v1/x?y=1",
) -> AsyncGenerator[tuple[Poster, Counter]]:
    counter = Counter(list(answers))
    server = await asyncio.start_server(counter.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    poster = Poster(URL(url(port)), {"Content-Type": "application/json"}, most=most, connect_s=5.0)
    try:
        yield poster, counter
    finally:
        poster.close()
        server.close()
        for writer in counter.writers:
            writer.close()
        async with asyncio.timeout(WITHIN_S):
            await server.wait_closed()


async def test_a_request_is_what_a_server_expects_and_its_connection_is_kept() -> None:
    async with posting([OK], [OK]) as (poster, counter):
        first = await poster.post(b'{"a": 1}', WITHIN_S)
        second = await poster.post(b"{}", WITHIN_S)
    assert (first.status, first.body, first.headers["content-type"]) == (200, b"{}", "application/json")
    assert second == first
    assert counter.connections == 1
    head, _, body = counter.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/x?y=1 HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert lines[2:] == [b"Content-Type: application/json", b"Content-Length: 8"]
    assert body == b'{"a": 1}'


async def test_many_at_once_have_connections_of_their_own() -> None:
    async with posting(*[[OK]] * 6) as (poster, counter):
        done = await asyncio.gather(*(poster.post(b"%d" % number, WITHIN_S) for number in range(6)))
    assert [one.body for one in done] == [b"{}"] * 6
    assert counter.connections == 6


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    closes = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with posting([closes], [OK]) as (poster, counter):
        await poster.post(b"{}", WITHIN_S)
        await poster.post(b"{}", WITHIN_S)
    assert counter.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with posting([OK], [OK]) as (poster, counter):
        await poster.post(b"{}", WITHIN_S)
        monkeypatch.setattr("vivavoce.models.post.IDLE_S", 0.0)
        await poster.post(b"{}", WITHIN_S)
    assert counter.connections == 2
    assert IDLE_S > 1


async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer() -> None:
    async with posting([OK + OK], [OK.replace(b"{}", b"[]")]) as (poster, counter):
        await poster.post(b"{}", WITHIN_S)
        await asyncio.sleep(0)
        assert (await poster.post(b"{}", WITHIN_S)).body == b"[]"
    assert counter.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        [OK[:20], OK[20:60], OK[60:]],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n}\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: to the end\r\n\r\n{", b"}"],
        [b"HTTP/1.0 200 OK\r\nX: to the end\r\n\r\n{}"],
    ],
    ids=["in pieces", "after a 100", "after a hint", "in chunks", "without a length", "as in 1996"],
)
async def test_every_way_of_writing_an_answer_is_read(answer: Sequence[bytes]) -> None:
    async with posting(answer) as (poster, _):
        assert (await poster.post(b"{}", WITHIN_S)).body == b"{}"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"{}", mtime=0)), ("Deflate", zlib.compress(b"{}")), ("identity", b"{}")],
    ids=["gzip", "deflate", "identity"],
)
async def test_a_body_that_was_packed_unasked_is_unpacked(encoding: str, packed: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    async with posting([head + packed]) as (poster, _):
        assert (await poster.post(b"{}", WITHIN_S)).body == b"{}"


@pytest.mark.parametrize(
    ("encoding", "body", "failure"),
    [("br", b"{}", NotHttp), ("gzip", b"{}", NotHttp), ("gzip", gzip.compress(b" " * 5000, mtime=0), TooLarge)],
    ids=["unknown", "not packed", "a bomb"],
)
async def test_a_body_that_cannot_be_unpacked_is_told(encoding: str, body: bytes, failure: type[Exception]) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with posting([head + body]) as (poster, _):
        with pytest.raises(failure):
            await poster.post(b"{}", WITHIN_S)


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n"],
    ],
    ids=["announced", "in chunks"],
)
async def test_too_large_an_answer_is_not_read_to_its_end(answer: Sequence[bytes]) -> None:
    async with posting(answer) as (poster, counter):
        with pytest.raises(TooLarge):
            await poster.post(b"{}", WITHIN_S)
        async with asyncio.timeout(WITHIN_S):
            await counter.gone.wait()


async def test_what_is_not_http_is_told() -> None:
    async with posting([b"SSH-2.0-OpenSSH_9.2\r\n"]) as (poster, _):
        with pytest.raises(NotHttp):
            await poster.post(b"{}", WITHIN_S)


@pytest.mark.parametrize(
    ("answer", "begun"),
    [
        ([], False),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX: to the end\r\n\r\n{"], True),
        ([b"HTTP/1.1 200 OK\r\nX: to the end"], True),
    ],
)
async def test_an_answer_that_breaks_off_is_told_from_none(answer: Sequence[bytes], begun: bool) -> None:
    async with posting(answer) as (poster, _):
        with pytest.raises(Broken) as caught:
            await poster.post(b"{}", WITHIN_S)
    assert caught.value.begun is begun


async def test_whoever_hangs_or_trickles_is_given_up_and_the_connection_with_it() -> None:
    async with posting(None, [OK]) as (poster, counter):
        with pytest.raises(Slow) as caught:
            await poster.post(b"{}", 0.05)
        assert caught.value.connected
        async with asyncio.timeout(WITHIN_S):
            await counter.gone.wait()
        assert (await poster.post(b"{}", WITHIN_S)).body == b"{}"
    assert counter.connections == 2


async def test_an_answer_that_nobody_waits_for_any_more_is_nobody_elses() -> None:
    async with posting(None, [OK]) as (poster, counter):
        task = asyncio.create_task(poster.post(b"first", WITHIN_S))
        async with asyncio.timeout(WITHIN_S):
            while not counter.requests:
                await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await poster.post(b"second", WITHIN_S)).body == b"{}"
    assert counter.connections == 2


async def test_nobody_is_there() -> None:
    closed = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    with pytest.raises(NoConnection):
        await Poster(URL(f"http://127.0.0.1:{port}/"), {}, most=10, connect_s=5.0).post(b"{}", WITHIN_S)


@contextmanager
def hole() -> Generator[tuple[str, int]]:
    """An address that takes no connection and refuses none: whoever waits there fills its queue."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = silent.getsockname()
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address


async def test_who_does_not_take_the_connection_in_time_is_told_from_who_does_not_answer() -> None:
    with hole() as (host, port), pytest.raises(Slow) as caught:
        await Poster(URL(f"http://{host}:{port}/"), {}, most=10, connect_s=0.01).post(b"{}", WITHIN_S)
    assert not caught.value.connected


async def test_an_address_that_takes_no_connection_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "HEAD_START_S", 0.01)
    async with posting([OK]) as (poster, counter):
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo
        with hole() as (_, port):

            async def two(host: str, wanted: int, **given: Any) -> list[Any]:
                return [*await look_up(host, port, **given), *await look_up(host, wanted, **given)]

            monkeypatch.setattr(loop, "getaddrinfo", two)
            assert (await poster.post(b"{}", WITHIN_S)).status == 200
    assert counter.connections == 1


async def test_who_has_no_certificate_is_not_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise ssl.SSLCertVerificationError(1, "self-signed certificate")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refused)
    async with posting(url=lambda port: f"https://127.0.0.1:{port}/") as (poster, _):
        with pytest.raises(NotSecure):
            await poster.post(b"{}", WITHIN_S)


async def test_a_name_and_a_password_in_the_address_prove_who_asks() -> None:
    async with posting([OK], url=lambda port: f"http://jo:s%40fe@127.0.0.1:{port}/") as (poster, counter):
        await poster.post(b"{}", WITHIN_S)
    assert b"\r\nAuthorization: Basic am86c0BmZQ==\r\n" in counter.requests[0]
    assert b"jo:" not in counter.requests[0]


@given(st.lists(st.integers(1, len(OK) - 1), max_size=6), st.binary(max_size=30))
def test_wherever_an_answer_is_cut_it_is_the_same(cuts: list[int], body: bytes) -> None:
    whole = OK.removesuffix(b"{}").replace(b"Length: 2", b"Length: %d" % len(body)) + body
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[first:last] for first, last in pairwise(edges)]

    async def read() -> bytes:
        async with posting(pieces) as (poster, _):
            return (await poster.post(b"{}", WITHIN_S)).body

    assert asyncio.run(read()) == body
