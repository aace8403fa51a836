"""``viva doctor``, as a user types it."""

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.endpoint import serve
from typer.testing import CliRunner, Result

from vivavoce.cli import checkup
from vivavoce.cli.main import app
from vivavoce.storage.database import connect
from vivavoce.storage.migrate import migrate


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.startswith(("VIVA_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("VIVA_PORT", "0")
    return tmp_path / "data"


def viva(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *words])


def told(*words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The code, and what was found by its name."""
    result = viva("--json", *words)
    report: Any = json.loads(result.stdout)
    assert report["ok"] is (result.exit_code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in report["checks"]:
        found.setdefault(one["name"], []).append(one)
    return result.exit_code, found


def test_a_fresh_machine_can_start_and_nothing_is_made(data: Path) -> None:
    code, found = told()
    assert code == 0
    states = {name: [one["state"] for one in mine] for name, mine in found.items()}
    assert states.pop("models") == ["warn"]  # the scripted one
    assert set(states) == {
        "settings",
        "data directory",
        "disk",
        "secret key",
        "database",
        "clock",
        "embeddings",
        "port",
    }
    assert all(mine == ["ok"] for mine in states.values())
    assert found["models"][0]["found"].startswith("assistants, tester, judge, insights: scripted")
    assert not data.exists()
    shown = viva()
    assert shown.exit_code == 0
    assert "ok    database" in shown.output
    assert "→ Set OPENAI_API_KEY" in shown.output


@pytest.mark.parametrize("below", ["", "x"])
def test_a_file_where_the_directory_should_be_is_told(data: Path, below: str) -> None:
    data.write_text("", "utf-8")
    code, found = told("--data-dir", str(data / below))
    assert (code, found["data directory"][0]["state"]) == (1, "fail")
    assert found["data directory"][0]["found"] == f"{data} is no directory"


def test_a_link_to_nowhere_is_told(data: Path) -> None:
    data.symlink_to("nowhere")
    assert (told()[0], told()[1]["data directory"][0]["state"]) == (1, "fail")


def test_a_directory_that_cannot_be_looked_at_is_told(data: Path) -> None:
    data.mkdir()
    code, found = told("--data-dir", str(data / ("x" * 300)))
    assert code == 1
    for name in ("data directory", "secret key", "database"):
        assert found[name][0]["state"] == "fail"
        assert "File name too long" in found[name][0]["found"]


def test_a_directory_that_may_not_be_entered_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.mkdir()

    def access(_path: Path, mode: int) -> bool:
        return not mode & os.X_OK

    monkeypatch.setattr(os, "access", access)
    code, found = told()
    assert (code, found["data directory"][0]["found"]) == (1, f"{data} cannot be written to")


def test_mistakes_in_settings_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_PORT", "eighty")
    monkeypatch.setenv("VIVA_TURN_LIMIT", "0")
    monkeypatch.setenv("VIVA_DEFAULT_MODLE", "x")
    code, found = told()
    assert code == 1
    assert [(one["state"], one["found"].partition(":")[0]) for one in found["settings"]] == [
        ("warn", "VIVA_DEFAULT_MODLE is no setting"),
        ("fail", "VIVA_PORT"),
        ("fail", "VIVA_TURN_LIMIT"),
    ]
    monkeypatch.setenv("VIVA_PROVIDERS", "{")
    assert told()[1]["settings"][-1]["state"] == "fail"


def test_settings_that_do_not_go_together_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_BATCH_MONEY_LIMIT", "5")
    monkeypatch.setenv("VIVA_API_KEY", "short")
    code, found = told()
    assert (code, found["settings"][0]["state"], found["API key"][0]["state"]) == (1, "fail", "warn")
    assert "VIVA_PRICES" in found["settings"][0]["found"]


def test_models_that_nobody_serves_are_told_with_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_JUDGE_MODEL", "anthropic/claude")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    code, found = told()
    assert code == 1
    scripted, judge = found["models"]
    assert (scripted["state"], judge["state"]) == ("warn", "fail")
    assert judge["found"].startswith("judge, insights: ")
    assert "ANTHROPIC_API_KEY" in judge["found"]


def test_a_vendor_without_its_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_MODEL_ALIASES", '{"wise": "anthropic/claude"}')
    monkeypatch.setenv("VIVA_OTLP_ENDPOINT", "http://127.0.0.1:9")

    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(checkup, "find_spec", nothing)
    code, found = told()
    assert code == 1
    assert "anthropic" in found["extra providers"][0]["found"]
    assert "vivavoce[telemetry]" in found["extra telemetry"][0]["advice"]


def test_models_are_asked_with_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked() -> tuple[Result, int]:
        async with serve() as endpoint:
            monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
            monkeypatch.setenv("VIVA_DEFAULT_MODEL", "openai/test")
            return await asyncio.to_thread(viva, "--probe"), endpoint.total

    result, total = asyncio.run(asked())
    assert (result.exit_code, total) == (0, 1)
    assert "assistants, tester, judge, insights: openai/test, answered in 0.0 s" in result.output


def test_the_port_is_told_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("VIVA_PORT", str(taken.getsockname()[1]))
        code, found = told()
    assert (code, found["port"][0]["state"]) == (0, "warn")


def test_secrets_that_others_can_read_or_that_are_lost_are_told(data: Path) -> None:
    data.mkdir()
    key = data / "secret.key"
    key.write_text("a key", encoding="ascii")
    key.chmod(0o644)
    assert told()[1]["secret key"][0]["advice"] == f"chmod 600 {key}"
    key.chmod(0o600)
    assert told()[1]["secret key"][0]["state"] == "ok"
    key.write_text("", encoding="ascii")
    assert (told()[0], told()[1]["secret key"][0]["state"]) == (1, "fail")


async def _prepare(data: Path, statement: str | None = None) -> None:
    data.mkdir(exist_ok=True)
    database = connect(f"sqlite:///{data / 'viva.db'}")
    try:
        await migrate(database)
        if statement is not None:
            await database.write(lambda tx: tx.execute(text(statement)).close())
    finally:
        database.close()


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        (None, "ok"),
        ("UPDATE alembic_version SET version_num = '0003'", "warn"),
        ("UPDATE alembic_version SET version_num = '9999'", "warn"),
        ("UPDATE alembic_version SET version_num = 'strange'", "fail"),
    ],
)
def test_the_schema_is_compared_with_the_release(data: Path, statement: str | None, state: str) -> None:
    asyncio.run(_prepare(data, statement))
    code, found = told()
    assert (found["database"][0]["state"], code) == (state, 1 if state == "fail" else 0)
    assert found["clock"][0]["found"] == "it goes as the database's does"


def test_a_database_that_does_not_answer_is_told(data: Path) -> None:
    code, found = told("--database-url", "postgresql://viva:secret@127.0.0.1:9/viva")
    assert (code, found["database"][0]["state"], found["secret key"][0]["state"]) == (1, "fail", "fail")
    assert "secret" not in found["database"][0]["found"]
    data.mkdir()
    (data / "viva.db").write_text("this is no database, and is longer than a hundred characters" * 3, "ascii")
    assert told()[1]["database"][0]["state"] == "fail"


def test_little_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "LITTLE_BYTES", 1 << 60)
    code, found = told()
    assert (code, found["disk"][0]["state"]) == (1, "fail")


def test_clocks_that_differ_are_told() -> None:
    now = checkup.SystemClock().now()
    assert checkup._clock(now - 60_000).state == "warn"
    assert checkup._clock(now).state == "ok"
