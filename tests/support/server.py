"""``viva serve`` as a user starts it: a process of its own, a real socket, a real database.

The database is the file that a server makes in its directory; with ``VIVA_TEST_SERVE=postgresql`` it is one of the
tests' PostgreSQL, which belongs to the directory for as long.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine

from tests.support.postgres import kept_postgres

ON_POSTGRESQL = os.environ.get("VIVA_TEST_SERVE", "sqlite") == "postgresql"
only_on_sqlite = pytest.mark.skipif(ON_POSTGRESQL, reason="it is about what SQLite keeps in the directory")
SECRET_KEY = "a key for tests"
KEY = "viva_test_key"
START_S = 60.0
# Where every callback of the loop is traced, a server takes twice as long; so that is done in one of the two runs.
STRICTLY = ["-X", "dev" if ON_POSTGRESQL else "faulthandler", "-W", "default", "-W", "error::ResourceWarning"]
MAIN = "from vivavoce.cli.main import main; main()"


@dataclass
class Server:
    """A running server. ``log`` is what it wrote to standard error, and ``beside`` are the settings with which another
    command works on its database."""

    url: str
    key: str
    data_dir: Path
    process: subprocess.Popen[str] = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def log(self) -> str:
        return (self.data_dir / "server.log").read_text(encoding="utf-8")

    @property
    def beside(self) -> dict[str, str]:
        return settings_of(self.data_dir)

    @property
    def database_url(self) -> str:
        return database_of(self.data_dir)

    def kill(self) -> None:
        """As the operating system does it: no time to say goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def database_of(data_dir: Path) -> str:
    """The address of the database of the servers of this directory."""
    return kept_postgres(data_dir) if ON_POSTGRESQL else f"sqlite:///{data_dir / 'viva.db'}"


def settings_of(data_dir: Path) -> dict[str, str]:
    """The settings by which a command finds it; they are the same for all servers of this directory."""
    found = {"VIVA_DATA_DIR": str(data_dir)}
    if ON_POSTGRESQL:
        found |= {"VIVA_DATABASE_URL": database_of(data_dir), "VIVA_SECRET_KEY": SECRET_KEY}
    return found


@functools.lru_cache(maxsize=16)
def _engine(url: str) -> Engine:
    # Kept for the statements that it has learned, not for its connections.
    patience = {} if ON_POSTGRESQL else {"timeout": 30}
    return create_engine(url, poolclass=NullPool, connect_args=patience)


@contextlib.contextmanager
def record(data_dir: Path) -> Generator[Connection]:
    """The database beside the server that uses it, or after it has died. Every statement is durable at once."""
    with _engine(database_of(data_dir)).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment without the developer's own settings and keys."""
    ours = ("VIVA_", "OPENAI_", "ANTHROPIC_", "TELNYX_", "RETELL_", "PYTEST_", "COV_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # The debugging of memory that comes with the developer's mode finds the faults of C, and takes its time.
    return {**clean, "VIVA_API_KEY": KEY, "PYTHONUNBUFFERED": "1", "PYTHONMALLOC": "pymalloc", **given}


@contextlib.contextmanager
def serving(data_dir: Path, settings: Mapping[str, str] | None = None, *, dev: bool = True) -> Generator[Server]:
    """A server on a free port. It ends with the block: politely, or with force when it will not."""
    data_dir.mkdir(parents=True, exist_ok=True)
    strictly = STRICTLY if dev else ()
    command = [sys.executable, *strictly, "-c", MAIN, "serve", "--port", "0", "--data-dir", str(data_dir)]
    with (data_dir / "server.log").open("a", encoding="utf-8") as errors:
        given = {**settings_of(data_dir), **(settings or {})}
        process = subprocess.Popen(command, env=environment(given), stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
        watchdog.cancel()
        if "http" not in line:
            log = (data_dir / "server.log").read_text(encoding="utf-8")
            raise AssertionError(f"the server did not start: {line}{log}")
        yield Server(line.split()[-1], KEY, data_dir, process)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
