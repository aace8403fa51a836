"""What was said, keys and secrets get neither into the log nor into metrics or traces, whatever fails."""

import asyncio
import io
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import insert
from tests.outbound.local_server import Seen, serving
from tests.support.asgi import get
from tests.support.endpoint import Endpoint, serve
from tests.support.store import PATIENCE_S, a_scenario, a_version
from tests.telemetry.seen import Memory

import vivavoce.house
from vivavoce.app import application
from vivavoce.cli.logs import Libraries, processors, tell_of_lost_failures
from vivavoce.core.assistant import Opener
from vivavoce.core.hook import Occasion
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.tool import Header, WebhookTool
from vivavoce.engine import duties as doing
from vivavoce.house import House, house
from vivavoce.services import assistants, examinations, hooks, runs, scenarios, secrets
from vivavoce.services.keys import ORG
from vivavoce.settings import ProviderSetting, Settings
from vivavoce.storage.tables import orgs
from vivavoce.telemetry.joined import Joined
from vivavoce.telemetry.logged import Logged
from vivavoce.telemetry.metrics import Metrics
from vivavoce.telemetry.watching import Watching

MARK = "xmarkx"
ADMIN = f"viva_{MARK}_admin_key"
SECRET = "{{#integration_secret}}tool{{/integration_secret}}"


@dataclass
class Watched:
    """Everything that leaves the process for those who watch."""

    log: io.StringIO
    metrics: Metrics
    memory: Memory

    @property
    def everything(self) -> str:
        return self.log.getvalue() + self.metrics.exposition(None, ()).decode() + self.memory.everything


@pytest.fixture(params=["text", "json"])
def watched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[Watched]:
    """The log as it is written, at its most talkative; and a house that is watched in memory."""
    found = Watched(io.StringIO(), Metrics("1"), Memory())

    @contextmanager
    def watching(*_: Any, **__: Any) -> Generator[Watching]:
        yield Watching(Joined((Logged(detailed=True), found.metrics, found.memory.traces)), found.metrics)

    monkeypatch.setattr(vivavoce.house, "watching", watching)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)
    structlog.configure(
        processors=processors(request.param),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(found.log),
        cache_logger_on_first_use=False,
    )
    libraries = Libraries()
    logging.getLogger().addHandler(libraries)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(libraries)
        structlog.reset_defaults()


@dataclass
class Scene:
    """A house whose world is full of marks."""

    opened: House
    settings: Settings
    endpoint: Endpoint
    outside: str

    async def begins(self) -> Run:
        """A run is triggered in which everything is marked."""
        ctx = self.opened.context
        tool = WebhookTool(
            "look",
            "",
            f"{self.outside}/{MARK}/tool?key={MARK}",
            headers=(Header("x-key", SECRET),),
            body_parameters={"type": "object", "properties": {"order": {"type": "string"}}},
        )
        draft = a_version(
            instructions=f"{MARK}: be kind to {{{{name}}}}.",
            model="local/assistant",
            tools=(tool,),
            opener=Opener(f"{self.outside}/{MARK}/opener?key={MARK}", timeout_ms=5000),
        )
        assistant = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))
        test = a_scenario(
            target=assistant.id, brief=f"Say {MARK}.", criteria=(Criterion("kind", f"says {MARK}"),), turn_limit=8
        )
        scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, test))
        run = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, None))
        ctx.wake()
        return run

    async def ends(self) -> Run:
        """The same, and it is over."""
        run = await self.begins()
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await runs.retrieve(self.opened.context, ORG, None, run.id)).status.final:
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def scene(data_dir: Path, **given: Any) -> AsyncGenerator[Scene]:
    """Every provider and everybody outside answers with marks, and what is asked of them holds marks."""

    def answer(seen: Seen) -> web.Response:
        return web.json_response({"error": f"{MARK} {seen.body!r}"}, status=500)

    async with serve() as endpoint, serving(answer) as outside:
        endpoint.behaviours = [
            {"role": "tester", "say": [f"My order is {MARK}."], "hang_up_after": 2},
            {"role": "assistant", "call": {"name": "look", "arguments": {"order": MARK}}, "say": [f"Yes, {MARK}."]},
        ]
        provider = ProviderSetting(
            base_url=f"{endpoint.base_url}?token={MARK}",
            api_key=SecretStr(f"sk-{MARK}"),
            max_attempts=1,
        )
        settings = Settings(
            data_dir=data_dir,
            api_key=SecretStr(ADMIN),
            secret_key=SecretStr(MARK),
            providers={"local": provider},
            tester_model="local/tester",
            judge_model="local/judge",
            allow_networks=("127.0.0.0/8",),
            access_log=True,
            **given,
        )
        async with house(settings) as opened:
            ctx = opened.context
            await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "tool", "bearer", f"{MARK}-secret"))
            yield Scene(opened, settings, endpoint, outside.url)


def refusing(status: int, role: str) -> dict[str, Any]:
    body = {"error": {"message": f"The key sk-{MARK} may not say {MARK}", "code": MARK}}
    return {"kind": "status", "status": status, "body": body, "times": -1, "role": role}


def raising(failure: Callable[[], Exception]) -> Callable[..., Any]:
    async def raises(*_: Any, **__: Any) -> Any:
        try:
            raise KeyError(MARK)
        except KeyError as first:
            raise failure() from ExceptionGroup(MARK, [first])

    return raises


async def test_runs_that_go_well_and_runs_that_fail_tell_no_marks(tmp_path: Path, watched: Watched) -> None:
    async with scene(tmp_path, run_retries=0) as found:
        done = await found.ends()
        assert MARK in done.story
        assert done.status.value == "passed"
        for fault in (
            refusing(400, "tester"),
            refusing(503, "assistant"),
            {"kind": "garbage", "body": f"{{{MARK}", "times": -1, "role": "judge"},
        ):
            found.endpoint.faults = [fault]
            assert (await found.ends()).status.value == "error"
    told = watched.log.getvalue()
    for event in ("run starts", "run ends", "model called", "a model call failed", "tool called"):
        assert event in told
    assert "the variables webhook told nothing" in told
    # Whatever is told on the way of a run names it.
    assert done.id in next(line for line in told.splitlines() if "model called" in line)
    names = {span.name for span in watched.memory.spans}
    assert {"chat tester", "chat assistant", "chat judge", "execute_tool look"} <= names
    assert MARK not in watched.everything


async def test_what_breaks_in_this_server_tells_no_marks(
    tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as found:
        found.endpoint.faults = [refusing(503, "tester")]
        await found.begins()
        async with asyncio.timeout(PATIENCE_S):
            while "run is tried again" not in watched.log.getvalue():
                await asyncio.sleep(0.02)
        found.endpoint.faults = []

        with monkeypatch.context() as patched:
            patched.setattr(examinations, "examine", raising(lambda: ValueError(MARK)))
            assert "a defect of this server" in (await found.ends()).reason

        ctx = found.opened.context

        async def twice(*_: Any, **__: Any) -> Any:
            row = {"id": MARK, "name": MARK, "created_at": 0}
            await ctx.database.write(lambda tx: [tx.execute(insert(orgs).values(row)) for _ in range(2)])

        with monkeypatch.context() as patched:
            patched.setattr(examinations, "examine", twice)
            await found.begins()
            async with asyncio.timeout(PATIENCE_S):
                while "driving a run failed" not in watched.log.getvalue():
                    await asyncio.sleep(0.02)
        assert "SQLITE_CONSTRAINT" in watched.log.getvalue()
    told = watched.log.getvalue()
    assert "ValueError" in told
    assert "a run failed for a reason of ours" in told
    assert "unavailable (HTTP status 503)" in told
    assert MARK not in watched.everything


async def test_duties_that_fail_tell_no_marks(
    tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as found:
        ctx = found.opened.context
        for place in ("hook", "other"):
            url = f"{found.outside}/{MARK}/{place}?key={MARK}"
            guard = ctx.outbound.guard
            await hooks.create(ctx.database, ctx.clock, ctx.new_id, guard, ORG, url, (Occasion.RUN,))
        await found.ends()
        async with asyncio.timeout(PATIENCE_S):
            while "a duty is tried again" not in watched.log.getvalue():
                await asyncio.sleep(0.02)
            monkeypatch.setattr(doing, "TRIES", 1)
            await found.ends()
            while "a duty was given up" not in watched.log.getvalue():
                await asyncio.sleep(0.02)
    assert "NotTaken" in watched.log.getvalue()
    assert "duty delivery" in {span.name for span in watched.memory.spans}
    assert MARK not in watched.everything


async def test_requests_that_fail_tell_no_marks(
    tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as found:
        app = application(found.settings, found.opened)
        assert (await get(app, f"/v2/ai/assistants/{MARK}", ADMIN)).status == 404
        assert (await get(app, f"/{MARK}", ADMIN)).status == 404
        assert (await get(app, "/v2/ai/assistants", f"{MARK}-wrong")).status == 401
        monkeypatch.setattr(assistants, "get_all", raising(lambda: ValueError(MARK)))
        assert (await get(app, "/v2/ai/assistants", ADMIN)).status == 500
        assert (await get(app, "/metrics", f"{MARK}-wrong")).status == 401
        exposed = await get(app, "/metrics", ADMIN)
        assert exposed.status == 200
        assert MARK not in exposed.json
    told = watched.log.getvalue()
    assert "request failed" in told
    assert "/v2/ai/assistants/{assistant_id}" in told
    assert MARK not in watched.everything


async def test_libraries_are_not_trusted_with_words(watched: Watched) -> None:
    logging.getLogger("some.library").warning(f"a message: {MARK}")
    try:
        raise ValueError(MARK)
    except ValueError as failure:
        logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=True)
        loop = asyncio.get_running_loop()
        tell_of_lost_failures(loop, {"message": "Task exception was never retrieved", "exception": failure})
    told = watched.log.getvalue()
    for words in ("some.library", "Exception in ASGI application", "a failure in the event loop", "test_secrets"):
        assert words in told
    assert MARK not in told
