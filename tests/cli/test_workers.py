"""``viva workers``, as a user types it."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.support.store import NOW, leased_run, pending_run
from typer.testing import CliRunner, Result

from vivavoce.cli.main import app
from vivavoce.storage import workers
from vivavoce.storage.database import connect
from vivavoce.storage.migrate import migrate
from vivavoce.storage.workers import Presence


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("VIVA_DATABASE_URL", raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    return tmp_path


def viva(*words: str) -> Result:
    return CliRunner().invoke(app, ["workers", *words])


async def fill(data: Path, *, working: bool = True) -> None:
    database = connect(f"sqlite:///{data / 'viva.db'}")
    try:
        await migrate(database)
        if working:
            presence = Presence("w1", "one.example", 12, "1.2.0", 256, NOW)
            await database.write(lambda tx: workers.put(tx, presence, 1))
        await leased_run(database)
        await pending_run(database)
    finally:
        database.close()


def test_workers_and_what_waits_for_them_are_shown(data: Path) -> None:
    asyncio.run(fill(data))
    head, row, queue = viva().output.splitlines()
    assert head.split() == ["ID", "HOST", "PROCESS", "VERSION", "STATE", "DRIVING", "SEEN"]
    assert row.split()[:6] == ["w1", "one.example", "12", "1.2.0", "working", "1/256"]
    assert queue == "1 of 256 places taken; waiting: 1 interactive"
    shown = json.loads(viva("--json").output)
    assert [one["id"] for one in shown["workers"]] == ["w1"]
    assert shown["runs"]["waiting"] == {"interactive": 1, "batch": 0, "scheduled": 0}


def test_where_nobody_works_it_says_so(data: Path) -> None:
    asyncio.run(fill(data, working=False))
    assert viva().output == "nobody drives runs; waiting: 1 interactive\n"


def test_a_mistyped_directory_is_told(data: Path) -> None:
    result = viva("--data-dir", str(data / "nowhere"))
    assert result.exit_code == 2
    assert "There is no database" in result.output
