"""What a server can do to us that a file cannot: vanish, lock, lose patience, become a standby."""

import asyncio
import threading

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from tests.support.postgres import new_postgres
from tests.support.store import PATIENCE_S, SharedPostgres

from vivavoce.storage.database import Database, DatabaseAway, DatabaseUnreachable, Tx, connect
from vivavoce.storage.migrate import migrate


@pytest.fixture(params=["postgresql"])
def database_url(postgres_shared: SharedPostgres) -> str:
    return postgres_shared.url


def setting(name: str, tx: Tx) -> str:
    return tx.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one()


def pid(tx: Tx) -> int:
    return tx.execute(text("SELECT pg_backend_pid()")).scalar_one()


def pids(tx: Tx) -> set[int]:
    return set(tx.execute(text("SELECT pid FROM pg_stat_activity")).scalars())


async def test_a_connection_says_who_it_is_and_does_not_wait_for_ever(database: Database) -> None:
    for ask in (database.read, database.write):
        assert await ask(lambda tx: setting("application_name", tx)) == "vivavoce"
        assert await ask(lambda tx: setting("idle_in_transaction_session_timeout", tx)) == "10s"
        assert await ask(lambda tx: setting("lock_timeout", tx)) == "15s"


async def test_what_the_address_says_goes_first(database_url: str) -> None:
    given = {"application_name": "mine", "options": "-c lock_timeout=1s"}
    opened = connect(make_url(database_url).update_query_dict(given).render_as_string(False), 2)
    try:
        assert await opened.read(lambda tx: setting("application_name", tx)) == "mine"
        assert await opened.write(lambda tx: setting("lock_timeout", tx)) == "1s"
        assert await opened.write(lambda tx: setting("idle_in_transaction_session_timeout", tx)) == "10s"
    finally:
        opened.close()


async def test_a_process_opens_no_more_connections_than_it_may(database_url: str) -> None:
    opened = connect(database_url, 2)
    together = threading.Barrier(2)

    def work(tx: Tx) -> int:
        together.wait(PATIENCE_S)
        return pid(tx)

    try:
        used = await asyncio.gather(*(opened.write(work) for _ in range(6)))
    finally:
        opened.close()
    assert len(set(used)) == 2


async def test_a_connection_that_died_in_peace_is_replaced(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivavoce.storage.database.RESTS_S", 0)  # any rest is long enough
    dead = await database.write(pid)
    engine = create_engine(database._writers.url, poolclass=NullPool)
    with engine.connect() as other:
        # Returns when it is gone.
        assert other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": dead}).scalar_one()
    assert await database.write(pid) != dead


async def test_a_connection_that_dies_at_work_is_told_and_replaced(database: Database) -> None:
    def work(tx: Tx) -> None:
        tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseAway):
        await database.write(work)
    await database.ping()


async def test_a_transaction_of_a_frozen_process_is_ended_and_told_as_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = {"idle_in_transaction_session_timeout": "50ms"}
    monkeypatch.setattr("vivavoce.storage.database.SERVER_TIMEOUTS", timeouts)
    frozen, other = connect(database_url), create_engine(database_url, poolclass=NullPool)
    gone = threading.Event()

    def work(tx: Tx) -> None:
        mine = pid(tx)
        with other.connect().execution_options(isolation_level="AUTOCOMMIT") as watching:
            while mine in pids(watching):
                assert not gone.wait(0)
        gone.set()
        tx.execute(text("SELECT 1"))

    try:
        with pytest.raises(DatabaseAway):
            await asyncio.wait_for(frozen.write(work), PATIENCE_S)
        assert gone.is_set()
        await frozen.ping()
    finally:
        frozen.close()


async def test_who_waits_for_a_lock_too_long_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivavoce.storage.database.SERVER_TIMEOUTS", {"lock_timeout": "20ms"})
    opened = connect(database_url)

    def work(tx: Tx) -> None:
        tx.execute(text("LOCK TABLE keys IN EXCLUSIVE MODE"))

    def both(tx: Tx) -> None:
        work(tx)
        with pytest.raises(OperationalError, match="lock timeout"):
            asyncio.run_coroutine_threadsafe(opened.write(work), loop).result(PATIENCE_S)

    loop = asyncio.get_running_loop()
    try:
        await opened.write(both)
    finally:
        opened.close()


async def test_a_server_that_became_a_standby_is_away(database: Database) -> None:
    def work(tx: Tx) -> None:
        tx.execute(text("SET TRANSACTION READ ONLY"))
        tx.execute(text("DELETE FROM keys"))

    before = await database.write(pid)
    with pytest.raises(DatabaseAway, match="read-only"):
        await database.write(work)
    assert await database.write(pid) != before


async def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    gone = connect("postgresql+psycopg://viva:sesame@127.0.0.1:1/none?connect_timeout=2")
    try:
        with pytest.raises(DatabaseUnreachable, match="port 1 failed") as told:
            await migrate(gone)
    finally:
        gone.close()
    assert "sesame" not in str(told.value)
    assert "\n" not in str(told.value)


async def test_a_user_who_may_make_no_tables_is_told() -> None:
    with new_postgres() as url:
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as admin:
            admin.execute(text("DROP ROLE IF EXISTS viva_guest"))
            admin.execute(text("CREATE ROLE viva_guest LOGIN"))
        guest = connect(make_url(url).set(username="viva_guest").render_as_string(False))
        try:
            with pytest.raises(DatabaseUnreachable, match="may not make tables: permission denied"):
                await migrate(guest)
        finally:
            guest.close()
            with engine.begin() as admin:
                admin.execute(text("DROP ROLE viva_guest"))
