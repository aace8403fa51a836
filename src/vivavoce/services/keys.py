"""API keys: made, listed, revoked, checked."""

from collections import OrderedDict
from collections.abc import Callable

from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.core.scope import Scope
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.orgs import check_name
from vivavoce.storage import keys, orgs
from vivavoce.storage.database import Database, Tx
from vivavoce.storage.keys import Key, SecretTaken
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.page import Page, Window

ORG = DEFAULT
"""Whose a key is that was made for nobody in particular."""
KEPT_S = 2.0
"""How long a server takes a key for good without looking again: so long after it was revoked it may still open."""
_MOST_KEPT = 10_000
_HINTED = 16


class LastKey(Exception):
    """Without this key nobody could administer the organisation."""


async def create(
    database: Database,
    clock: Clock,
    new_id: NewId,
    token: Callable[[int], str],
    name: str,
    *,
    org: str = ORG,
    scope: Scope = Scope.ADMIN,
) -> tuple[Key, str]:
    """A new key and its secret, which cannot be shown again. ``token(n)`` gives n random bytes as URL-safe text.

    Raises ``NotFound`` for an organisation that there is not, and ``Rejected`` for what cannot be a name.
    """
    check_name(name)
    secret = "viva_" + token(32)
    key = _made(clock, new_id, org, name, secret, scope)

    def work(tx: Tx) -> None:
        if org != DEFAULT and orgs.find(tx, org, keep=True) is None:
            raise NotFound("organisation", org)
        keys.add(tx, key, secret)

    await database.write(work)
    return key, secret


def _made(clock: Clock, new_id: NewId, org: str, name: str, secret: str, scope: Scope) -> Key:
    # Of a short secret the hint would tell too much.
    hint = secret[-4:] if len(secret) >= _HINTED else ""
    return Key(new_id(), org, name, hint, clock.now(), scope=scope)


async def adopt(database: Database, clock: Clock, new_id: NewId, name: str, secret: str) -> Key:
    """Keep a key whose secret was chosen by the operator: an admin's. Adopting it again changes nothing.

    Raises ``Rejected`` for the secret of a key that was revoked.
    """

    def work(tx: Tx) -> Key:
        known = keys.find(tx, secret)
        if known is not None:
            return known
        key = _made(clock, new_id, ORG, name, secret, Scope.ADMIN)
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

    Raises ``Rejected`` for the secret of a key that was revoked or that may do less.
    """
    mine = await adopt(database, clock, new_id, name, secret)
    if (mine.org, mine.scope) != (ORG, Scope.ADMIN):
        raise Rejected(f"The secret of {name} belongs to a key of less than an admin of {ORG!r}. Choose another.")

    def work(tx: Tx) -> None:
        for key in keys.get_all(tx):
            if (key.org, key.name) == (ORG, name) and key.id != mine.id and key.revoked_at is None:
                keys.revoke(tx, key.id, clock.now())

    await database.write(work)


async def get_all(database: Database) -> tuple[Key, ...]:
    """Every key, oldest first."""
    return await database.read(keys.get_all)


async def get_page(database: Database, org: str, window: Window) -> Page[Key]:
    """A page of an organisation's keys, newest first, revoked ones too."""
    return await database.read(lambda tx: keys.get_page(tx, org, window))


async def any_active(database: Database) -> bool:
    """Whether somebody can log in."""
    return await database.read(keys.any_active)


async def revoke(database: Database, clock: Clock, key_id: str) -> None:
    """End a key. Raises ``NotFound`` when there is no such active key."""
    if not await database.write(lambda tx: keys.revoke(tx, key_id, clock.now())):
        raise NotFound("key", key_id)


async def revoke_own(database: Database, clock: Clock, org: str, key_id: str) -> None:
    """End a key of this organisation. Raises ``NotFound`` when it has no such active key, and ``LastKey`` for the last
    one with which it can be administered."""

    def work(tx: Tx) -> None:
        # Locked, or two admins could revoke each other at the same moment.
        active = keys.get_active(tx, org, lock=True)
        if all(key.id != key_id for key in active):
            raise NotFound("key", key_id)
        if {key.id for key in active if key.scope is Scope.ADMIN} == {key_id}:
            raise LastKey("This is the last key with which this organisation can be administered.")
        keys.revoke(tx, key_id, clock.now())

    await database.write(work)


class Checker:
    """Checks keys, and remembers those that were good for ``KEPT_S``: every request asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._good: OrderedDict[str, tuple[float, Key]] = OrderedDict()

    async def __call__(self, secret: str) -> Key | None:
        """The key that this secret opens, or None."""
        digest = keys.hashed(secret)
        known = self._good.get(digest)
        now = self._clock.ticks()
        if known is not None and now - known[0] < KEPT_S:
            return known[1]
        self._good.pop(digest, None)
        key = await check(self._database, secret)
        # What opens nothing is not remembered: strangers could fill the memory with it.
        if key is not None:
            self._good[digest] = (now, key)
            while len(self._good) > _MOST_KEPT:
                self._good.popitem(last=False)
        return key


async def check(database: Database, secret: str) -> Key | None:
    """The key that this secret opens, or None."""
    return await database.read(lambda tx: keys.find(tx, secret))
