import asyncio

import pytest
from tests.support.store import NOW, Hand, ids

from vivavoce.services import keys
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.keys import ORG
from vivavoce.storage.database import Database, connect
from vivavoce.storage.keys import Key


def token(size: int) -> str:
    return "t" * size


async def test_a_new_key_is_shown_once_and_opens(database: Database, hand: Hand) -> None:
    assert not await keys.any_active(database)
    key, secret = await keys.create(database, hand, ids(hand), token, "laptop")
    assert secret == "viva_" + "t" * 32
    assert key == Key(key.id, ORG, "laptop", "tttt", NOW)
    assert await keys.check(database, secret) == key
    assert await keys.check(database, secret + "t") is None
    assert await keys.get_all(database) == (key,)
    assert await keys.any_active(database)


async def test_a_chosen_key_is_adopted_once(database: Database, hand: Hand) -> None:
    key = await keys.adopt(database, hand, ids(hand), "mine", "chosen-by-hand-secret")
    hand.turn(60)
    assert await keys.adopt(database, hand, ids(hand), "again", "chosen-by-hand-secret") == key
    assert await keys.get_all(database) == (key,)
    assert key.hint == "cret"


async def test_the_hint_of_a_short_secret_tells_nothing(database: Database, hand: Hand) -> None:
    assert (await keys.adopt(database, hand, ids(hand), "mine", "dev")).hint == ""


async def test_servers_that_start_together_adopt_the_same_key(
    database: Database, database_url: str, hand: Hand
) -> None:
    new_id = ids(hand)
    other = connect(database_url)
    try:
        both = (database, other) * 5
        adopted = await asyncio.gather(
            *(keys.adopt(one, hand, new_id, "mine", "chosen-by-hand-secret") for one in both)
        )
    finally:
        other.close()
    assert set(adopted) == set(await keys.get_all(database))
    assert len(set(adopted)) == 1


async def test_a_revoked_secret_is_not_adopted_again(database: Database, hand: Hand) -> None:
    key = await keys.adopt(database, hand, ids(hand), "mine", "chosen-by-hand-secret")
    await keys.revoke(database, hand, key.id)
    with pytest.raises(Rejected, match="mine belongs to a key that was revoked"):
        await keys.adopt(database, hand, ids(hand), "mine", "chosen-by-hand-secret")


async def test_a_revoked_key_opens_nothing(database: Database, hand: Hand) -> None:
    key, secret = await keys.create(database, hand, ids(hand), token, "laptop")
    hand.turn(1)
    await keys.revoke(database, hand, key.id)
    assert await keys.check(database, secret) is None
    assert not await keys.any_active(database)
    assert [one.revoked_at for one in await keys.get_all(database)] == [NOW + 1000]
    for id_ in (key.id, "none"):
        with pytest.raises(NotFound) as failure:
            await keys.revoke(database, hand, id_)
        assert (failure.value.noun, failure.value.id) == ("key", id_)


async def test_another_value_of_a_setting_replaces_the_one_before(database: Database, hand: Hand) -> None:
    new_id = ids(hand)
    await keys.adopt(database, hand, new_id, "somebody else's", "another-secret-of-somebody")
    await keys.adopt_only(database, hand, new_id, "VIVA_API_KEY", "the-first-secret-value")
    await keys.adopt_only(database, hand, new_id, "VIVA_API_KEY", "the-second-secret-value")
    await keys.adopt_only(database, hand, new_id, "VIVA_API_KEY", "the-second-secret-value")
    assert await keys.check(database, "the-first-secret-value") is None
    assert await keys.check(database, "the-second-secret-value") is not None
    assert await keys.check(database, "another-secret-of-somebody") is not None
