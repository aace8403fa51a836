"""One PostgreSQL for a whole session (``tests.support.postgres``)."""

import contextlib

import pytest

from tests.support import postgres

_session = contextlib.ExitStack()


def pytest_configure() -> None:
    _session.enter_context(postgres.session())


def pytest_unconfigure(config: pytest.Config) -> None:
    postgres.drop_kept()
    _session.close()
