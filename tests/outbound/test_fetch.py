import asyncio
import gzip
import socket
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from tests.outbound.local_server import LOCAL, Reply, Seen, always, raw_serving, serving

from vivavoce.outbound.fetch import Fetched, Session, Unreachable, fetch, open_session, shown
from vivavoce.outbound.guard import Guard, Refused


async def get(session: Session, url: str, *, timeout_s: float = 5.0, max_bytes: int = 1000) -> Fetched:
    return await fetch(session, "GET", url, headers={}, body=None, timeout_s=timeout_s, max_bytes=max_bytes)


class FixedResolver(AbstractResolver):
    """Answers every question with the next list of addresses; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in answer
        ]

    async def close(self) -> None:
        self.closed = True


async def test_sends_what_it_is_given_and_tells_what_came_back(session: Session) -> None:
    def reply(_: Seen) -> web.Response:
        return web.Response(body=b"made", status=201, headers={"X-Thing": "yes"})

    async with serving(reply) as server:
        fetched = await fetch(
            session,
            "PUT",
            f"{server.url}/a%2Fb?c=d%20e",
            headers={"x-key": "k"},
            body=b"hello",
            timeout_s=5,
            max_bytes=4,
        )
    assert (fetched.status, fetched.body, fetched.headers["x-thing"]) == (201, b"made", "yes")
    assert fetched.took_ms == 250
    (seen,) = server.seen
    assert (seen.method, seen.target, seen.body) == ("PUT", "/a%2Fb?c=d%20e", b"hello")
    assert seen.headers["x-key"] == "k"
    assert seen.headers["User-Agent"].startswith("vivavoce/")


@pytest.mark.parametrize("status", [302, 307, 404, 500])
async def test_any_status_is_an_answer_and_redirects_are_not_followed(session: Session, status: int) -> None:
    def reply(_: Seen) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with serving(reply) as server:
        assert (await get(session, server.url)).status == status
    assert len(server.seen) == 1


async def test_the_time_limit_holds_while_nothing_comes(session: Session) -> None:
    forever = asyncio.Event()

    async def talk(_: asyncio.StreamWriter) -> None:
        await forever.wait()

    async with raw_serving(talk) as url:
        with pytest.raises(Unreachable) as error:
            await get(session, f"{url}/x?token=secret", timeout_s=0.1)
        forever.set()
    assert error.value.kind == "timeout"
    assert "0.1 seconds" in str(error.value)
    assert "secret" not in str(error.value)


async def test_the_time_limit_holds_while_bytes_trickle(session: Session) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with raw_serving(talk) as url:
        with pytest.raises(Unreachable) as error:
            await get(session, url, timeout_s=0.2)
    assert error.value.kind == "timeout"


async def _pieces() -> AsyncGenerator[bytes]:
    for _ in range(100):
        yield b"x" * 1000


def _announced(_: Seen) -> web.Response:
    return web.Response(body=b"x" * 1001)


def _chunked(_: Seen) -> web.Response:
    return web.Response(body=_pieces())


def _compressed(_: Seen) -> web.Response:
    return web.Response(body=gzip.compress(b"x" * 10_000_000), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize("reply", [_announced, _chunked, _compressed])
async def test_more_bytes_than_allowed_are_not_read(session: Session, reply: Reply) -> None:
    async with serving(reply) as server:
        with pytest.raises(Unreachable) as error:
            await get(session, server.url, max_bytes=1000)
    assert error.value.kind == "too_large"


async def test_exactly_as_many_bytes_as_allowed_are_read(session: Session) -> None:
    async with serving(lambda _: web.Response(body=b"x" * 1000)) as server:
        assert len((await get(session, server.url)).body) == 1000


async def test_a_closed_port_is_no_connection(session: Session) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as error:
            await get(session, f"http://127.0.0.1:{taken.getsockname()[1]}/?token=secret")
    assert error.value.kind == "connect"
    assert "secret" not in str(error.value)


async def test_a_server_that_hangs_up_is_no_connection(session: Session) -> None:
    async def talk(_: asyncio.StreamWriter) -> None:
        return

    async with raw_serving(talk) as url:
        with pytest.raises(Unreachable) as error:
            await get(session, url)
    assert error.value.kind == "connect"


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"], ids=["other", "cut"]
)
async def test_what_is_not_http_is_told_apart(session: Session, answer: bytes) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw_serving(talk) as url:
        with pytest.raises(Unreachable) as error:
            await get(session, url)
    assert error.value.kind == "protocol"


async def test_plain_http_behind_https_is_no_connection(session: Session) -> None:
    async with serving(always({})) as server:
        with pytest.raises(Unreachable) as error:
            await get(session, server.url.replace("http:", "https:"))
    assert error.value.kind == "connect"
    assert server.seen == []


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", ".test", "x" * 300])
async def test_a_name_that_nobody_can_look_up_is_no_connection(session: Session, host: str) -> None:
    with pytest.raises(Unreachable, match="name") as error:
        await get(session, f"http://{host}/")
    assert error.value.kind == "connect"


async def test_an_unknown_name_is_no_connection() -> None:
    class Nowhere(FixedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            raise socket.gaierror(-2, "Name or service not known")

    async with open_session(LOCAL, resolver=Nowhere()) as session:
        with pytest.raises(Unreachable, match="name") as error:
            await get(session, "http://nowhere.test/")
    assert error.value.kind == "connect"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET /", {}),
        ("", {}),
        ("GET", {"a b": "c"}),
        ("GET", {"a": "b\r\nc: d"}),
        ("GET", {"a": "b\x00"}),
        ("GET", {"Host": "other"}),
        ("GET", {"content-length": "5"}),
        ("GET", {"Transfer-Encoding": "chunked"}),
    ],
)
async def test_a_head_that_would_say_something_else_is_not_sent(
    session: Session, method: str, headers: dict[str, str]
) -> None:
    async with serving(always({})) as server:
        with pytest.raises(Unreachable) as error:
            await fetch(session, method, server.url, headers=headers, body=None, timeout_s=5, max_bytes=10)
    assert error.value.kind == "protocol"
    assert server.seen == []


async def test_this_machine_is_refused_unless_allowed() -> None:
    async with serving(always({})) as server, open_session(Guard()) as session:
        port = server.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433"):
            with pytest.raises(Refused):
                await get(session, f"http://{host}:{port}/")
    assert server.seen == []


async def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    resolver = FixedResolver(["127.0.0.1"])
    async with serving(always({})) as server, open_session(Guard(), resolver=resolver) as session:
        port = server.url.rpartition(":")[2]
        with pytest.raises(Refused, match="VIVA_ALLOW_NETWORKS") as error:
            await get(session, f"http://public.test:{port}/")
    assert "127.0.0.1" not in str(error.value)
    assert server.seen == []


async def test_the_name_is_looked_up_once_so_that_it_cannot_change_its_mind() -> None:
    resolver = FixedResolver(["127.0.0.1"], ["10.0.0.1"])
    async with serving(always({})) as server, open_session(LOCAL, resolver=resolver) as session:
        port = server.url.rpartition(":")[2]
        assert (await get(session, f"http://public.test:{port}/")).status == 200
    assert resolver.asked == 1
    assert resolver.closed


async def test_only_the_permitted_addresses_of_a_name_are_tried() -> None:
    async with (
        serving(always({})) as server,
        open_session(LOCAL, resolver=FixedResolver(["10.0.0.1", "127.0.0.1"])) as session,
    ):
        port = server.url.rpartition(":")[2]
        assert (await get(session, f"http://both.test:{port}/")).status == 200


async def test_the_connection_itself_is_guarded_too() -> None:
    async with serving(always({})) as server, open_session(Guard()) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await (await session.client()).get(server.url)
    assert server.seen == []


async def test_an_allowed_address_in_an_unusual_spelling_is_refused(session: Session) -> None:
    with pytest.raises(Refused):
        await get(session, "http://127.1/")


async def test_cookies_are_not_kept(session: Session) -> None:
    def reply(_: Seen) -> web.Response:
        answer = web.Response()
        answer.set_cookie("who", "somebody")
        return answer

    async with serving(reply) as server:
        await get(session, server.url)
        await get(session, server.url)
    assert [seen.headers.get("Cookie") for seen in server.seen] == [None, None]


async def test_the_environment_does_not_choose_a_proxy(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    async with serving(always({})) as server:
        assert (await get(session, server.url)).status == 200


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pw@example.com:8443/a/b?token=1#x", "https://example.com:8443/a/b"),
        ("http://[::1/", "the address"),
        ("nothing", "the address"),
        ("", "the address"),
    ],
)
def test_messages_show_no_secrets(url: str, expected: str) -> None:
    assert shown(url) == expected


async def test_a_session_that_is_over_opens_nothing() -> None:
    async with open_session(LOCAL) as session:
        pass
    with pytest.raises(Unreachable, match="this server stops"):
        await session.client()


async def test_requests_that_come_first_share_one_client() -> None:
    async with open_session(LOCAL) as session:
        one, two = await asyncio.gather(session.client(), session.client())
    assert one is two
    assert one.closed
