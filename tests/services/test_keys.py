import asyncio

import pytest
from tests.support.store import NOW, Hand, ids

from vivavoce.core.scope import Scope
from vivavoce.services import keys, orgs
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.keys import KEPT_S, ORG, Checker, LastKey
from vivavoce.storage.database import Database, connect
from vivavoce.storage.keys import Key
from vivavoce.storage.page import Window


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


async def test_a_key_is_an_organisations_and_has_a_scope(database: Database, hand: Hand) -> None:
    new_id = ids(hand)
    acme = await orgs.create(database, hand, new_id, "acme")
    for number, scope in enumerate(Scope):
        made, secret = await keys.create(
            database, hand, new_id, lambda size, number=number: "t" * size + str(number), "ci", org=acme.id, scope=scope
        )
        assert (made.org, made.scope) == (acme.id, scope)
        assert await keys.check(database, secret) == made
    with pytest.raises(NotFound, match="organisation 'nobody'"):
        await keys.create(database, hand, new_id, token, "ci", org="nobody")
    assert [key.scope for key in await keys.get_all(database)] == list(Scope)
    page = await keys.get_page(database, acme.id, Window(1, 2))
    assert ([key.scope for key in page.items], page.total) == ([Scope.ADMIN, Scope.RUN], 3)
    assert (await keys.get_page(database, ORG, Window())).total == 0


async def test_the_key_of_the_settings_must_be_an_admins(database: Database, hand: Hand) -> None:
    new_id = ids(hand)
    acme = await orgs.create(database, hand, new_id, "acme")
    for n, (org, scope) in enumerate(((ORG, Scope.RUN), (acme.id, Scope.ADMIN))):
        _, secret = await keys.create(
            database, hand, new_id, lambda size, n=n: "t" * size + str(n), "ci", org=org, scope=scope
        )
        with pytest.raises(Rejected, match="less than an admin"):
            await keys.adopt_only(database, hand, new_id, "VIVA_API_KEY", secret)


async def test_an_organisation_keeps_its_last_admin(database: Database, hand: Hand) -> None:
    new_id = ids(hand)
    acme = await orgs.create(database, hand, new_id, "acme")
    made = [
        await keys.create(database, hand, new_id, lambda size, n=n: "t" * size + str(n), "key", org=org, scope=scope)
        for n, (org, scope) in enumerate(
            ((acme.id, Scope.ADMIN), (acme.id, Scope.ADMIN), (acme.id, Scope.RUN), (ORG, Scope.ADMIN))
        )
    ]
    (one, _), (two, _), (runner, _), (other, _) = made
    for id_ in (other.id, "none"):
        with pytest.raises(NotFound):
            await keys.revoke_own(database, hand, acme.id, id_)
    outcomes = await asyncio.gather(
        *(keys.revoke_own(database, hand, acme.id, key.id) for key in (one, two)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [LastKey]
    await keys.revoke_own(database, hand, acme.id, runner.id)
    with pytest.raises(NotFound):
        await keys.revoke_own(database, hand, acme.id, runner.id)
    active = [key for key in await keys.get_all(database) if key.revoked_at is None]
    assert [key.scope for key in active] == [Scope.ADMIN, Scope.ADMIN]
    assert {key.org for key in active} == {acme.id, ORG}


async def test_a_good_key_is_remembered_for_a_moment(
    database: Database, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    check = keys.check

    async def counted(database: Database, secret: str) -> Key | None:
        asked.append(secret)
        return await check(database, secret)

    monkeypatch.setattr(keys, "check", counted)
    checker = Checker(database, hand)
    key, secret = await keys.create(database, hand, ids(hand), token, "laptop")
    for _ in range(3):
        assert await checker(secret) == key
    assert asked == [secret]
    await keys.revoke(database, hand, key.id)
    hand.turn(KEPT_S - 0.001)
    assert await checker(secret) == key
    hand.turn(0.001)
    assert await checker(secret) is None
    # What opens nothing is looked up each time: it opens as soon as it can.
    assert await checker("wrong") is None
    assert await checker("wrong") is None
    assert asked == [secret, secret, "wrong", "wrong"]
    assert secret not in repr(vars(checker))


async def test_only_so_many_are_remembered(database: Database, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_MOST_KEPT", 2)
    checker, new_id = Checker(database, hand), ids(hand)
    for number in range(3):
        _, secret = await keys.create(database, hand, new_id, lambda size, n=number: "t" * size + str(n), "k")
        assert await checker(secret) is not None
    assert len(checker._good) == 2
