import asyncio
import gc
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from tests.support.outages import WHENS, Outage, When, weaken
from tests.support.store import ORG, PATIENCE_S, a_conversation, ids

from vivavoce.core.ids import NewId
from vivavoce.services import turns as turns_module
from vivavoce.services.errors import Busy
from vivavoce.services.turns import Shared, Turns
from vivavoce.storage import conversations
from vivavoce.storage.database import Database, DatabaseAway, Tx, connect
from vivavoce.storage.tables import conversations as rows


async def test_one_at_a_time_in_each_conversation() -> None:
    turns, order = Turns(), list[str]()
    go_on = asyncio.Event()

    async def talk(conversation: str, name: str) -> None:
        async with turns.of(conversation):
            order.append(f"{name} begins")
            if name == "a":
                await go_on.wait()
            order.append(f"{name} ends")

    tasks = [asyncio.create_task(talk(*one)) for one in (("1", "a"), ("1", "b"), ("2", "c"), ("1", "d"))]
    await tasks[2]
    assert order == ["a begins", "c begins", "c ends"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert order[3:] == ["a ends", "b begins", "b ends", "d begins", "d ends"]


async def test_who_fails_or_gives_up_lets_the_next_go_on() -> None:
    turns = Turns()

    async def fail() -> None:
        async with turns.of("1"):
            raise ValueError

    async def wait() -> None:
        async with turns.of("1"):
            await asyncio.Event().wait()

    await asyncio.gather(fail(), return_exceptions=True)
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    async with asyncio.timeout(5), turns.of("1"):
        pass
    await asyncio.gather(waiting, return_exceptions=True)


async def test_nothing_is_kept_of_conversations_that_are_quiet() -> None:
    turns = Turns()
    for number in range(100):
        async with turns.of(f"{number}"):
            pass
    gc.collect()
    assert len(turns._locks) == 0


# several servers


@dataclass(frozen=True)
class Server:
    """One of several servers of a database, with a conversation that all of them know."""

    turns: Turns
    database: Database


@pytest.fixture
async def conversation(database: Database) -> str:
    talk = a_conversation()
    await database.write(lambda tx: conversations.add(tx, ORG, [talk]))
    return talk.id


@pytest.fixture
def servers(database_url: str) -> Generator[tuple[Server, Server]]:
    opened = connect(database_url), connect(database_url)
    first, second = (Server(Turns(Shared(one, _tokens())), one) for one in opened)
    yield first, second
    for one in opened:
        one.close()


def _tokens() -> NewId:
    """Other servers make other ones."""
    make, server = ids(), uuid.uuid4().hex[:8]
    return lambda: f"{server} {make()}"


async def row(database: Database, conversation: str) -> tuple[str | None, int | None]:
    query = select(rows.c.turn_token, rows.c.turn_until).where(rows.c.id == conversation)
    found = await database.read(lambda tx: tx.execute(query).one())
    return found.turn_token, found.turn_until


async def test_one_at_a_time_on_all_servers(servers: tuple[Server, Server], conversation: str) -> None:
    order = list[str]()

    async def talk(server: Server, name: str) -> None:
        async with server.turns.of(conversation):
            order.append(f"{name} begins")
            # Several round trips to the database, in which others could come in between.
            for _ in range(3):
                await server.database.ping()
            order.append(f"{name} ends")

    names = "abcdefgh"
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(talk(servers[place % 2], name) for place, name in enumerate(names)))
    assert sorted(order[::2]) == [f"{name} begins" for name in names]
    assert [one.replace("begins", "ends") for one in order[::2]] == order[1::2]
    assert await row(servers[0].database, conversation) == (None, None)


async def test_conversations_wait_for_themselves_only(
    servers: tuple[Server, Server], conversation: str, database: Database
) -> None:
    other = a_conversation()
    await database.write(lambda tx: conversations.add(tx, ORG, [other]))
    async with asyncio.timeout(PATIENCE_S), servers[0].turns.of(conversation), servers[1].turns.of(other.id):
        pass


async def test_a_conversation_that_is_about_to_begin_is_nobodys_yet(servers: tuple[Server, Server]) -> None:
    async with servers[0].turns.of("unknown"), servers[1].turns.of("unknown"):
        pass


async def test_who_waits_too_long_is_told(
    servers: tuple[Server, Server], conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "PATIENCE_S", 0.05)
    async with servers[0].turns.of(conversation):
        held = await row(servers[0].database, conversation)
        with pytest.raises(Busy, match="is being answered"):
            async with servers[1].turns.of(conversation):
                raise AssertionError("both speak")
        assert await row(servers[0].database, conversation) == held
    async with servers[1].turns.of(conversation):
        pass


async def test_the_turn_of_a_dead_server_runs_out(
    servers: tuple[Server, Server], conversation: str, database: Database
) -> None:
    async with servers[0].turns.of(conversation):
        await database.write(lambda tx: tx.execute(update(rows).values(turn_until=1)))
        async with asyncio.timeout(PATIENCE_S), servers[1].turns.of(conversation):
            taken = await row(database, conversation)
    # Whoever comes back from the dead does not give back what is not its own; and the other one has by then.
    assert taken[0] is not None
    assert await row(database, conversation) == (None, None)


async def test_a_turn_is_kept_as_long_as_it_lasts(
    servers: tuple[Server, Server], conversation: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "RENEW_S", 0.01)
    async with servers[0].turns.of(conversation):
        token, until = await row(database, conversation)
        async with asyncio.timeout(PATIENCE_S):
            while (now := await row(database, conversation)) == (token, until):
                pass
        assert now[0] == token


async def test_who_lost_its_turn_stops(
    servers: tuple[Server, Server], conversation: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "RENEW_S", 0.05)

    async def talk() -> None:
        async with asyncio.timeout(PATIENCE_S), servers[0].turns.of(conversation):
            await database.write(lambda tx: tx.execute(update(rows).values(turn_token="another")))
            await asyncio.Event().wait()

    with pytest.raises(Busy, match="another server"):
        await talk()
    assert (await row(database, conversation))[0] == "another"


async def test_who_cannot_keep_its_turn_stops_when_it_runs_out(
    database_url: str, conversation: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "RENEW_S", 0.01)
    monkeypatch.setattr(turns_module, "LEASE_MS", 200)

    class Cut:
        """A database that is away as soon as the turn was taken."""

        taken = False

        async def write(self, work: Callable[[Tx], Any]) -> Any:
            if self.taken:
                raise OperationalError("", {}, Exception("away"))
            self.taken = True
            return await database.write(work)

    turns = Turns(Shared(Cut(), _tokens()))  # type: ignore[arg-type]
    with pytest.raises(DatabaseAway):
        async with asyncio.timeout(PATIENCE_S), turns.of(conversation):
            await asyncio.Event().wait()
    # Nobody could give it back; it has run out.
    other = Turns(Shared(database, _tokens()))
    async with asyncio.timeout(PATIENCE_S), other.of(conversation):
        pass


@pytest.mark.parametrize("when", WHENS)
async def test_who_loses_its_connection_gives_its_turn_back_all_the_same(
    servers: tuple[Server, Server], conversation: str, when: When
) -> None:
    outage = Outage()
    weaken(servers[0].database, outage)
    async with servers[0].turns.of(conversation):
        outage.begins(1, when)
    assert outage.ends()
    assert await row(servers[0].database, conversation) == (None, None)


async def test_what_fails_in_a_turn_is_told_as_it_is(servers: tuple[Server, Server], conversation: str) -> None:
    for failure in (ValueError("ours"), TimeoutError("a model's")):
        with pytest.raises(type(failure), match=str(failure)):
            async with servers[0].turns.of(conversation):
                raise failure
        assert await row(servers[0].database, conversation) == (None, None)


async def test_who_is_cancelled_gives_its_turn_back(servers: tuple[Server, Server], conversation: str) -> None:
    holding = asyncio.Event()

    async def talk() -> None:
        async with servers[0].turns.of(conversation):
            holding.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(talk())
    await holding.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    async with asyncio.timeout(PATIENCE_S), servers[1].turns.of(conversation):
        pass
