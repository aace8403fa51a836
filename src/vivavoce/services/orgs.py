"""Organisations: made, listed, deleted with all that they have. They share a server and see nothing of each other."""

from collections.abc import Mapping

from vivavoce.core.clock import Clock
from vivavoce.core.ids import NewId
from vivavoce.outbound.answer import storable
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import orgs
from vivavoce.storage.database import Database
from vivavoce.storage.orgs import DEFAULT, NameTaken, Organisation

LONGEST_NAME = 255
"""Characters of the name of an organisation and of a key."""
_PIECE = 500
"""How many runs go in one transaction: others must get their turn while a large organisation is deleted."""


async def create(database: Database, clock: Clock, new_id: NewId, name: str) -> Organisation:
    """A new organisation, with nothing in it. Raises ``Rejected`` for a name that is taken or cannot be one."""
    check_name(name)
    made = Organisation(new_id(), name, clock.now())
    try:
        await database.write(lambda tx: orgs.add(tx, made))
    except NameTaken as failure:
        raise Rejected(f"There is an organisation {name!r} already.", "name") from failure
    return made


def check_name(name: str) -> None:
    """Raises ``Rejected`` for what cannot be a name."""
    if name != name.strip() or not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or storable(name) != name:
        raise Rejected(
            f"{name[:LONGEST_NAME]!r} is no name: 1 to {LONGEST_NAME} characters that can be printed.", "name"
        )


async def get_all(database: Database) -> tuple[Organisation, ...]:
    """Every organisation, oldest first."""
    return await database.read(orgs.get_all)


async def resolve(database: Database, name_or_id: str) -> Organisation:
    """The organisation with this id, or else with this name. Raises ``NotFound``."""
    found = await database.read(lambda tx: orgs.find(tx, name_or_id))
    if found is None:
        raise NotFound("organisation", name_or_id)
    return found


async def contents(database: Database, org_id: str) -> Mapping[str, int]:
    """What goes when it is deleted: how many of what, by the names of the tables."""
    return await database.read(lambda tx: orgs.counts(tx, org_id))


async def delete(database: Database, clock: Clock, org_id: str) -> None:
    """Revoke its keys, then remove all that it has, in pieces, and the organisation last: where that breaks off it can
    be asked for again. Raises ``NotFound``, and ``Rejected`` for the one that there always is."""
    if org_id == DEFAULT:
        raise Rejected(f"The organisation {DEFAULT!r} stays.")
    await database.write(lambda tx: orgs.shut(tx, org_id, clock.now()))
    while await database.write(lambda tx: orgs.drop_some(tx, org_id, _PIECE)):
        pass
    if not await database.write(lambda tx: orgs.drop(tx, org_id)):
        raise NotFound("organisation", org_id)
