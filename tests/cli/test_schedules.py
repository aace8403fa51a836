"""``viva schedules``, as a user types it."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.services.conftest import ctx, hand
from tests.support.duties import work_off
from tests.support.store import (
    PATIENCE_S,
    a_scenario,
    database,
    database_url,
    only_sqlite,
    postgres_shared,
    sqlite_template,
)
from typer.testing import CliRunner, Result

from vivavoce.cli.schedules import app
from vivavoce.services.context import Context
from vivavoce.storage import duties, scenarios
from vivavoce.storage.database import Database
from vivavoce.storage.orgs import DEFAULT

__all__ = ["ctx", "database", "database_url", "hand", "postgres_shared", "sqlite_template"]

pytestmark = only_sqlite


@pytest.fixture(autouse=True)
async def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Database) -> None:
    """A database with a suite of one test."""
    monkeypatch.delenv("VIVA_DATABASE_URL", raising=False)
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    await database.write(lambda tx: scenarios.add(tx, DEFAULT, a_scenario(id="t-1", suite="smoke")))


def viva(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def created(*words: object) -> str:
    done = viva("create", "nightly", "--cron", "30 2 * * *", "--suite", "smoke", *words)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def test_a_schedule_from_its_beginning_to_its_end() -> None:
    id_ = created("--timezone", "Europe/Dublin")
    line = viva("list").output
    assert line.startswith(f"{id_}  20")
    assert line.endswith("  30 2 * * *  Europe/Dublin  suite smoke  nightly  (not fired yet)\n")
    assert "  paused  " in viva("pause", id_).output
    assert json.loads(viva("list", "--json").output)["paused"] is True
    resumed = json.loads(viva("resume", id_, "--json").output)
    assert (resumed["paused"], len(resumed["next_firings"])) == (False, 5)
    assert viva("delete", id_).output == f"Deleted {id_}.\n"
    assert viva("list").output == ""


def test_every_option_arrives() -> None:
    words = (
        "--test",
        "t-1",
        "--version-id",
        "v-1",
        "--missed",
        "once",
        "--grace",
        "9",
        "--overlap",
        "skip",
        "--paused",
    )
    done = viva("create", "n", "--cron", "0 * * * *", *words, "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    assert (made["suite"], made["test_ids"], made["version_id"], made["paused"]) == (None, ["t-1"], "v-1", True)
    assert (made["missed"], made["grace_seconds"], made["overlap"]) == ("once", 9, "skip")


async def test_who_fires_is_told_what_came_of_it(ctx: Context) -> None:
    id_ = await asyncio.to_thread(created, "--paused")  # nothing but what is asked for is due

    async def fired(*words: str) -> Result:
        """What the command says when a worker has done what it asked for."""
        done = asyncio.create_task(asyncio.to_thread(viva, "fire", id_, "--wait", PATIENCE_S, *words))
        # The server's clock stands still here, long after that of the command.
        async with asyncio.timeout(PATIENCE_S):
            while not done.done():
                assert await work_off(ctx) == []
                await asyncio.sleep(0.01)
        return await done

    started = await fired()
    assert (started.exit_code, started.output.startswith("Batch ")) == (0, True), started.output
    assert started.output.endswith(": 1 runs.\n")
    assert json.loads((await fired("--json")).output)["outcome"] == "started"
    await ctx.database.write(lambda tx: scenarios.drop(tx, DEFAULT, "t-1"))
    failed = await fired()
    assert (failed.exit_code, "'smoke' was not found" in failed.output) == (1, True), failed.output


async def test_where_nobody_works_it_is_kept_for_later(database: Database) -> None:
    id_ = await asyncio.to_thread(created, "--paused")
    done = await asyncio.to_thread(viva, "fire", id_, "--wait", "0")
    assert (done.exit_code, "as soon as one runs" in done.output) == (3, True)
    assert await database.read(duties.next_due) is not None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("create", "n", "--cron", "x", "--suite", "smoke"), "no cron expression"),
        (("create", "n", "--cron", "0 0 * * *", "--suite", "smoke", "--timezone", "Mars"), "no IANA time zone"),
        (("create", "n", "--cron", "0 0 * * *", "--suite", "none"), "no test in a suite 'none'"),
        (("create", "n", "--cron", "0 0 * * *"), "either a suite or tests"),
        (("pause", "s-1"), "schedule 's-1' was not found."),
        (("delete", "s-1"), "schedule 's-1' was not found."),
        (("fire", "s-1"), "schedule 's-1' was not found."),
        (("list", "--org", "nobody"), "There is no organisation 'nobody'."),
    ],
)
def test_mistakes_are_told_and_end_with_2(words: tuple[str, ...], reason: str) -> None:
    done = viva(*words)
    assert (done.exit_code, reason in done.output) == (2, True), done.output
