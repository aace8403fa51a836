from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.store import NOW, ORG

from vivavoce.storage import keys
from vivavoce.storage.database import Database
from vivavoce.storage.keys import Key, SecretTaken
from vivavoce.storage.tables import keys as rows

SECRET = "viva_" + "s" * 43
KEY = Key("k1", ORG, "laptop", "ssss", NOW)


async def test_a_key_is_found_by_its_secret_alone(database: Database) -> None:
    other = replace(KEY, id="k2", hint="tttt")
    await database.write(lambda tx: keys.add(tx, KEY, SECRET))
    await database.write(lambda tx: keys.add(tx, other, "viva_other"))
    assert await database.read(lambda tx: keys.find(tx, SECRET)) == KEY
    assert await database.read(lambda tx: keys.find(tx, "viva_other")) == other
    for wrong in ("", "viva_", SECRET[:-1], SECRET + " ", SECRET.upper(), keys.hashed(SECRET), "é", "\udcff"):
        assert await database.read(lambda tx, wrong=wrong: keys.find(tx, wrong)) is None


async def test_the_secret_is_never_stored(database: Database) -> None:
    await database.write(lambda tx: keys.add(tx, KEY, SECRET))
    row = await database.read(lambda tx: tuple(tx.execute(select(rows)).one()))
    assert SECRET not in repr(row)
    assert keys.hashed(SECRET) in row


async def test_hashes_are_compared_in_constant_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []

    def compare(one: Any, two: Any) -> bool:
        compared.append((one, two))
        return False

    monkeypatch.setattr("vivavoce.storage.keys.compare_digest", compare)
    await database.write(lambda tx: keys.add(tx, KEY, SECRET))
    assert await database.read(lambda tx: keys.find(tx, SECRET)) is None
    assert compared == [(keys.hashed(SECRET), keys.hashed(SECRET))]


async def test_a_revoked_key_opens_nothing_and_stays_listed(database: Database) -> None:
    younger = replace(KEY, id="k0", created_at=NOW + 1)
    await database.write(lambda tx: keys.add(tx, younger, "viva_other"))
    assert await database.read(keys.any_active)
    await database.write(lambda tx: keys.add(tx, KEY, SECRET))
    assert await database.write(lambda tx: keys.revoke(tx, KEY.id, NOW + 5))
    assert not await database.write(lambda tx: keys.revoke(tx, KEY.id, NOW + 6))
    assert not await database.write(lambda tx: keys.revoke(tx, "none", NOW + 6))
    assert await database.read(lambda tx: keys.find(tx, SECRET)) is None
    assert await database.read(keys.get_all) == (replace(KEY, revoked_at=NOW + 5), younger)
    assert await database.read(keys.any_active)
    await database.write(lambda tx: keys.revoke(tx, younger.id, NOW))
    assert not await database.read(keys.any_active)


async def test_nobody_can_log_in_to_an_empty_database(database: Database) -> None:
    assert not await database.read(keys.any_active)
    assert await database.read(keys.get_all) == ()


async def test_a_secret_is_kept_once(database: Database) -> None:
    await database.write(lambda tx: keys.add(tx, KEY, SECRET))
    with pytest.raises(SecretTaken):
        await database.write(lambda tx: keys.add(tx, replace(KEY, id="k2"), SECRET))
