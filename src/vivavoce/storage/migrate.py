"""Bring the schema up to date."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from vivavoce.core.assistant import Version
from vivavoce.storage.database import Database, DatabaseUnreachable

_ADVISORY_LOCK = 7_202_611_22

Renew = Callable[[Version], tuple[Version, tuple[str, ...]]]
"""A version of the first schema in today's terms, and the tags that it held. Most settings had no field of their own
then and were only kept, in the form of the API that wrote them; tags were a version's."""


def _as_it_is(version: Version) -> tuple[Version, tuple[str, ...]]:
    return version, ()


def config(connection: Connection, renew: Renew = _as_it_is) -> Config:
    """Alembic's configuration, without a file of its own."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.attributes["connection"] = connection
    settings.attributes["renew"] = renew
    return settings


async def migrate(database: Database, renew: Renew = _as_it_is) -> None:
    """Run every revision that is missing. Servers that start together wait for one another.

    ``renew`` is the API's that wrote the versions. Raises ``DatabaseUnreachable``.
    """

    def upgrade(connection: Connection) -> None:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        command.upgrade(config(connection, renew), "head")

    try:
        await database.write(upgrade)
    except OperationalError as failure:
        raise DatabaseUnreachable(str(failure.orig).strip().partition("\n")[0]) from failure
