"""``viva db``, as a user types it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.postgres import new_postgres
from tests.support.releases import put_back, release
from typer.testing import CliRunner, Result

from vivavoce.cli.db import app
from vivavoce.directory import held
from vivavoce.settings import Settings
from vivavoce.storage.database import Tx, connect

THIRD = release("third")["rows"]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "data"))


def viva(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fill(url: str, revision: str = "0003") -> None:
    async def main() -> None:
        database = connect(url)
        try:
            await database.write(lambda tx: put_back(tx, revision, THIRD if revision == "0003" else {}))
        finally:
            database.close()

    asyncio.run(main())


def count(url: str) -> int:
    """How many runs there are."""

    async def main() -> int:
        database = connect(url)
        try:
            return await database.read(runs)
        finally:
            database.close()

    def runs(tx: Tx) -> int:
        return tx.execute(text("SELECT count(*) FROM runs")).scalar_one()

    return asyncio.run(main())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a server of the third release that has stopped."""
    fill(f"sqlite:///{tmp_path / 'data' / 'viva.db'}")
    (tmp_path / "data" / "secret.key").write_text("sesame", encoding="ascii")
    return tmp_path / "data"


def test_looking_does_not_upgrade(data: Path) -> None:
    release = viva("current").output.split()[-1]
    assert viva("current").output == f"database 0003, this release {release}\n"
    assert viva("upgrade").output == f"database {release}, this release {release}\n"
    assert viva("current").output == f"database {release}, this release {release}\n"


def test_an_empty_server_has_no_schema_until_it_is_upgraded() -> None:
    with new_postgres() as url:
        assert viva("current", "--database-url", url).output.startswith("database none, ")
        assert viva("upgrade", "--database-url", url).exit_code == 0
        assert count(url) == 0


def test_everything_moves_to_a_server_and_back(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_postgres() as url:
        there = viva("copy", "--to", url)
        assert there.exit_code == 0, there.output
        assert count(url) == len(THIRD["runs"])
        assert f"{len(THIRD['runs']):>10}  runs\n" in there.stderr
        told, about_key = there.stdout.splitlines()
        assert told.startswith("Copied ")
        assert str(data / "secret.key") in about_key
        assert "sesame" not in there.output
        monkeypatch.setenv("VIVA_SECRET_KEY", "sesame")
        back = viva("copy", "--from", url, "--to", f"sqlite:///{tmp_path / 'back' / 'viva.db'}")
        assert back.exit_code == 0, back.output
        assert told.split()[1] == back.stdout.split()[1]
        assert "the same VIVA_SECRET_KEY as before" in back.stdout
    with closing(sqlite3.connect(tmp_path / "back" / "viva.db")) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (len(THIRD["runs"]),)


def test_the_key_and_the_target_come_from_where_a_server_takes_them(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_postgres() as url:
        monkeypatch.setenv("VIVA_DATABASE_URL", url)
        done = viva("copy", "--show-secret-key")
        assert done.stdout.splitlines()[1] == "VIVA_SECRET_KEY=sesame"
        assert count(url) == len(THIRD["runs"])


def test_mistakes_are_told_and_end_with_2(data: Path, tmp_path: Path) -> None:
    gone = "postgresql://viva:sesame@127.0.0.1:1/none?connect_timeout=2"
    for words, reason in (
        (("copy",), "Say where to: --to, or VIVA_DATABASE_URL."),
        (("copy", "--to", "mysql://h/d"), "VIVA_DATABASE_URL: "),
        (("copy", "--to", f"sqlite:///{data / 'viva.db'}"), "a copy of a database to itself"),
        (("copy", "--to", gone), "Nothing was copied: "),
        (("copy", "--from", f"sqlite:///{tmp_path / 'missing.db'}", "--to", gone), "There is no database in"),
        (("copy", "--data-dir", tmp_path / "nowhere", "--to", gone), "There is no database in"),
        (("current", "--database-url", gone), "Cannot open the database: "),
        (("current", "--data-dir", tmp_path / "nowhere"), "There is no database in"),
        (("upgrade", "--data-dir", tmp_path / "nowhere"), "There is no database in"),
    ):
        told = viva(*words)
        assert (told.exit_code, told.stdout) == (2, ""), words
        assert reason in told.stderr
        assert "sesame" not in told.stderr
        assert len(told.stderr.splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_that_a_server_works_in_is_not_copied(data: Path, tmp_path: Path) -> None:
    with held(data):
        told = viva("copy", "--to", f"sqlite:///{tmp_path / 'other' / 'viva.db'}")
    assert (told.exit_code, told.stderr) == (2, f"Nothing was copied: another server is using {data}\n")
    assert not (tmp_path / "other" / "viva.db").exists()
