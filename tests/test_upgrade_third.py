"""A database that the third release wrote is brought up to date, and nothing that was in it is lost.

``third_release.json`` holds every row that its server kept, and what its APIs answered about them.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import select

from tests.support.releases import put_back, release
from tests.support.store import PATIENCE_S, empty_url
from tests.test_upgrade import answers_as_before, settings_of
from vivavoce.app import application
from vivavoce.core.status import Status
from vivavoce.house import house
from vivavoce.services import keys, runs, secrets
from vivavoce.services.keys import ORG
from vivavoce.settings import Settings
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.migrate import config, migrate
from vivavoce.storage.tables import metadata

__all__ = ["empty_url"]

THIRD = release("third")
ANSWERS, ROWS = THIRD["answers"], THIRD["rows"]
RUN, JOB = ANSWERS["run"], ANSWERS["job"]
[ROW] = [row for row in ROWS["runs"] if row["id"] == RUN["run_id"]]
[TALK] = [row for row in ROWS["conversations"] if row["id"] == RUN["conversation_id"]]
UNDONE = dict.fromkeys(("verdicts", "ending", "fault", "usage", "started_at", "completed_at", "finding_id"))
NEW = {**ROW, **UNDONE, "reason": "", "story": ""}
WAITING = {**NEW, "id": "run-that-waited", "conversation_id": "talk-that-waited", "status": "pending"}
LEASE = {"status": "running", "lease_token": "of a dead server", "lease_until": 1}
DRIVEN = {**NEW, "id": "run-that-was-driven", "conversation_id": "talk-that-was-driven", **LEASE}
TALKS = [{**TALK, "id": run["conversation_id"], "ended_at": None} for run in (WAITING, DRIVEN)]
UNFINISHED: Mapping[str, Any] = {
    **ROWS,
    "conversations": [*ROWS["conversations"], *TALKS],
    "runs": [*ROWS["runs"], WAITING, DRIVEN],
}


@pytest.fixture
async def settings(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    database = connect(empty_url)
    await database.write(lambda tx: put_back(tx, "0003", UNFINISHED))
    database.close()
    return settings_of(empty_url, tmp_path, monkeypatch)


def test_every_table_of_its_time_is_filled() -> None:
    assert [name for name, rows in ROWS.items() if not rows] == []
    later = {"orgs", "workers", "budgets", "schedules", "hooks", "tallies", "sessions", "notes"}
    assert set(metadata.tables) - set(ROWS) <= later


async def test_everything_is_answered_as_before(settings: Settings) -> None:
    kinds = {
        "get-agent": ("agent", "agent_id"),
        "get-retell-llm": ("llm", "llm_id"),
        "get-conversation-flow": ("flow", "conversation_flow_id"),
        "get-conversation-flow-component": ("component", "conversation_flow_component_id"),
        "get-knowledge-base": ("library", "knowledge_base_id"),
        "get-test-case-definition": ("definition", "test_case_definition_id"),
        "get-batch-test": ("batch", "test_case_batch_job_id"),
        "get-test-run": ("job", "test_case_job_id"),
        "get-chat": ("chat", "chat_id"),
    }
    async with house(settings, works=False) as opened:
        app = application(settings, opened)
        told = (
            (f"/v2/ai/assistants/{ANSWERS['clerk']['id']}", ANSWERS["clerk"]),
            (f"/v2/ai/assistants/tests/{RUN['test_id']}", ANSWERS["test"]),
            (f"/v2/ai/assistants/tests/{RUN['test_id']}/runs/{RUN['run_id']}", RUN),
            (f"/v2/ai/conversations/{RUN['conversation_id']}/messages", ANSWERS["messages"]),
            (f"/v2/ai/conversations/{RUN['conversation_id']}/conversations-insights", ANSWERS["findings"]),
            ("/viva/v1/inbox", ANSWERS["inbox"]),
            *((f"/{kind}/{ANSWERS[name][id_]}", ANSWERS[name]) for kind, (name, id_) in kinds.items()),
        )
        await answers_as_before(app, told)


async def test_what_is_new_has_its_first_value(settings: Settings) -> None:
    async with house(settings, works=False) as opened:
        known = await opened.context.database.read(lambda tx: tx.execute(select(metadata.tables["runs"])).all())
        orgs = await opened.context.database.read(lambda tx: tx.execute(select(metadata.tables["orgs"])).all())
        [key] = await keys.get_all(opened.context.database)
    targets = {row["id"]: row["target"] for row in ROWS["scenarios"]}
    assert len(known) == len(UNFINISHED["runs"])
    for run in known:
        assert run.target == targets[run.scenario_id] != ""
        assert (run.priority, run.due_at, run.format, run.attempts, run.setbacks) == (10, 0, 1, 1, [])
    assert [org.id for org in orgs] == [ORG]
    assert key.scope.value == "admin"


async def test_a_secret_still_opens(settings: Settings) -> None:
    async with house(settings, works=False) as opened:
        assert await secrets.find(opened.context, ORG, "hub") == "sesame"


@pytest.mark.parametrize("unfinished", [WAITING, DRIVEN], ids=["waited", "was driven"])
async def test_a_run_that_was_not_over_is_finished(settings: Settings, unfinished: dict[str, str]) -> None:
    async with house(settings) as opened, asyncio.timeout(PATIENCE_S):
        while not (await runs.retrieve(opened.context, ORG, RUN["test_id"], unfinished["id"])).status.final:
            pass
        done = await runs.retrieve(opened.context, ORG, RUN["test_id"], unfinished["id"])
    assert done.status is Status(RUN["status"])


async def test_nothing_is_lost_on_the_way_back(empty_url: str) -> None:
    def kept(tx: Tx) -> dict[str, int]:
        return {name: tx.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in UNFINISHED}

    database = connect(empty_url)
    try:
        await database.write(lambda tx: put_back(tx, "0003", UNFINISHED))
        before = await database.read(kept)
        await migrate(database)
        await database.write(lambda tx: command.downgrade(config(tx), "0003"))
        assert await database.read(kept) == before == {name: len(rows) for name, rows in UNFINISHED.items()}
        await migrate(database)
        assert await database.read(kept) == before
    finally:
        database.close()
