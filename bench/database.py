"""A PostgreSQL that is as durable as one in use: started for the measurement, or the one that is named.

``VIVA_TEST_DATABASE_URL`` names a server that is there already, whose user may make databases.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager

from tests.support import postgres

SETTINGS = "fsync=on synchronous_commit=on full_page_writes=on shared_buffers=256MB"


@contextmanager
def durable() -> Generator[None]:
    """A server that waits for the disk, unlike the one of the tests."""
    os.environ[postgres.SETTINGS] = SETTINGS
    with postgres.session():
        yield
