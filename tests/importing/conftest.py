from collections.abc import AsyncGenerator

import pytest
from tests.outbound.local_server import LOCAL

from vivavoce.outbound.fetch import Session, open_session


@pytest.fixture
async def session() -> AsyncGenerator[Session]:
    async with open_session(LOCAL) as opened:
        yield opened
