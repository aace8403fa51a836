"""Bring the schema up to date.

Most starts find it so: Alembic, which takes longer to import than that takes to see, is imported when it has work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from vivavoce.core.assistant import Version
from vivavoce.storage.database import Database, DatabaseUnreachable

if TYPE_CHECKING:
    from alembic.config import Config

_ADVISORY_LOCK = 7_202_611_22
_LOCK_TIMEOUT = "60s"
_FORBIDDEN = "42501"
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revision of a database's schema (None where there is none) and that of this release. ``unknown`` is one that
    this release has never heard of; ``newer``, one that comes after its own."""

    database: str | None
    release: str
    unknown: bool
    newer: bool


Renew = Callable[[Version], tuple[Version, tuple[str, ...]]]
"""A version of the first schema in today's terms, and the tags that it held. Most settings had no field of their own
then and were only kept, in the form of the API that wrote them; tags were a version's."""


def _as_it_is(version: Version) -> tuple[Version, tuple[str, ...]]:
    return version, ()


def config(connection: Connection, renew: Renew = _as_it_is) -> "Config":
    """Alembic's configuration, without a file of its own."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(_MIGRATIONS))
    settings.attributes["connection"] = connection
    settings.attributes["renew"] = renew
    return settings


async def migrate(database: Database, renew: Renew = _as_it_is) -> Revisions:
    """Run every revision that is missing; returns what was found. Servers that start together wait for one another.

    A database of a newer release is left as it is: releases only add to the schema, so that servers of both can work
    on it while one is replaced by the other.

    ``renew`` is the API's that wrote the versions. Raises ``DatabaseUnreachable``.
    """

    def upgrade(connection: Connection) -> Revisions:
        if not database.sqlite:
            # Another server may migrate for as long as it has to, and what is renewed takes its time too.
            for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {name} = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        found = _revisions(connection)
        if found.unknown and not found.newer:
            raise DatabaseUnreachable(f"its revision {found.database!r} is of no release of this program")
        if found.database != found.release and not found.newer:
            from alembic import command

            command.upgrade(config(connection, renew), "head")
        return found

    try:
        return await database.write(upgrade)
    except OperationalError as failure:
        raise DatabaseUnreachable(_first_line(failure)) from failure
    except ProgrammingError as failure:
        if getattr(failure.orig, "sqlstate", "") != _FORBIDDEN:
            raise
        raise DatabaseUnreachable(f"its user may not make tables: {_first_line(failure)}") from failure


async def revisions(database: Database) -> Revisions:
    """What the database's schema is, without changing it. Raises ``DatabaseUnreachable``."""
    try:
        return await database.read(_revisions)
    except OperationalError as failure:
        raise DatabaseUnreachable(_first_line(failure)) from failure


def _revisions(connection: Connection) -> Revisions:
    # They are numbered, with zeros in front, and their files are named after them.
    known = sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    database: str | None = None
    if inspect(connection).has_table("alembic_version"):
        database = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    unknown = database is not None and database not in known
    newer = unknown and len(database or "") == len(known[-1]) and (database or "") > known[-1]
    return Revisions(database, known[-1], unknown, newer)


def _first_line(failure: DBAPIError) -> str:
    return str(failure.orig).strip().partition("\n")[0]
