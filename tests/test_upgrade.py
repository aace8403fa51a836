"""A database that the first release wrote is brought up to date, and nothing that was in it is lost.

``first_release.json`` holds the rows that its server kept, and what its API answered about them.
"""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from alembic import command
from sqlalchemy import MetaData, insert
from starlette.types import ASGIApp

from tests.support.asgi import get
from tests.support.store import PATIENCE_S, empty_url
from vivavoce.app import application
from vivavoce.core.flow import PromptNode
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.status import Status
from vivavoce.core.tool import FunctionTool, HandoffTool, LineTool, OtherTool, RetrievalTool, VariablesTool, WebhookTool
from vivavoce.house import house
from vivavoce.services import assistants, chat, conversations, runs
from vivavoce.services.keys import ORG
from vivavoce.settings import Settings
from vivavoce.storage.database import Tx, connect
from vivavoce.storage.migrate import config

__all__ = ["empty_url"]

FIRST = json.loads(Path(__file__).with_name("first_release.json").read_text("utf-8"))
ANSWERS, ROWS = FIRST["answers"], FIRST["rows"]
CLERK, ECHO = ANSWERS["clerk"]["id"], ANSWERS["echo"]["id"]
TALK = next(row["id"] for row in ROWS["conversations"] if row["name"] == "chat")
RUN = ROWS["runs"][0]
WAITING = {"id": "run-that-waited", "conversation_id": "conversation-that-waited"}
KEY = "a-key-of-the-first-release"


def as_it_was(tx: Tx) -> None:
    """The first schema with its rows, and a run that still waits for a worker."""
    command.upgrade(config(tx), "0001")
    tables = MetaData()
    tables.reflect(tx)
    for name in ("assistants", "versions", "scenarios", "snapshots", "conversations", "events", "runs"):
        tx.execute(insert(tables.tables[name]), ROWS[name])
    [talk] = [row for row in ROWS["conversations"] if row["id"] == RUN["conversation_id"]]
    undone = {"verdicts": None, "ending": None, "usage": None, "started_at": None, "completed_at": None}
    waiting = {**RUN, **WAITING, **undone, "status": "pending", "reason": "", "story": ""}
    tx.execute(insert(tables.tables["conversations"]), {**talk, "id": WAITING["conversation_id"]})
    tx.execute(insert(tables.tables["runs"]), waiting)


@pytest.fixture
async def settings(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    database = connect(empty_url)
    await database.write(as_it_was)
    database.close()
    return settings_of(empty_url, tmp_path, monkeypatch)


def settings_of(url: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a server of today on the database of a release."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)
    return Settings(data_dir=directory, database_url=url, secret_key="k", api_key=KEY)  # type: ignore[arg-type]


def still(now: Any, before: Any) -> Any:
    """What is answered now, without the fields that were not there before."""
    if isinstance(before, dict):
        fields = cast("dict[str, Any]", before)
        return {name: still(now[name], value) for name, value in fields.items() if name in now}
    if isinstance(before, list):
        places = cast("list[Any]", before)
        return [still(*pair) for pair in zip(now, places, strict=True)]
    return now


async def answers_as_before(app: ASGIApp, told: Iterable[tuple[str, Any]]) -> None:
    """What was answered then, by path."""
    for path, before in told:
        answer = await get(app, path, KEY)
        assert answer.status == 200, path
        assert still(answer.json, before) == before, path


async def test_everything_is_answered_as_before(settings: Settings) -> None:
    async with house(settings) as opened:
        app = application(settings, opened)
        told = (
            (f"/v2/ai/assistants/{CLERK}", ANSWERS["clerk"]),
            (f"/v2/ai/assistants/{ECHO}", ANSWERS["echo"]),
            (f"/v2/ai/conversations/{TALK}/messages", ANSWERS["messages"]),
            (f"/v2/ai/assistants/tests/{RUN['scenario_id']}/runs/{RUN['id']}", ANSWERS["run"]),
        )
        await answers_as_before(app, told)
        assert (await get(app, "/v2/ai/assistants/tags", KEY)).json == {"tags": ["day", "plain"]}
        over = await conversations.retrieve(opened.context, ORG, RUN["conversation_id"])
        assert over.ended_at == RUN["completed_at"]


async def test_what_was_only_kept_has_its_meaning(settings: Settings) -> None:
    async with house(settings) as opened:
        _, versions = await assistants.get_versions(opened.context, ORG, CLERK)
    assert [version.name for version in versions] == ["Clerk 2", "Clerk"]
    assert [version.mind.model for version in versions] == ["openai/gpt-4o-mini", "scripted"]
    for version in versions:
        assert version.mind.endpoint == Endpoint("https://llm.example.com/v1", "own", "own-key", True)
        assert version.fallback == Mind("openai/gpt-4o", "spare")
        assert version.flow is not None
        assert isinstance(version.flow.nodes[0], PromptNode)
        assert version.library_ids() == ("tool-1", "tool-2")
        assert [one.id for one in (*version.servers, *version.integrations)] == ["mcp-1", "github"]
        assert version.opener is not None
        assert (version.insight_group, version.keeps, version.reports, version.idle_minutes) == (
            "group-1",
            False,
            True,
            15,
        )
        by_name: dict[str, Any] = {tool.name: tool for tool in version.tools}
        assert isinstance(by_name["lookup"], WebhookTool)
        assert by_name["lookup"].waits_ms == 200
        assert isinstance(by_name["c"], FunctionTool)
        assert isinstance(by_name["handoff"], HandoffTool)
        assert isinstance(by_name["transfer"], LineTool)
        assert isinstance(by_name["retrieval"], RetrievalTool)
        assert isinstance(by_name["setter"], VariablesTool)
        assert [tool.type for tool in version.tools if isinstance(tool, OtherTool)] == ["vision", "odd"]
        assert "tags" not in version.extra


async def test_a_conversation_goes_on(settings: Settings) -> None:
    async with house(settings) as opened:
        talk = await chat.begin(opened.context, ORG, ECHO, TALK)
        assert await chat.reply(opened.context, talk, "still there?") == "You said still there?"
        transcript = await conversations.get_transcript(opened.context, ORG, TALK)
    assert len(transcript.events) == len([row for row in ROWS["events"] if row["conversation_id"] == TALK]) + 2


async def test_a_run_that_waited_is_driven(settings: Settings) -> None:
    async with house(settings) as opened, asyncio.timeout(PATIENCE_S):
        while not (done := await runs.retrieve(opened.context, ORG, RUN["scenario_id"], WAITING["id"])).status.final:
            pass
    assert done.status is Status.PASSED


async def test_what_was_upgraded_stays_as_it_is(settings: Settings) -> None:
    async with house(settings) as opened:
        before = await assistants.get_all(opened.context, ORG)
    async with house(settings) as opened:
        assert await assistants.get_all(opened.context, ORG) == before
