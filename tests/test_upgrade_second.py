"""A database that the second release wrote is brought up to date, and nothing that was in it is lost.

``second_release.json`` holds the rows that its server kept, and what its API answered about them.
"""

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import MetaData, insert

from tests.support.asgi import get
from tests.support.store import empty_url
from tests.test_upgrade import KEY, answers_as_before, settings_of
from vivavoce.app import application
from vivavoce.core.assistant import Form
from vivavoce.house import house
from vivavoce.services import assistants, scenarios
from vivavoce.services.keys import ORG
from vivavoce.settings import Settings
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.migrate import config

__all__ = ["empty_url"]

SECOND = json.loads(Path(__file__).with_name("second_release.json").read_text("utf-8"))
ANSWERS, ROWS = SECOND["answers"], SECOND["rows"]
CLERK, RUN = ANSWERS["clerk"]["id"], ANSWERS["run"]


def as_it_was(tx: Tx) -> None:
    command.upgrade(config(tx), "0002")
    tables = MetaData()
    tables.reflect(tx)
    for name, rows in ROWS.items():
        tx.execute(insert(tables.tables[name]), rows)


@pytest.fixture
async def settings(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    database = connect(empty_url)
    await database.write(as_it_was)
    database.close()
    return settings_of(empty_url, tmp_path, monkeypatch)


async def test_everything_is_answered_as_before(settings: Settings) -> None:
    async with house(settings) as opened:
        app = application(settings, opened)
        told = (
            (f"/v2/ai/assistants/{CLERK}", ANSWERS["clerk"]),
            (f"/v2/ai/assistants/{ANSWERS['echo']['id']}", ANSWERS["echo"]),
            (f"/v2/ai/assistants/tests/{RUN['test_id']}", ANSWERS["test"]),
            (f"/v2/ai/assistants/tests/{RUN['test_id']}/runs/{RUN['run_id']}", RUN),
            (f"/v2/ai/conversations/{RUN['conversation_id']}/messages", ANSWERS["messages"]),
        )
        await answers_as_before(app, told)


async def test_what_is_new_has_its_first_value(settings: Settings) -> None:
    async with house(settings) as opened:
        clerk = await assistants.retrieve(opened.context, ORG, CLERK)
        scenario = await scenarios.retrieve(opened.context, ORG, RUN["test_id"])
    assert clerk.form is Form.ASSISTANT
    assert (clerk.main.number, clerk.main.published, clerk.main.plays) == (0, False, None)
    assert clerk.main.flow is not None
    assert clerk.main.flow.routes == "after"
    assert scenario.utterance_limit is None


async def test_its_run_is_read_through_the_other_api_too(settings: Settings) -> None:
    async with house(settings) as opened:
        app = application(settings, opened)
        answer = await get(app, f"/get-test-run/test_job_{RUN['run_id'].replace('-', '')}", KEY)
    assert answer.status == 200
    assert answer.json["status"] == {"passed": "pass", "failed": "fail"}[RUN["status"]]
    assert "It comes on Friday." in [one.get("content") for one in answer.json["transcript_snapshot"]["transcript"]]
