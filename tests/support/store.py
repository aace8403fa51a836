"""Databases for tests, both kinds, and plain objects to put into them."""

import asyncio
import shutil
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, select, text, update

from tests.support.postgres import new_postgres
from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Event, Message, Speaker
from vivavoce.core.ids import uuid7
from vivavoce.core.mind import Mind
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.status import Status
from vivavoce.storage import conversations, runs, scenarios
from vivavoce.storage.database import SERVER_CONNECTIONS, Database, Tx, connect
from vivavoce.storage.journal import Lease
from vivavoce.storage.migrate import migrate
from vivavoce.storage.runs import Order
from vivavoce.storage.tables import metadata
from vivavoce.storage.tables import runs as run_rows

KINDS = ["sqlite", "postgresql"]
"""The databases that are tested. Where no PostgreSQL can be had, its tests are skipped with the reason."""
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ORG = "org-a"
NOW = 1_800_000_000_000
PATIENCE_S = 20.0
"""How long a test waits for what must happen before it fails."""


@dataclass
class Hand:
    """A clock that stands still until somebody turns it."""

    ms: int = NOW

    def now(self) -> int:
        return self.ms

    def ticks(self) -> float:
        return self.ms / 1000

    def turn(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


def ids(clock: Hand | None = None) -> Callable[[], str]:
    """Ids that sort by the order in which they were made."""
    return uuid7(clock or Hand(), bytes)


# databases


async def _migrated(url: str) -> None:
    database = connect(url)
    try:
        await migrate(database)
    finally:
        database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema and nothing in it."""
    path = tmp_path_factory.mktemp("template") / "viva.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    return path


@dataclass(frozen=True)
class SharedPostgres:
    """A database with the schema, and how to take everything out of it that a test put there."""

    url: str
    opened: Database
    empty: Callable[[], None]


# All at once: a round trip for each table would take longer than most tests. One organisation is there from the start.
_EMPTY = "; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)) + (
    "; INSERT INTO orgs (id, name, created_at) VALUES ('default', 'default', 0)"
)


@pytest.fixture(scope="session")
def postgres_shared() -> Generator[SharedPostgres]:
    """A database of this process; whoever uses it empties it."""
    with new_postgres() as url:
        asyncio.run(_migrated(url))
        engine = create_engine(url, poolclass=NullPool, connect_args={"options": "-c lock_timeout=10s"})
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            opened = connect(url)
            yield SharedPostgres(url, opened, lambda: connection.exec_driver_sql(_EMPTY).close())
            opened.close()


def address(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The address of a database of the kind that is the parameter, with the schema and nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "viva.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    shared: SharedPostgres = request.getfixturevalue("postgres_shared")
    yield shared.url
    shared.empty()


database_url = pytest.fixture(params=KINDS, name="database_url")(address)


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The address of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with new_postgres() as url:
        yield url


_first: list[Engine] = []


def _share_statements(opened: Database) -> None:
    """Have all databases of this process use the SQL that the first of them was told, as all of PostgreSQL's do.

    Each would compile every statement anew otherwise, which takes longer than most tests.
    """
    if not _first:
        _first.append(opened._readers)
    for engine in (opened._readers, opened._writers):
        engine.dialect = _first[0].dialect
        engine._compiled_cache = _first[0]._compiled_cache


@pytest.fixture
def database(request: pytest.FixtureRequest, database_url: str) -> Generator[Database]:
    """An open database with the schema and nothing in it."""
    if is_sqlite(database_url):
        opened = connect(database_url)
        _share_statements(opened)
        yield opened
        opened.close()
        return
    # On the connections that the tests before have left open: making new ones takes longer than most tests.
    shared: SharedPostgres = request.getfixturevalue("postgres_shared")
    with ThreadPoolExecutor(SERVER_CONNECTIONS) as threads:
        yield Database(shared.opened._readers, shared.opened._writers, threads, threads)


@dataclass
class Commits:
    """How many transactions of writers ended in a commit."""

    count: int = 0


@contextmanager
def commits(database: Database) -> Generator[Commits]:
    """Count the commits of the writers while the block lasts."""
    seen = Commits()

    def committed(connection: Connection) -> None:
        # The readers of a server are the same engine: their looks end in a commit too, and make nothing durable.
        if not connection.get_execution_options().get("postgresql_readonly"):
            seen.count += 1

    engine = database._writers
    event.listen(engine, "commit", committed)
    try:
        yield seen
    finally:
        event.remove(engine, "commit", committed)


async def waits(database: Database, task: asyncio.Task[Any]) -> None:
    """Return when the task's unit of work waits for a lock, or is done, or cannot have begun (SQLite's one writer)."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not database.sqlite and not task.done():
        if await database.read(lambda tx: tx.execute(waiting).scalar_one()):
            return


def is_sqlite(url: str | URL) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


# objects

_new_id = ids()


def a_version(**given: Any) -> Version:
    """A version with ids of its own; keywords change it, and ``model`` names its model."""
    chosen: dict[str, Any] = {
        "id": _new_id(),
        "assistant_id": f"assistant-{_new_id()}",
        "name": "clerk",
        "instructions": "Be kind.",
        "created_at": NOW,
    }
    if "model" in given:
        given["mind"] = Mind(given.pop("model"))
    return Version(**chosen | given)


def an_assistant(**given: Any) -> Assistant:
    """An assistant whose main version is changed by the keywords."""
    main = a_version(**given)
    return Assistant(main.assistant_id, main, main.created_at)


def a_scenario(**given: Any) -> Scenario:
    """A scenario with an id of its own; keywords change it."""
    chosen: dict[str, Any] = {
        "id": _new_id(),
        "name": "where is it",
        "target": "https://example.com/bot",
        "brief": "Ask for the order.",
        "criteria": (Criterion("kind", "is kind"),),
        "created_at": NOW,
        "medium": Medium.WEB_CHAT,
    }
    return Scenario(**chosen | given)


def a_run(scenario: Scenario, **given: Any) -> Run:
    """A pending run of the scenario; keywords change it."""
    chosen: dict[str, Any] = {
        "id": _new_id(),
        "scenario_id": scenario.id,
        "status": Status.PENDING,
        "trigger": "manual",
        "created_at": NOW,
        "updated_at": NOW,
        "conversation_id": _new_id(),
        "criteria": tuple(one.name for one in scenario.criteria),
        "suite": scenario.suite,
    }
    return Run(**chosen | given)


def a_conversation(**given: Any) -> Conversation:
    """A conversation with an id of its own; keywords change it."""
    chosen: dict[str, Any] = {"id": _new_id(), "created_at": NOW, "last_message_at": NOW}
    return Conversation(**chosen | given)


def said(words: str, speaker: Speaker = Speaker.CALLER, at: int = NOW) -> Message:
    return Message(speaker, words, at)


def put_run(tx: Tx, *, scenario: Scenario | None = None, version: Version | None = None, org: str = ORG) -> Run:
    """A pending run in the database, with its scenario and its conversation."""
    known = scenario or a_scenario()
    if scenarios.get(tx, org, known.id) is None:
        scenarios.add(tx, org, known)
    run = a_run(known, version_id=version.id if version else None)
    conversations.add(tx, org, [a_conversation(id=run.conversation_id)])
    runs.add(tx, org, [Order(run, known, version)])
    return run


async def pending_run(database: Database, **given: Any) -> Run:
    """The same, committed."""
    return await database.write(lambda tx: put_run(tx, **given))


async def leased_run(database: Database, token: str = "", **given: Any) -> tuple[Run, Lease]:
    """A run that somebody drives."""
    run = await pending_run(database, **given)
    lease = Lease(run.id, token or f"token of {run.id}")
    await database.write(lambda tx: set_row(tx, run.id, status="starting", lease_token=lease.token))
    return run, lease


def set_row(tx: Tx, run_id: str, **columns: Any) -> None:
    """Overwrite columns of a run's row."""
    tx.execute(update(run_rows).where(run_rows.c.id == run_id).values(**columns))


async def row_of(database: Database, run_id: str) -> Any:
    """A run's row as it is kept."""
    return await database.read(lambda tx: tx.execute(select(run_rows).where(run_rows.c.id == run_id)).one())


async def events_of(database: Database, run: Run) -> Sequence[Event]:
    """What is recorded of a run's conversation."""
    return (await database.read(lambda tx: conversations.get_transcript(tx, run.conversation_id))).events
