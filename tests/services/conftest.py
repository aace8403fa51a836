from collections.abc import AsyncGenerator

import pytest
from tests.support.server import ON_POSTGRESQL
from tests.support.store import Hand, address, database, ids, postgres_shared, sqlite_template

from vivavoce.channels.messenger import Loopback
from vivavoce.models.config import ModelSettings
from vivavoce.models.resolve import Models
from vivavoce.outbound.fetch import open_session
from vivavoce.outbound.guard import Guard
from vivavoce.outbound.signing import Signer
from vivavoce.services.context import Context, Limits
from vivavoce.services.turns import Turns
from vivavoce.storage.database import Database
from vivavoce.storage.journal import Journal
from vivavoce.storage.seal import Seal

__all__ = ["database", "database_url", "postgres_shared", "sqlite_template"]

# As servers have it: once on SQLite, and with `make test-postgresql` once more.
database_url = pytest.fixture(params=["postgresql" if ON_POSTGRESQL else "sqlite"], name="database_url")(address)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
async def ctx(database: Database, hand: Hand) -> AsyncGenerator[Context]:
    """What services work with on a server with the scripted model and one mapped number; nothing outside is reached."""
    async with open_session(Guard(), ticks=hand.ticks) as session:
        yield Context(
            database=database,
            journal=Journal(database),
            clock=hand,
            new_id=ids(hand),
            models=Models(ModelSettings()),
            outbound=session,
            limits=Limits(turn_limit=5, max_duration_s=600),
            numbers={},
            turns=Turns(),
            seal=Seal("a key for tests"),
            signer=Signer(lambda: bytes(32)),
            messenger=Loopback(ids(hand)),
            wake=lambda: None,
            draw=lambda: 0.5,
        )
