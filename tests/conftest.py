"""One PostgreSQL for a whole session (``tests.support.postgres``), and what makes it short."""

import contextlib
import gc
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import certifi
import pytest

from tests.support import postgres

LONG = (
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
    if not os.environ.keys() & {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
        os.environ["SSL_CERT_FILE"] = str(_one_authority(_session.enter_context(tempfile.TemporaryDirectory())))


def _one_authority(directory: str) -> Path:
    """A file of one certificate authority instead of all that there are.

    Every client reads them when it is made, whether or not it will speak TLS: 30 ms, for thousands of clients. Whoever
    tests TLS names an authority of its own.
    """
    file, known = Path(directory, "authority.pem"), Path(certifi.where()).read_text("utf-8")
    begins = known.index("-----BEGIN CERTIFICATE-----")
    end = "-----END CERTIFICATE-----"
    file.write_text(known[begins : known.index(end, begins) + len(end)], "utf-8")
    return file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.relative_to(here).as_posix().startswith(LONG))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nearly all that is made while tests are collected stays to the end, and need not be looked through for garbage,
    neither then nor ever after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    postgres.drop_kept()
    _session.close()
