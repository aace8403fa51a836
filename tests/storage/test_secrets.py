import asyncio

from tests.support.store import NOW, ORG, ids

from vivavoce.core.secret import Secret, SecretType
from vivavoce.storage import secrets
from vivavoce.storage.database import Database
from vivavoce.storage.page import Window

new_id = ids()


def a_secret(identifier: str, type_: SecretType = "bearer") -> Secret:
    return Secret(new_id(), identifier, type_, NOW, NOW + 1)


async def test_a_secret_is_found_by_its_identifier_and_dropped_by_its_id(database: Database) -> None:
    one = a_secret("key")
    assert await database.write(lambda tx: secrets.add(tx, ORG, one, b"sealed"))
    assert await database.read(lambda tx: secrets.find(tx, ORG, "key")) == b"sealed"
    assert await database.read(lambda tx: secrets.find(tx, ORG, one.id)) is None
    assert not await database.write(lambda tx: secrets.drop(tx, ORG, "key"))
    assert await database.write(lambda tx: secrets.drop(tx, ORG, one.id))
    assert await database.read(lambda tx: secrets.find(tx, ORG, "key")) is None


async def test_an_identifier_is_taken_in_its_organisation_only(database: Database) -> None:
    assert await database.write(lambda tx: secrets.add(tx, ORG, a_secret("key"), b"1"))
    assert not await database.write(lambda tx: secrets.add(tx, ORG, a_secret("key"), b"2"))
    assert await database.write(lambda tx: secrets.add(tx, "org-b", a_secret("key"), b"3"))
    assert await database.read(lambda tx: secrets.find(tx, ORG, "key")) == b"1"
    assert await database.read(lambda tx: secrets.find(tx, "org-b", "key")) == b"3"


async def test_of_many_at_the_same_moment_one_is_kept(database: Database) -> None:
    some = [a_secret("key") for _ in range(6)]
    kept = await asyncio.gather(*(database.write(lambda tx, one=one: secrets.add(tx, ORG, one, b"x")) for one in some))
    assert sorted(kept) == [False] * 5 + [True]


async def test_pages_are_newest_first_and_of_one_organisation(database: Database) -> None:
    some = [a_secret("a"), a_secret("b", "basic"), a_secret("c")]
    for one in some:
        await database.write(lambda tx, one=one: secrets.add(tx, ORG, one, b"x"))
    page = await database.read(lambda tx: secrets.get_page(tx, ORG, None, Window(1, 2)))
    assert (page.items, page.total) == ((some[2], some[1]), 3)
    basic = await database.read(lambda tx: secrets.get_page(tx, ORG, "basic", Window()))
    assert basic.items == (some[1],)
    assert (await database.read(lambda tx: secrets.get_page(tx, "org-b", None, Window()))).total == 0
    assert not await database.write(lambda tx: secrets.drop(tx, "org-b", some[0].id))
