import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from tests.support.store import NOW, ORG

from vivavoce.storage import answers
from vivavoce.storage.answers import IN_FLIGHT_MS, KEPT_MS, PREPARED_MS, Kept, KeyTaken, Request
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.tables import answers as rows

MINE = Request(ORG, "key", "POST", "/v2/things", "digest")


async def begin(database: Database, request: Request = MINE, now: int = NOW) -> Kept | None:
    return await database.write(lambda tx: answers.begin(tx, request, now))


async def finish(database: Database, request: Request = MINE) -> None:
    await database.write(lambda tx: answers.finish(tx, request, NOW, 201, '{"a":1}'))


async def test_an_answer_is_kept_with_what_was_asked(database: Database) -> None:
    assert await begin(database) is None
    assert await begin(database) == Kept("digest", None, None)
    await finish(database)
    assert await begin(database) == Kept("digest", 201, '{"a":1}')
    # The digest is for whoever asks to compare: it is no part of what the request is.
    assert await begin(database, replace(MINE, digest="another")) == Kept("digest", 201, '{"a":1}')


@pytest.mark.parametrize("change", [{"org": "b"}, {"key": "KEY"}, {"method": "PUT"}, {"path": "/v2/other"}])
async def test_another_request_is_another_request(database: Database, change: dict[str, str]) -> None:
    await begin(database)
    await finish(database)
    assert await begin(database, replace(MINE, **change)) is None
    await database.write(lambda tx: answers.forget(tx, replace(MINE, **change), NOW))
    assert await begin(database) == Kept("digest", 201, '{"a":1}')


async def test_a_failed_request_is_forgotten_and_a_finished_one_is_not(database: Database) -> None:
    await begin(database)
    await database.write(lambda tx: answers.forget(tx, MINE, NOW))
    assert await begin(database) is None
    await finish(database)
    await database.write(lambda tx: answers.forget(tx, MINE, NOW))
    assert await begin(database) == Kept("digest", 201, '{"a":1}')


async def test_a_day_later_the_key_is_new(database: Database) -> None:
    await begin(database)
    await finish(database)
    assert await begin(database, now=NOW + KEPT_MS) == Kept("digest", 201, '{"a":1}')
    assert await begin(database, now=NOW + KEPT_MS + 1) is None


async def test_a_request_whose_server_died_holds_its_key_for_a_minute(database: Database) -> None:
    await begin(database)
    assert await begin(database, now=NOW + IN_FLIGHT_MS) == Kept("digest", None, None)
    assert await begin(database, now=NOW + IN_FLIGHT_MS + 1) is None


async def test_a_claim_that_was_given_up_is_neither_answered_nor_forgotten_by_who_had_it(database: Database) -> None:
    later = NOW + IN_FLIGHT_MS + 1
    await begin(database)
    assert await begin(database, now=later) is None
    with pytest.raises(KeyTaken):
        await finish(database)
    await database.write(lambda tx: answers.forget(tx, MINE, NOW))
    assert await begin(database, now=later) == Kept("digest", None, None)


async def test_work_that_is_prepared_holds_its_key_for_longer(database: Database) -> None:
    def ask(now: int) -> Callable[[Tx], Kept | None]:
        return lambda tx: answers.begin(tx, MINE, now, PREPARED_MS)

    await begin(database)
    assert await database.write(ask(NOW + PREPARED_MS)) == Kept("digest", None, None)
    assert await database.write(ask(NOW + PREPARED_MS + 1)) is None


async def test_what_is_too_old_is_swept_by_whoever_comes(database: Database) -> None:
    def count(tx: Tx) -> int:
        return tx.execute(select(func.count()).select_from(rows)).scalar_one()

    await begin(database)
    await finish(database)
    await begin(database, replace(MINE, key="dead"))
    await begin(database, replace(MINE, key="new"), NOW + KEPT_MS + 1)
    assert await database.read(count) == 1


async def test_of_many_at_once_one_claims_the_key(database: Database) -> None:
    done = await asyncio.gather(*(begin(database) for _ in range(20)), return_exceptions=True)
    assert done.count(None) == 1
    assert all(one is None or one == Kept("digest", None, None) or isinstance(one, KeyTaken) for one in done)
