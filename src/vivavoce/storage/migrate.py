"""Bring the schema up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from vivavoce.storage.database import Database, DatabaseUnreachable

_ADVISORY_LOCK = 7_202_611_22


def config(connection: Connection) -> Config:
    """Alembic's configuration, without a file of its own."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    settings.attributes["connection"] = connection
    return settings


async def migrate(database: Database) -> None:
    """Run every revision that is missing. Servers that start together wait for one another.

    Raises ``DatabaseUnreachable``.
    """

    def upgrade(connection: Connection) -> None:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        command.upgrade(config(connection), "head")

    try:
        await database.write(upgrade)
    except OperationalError as failure:
        raise DatabaseUnreachable(str(failure.orig).strip().partition("\n")[0]) from failure
