from collections.abc import AsyncGenerator

import pytest
from tests.outbound.local_server import LOCAL, StepClock

from vivavoce.outbound.fetch import Session, open_session


@pytest.fixture
async def session() -> AsyncGenerator[Session]:
    """A session that may call this machine, whose stopwatch goes by quarters of a second."""
    async with open_session(LOCAL, ticks=StepClock().ticks) as opened:
        yield opened
