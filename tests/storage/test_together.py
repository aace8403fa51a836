import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError
from tests.support.store import NOW, ORG, a_scenario, put_run, said, set_row

from vivavoce.core.budget import Budget
from vivavoce.core.conversation import Opening
from vivavoce.core.hook import Hook, Occasion
from vivavoce.core.run import Run
from vivavoce.storage import beginnings, budgets, conversations, hooks
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.together import MOST, Together


async def test_what_is_asked_at_the_same_time_shares_a_transaction(database: Database) -> None:
    asked: list[list[int]] = []

    def squares(_tx: Tx, numbers: Sequence[int]) -> Mapping[int, int]:
        asked.append(list(numbers))
        return {number: number**2 for number in numbers if number != 7}

    square = Together(squares)
    found = await asyncio.gather(*(square(database, number) for number in [*range(10), 3, 3]))
    assert found == [0, 1, 4, 9, 16, 25, 36, None, 64, 81, 9, 9]
    assert asked == [list(range(10))]
    assert await square(database, 4) == 16
    assert len(asked) == 2


async def test_no_transaction_answers_more_than_so_many(database: Database) -> None:
    asked: list[int] = []

    def same(_tx: Tx, numbers: Sequence[int]) -> Mapping[int, int]:
        asked.append(len(numbers))
        return {number: number for number in numbers}

    together = Together(same)
    assert await asyncio.gather(*(together(database, n) for n in range(2 * MOST + 1))) == list(range(2 * MOST + 1))
    assert asked == [MOST, MOST, 1]


async def test_what_cannot_be_read_takes_no_answer_from_the_others(database: Database) -> None:
    def read(_tx: Tx, keys: Sequence[str]) -> Mapping[str, str]:
        if "bad" in keys:
            raise ValueError("bad")
        return {key: key.upper() for key in keys}

    together = Together(read)
    found = await asyncio.gather(*(together(database, key) for key in ("a", "bad", "b")), return_exceptions=True)
    assert (found[0], found[2]) == ("A", "B")
    assert isinstance(found[1], ValueError)


async def test_a_database_that_is_away_is_told_to_all_and_asked_once(database: Database) -> None:
    asked: list[int] = []

    def read(_tx: Tx, keys: Sequence[str]) -> Mapping[str, str]:
        asked.append(len(keys))
        raise OperationalError("SELECT", {}, OSError("away"))

    together = Together(read)
    found = await asyncio.gather(*(together(database, key) for key in "ab"), return_exceptions=True)
    assert [type(one) for one in found] == [OperationalError, OperationalError]
    assert asked == [2]


async def test_whoever_stops_waiting_takes_nothing_from_the_others(database: Database) -> None:
    together = Together[str, str](lambda _tx, keys: {key: key for key in keys})
    impatient = asyncio.create_task(together(database, "a"))
    patient = asyncio.create_task(together(database, "b"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == "b"
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_all_that_is_needed_to_begin_is_read_for_many(database: Database) -> None:
    def work(tx: Tx) -> tuple[Run, Run, Run]:
        scenario = a_scenario()
        one, other, gone = (put_run(tx, scenario=scenario) for _ in range(3))
        set_row(tx, one.id, batch_id="batch")
        budgets.add(tx, ORG, "batch", Budget(100))
        conversations.append(tx, one.conversation_id, [said("hello")], NOW)
        conversations.set_opening(tx, other.conversation_id, Opening({"a": 1}))
        conversations.drop(tx, ORG, gone.conversation_id)
        return one, other, gone

    one, other, gone = await database.write(work)
    found = await database.read(lambda tx: beginnings.get_many(tx, [one.id, other.id, gone.id, "none"]))
    assert found.keys() == {one.id, other.id, gone.id}
    assert found[one.id].frozen.run == replace(one, batch_id="batch")
    assert found[one.id].frozen.scenario is found[other.id].frozen.scenario
    assert found[one.id].transcript.events == (said("hello"),)
    account = found[one.id].account
    assert account is not None
    assert account.budget == Budget(100)
    assert found[other.id].account is None
    conversation = found[other.id].conversation
    assert conversation is not None
    assert conversation.opening == Opening({"a": 1})
    assert found[gone.id].conversation is None


async def test_who_wants_to_be_told(database: Database) -> None:
    hook = Hook("hook", "https://example.com/told", (Occasion.RUN,), NOW)
    await database.write(lambda tx: hooks.add(tx, "other", hook))
    assert await database.read(lambda tx: hooks.get_hooked(tx, [ORG, "other", "other"])) == {"other": True}
