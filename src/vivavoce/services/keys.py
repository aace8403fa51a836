"""API keys: made, listed, revoked, checked."""

from collections.abc import Callable

from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import keys
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.keys import Key, SecretTaken

ORG = "default"
"""The one organisation there is so far."""
_HINTED = 16


async def create(
    database: Database, clock: Clock, new_id: NewId, token: Callable[[int], str], name: str
) -> tuple[Key, str]:
    """A new key and its secret, which cannot be shown again. ``token(n)`` gives n random bytes as URL-safe text."""
    secret = "viva_" + token(32)
    return await adopt(database, clock, new_id, name, secret), secret


async def adopt(database: Database, clock: Clock, new_id: NewId, name: str, secret: str) -> Key:
    """Keep a key whose secret was chosen by the operator. Adopting it again changes nothing.

    Raises ``Rejected`` for the secret of a key that was revoked.
    """

    def work(tx: Tx) -> Key:
        known = keys.find(tx, secret)
        if known is not None:
            return known
        # Of a short secret the hint would tell too much.
        hint = secret[-4:] if len(secret) >= _HINTED else ""
        key = Key(new_id(), ORG, name, hint, clock.now())
        keys.add(tx, key, secret)
        return key

    try:
        return await database.write(work)
    except SecretTaken as failure:
        known = await check(database, secret)  # another server that started at the same moment
        if known is None:
            raise Rejected(f"The secret of {name} belongs to a key that was revoked. Choose another.") from failure
        return known


async def adopt_only(database: Database, clock: Clock, new_id: NewId, name: str, secret: str) -> None:
    """Keep this as the one key of that name: the others of that name, which it replaces, are revoked.

    Raises ``Rejected`` for the secret of a key that was revoked.
    """
    mine = await adopt(database, clock, new_id, name, secret)

    def work(tx: Tx) -> None:
        for key in keys.get_all(tx):
            if key.name == name and key.id != mine.id and key.revoked_at is None:
                keys.revoke(tx, key.id, clock.now())

    await database.write(work)


async def get_all(database: Database) -> tuple[Key, ...]:
    """Every key, oldest first."""
    return await database.read(keys.get_all)


async def any_active(database: Database) -> bool:
    """Whether somebody can log in."""
    return await database.read(keys.any_active)


async def revoke(database: Database, clock: Clock, key_id: str) -> None:
    """End a key. Raises ``NotFound`` when there is no such active key."""
    if not await database.write(lambda tx: keys.revoke(tx, key_id, clock.now())):
        raise NotFound("key", key_id)


async def check(database: Database, secret: str) -> Key | None:
    """The key that this secret opens, or None."""
    return await database.read(lambda tx: keys.find(tx, secret))
