from collections.abc import AsyncGenerator

import pytest
from tests.services.conftest import ctx, hand
from tests.support.pages import Person, logged_in
from tests.support.store import address, database, postgres_shared, sqlite_template

from vivavoce.services.context import Context

__all__ = ["ctx", "database", "hand", "postgres_shared", "sqlite_template"]

database_url = pytest.fixture(params=["sqlite"], name="database_url")(address)


@pytest.fixture
async def person(ctx: Context) -> AsyncGenerator[Person]:
    """An administrator who logged in."""
    async with logged_in(ctx) as one:
        yield one
