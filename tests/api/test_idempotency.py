"""``once`` on a real database, with requests as the gate hands them on."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import func, select
from tests.support.store import ORG, PATIENCE_S, Hand, a_conversation

from vivavoce.api.idempotency import (
    HEADER,
    MAX_KEYED_BODY,
    REPLAYED,
    BodyTooLarge,
    KeyInFlight,
    KeyMalformed,
    KeyReused,
    Work,
    once,
    once_ready,
)
from vivavoce.services.context import Context
from vivavoce.storage import conversations
from vivavoce.storage.answers import IN_FLIGHT_MS, KEPT_MS, PREPARED_MS
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.tables import conversations as rows


class World:
    """Requests against one database; ``made`` counts how often the work was begun."""

    def __init__(self, database: Database) -> None:
        self.database, self.hand = database, Hand()
        self.made = 0
        self.fails: Exception | None = None
        self.before: Callable[[], Any] | None = None

    def work(self, tx: Tx) -> dict[str, Any]:
        self.made += 1
        number = self.made
        conversations.add(tx, ORG, [a_conversation()])
        if self.before is not None:
            self.before()
        if self.fails is not None:
            raise self.fails
        return {"number": number, "text": "é\u2028"}

    async def ask(
        self,
        *keys: str,
        body: bytes = b"{}",
        path: str = "/v2/things",
        query: bytes = b"",
        org: str = ORG,
        method: str = "POST",
    ) -> Response:
        request = self.request(*keys, body=body, path=path, query=query, org=org, method=method)
        return await once(request, cast("Context", self), 201, self.work)

    async def prepare(self, key: str, ready: Callable[[], Awaitable[Work]]) -> Response:
        return await once_ready(self.request(key), cast("Context", self), 201, ready)

    def request(
        self,
        *keys: str,
        body: bytes = b"{}",
        path: str = "/v2/things",
        query: bytes = b"",
        org: str = ORG,
        method: str = "POST",
    ) -> Request:
        headers = [(HEADER.encode(), key.encode("latin-1")) for key in keys]
        state = {"org": org, "body": body}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": headers,
            "state": state,
        }
        return Request(scope)

    @property
    def clock(self) -> Hand:
        return self.hand

    async def kept(self) -> int:
        return await self.database.read(lambda tx: tx.execute(select(func.count()).select_from(rows)).scalar_one())


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def number_of(answer: Response) -> int:
    return json.loads(bytes(answer.body))["number"]


def replayed(answers: Sequence[Response]) -> list[bool]:
    return [answer.headers.get(REPLAYED) == "true" for answer in answers]


async def test_without_a_key_every_request_is_done(world: World) -> None:
    answers = [await world.ask() for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [number_of(answer) for answer in answers] == [1, 2]
    assert replayed(answers) == [False, False]
    assert await world.kept() == 2


async def test_with_a_key_the_work_is_done_once_and_the_answer_is_the_same(world: World) -> None:
    answers = [await world.ask("key-1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({bytes(answer.body) for answer in answers}) == 1
    assert replayed(answers) == [False, True, True]
    assert (world.made, await world.kept()) == (1, 1)


@pytest.mark.parametrize("change", [{"org": "org-b"}, {"path": "/v2/others"}, {"method": "PUT"}])
async def test_a_key_belongs_to_its_organisation_method_and_path(world: World, change: dict[str, str]) -> None:
    await world.ask("key-1")
    await world.ask("key-1", **change)  # type: ignore[arg-type]
    assert world.made == 2


@pytest.mark.parametrize(
    "change", [{"body": b"{} "}, {"body": b""}, {"query": b"a=1"}, {"query": b"a=1&a=2"}, {"query": b"a=2&b=1"}]
)
async def test_a_key_is_for_one_request(world: World, change: dict[str, bytes]) -> None:
    await world.ask("key-1", query=b"b=2&a=1")
    with pytest.raises(KeyReused):
        await world.ask("key-1", **{"query": b"b=2&a=1", **change})  # type: ignore[arg-type]
    assert world.made == 1


async def test_a_query_is_the_same_in_any_order_and_spelling(world: World) -> None:
    await world.ask("key-1", query=b"a=1&b=x%20y")
    assert replayed([await world.ask("key-1", query=b"b=x+y&a=1")]) == [True]


async def test_query_and_body_are_not_taken_for_each_other(world: World) -> None:
    await world.ask("key-1", query=b"a=1", body=b"")
    with pytest.raises(KeyReused):
        await world.ask("key-1", query=b"", body=json.dumps([["a", "1"]]).encode())


@pytest.mark.parametrize(
    "keys", [("",), (" ",), ("a b",), ("é",), ("a" * 256,), ("a\n",), ("a.b",), ("a", "a"), ("a", "b")]
)
async def test_a_key_that_is_none_is_refused(world: World, keys: tuple[str, ...]) -> None:
    with pytest.raises(KeyMalformed):
        await world.ask(*keys)
    assert world.made == 0


@pytest.mark.parametrize("key", ["a", "A-Z_0:9", "a" * 255])
async def test_a_key_of_the_documented_form_is_taken(world: World, key: str) -> None:
    assert replayed([await world.ask(key), await world.ask(key)]) == [False, True]


async def test_a_keyed_body_has_a_limit_of_its_own(world: World) -> None:
    with pytest.raises(BodyTooLarge):
        await world.ask("key-1", body=b"x" * (MAX_KEYED_BODY + 1))
    await world.ask("key-1", body=b"x" * MAX_KEYED_BODY)
    await world.ask(body=b"x" * (MAX_KEYED_BODY + 1))
    assert world.made == 2


async def test_a_failure_is_not_kept_and_the_key_may_be_used_again(world: World) -> None:
    world.fails = LookupError("not there")
    for _ in range(2):
        with pytest.raises(LookupError, match="not there"):
            await world.ask("key-1")
    assert await world.kept() == 0
    world.fails = None
    assert replayed([await world.ask("key-1"), await world.ask("key-1")]) == [False, True]
    assert (world.made, await world.kept()) == (3, 1)


async def test_an_answer_that_cannot_be_kept_is_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(_tx: Tx) -> dict[str, object]:
        return {"never": object()}

    monkeypatch.setattr(world, "work", unwritable)
    with pytest.raises(TypeError):
        await world.ask("key-1")
    monkeypatch.undo()
    assert number_of(await world.ask("key-1")) == 1


async def test_while_the_first_is_answered_the_second_is_told(world: World) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go_on.wait(PATIENCE_S)

    world.before = wait
    first = asyncio.create_task(world.ask("key-1"))
    try:
        assert await asyncio.to_thread(reached.wait, PATIENCE_S)
        second = asyncio.create_task(world.ask("key-1"))
        other_body = asyncio.create_task(world.ask("key-1", body=b"other"))
        # On SQLite they wait for the first to be done and then find its answer; on a server they see it in flight.
        await asyncio.sleep(0)
    finally:
        go_on.set()
    done = await first
    told = (await asyncio.gather(second, other_body, return_exceptions=True))[0]
    if isinstance(told, Response):
        assert (replayed([told]), bytes(told.body)) == ([True], bytes(done.body))
    else:
        assert isinstance(told, KeyInFlight)
    assert isinstance(other_body.exception(), KeyReused)
    assert world.made == 1


async def test_of_many_at_once_one_is_done(world: World) -> None:
    answers = await asyncio.gather(*(world.ask("key-1") for _ in range(30)), return_exceptions=True)
    done = [answer for answer in answers if isinstance(answer, Response)]
    assert replayed(done).count(False) == 1
    assert len({bytes(answer.body) for answer in done}) == 1
    assert all(isinstance(answer, Response | KeyInFlight) for answer in answers)
    assert (world.made, await world.kept()) == (1, 1)


async def test_a_request_whose_server_died_may_be_sent_again_a_minute_later(world: World) -> None:
    world.before = lambda: None
    database = world.database

    class Dies:
        """Its first transaction is durable; what comes after it is never done."""

        def __init__(self) -> None:
            self.count = 0

        async def write(self, work: Callable[[Tx], Any]) -> Any:
            self.count += 1
            if self.count > 1:
                raise asyncio.CancelledError
            return await database.write(work)

    world.database = Dies()  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        await world.ask("key-1")
    world.database = database
    with pytest.raises(KeyInFlight):
        await world.ask("key-1")
    world.hand.turn(IN_FLIGHT_MS / 1000)
    with pytest.raises(KeyInFlight):
        await world.ask("key-1")
    world.hand.turn(0.001)
    assert replayed([await world.ask("key-1"), await world.ask("key-1")]) == [False, True]


async def test_work_that_waits_long_is_not_begun_again_while_it_goes_on(world: World) -> None:
    """Clients give up after 60 s and ask again with the same key (contract, sections 1.1 and 1.5)."""

    async def ready() -> Work:
        world.hand.turn(IN_FLIGHT_MS / 1000 + 1)
        with pytest.raises(KeyInFlight):
            await world.prepare("key-1", ready)
        return world.work

    assert replayed([await world.prepare("key-1", ready), await world.prepare("key-1", ready)]) == [False, True]
    assert (world.made, await world.kept()) == (1, 1)


async def test_work_that_was_given_up_is_undone_when_it_comes_to_its_end(world: World) -> None:
    again: list[Response] = []

    async def at_once() -> Work:
        return world.work

    async def ready() -> Work:
        world.hand.turn(PREPARED_MS / 1000 + 1)
        again.append(await world.prepare("key-1", at_once))
        return world.work

    with pytest.raises(KeyInFlight):
        await world.prepare("key-1", ready)
    assert replayed([*again, await world.prepare("key-1", at_once)]) == [False, True]
    assert (world.made, await world.kept()) == (2, 1)


async def test_after_a_day_the_key_is_new(world: World) -> None:
    await world.ask("key-1")
    world.hand.turn(KEPT_MS / 1000)
    assert replayed([await world.ask("key-1")]) == [True]
    world.hand.turn(0.001)
    answer = await world.ask("key-1", body=b"another")
    assert (replayed([answer]), number_of(answer)) == ([False], 2)
