"""One database, SQLite or PostgreSQL: units of work, each done whole or not at all.

A unit of work is a plain function of a connection, done in a thread. The event loop hands it over and gets its result
back: one hop, where an asynchronous driver makes one for every statement (``docs/decisions``).

SQLite admits one writer, so all writing is done by one thread, in transactions that begin with ``BEGIN IMMEDIATE`` (a
deferred transaction that turns into a writer fails under load whatever the busy timeout). What has queued up while the
last transaction was made durable shares the next one, each unit in a savepoint of its own: a commit waits for the disk
once, not once for each of them.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import InterfaceError, InternalError, InvalidatePoolError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

Tx = Connection
"""A transaction. Whoever began it commits it."""
T = TypeVar("T")

READERS = 4
SERVER_CONNECTIONS = 16
SERVER_OPTIONS: Mapping[str, str | int] = {
    "application_name": "vivavoce",
    "connect_timeout": 10,
    # A server that vanished without a word is noticed within a minute, and one that takes nothing more within half.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How a server is connected to (libpq's names and units); what the address says goes first."""
SERVER_TIMEOUTS: Mapping[str, str] = {
    # A process that froze in the middle of a transaction loses it, before those who wait for its locks lose patience.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "15s",
}
RESTS_S = 1.0
"""After so long a connection to a server is asked whether it lives before it is used."""
MOST_TOGETHER = 200
"""How many units of work share a transaction at most."""
PATIENCE_S = 30.0
"""How long a connection to SQLite waits for another one's lock."""


DatabaseFailure = SQLAlchemyError
"""Whatever the database refuses or fails at."""
DatabaseAway = (OperationalError, InterfaceError)
"""It does not answer, or cannot do anything just now (locked, out of space): none of the request's fault, and worth
trying again."""


# SQLSTATE classes: connections, transactions that others were in the way of, resources, objects in use, an operator's
# intervention, the system; and the timeout of who stood still in a transaction, with the answer of a standby.
_OUTAGES = ("08", "25", "40", "53", "55", "57", "58")
_LITE_OUTAGES = ("BUSY", "LOCKED", "FULL", "IOERR", "CANTOPEN", "PROTOCOL", "NOMEM", "READONLY")


def is_outage(failure: Exception) -> bool:
    """Whether the same may well succeed later, and nothing is wrong with what was asked: a statement that no database
    understands is ``DatabaseAway`` for SQLite too."""
    if not isinstance(failure, DatabaseAway):
        return False
    state, name = (getattr(failure.orig, key, None) for key in ("sqlstate", "sqlite_errorname"))
    if state is not None:
        return state.startswith(_OUTAGES)
    return name is None or name.removeprefix("SQLITE_").startswith(_LITE_OUTAGES)


def away_because(failure: Exception) -> str:
    """What the driver says of it, in one line and without the statement."""
    return str(getattr(failure, "orig", None) or failure).strip().partition("\n")[0]


class DatabaseUnreachable(Exception):
    """The database does not answer, or not to us; the message is the driver's and holds no password."""


@dataclass(frozen=True, slots=True)
class _Queued:
    work: Callable[[Tx], Any]
    done: asyncio.Future[Any]


class Database:
    """Two pools over one database. Make it with ``connect``."""

    def __init__(
        self, readers: Engine, writers: Engine, reading: ThreadPoolExecutor, writing: ThreadPoolExecutor
    ) -> None:
        self._readers, self._writers = readers, writers
        self._reading, self._writing = reading, writing
        self._queue: list[_Queued] = []
        self._draining = False
        self.sqlite = writers.dialect.name == "sqlite"

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Do the work in a transaction that only reads: one consistent view. Raises what the work raises."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, _transact, self._readers, work)

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Do the work; it is durable when this returns, and undone when it raises.

        Work that has begun is finished also when whoever waits for it is cancelled.
        """
        loop = asyncio.get_running_loop()
        if not self.sqlite:
            return await loop.run_in_executor(self._writing, _transact, self._writers, work)
        done: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Queued(work, done))
        if not self._draining:
            self._draining = True
            loop.call_soon(self._drain, loop)
        return await done

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand what has queued up to the writing thread; when that is durable, hand over what came meanwhile."""
        together, self._queue = self._queue[:MOST_TOGETHER], self._queue[MOST_TOGETHER:]
        self._draining = bool(together)
        if not together:
            return

        def settle(outcomes: Sequence[_Outcome]) -> None:
            for one, (value, failure) in zip(together, outcomes, strict=True):
                if one.done.done():
                    continue  # whoever waited was cancelled meanwhile
                if failure is None:
                    one.done.set_result(value)
                else:
                    one.done.set_exception(failure)
            self._drain(loop)

        def work() -> None:
            outcomes = _transact_all(self._writers, [one.work for one in together])
            loop.call_soon_threadsafe(settle, outcomes)

        try:
            self._writing.submit(work)
        except RuntimeError as failure:  # closed meanwhile: nobody may wait for ever
            settle([(None, failure)] * len(together))

    async def ping(self) -> None:
        """Raises what the driver raises when the database does not answer."""
        await self.read(lambda tx: tx.execute(text("SELECT 1")))

    def close(self) -> None:
        """Finish what was begun and close every connection."""
        for pool in {self._reading, self._writing}:
            pool.shutdown()
        for engine in (self._readers, self._writers):
            engine.dispose()


def _transact(engine: Engine, work: Callable[[Tx], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


_Outcome = tuple[Any, BaseException | None]


def _transact_all(engine: Engine, works: Sequence[Callable[[Tx], Any]]) -> list[_Outcome]:
    """What each unit of work returned or raised; one that raises undoes itself only."""
    outcomes: list[_Outcome] = []
    try:
        with engine.begin() as connection:
            for work in works:
                try:
                    with connection.begin_nested():
                        outcomes.append((work(connection), None))
                except Exception as failure:  # it is raised where the work was asked for
                    if not _lasts(connection):
                        raise
                    outcomes.append((None, failure))
    except Exception as failure:  # noqa: BLE001  # the transaction itself failed: nothing of it was kept
        return [(None, failure)] * len(works)
    return outcomes


def _lasts(connection: Connection) -> bool:
    """Whether the transaction is still there. SQLite rolls all of it back by itself when, say, the disk is full; what
    came after that would be committed piece by piece."""
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", True))


def connect(url: str, connections: int = SERVER_CONNECTIONS) -> Database:
    """Open a database by its SQLAlchemy address; the schema is the business of ``migrate``.

    ``connections`` is how many this process opens to a server at most. Nothing is connected to before the first work.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = _server(parsed, connections)
        threads = ThreadPoolExecutor(connections, "database")
        # One view for all that a reader looks at, as SQLite gives it; without a writer in it, it cannot fail.
        readers = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return Database(readers, engine, threads, threads)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    # A reader that writes would wait for the writers inside its transaction, and be refused on a server.
    # Each has pages of its own, which the system's cache holds anyway: a quarter of SQLite's usual 2 MB.
    readers = _sqlite(url, READERS, "BEGIN", "query_only=ON", "cache_size=-512")
    writers = _sqlite(url, 1, "BEGIN IMMEDIATE")
    return Database(readers, writers, ThreadPoolExecutor(READERS, "reader"), ThreadPoolExecutor(1, "writer"))


def without_password(url: str) -> str:
    """The address as it may be shown."""
    return make_url(url).render_as_string()


def _server(url: URL, connections: int) -> Engine:
    options = {name: value for name, value in SERVER_OPTIONS.items() if name not in url.query}
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        connect_args=options,
    )
    chosen = str(url.query.get("options", ""))
    timeouts = {name: value for name, value in SERVER_TIMEOUTS.items() if name not in chosen}

    def opened(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        # Not with the options of the connection, which poolers refuse.
        cursor = connection.cursor()
        for name, value in timeouts.items():
            cursor.execute(f"SET {name} = '{value}'")
        cursor.close()
        connection.commit()
        put_back(connection, entry)

    def put_back(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["rests since"] = time.monotonic()

    def look_after(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        # A connection that died while nobody used it is replaced before it is handed out. To ask one that was used a
        # moment ago would be one more journey for each transaction of a busy server.
        if time.monotonic() - entry.info["rests since"] < RESTS_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as failure:
            raise InvalidatePoolError from failure

    event.listen(engine, "connect", opened)
    event.listen(engine, "checkin", put_back)
    event.listen(engine, "checkout", look_after)
    event.listen(engine, "handle_error", _tell_away)
    return engine


_TIMED_OUT, _STANDBY = "25P03", "25006"


def _tell_away(context: ExceptionContext) -> OperationalError | None:
    """PostgreSQL calls two things an internal error that are none: a transaction that was ended because its process
    had frozen, and a server that has just become a standby."""
    failure = context.sqlalchemy_exception
    orig = failure.orig if isinstance(failure, InternalError) else None
    if failure is None or orig is None or getattr(orig, "sqlstate", "") not in (_TIMED_OUT, _STANDBY):
        return None
    context.is_disconnect = True
    return OperationalError(failure.statement, failure.params, orig, hide_parameters=True, connection_invalidated=True)


def _write_ahead(cursor: DBAPICursor) -> None:
    """Turn the file into one with a write-ahead log; it stays one.

    SQLite refuses at once, whatever the busy timeout, when another connection to a new file does the same: both have
    read it, and would wait for each other.
    """
    patient_until = time.monotonic() + PATIENCE_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as failure:
            if failure.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patient_until:
                raise
            time.sleep(0.01)
        else:
            return


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _sqlite(url: str, size: int, begin: str, *more: str) -> Engine:
    engine = create_engine(
        url, pool_size=size, max_overflow=0, hide_parameters=True, connect_args={"check_same_thread": False}
    )

    def opened(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        setattr(connection, "isolation_level", None)  # noqa: B010  # ours to begin; the driver's type does not say it
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={round(PATIENCE_S * 1000)}")
        _write_ahead(cursor)
        # FULL: a commit that was reported survives a power cut, not only a crash. Group commit makes it cheap.
        for pragma in ("synchronous=FULL", "foreign_keys=ON", *more):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        # Its own knows ASCII only, and patterns that ignore the case of letters are built on it.
        getattr(connection, "create_function")("lower", 1, _lower, deterministic=True)  # noqa: B009

    def started(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", started)
    return engine
