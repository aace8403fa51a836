"""Workers as processes of their own, on one PostgreSQL database, beside a server that drives nothing itself."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text
from tests.support.driving import ASSISTANTS, SUITES, TESTS, Driver
from tests.support.endpoint import Json
from tests.support.fleet import Member, commanding
from tests.support.postgres import new_postgres
from tests.support.server import MAIN, START_S, environment
from tests.support.stage import Stage, order_tool, staged

ROLES = ["tester", "assistant", "tool", "assistant", "tester", "judge"]
PLACES = 3
"""How many runs a worker drives side by side."""
TAGS = [f"case-{number:02}" for number in range(2 * PLACES)]
HELD = 4
"""The request in which everybody is found: the tool has been called, and its result is recorded."""
TAKEN_OVER_S = 25.0
"""A lease lasts 15 s, somebody looks every 5 s, and machines are slow."""


@pytest.fixture
def url() -> Iterator[str]:
    with new_postgres() as url:
        yield url


def play(stage: Stage) -> None:
    for tag in TAGS:
        call = {"name": "lookup_order", "arguments": {"tag": tag, "order_number": "A-1001"}}
        stage.endpoint.behaviours += [
            {"when": tag, "role": "tester", "say": [f"Where is my order, {tag}?"]},
            {"when": tag, "role": "assistant", "call": call},
        ]
    stage.hold = lambda _tag, place: place == HELD


async def trigger(driver: Driver, stage: Stage) -> list[Json]:
    """A suite whose runs fill two workers."""
    tools = [order_tool(stage.shop_url)]
    assistant = await driver.post(ASSISTANTS, {"name": "desk", "instructions": "Help.", "tools": tools})
    for tag in TAGS:
        test = {"name": tag, "destination": assistant["id"], "instructions": f"You are {tag}.", "test_suite": "many"}
        rubric = [{"name": "is polite", "criteria": "The assistant is polite"}]
        await driver.post(TESTS, {**test, "rubric": rubric})
    return await driver.post(f"{SUITES}/many/runs")


def rows(url: str) -> Sequence[Any]:
    """(tag, status, worker_id) of every run."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        tag = "CAST(scenarios.body AS json) ->> 'name' AS tag"
        query = f"SELECT {tag}, status, worker_id FROM runs JOIN scenarios ON scenarios.id = scenario_id"
        return connection.execute(text(query)).all()


def driven_by(url: str, worker: Member) -> set[str]:
    return {row.tag for row in rows(url) if row.worker_id == worker.worker_id and row.status == "running"}


def settings(stage: Stage, url: str) -> dict[str, str]:
    return {**stage.settings, "VIVA_DATABASE_URL": url, "VIVA_WORKER_CONCURRENCY": str(PLACES)}


async def test_what_a_worker_that_stops_was_doing_is_done_by_another_at_once(tmp_path: Path, url: str) -> None:
    async with staged() as stage:
        play(stage)
        async with commanding(tmp_path, settings(stage, url), workers=2) as command:
            server, leaving, staying = command.crew
            assert server.url.startswith("http://")
            runs = await trigger(command.driver, stage)
            await stage.held(set(TAGS))
            mine = driven_by(url, leaving)
            assert len(mine) == PLACES
            assert driven_by(url, staying) == set(TAGS) - mine

            leaving.process.send_signal(signal.SIGTERM)
            await logged(leaving, "stopping")
            stage.let_go()
            assert await asyncio.to_thread(leaving.process.wait, 20) == 0
            began = time.monotonic()
            done = await command.driver.finished(runs)
            # Long before a lease would have run out.
            assert time.monotonic() - began < 10
    assert {run["status"] for run in done} == {"passed"}
    assert {tag: stage.roles(tag) for tag in TAGS} == dict.fromkeys(TAGS, ROLES)
    assert sum("resumed at turn 4" in run["logs"] for run in done) == PLACES
    assert "Traceback" not in leaving.log + staying.log + server.log


async def test_the_runs_of_a_worker_that_is_killed_are_taken_over(tmp_path: Path, url: str) -> None:
    async with staged() as stage:
        play(stage)
        async with commanding(tmp_path, settings(stage, url), workers=2) as command:
            _, dying, living = command.crew
            runs = await trigger(command.driver, stage)
            await stage.held(set(TAGS))
            mine = driven_by(url, dying)
            assert len(mine) == PLACES
            await asyncio.to_thread(dying.kill)
            began = time.monotonic()
            stage.let_go()
            done = await command.driver.finished(runs)
            assert time.monotonic() - began < TAKEN_OVER_S
    assert {run["status"] for run in done} == {"passed"}
    once, again = ROLES, [*ROLES[:HELD], *ROLES[HELD - 1 :]]
    assert {tag: stage.roles(tag) for tag in TAGS} == {tag: again if tag in mine else once for tag in TAGS}
    assert "Traceback" not in living.log


async def logged(member: Member, words: str) -> None:
    async with asyncio.timeout(20):
        while words not in member.log:
            await asyncio.sleep(0.02)


def viva(*arguments: str, given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The command line, as a user types it."""
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(command, env=environment(given), capture_output=True, text=True, timeout=START_S, check=False)


@pytest.mark.parametrize("command", [["worker"], ["serve", "--no-worker", "--port", "0"]])
def test_sqlite_belongs_to_one_process(command: list[str], tmp_path: Path) -> None:
    refused = viva(*command, given={"VIVA_DATA_DIR": str(tmp_path)})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "needs PostgreSQL" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    away = "postgresql://viva:sesame@127.0.0.1:1/viva"
    refused = viva("worker", given={"VIVA_DATABASE_URL": away, "VIVA_SECRET_KEY": "k", "VIVA_DATA_DIR": str(tmp_path)})
    assert refused.returncode == 2
    assert refused.stderr.startswith("Cannot start: ")
    assert "Traceback" not in refused.stderr
    assert "sesame" not in refused.stderr


def test_a_worker_tells_its_health_and_writes_no_files(tmp_path: Path, url: str) -> None:
    given = {"VIVA_DATABASE_URL": url, "VIVA_SECRET_KEY": "k"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "worker", "--port", "0"],
        cwd=tmp_path,
        env=environment(given),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("Viva Voce works on postgresql://")
        health = process.stdout.readline().split()[-1]
        for path, word in (("/healthz", "ok"), ("/readyz", "ready")):
            with urllib.request.urlopen(health + path, timeout=10) as answer:
                assert json.load(answer)["status"] == word
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert list(tmp_path.iterdir()) == []
