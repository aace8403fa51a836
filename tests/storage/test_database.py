import asyncio
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from tests.support.store import NOW, PATIENCE_S, commits, is_sqlite, only_sqlite

from vivavoce.storage.database import MOST_TOGETHER, Database, Tx, connect, is_outage
from vivavoce.storage.tables import events, keys


def put(name: str) -> Callable[[Tx], str]:
    """A unit of work that keeps one row; two of the same name collide."""

    def work(tx: Tx) -> str:
        tx.execute(insert(keys).values(id=name, org="o", name=name, digest=name, hint="", created_at=NOW))
        return name

    return work


def names(tx: Tx) -> list[str]:
    return sorted(tx.execute(select(keys.c.name)).scalars())


def in_order(tx: Tx) -> list[str]:
    """The rows in the order in which they were written (SQLite)."""
    return list(tx.execute(text("SELECT name FROM keys ORDER BY rowid")).scalars())


@dataclass
class Gate:
    """A unit of work that stops half way until it is opened."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def work(self, tx: Tx) -> str:
        put("gate")(tx)
        self.reached.set()
        assert self.opened.wait(PATIENCE_S)
        return "gate"

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, PATIENCE_S)


@contextmanager
def gate() -> Generator[Gate]:
    """Opened at the latest when the block ends, so that a test that fails does not hang."""
    made = Gate()
    try:
        yield made
    finally:
        made.opened.set()


async def queued(count: int = 1) -> None:
    """Let tasks that were just made run until they wait."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_was_written_is_there_for_everybody(database: Database, database_url: str) -> None:
    assert await database.write(put("a")) == "a"
    assert await database.read(names) == ["a"]
    other = connect(database_url)
    try:
        assert await other.read(names) == ["a"]
    finally:
        other.close()


async def test_work_that_raises_is_undone_and_heard_of(database: Database) -> None:
    def work(tx: Tx) -> None:
        put("a")(tx)
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await database.write(work)
    assert await database.read(names) == []
    assert await database.write(put("b")) == "b"


async def test_reading_raises_what_the_work_raises_and_writes_nothing(database: Database) -> None:
    def work(tx: Tx) -> None:
        raise LookupError(f"{names(tx)}")

    with pytest.raises(LookupError, match=r"\[\]"):
        await database.read(work)
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        await database.read(put("a"))
    assert await database.read(names) == []


async def test_one_that_fails_undoes_itself_only(database: Database) -> None:
    def fails(tx: Tx) -> None:
        put("never")(tx)
        raise LookupError("no")

    works = [put("a"), fails, put("b"), put("a"), put("c")]
    done = await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)
    # On a server they are side by side, and either "a" may be the one that comes too late.
    assert isinstance(done[1], LookupError)
    assert sorted(type(one).__name__ for one in (done[0], done[3])) == ["IntegrityError", "str"]
    assert [done[2], done[4]] == ["b", "c"]
    assert await database.read(names) == ["a", "b", "c"]


@only_sqlite
async def test_what_queued_up_shares_one_transaction_and_keeps_its_order(database: Database) -> None:
    with gate() as slow, commits(database) as seen:
        first = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        waiting = [asyncio.create_task(database.write(put(f"k{n:02}"))) for n in range(20)]
        doubled = asyncio.create_task(database.write(put("k07")))
        await queued()
        slow.opened.set()
        await asyncio.gather(first, *waiting)
        with pytest.raises(IntegrityError):
            await doubled
    assert seen.count == 2
    assert await database.read(in_order) == ["gate", *(f"k{n:02}" for n in range(20))]


@only_sqlite
async def test_a_crowd_is_done_in_several_transactions(database: Database) -> None:
    wanted = [f"k{n:04}" for n in range(MOST_TOGETHER * 2 + 1)]
    with commits(database) as seen:
        assert await asyncio.gather(*(database.write(put(name)) for name in wanted)) == wanted
    assert seen.count == 3
    assert await database.read(in_order) == wanted


async def test_who_stops_waiting_disturbs_nobody(database: Database) -> None:
    with gate() as slow:
        begun = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        others = [asyncio.create_task(database.write(put(name))) for name in ("a", "b", "c")]
        await queued()
        begun.cancel()
        others[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        slow.opened.set()
        assert await asyncio.gather(others[0], others[2]) == ["a", "c"]
    # What has begun is finished; what waited in the queue may have been done or not.
    assert set(await database.read(names)) - {"b"} == {"a", "c", "gate"}


@only_sqlite
async def test_a_commit_that_fails_is_heard_of_by_everybody_in_it(database: Database) -> None:
    def orphan(tx: Tx) -> None:
        # Checked at the commit instead of at once.
        tx.execute(text("PRAGMA defer_foreign_keys=ON"))
        tx.execute(insert(events).values(conversation_id="nobody", turn=0, body="{}"))

    with gate() as slow:
        first = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        together = [asyncio.create_task(database.write(work)) for work in (put("a"), orphan, put("b"))]
        await queued()
        slow.opened.set()
        assert await first == "gate"
        failures = await asyncio.gather(*together, return_exceptions=True)
    assert [type(failure) for failure in failures] == [IntegrityError] * 3
    assert await database.read(names) == ["gate"]
    assert await database.write(put("c")) == "c"


@only_sqlite
async def test_a_transaction_that_sqlite_gave_up_keeps_nothing(database: Database) -> None:
    """A full disk, for one, makes SQLite roll the whole transaction back in the middle of it."""
    await database.write(put("there"))

    def given_up(tx: Tx) -> None:
        tx.execute(text("INSERT OR ROLLBACK INTO keys SELECT * FROM keys"))

    with gate() as slow:
        first = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        together = [asyncio.create_task(database.write(work)) for work in (put("a"), given_up, put("b"), put("c"))]
        await queued()
        slow.opened.set()
        await first
        done = await asyncio.gather(*together, return_exceptions=True)
    reported = {one for one in done if isinstance(one, str)}
    assert set(await database.read(names)) == {"there", "gate"} | reported
    assert "a" not in reported
    assert await database.write(put("d")) == "d"


async def test_reading_sees_what_is_committed_and_nothing_else(database: Database) -> None:
    with gate() as slow:
        writing = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        assert await database.read(names) == []
        slow.opened.set()
        await writing
    assert await database.read(names) == ["gate"]


async def test_a_reader_has_one_view_from_its_first_look(database: Database) -> None:
    looked, go_on = threading.Event(), threading.Event()

    def twice(tx: Tx) -> tuple[list[str], list[str]]:
        before = names(tx)
        looked.set()
        assert go_on.wait(PATIENCE_S)
        return before, names(tx)

    await database.write(put("a"))
    try:
        reading = asyncio.create_task(database.read(twice))
        assert await asyncio.to_thread(looked.wait, PATIENCE_S)
        await database.write(put("b"))
    finally:
        go_on.set()
    assert await reading == (["a"], ["a"])
    assert await database.read(names) == ["a", "b"]


async def test_writers_of_two_processes_wait_for_one_another(database: Database, database_url: str) -> None:
    def count_and_put(place: int) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            tx.execute(select(func.count()).select_from(keys))
            put(f"{place}")(tx)

        return work

    other = connect(database_url)
    try:
        both = (database, other)
        await asyncio.gather(*(both[place % 2].write(count_and_put(place)) for place in range(40)))
    finally:
        other.close()
    assert len(await database.read(names)) == 40


@pytest.fixture
def busy(tmp_path: Path) -> Generator[sqlite3.Connection]:
    """Somebody else who writes to a new file that has no write-ahead log yet: SQLite waits for nobody to make one."""
    other = sqlite3.connect(tmp_path / "new.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


async def test_who_opens_a_new_file_waits_for_who_does_the_same(
    busy: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        busy.execute("COMMIT")

    monkeypatch.setattr("vivavoce.storage.database.time.sleep", sleep)
    opened = connect(f"sqlite:///{tmp_path / 'new.db'}")
    await opened.ping()
    opened.close()
    assert len(waited) == 1


async def test_who_opens_a_new_file_does_not_wait_for_ever(
    busy: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.storage.database.PATIENCE_S", -1.0)
    opened = connect(f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(OperationalError, match="locked"):
        await opened.ping()
    opened.close()


@only_sqlite
async def test_sqlite_is_set_to_survive_a_power_cut(database: Database) -> None:
    def pragma(name: str) -> Callable[[Tx], object]:
        return lambda tx: tx.execute(text(f"PRAGMA {name}")).scalar_one()

    for ask in (database.write, database.read):
        assert await ask(pragma("journal_mode")) == "wal"
        assert await ask(pragma("synchronous")) == 2
        assert await ask(pragma("foreign_keys")) == 1


async def test_closing_finishes_what_was_begun(database_url: str) -> None:
    database = connect(database_url)
    with gate() as slow:
        writing = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        closing = threading.Thread(target=database.close)
        closing.start()
        slow.opened.set()
        await asyncio.to_thread(closing.join, PATIENCE_S)
        assert await asyncio.wait_for(writing, PATIENCE_S) == "gate"
    reopened = connect(database_url)
    try:
        assert await reopened.read(names) == ["gate"]
    finally:
        reopened.close()


async def test_what_comes_too_late_is_refused(database_url: str) -> None:
    database = connect(database_url)
    with gate() as slow:
        writing = asyncio.create_task(database.write(slow.work))
        await slow.entered()
        waiting = asyncio.create_task(database.write(put("a"))) if database.sqlite else None
        await queued()
        slow.opened.set()
        await asyncio.to_thread(database.close)
        assert await asyncio.wait_for(writing, PATIENCE_S) == "gate"
        if waiting is not None:
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(waiting, PATIENCE_S)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(database.write(put("b")), PATIENCE_S)
    with pytest.raises(RuntimeError):
        await database.read(names)


async def test_ping_tells_whether_the_database_answers(database: Database, tmp_path: Path) -> None:
    await database.ping()
    gone = connect("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")
    try:
        with pytest.raises(OperationalError):
            await gone.ping()
    finally:
        gone.close()


def refused(**codes: str) -> OperationalError:
    failure = Exception("refused")
    for name, code in codes.items():
        setattr(failure, name, code)
    return OperationalError("SELECT", {}, failure)


@pytest.mark.parametrize(
    ("failure", "passes"),
    [
        (refused(), True),
        (refused(sqlstate="57P01"), True),
        (refused(sqlstate="40P01"), True),
        (refused(sqlstate="25P03"), True),
        (refused(sqlstate="54001"), False),
        (refused(sqlite_errorname="SQLITE_BUSY_SNAPSHOT"), True),
        (refused(sqlite_errorname="SQLITE_FULL"), True),
        (refused(sqlite_errorname="SQLITE_ERROR"), False),
        (ValueError("ours"), False),
    ],
)
def test_what_may_well_succeed_later_is_an_outage(failure: Exception, passes: bool) -> None:
    assert is_outage(failure) is passes


async def test_what_no_database_understands_is_none(database: Database) -> None:
    for words in ("SELECT nothing", "SELECT FROM WHERE"):
        with pytest.raises(DBAPIError) as raised:
            await database.read(lambda tx, words=words: tx.execute(text(words)))
        assert not is_outage(raised.value)


async def test_the_directory_of_a_database_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'deep' / 'viva.db'}"
    database = connect(url)
    try:
        await database.ping()
    finally:
        database.close()
    assert is_sqlite(url)
    assert (tmp_path / "new" / "deep" / "viva.db").is_file()
