"""One PostgreSQL for a whole session (``tests.support.postgres``)."""

import contextlib
from pathlib import Path

import pytest

from tests.support import postgres

LONG = (
    "contract/retell/test_older_sdk.py",
    "contract/test_npm_sdk.py",
    "contract/retell/test_openapi.py",
    "browser/",
    "e2e/",
    "web/",
)
"""What takes long begins early, or one process would be left alone with it at the end."""

_session = contextlib.ExitStack()


def pytest_configure() -> None:
    _session.enter_context(postgres.session())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.relative_to(here).as_posix().startswith(LONG))


def pytest_unconfigure(config: pytest.Config) -> None:
    postgres.drop_kept()
    _session.close()
