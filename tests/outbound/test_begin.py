"""Answers that are read while they are being written."""

import asyncio

import pytest
from aiohttp import web
from tests.outbound.local_server import Seen, always, raw_serving, serving

from vivavoce.outbound.fetch import Begun, Session, Unreachable, begin, open_session
from vivavoce.outbound.guard import Guard, Refused

PATIENCE_S = 20.0


async def ask(
    session: Session, url: str, *, timeout_s: float = PATIENCE_S, max_bytes: int = 1000, body: bytes | None = None
) -> Begun:
    method = "GET" if body is None else "POST"
    return await begin(session, method, url, headers={"x": "y"}, body=body, timeout_s=timeout_s, max_bytes=max_bytes)


async def whole(begun: Begun) -> bytes:
    try:
        return b"".join([piece async for piece in begun.pieces])
    finally:
        begun.close()
        begun.close()


async def test_pieces_come_as_they_are_written(session: Session) -> None:
    more = asyncio.Event()

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-One: 1\r\n\r\nfirst")
        await more.wait()
        writer.write(b"second")

    async with raw_serving(talk) as url:
        begun = await ask(session, url)
        assert (begun.status, begun.headers["x-one"]) == (200, "1")
        assert await anext(begun.pieces) == b"first"
        more.set()
        assert await whole(begun) == b"second"


async def test_what_is_sent_arrives_and_redirects_are_answers(session: Session) -> None:
    def reply(seen: Seen) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://10.0.0.1"}, body=seen.body)

    async with serving(reply) as server:
        begun = await ask(session, server.url, body=b"hello")
        assert (begun.status, begun.headers["location"]) == (302, "http://10.0.0.1")
        assert await whole(begun) == b"hello"
    [seen] = server.seen
    assert (seen.method, seen.headers["x"]) == ("POST", "y")


async def test_no_more_is_read_than_is_allowed(session: Session) -> None:
    async with serving(lambda _: web.Response(body=b"x" * 1000)) as server:
        assert len(await whole(await ask(session, server.url, max_bytes=1000))) == 1000
        with pytest.raises(Unreachable, match="larger than 999 bytes") as failure:
            await whole(await ask(session, server.url, max_bytes=999))
    assert failure.value.kind == "too_large"


async def test_the_time_holds_before_and_after_the_head(session: Session) -> None:
    async def silent(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        await asyncio.Event().wait()

    for talk in (silent, half):
        async with raw_serving(talk) as url:
            with pytest.raises(Unreachable) as failure:
                await whole(await ask(session, url, timeout_s=0.2))
            assert failure.value.kind == "timeout"


async def test_what_breaks_off_is_told(session: Session) -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def nothing(_: asyncio.StreamWriter) -> None: ...

    for talk, kind in ((half, "protocol"), (nothing, "connect")):
        async with raw_serving(talk) as url:
            with pytest.raises(Unreachable) as failure:
                await whole(await ask(session, url))
            assert failure.value.kind == kind


async def test_the_guard_is_asked_first_and_again_when_names_are_resolved(session: Session) -> None:
    async with serving(always({})) as server, open_session(Guard()) as guarded:
        port = server.url.rpartition(":")[2]
        for url in (
            server.url,
            f"http://localhost:{port}",
            f"http://2130706433:{port}",
            "ftp://a.example",
            "http://x:y@a",
        ):
            with pytest.raises(Refused):
                await ask(guarded, url)
        with pytest.raises(Unreachable, match="characters that HTTP does not allow"):
            await begin(session, "GET", server.url, headers={"x": "a\nb"}, body=None, timeout_s=1, max_bytes=1)
    assert server.seen == []
