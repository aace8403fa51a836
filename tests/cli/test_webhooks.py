"""``viva webhooks``, as a user types it."""

import asyncio
import json
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.outbound.local_server import Server, always, serving
from tests.support.store import database, database_url, only_sqlite, postgres_shared, sqlite_template
from typer.testing import CliRunner, Result

from vivavoce.cli.webhooks import app
from vivavoce.storage.database import Database

__all__ = ["database", "database_url", "postgres_shared", "sqlite_template"]
pytestmark = only_sqlite


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Database) -> None:
    monkeypatch.delenv("VIVA_DATABASE_URL", raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VIVA_ALLOW_NETWORKS", "127.0.0.0/8")


@pytest.fixture
def receiver() -> Generator[Server]:
    """A server beside the command, which runs a loop of its own."""
    started, stop = threading.Event(), asyncio.Event()
    found: list[Server] = []
    loop = asyncio.new_event_loop()

    async def main() -> None:
        async with serving(always({})) as server:
            found.append(server)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    assert started.wait(10)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def viva(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_webhook_from_its_beginning_to_its_end(receiver: Server) -> None:
    made = viva("create", f"{receiver.url}/hook", "--kind", "batch.completed")
    assert made.exit_code == 0, made.output
    id_ = made.output.strip()
    assert viva("list").output.endswith(f"  batch.completed  {receiver.url}/hook\n")
    shown = json.loads(viva("list", "--json").output)
    assert (shown["id"], shown["kinds"]) == (id_, ["batch.completed"])
    assert viva("test", id_).output == "It answered with status 200.\n"
    [seen] = receiver.seen
    assert (seen.json["kind"], "viva-signature-ed25519" in seen.headers) == ("test", True)
    receiver.reply = always({}, 500)
    failed = viva("test", id_, "--json")
    assert (failed.exit_code, json.loads(failed.output)["status"]) == (1, 500)
    assert viva("delete", id_).output == f"Deleted {id_}.\n"
    assert viva("list").output == ""
    assert json.loads(viva("create", "https://a.example", "--json").output)["kinds"] == [
        "run.completed",
        "batch.completed",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("create", "ftp://a.example"),
        ("create", "http://10.0.0.1"),
        ("create", "https://a b"),
        ("create", "https://a.example", "--kind", "odd"),
        ("create", "https://a.example", "--org", "nobody"),
        ("delete", "nothing"),
        ("test", "nothing"),
    ],
)
def test_what_is_wrong_ends_with_2(words: tuple[str, ...]) -> None:
    done = viva(*words)
    assert done.exit_code == 2
    assert done.output
    assert viva("list").output == ""
