"""``viva cancel``, as a user types it, on a database that somebody else may have open."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.store import a_scenario, put_run, sqlite_template
from typer.testing import CliRunner, Result

from vivavoce.cli.main import app
from vivavoce.core.run import Run
from vivavoce.storage import runs
from vivavoce.storage.database import Tx, connect

__all__ = ["sqlite_template"]

ORG = "default"


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_template: Path) -> Path:
    """The directory with the database, which is there."""
    monkeypatch.delenv("VIVA_DATABASE_URL", raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    (tmp_path / "viva.db").write_bytes(sqlite_template.read_bytes())
    return tmp_path


def put(data: Path, *suites: str | None) -> Sequence[Run]:
    def work(tx: Tx) -> list[Run]:
        return [put_run(tx, scenario=a_scenario(suite=suite), org=ORG) for suite in suites]

    database = connect(f"sqlite:///{data / 'viva.db'}")
    try:
        return asyncio.run(database.write(work))
    finally:
        database.close()


def state(data: Path, run: Run) -> str:
    database = connect(f"sqlite:///{data / 'viva.db'}")
    try:
        found = asyncio.run(database.read(lambda tx: runs.get(tx, ORG, run.id)))
    finally:
        database.close()
    assert found is not None
    return found.state


def viva(*words: str) -> Result:
    return CliRunner().invoke(app, ["cancel", *words])


def test_runs_by_their_ids(data: Path) -> None:
    first, second, third = put(data, None, None, None)
    done = viva(first.id, second.id, "--reason", "wrong  version")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.output == "".join(f"{run.id}  cancelled  cancelled: wrong version\n" for run in (first, second))
    again = viva(first.id, "--json")
    assert json.loads(again.output) == {
        "run": first.id,
        "status": "cancelled",
        "reason": "cancelled: wrong version",
    }
    assert [state(data, run) for run in (first, second, third)] == ["cancelled", "cancelled", "pending"]


def test_a_suite(data: Path) -> None:
    made = put(data, "checkout", "returns", "checkout")
    assert viva("--suite", "checkout").output == "suite checkout: 2 cancelled\n"
    assert json.loads(viva("--suite", "checkout", "--json").output) == {"suite": "checkout", "cancelled": 0}
    assert [state(data, run) for run in made] == ["cancelled", "pending", "cancelled"]


def test_mistakes_are_told_and_end_with_2(data: Path) -> None:
    (run,) = put(data, None)
    for words in ([], [run.id, "--reason", " "]):
        nothing = viva(*words)
        assert (nothing.exit_code, nothing.stdout) == (2, "")
        assert "Name runs" in nothing.stderr
    lost = viva("none", "--batch", "gone", "--suite", "lost", run.id)
    assert lost.exit_code == 2
    assert lost.stdout == f"{run.id}  cancelled  cancelled: by request\n"
    assert [line.split(" was")[0] for line in lost.stderr.splitlines()] == [
        "test run 'none'",
        "batch 'gone'",
        "test suite 'lost'",
    ]
    foreign = viva(run.id, "--org", "nobody")
    assert (foreign.exit_code, foreign.stdout) == (2, "")
    assert "organisation 'nobody'" in foreign.stderr
