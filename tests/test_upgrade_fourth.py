"""A database that the fourth release wrote is brought up to date, and nothing that was in it is lost.

``fourth_release.json`` holds every row that its server kept, and what its APIs answered about them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import select

from tests.support.asgi import get
from tests.support.releases import put_back, release
from tests.support.store import empty_url
from tests.test_upgrade import KEY, answers_as_before, settings_of
from vivavoce.app import application
from vivavoce.house import house
from vivavoce.services import sessions
from vivavoce.settings import Settings
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.migrate import config, migrate
from vivavoce.storage.orgs import DEFAULT
from vivavoce.storage.tables import metadata

__all__ = ["empty_url"]

FOURTH = release("fourth")
ANSWERS = FOURTH["answers"]
# The organisation that there always is comes with the schema.
ROWS: Mapping[str, Any] = {
    **FOURTH["rows"],
    "orgs": [row for row in FOURTH["rows"]["orgs"] if row["id"] != DEFAULT],
}


@pytest.fixture
async def settings(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    database = connect(empty_url)
    await database.write(lambda tx: put_back(tx, "0004", ROWS))
    database.close()
    return settings_of(empty_url, tmp_path, monkeypatch)


async def test_everything_is_answered_as_before(settings: Settings) -> None:
    run, batch = ANSWERS["run"], ANSWERS["batch"]
    async with house(settings, works=False) as opened:
        app = application(settings, opened)
        told = (
            (f"/v2/ai/assistants/{ANSWERS['clerk']['id']}", ANSWERS["clerk"]),
            (f"/v2/ai/assistants/tests/{run['test_id']}", ANSWERS["test"]),
            (f"/v2/ai/assistants/tests/{run['test_id']}/runs/{run['run_id']}", run),
            (f"/v2/ai/conversations/{run['conversation_id']}/messages", ANSWERS["messages"]),
            (f"/viva/v1/runs/{run['run_id']}", ANSWERS["own_run"]),
            (f"/viva/v1/batches/{batch['id']}", batch),
            (f"/viva/v1/schedules/{ANSWERS['schedule']['id']}", ANSWERS["schedule"]),
            (f"/viva/v1/webhooks/{ANSWERS['webhook']['id']}", ANSWERS["webhook"]),
        )
        await answers_as_before(app, told)
        history = (await get(app, "/viva/v1/suites/old/history", KEY)).json["data"]
    # How long its answers took was not kept, which is no reason to say that they took no time.
    assert [(point["batch_id"], point["passed"], point["response_ms"]) for point in history] == [(batch["id"], 2, None)]


async def test_what_is_new_begins_empty(settings: Settings) -> None:
    async with house(settings, works=False) as opened:
        known = await opened.context.database.read(lambda tx: tx.execute(select(metadata.tables["runs"])).all())
        assert [(run.response_ms, run.tokens) for run in known] == [(None, None)] * 2
        assert await sessions.begin(opened.context, KEY, lambda n: "t" * n) is not None


async def test_nothing_is_lost_on_the_way_back(empty_url: str) -> None:
    def kept(tx: Tx) -> dict[str, int]:
        return {name: tx.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in ROWS}

    database = connect(empty_url)
    try:
        await database.write(lambda tx: put_back(tx, "0004", ROWS))
        before = await database.read(kept)
        await migrate(database)
        await database.write(lambda tx: command.downgrade(config(tx), "0004"))
        assert await database.read(kept) == before
        await migrate(database)
        assert await database.read(kept) == before
    finally:
        database.close()
