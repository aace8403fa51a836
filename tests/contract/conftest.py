"""One server for all contract tests of a process."""

from collections.abc import Generator

import pytest
from tests.support.server import Server, serving


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """``viva serve`` with the scripted model; loopback is allowed, for tools and destinations of the tests."""
    settings = {
        "VIVA_ALLOW_NETWORKS": "127.0.0.0/8",
        "VIVA_MODEL_FALLBACK": "default",
        "VIVA_RATE_LIMIT": "100000",  # all tests of a process share one key
    }
    with serving(tmp_path_factory.mktemp("server"), settings) as server:
        yield server
