"""The whole house in this process: what is wired to what, and what is left when it closes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.asgi import get
from tests.support.postgres import new_postgres
from tests.support.server import MAIN, environment
from tests.support.store import KINDS, PATIENCE_S, a_conversation, a_scenario, a_version
from vivavoce import __version__
from vivavoce.app import application
from vivavoce.clock import SystemClock
from vivavoce.core.status import Status
from vivavoce.directory import DirectoryBusy
from vivavoce.engine.leases import Ceilings
from vivavoce.house import House, house
from vivavoce.services import assistants, keys, machines, runs, scenarios
from vivavoce.services.errors import Rejected
from vivavoce.services.keys import ORG
from vivavoce.services.watching import Stream
from vivavoce.settings import Settings
from vivavoce.storage import conversations
from vivavoce.storage.tables import conversations as talks


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)


async def test_an_empty_house_shows_its_first_key_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with house(settings) as opened:
        app = application(settings, opened)
        first = opened.first_key
        assert first is not None
        assert (await get(app, "/healthz")).json == {"status": "ok", "version": __version__}
        assert (await get(app, "/readyz")).json == {"status": "ready", "version": __version__}
        answer = await get(app, "/v2/ai/assistants", first)
        assert (answer.status, answer.json) == (200, {"data": []})
        assert answer.headers["x-ratelimit-limit"] == "6000"
        for path in ("/v2/ai/assistants", "/v2/nothing", "/v2/"):
            assert (await get(app, path)).status == 401
        assert (await get(app, "/v2/nothing", first)).json["errors"][0]["code"]
        assert (await get(app, "/nothing", first)).status == 404
        with pytest.raises(DirectoryBusy):
            async with house(settings):
                raise AssertionError("two live in one directory")
        assert (await get(app, "/readyz")).status == 200
    answer = await get(app, "/readyz")
    assert (answer.status, answer.json["status"]) == (503, "unavailable")
    assert (await get(app, "/healthz")).status == 200
    async with house(settings) as opened:
        assert opened.first_key is None
        assert await keys.check(opened.context.database, first) is not None


async def test_a_chosen_key_is_taken_instead_of_a_new_one(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api_key=" chosen-by-hand-secret\n")  # type: ignore[arg-type]
    async with house(settings) as opened:
        assert opened.first_key is None
        app = application(settings, opened)
        assert (await get(app, "/v2/ai/assistants", "chosen-by-hand-secret")).status == 200
        assert len(await keys.get_all(opened.context.database)) == 1


async def passed(opened: House) -> None:
    """A run is triggered, handed over, driven and settled."""
    ctx = opened.context
    draft = a_version(instructions='on hear /(.*)/: say "in the post"', model="scripted")
    assistant = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))
    brief = 'on start: say "where is it?"\non hear "post": hang up'
    test = a_scenario(target=assistant.id, brief=brief, criteria=())
    scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, test))
    run = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, None))
    ctx.wake()
    async with asyncio.timeout(PATIENCE_S):
        while not (await runs.retrieve(ctx, ORG, scenario.id, run.id)).status.final:
            pass
    done = await runs.retrieve(ctx, ORG, scenario.id, run.id)
    assert (done.status, done.reason) == (Status.ERROR, "there is no criterion to decide")
    assert "assistant: in the post" in done.story


@pytest.mark.parametrize("kind", KINDS)
async def test_the_worker_of_the_house_drives_runs(tmp_path: Path, kind: str) -> None:
    if kind == "sqlite":
        async with house(Settings(data_dir=tmp_path)) as opened:
            await passed(opened)
        return
    with new_postgres() as url:
        settings = Settings(data_dir=tmp_path, database_url=url, secret_key="k")  # type: ignore[arg-type]
        async with house(settings) as opened:
            await passed(opened)
        # Several may share a server, and then the directory belongs to nobody.
        async with house(settings) as opened, house(settings) as other:
            assert opened.first_key is None
            assert len(await machines.get_all(opened.context.database)) == 2
            await passed(other)
            await one_at_a_time(opened, other)
        async with house(settings, works=False) as opened:
            (seen,) = await machines.get_all(opened.context.database)
            assert seen.presence.places == 0


async def one_at_a_time(one: House, other: House) -> None:
    """Two servers take turns in a conversation."""
    talk = a_conversation()
    await one.context.database.write(lambda tx: conversations.add(tx, ORG, [talk]))
    async with one.context.turns.of(talk.id):
        token = await other.context.database.read(
            lambda tx: tx.execute(select(talks.c.turn_token).where(talks.c.id == talk.id)).scalar_one()
        )
        assert token is not None


async def test_what_the_settings_allow_holds_for_the_runs_of_all_workers(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, total_concurrency=9, destination_concurrency=3, destination_limits={"assistant-a": 1}
    )
    async with house(settings) as opened:
        assert opened.context.ceilings == Ceilings(9, 3, {"assistant-a": 1})
        await passed(opened)


async def test_a_database_that_is_away_stops_the_start(tmp_path: Path) -> None:
    address = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"
    with pytest.raises(Exception, match="connection"):
        async with house(Settings(data_dir=tmp_path, database_url=address, secret_key="k")):  # type: ignore[arg-type]
            raise AssertionError("it started")


def test_the_clock_is_the_systems() -> None:
    clock = SystemClock()
    first, ticks = clock.now(), clock.ticks()
    assert 1_700_000_000_000 < first <= clock.now()
    assert ticks <= clock.ticks()


async def test_servers_of_one_postgresql_are_told_to_share_a_key(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="VIVA_SECRET_KEY"):
        async with house(Settings(data_dir=tmp_path, database_url="postgresql://h/d")):  # type: ignore[arg-type]
            raise AssertionError("it started")


async def test_a_secret_key_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path)) as opened:
        first, shared = opened.context.signer.public_key, opened.context.signer.shared_secret
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    async with house(Settings(data_dir=tmp_path)) as opened:
        assert opened.context.signer.public_key == first
    for option, expected in (((), first), (("--shared",), shared)):
        shown = subprocess.run(
            [sys.executable, "-c", MAIN, "keys", "webhooks", "--data-dir", str(tmp_path), *option],
            env=environment({}),
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.strip() == expected
    async with house(Settings(data_dir=tmp_path, secret_key="another")) as opened:  # type: ignore[arg-type]
        assert opened.context.signer.public_key != first


async def test_an_empty_secret_key_is_none(tmp_path: Path) -> None:
    (tmp_path / "secret.key").touch()
    with pytest.raises(Rejected, match="is empty"):
        async with house(Settings(data_dir=tmp_path)):
            raise AssertionError("it started")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "secret.key"]


async def test_whoever_watches_is_sent_away_when_the_house_rests(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path), works=False) as opened:
        ctx = opened.context
        stream = Stream(ORG, "k-1")
        ctx.watcher.join(ctx.database, stream)
        await opened.rest()
        assert stream.outbox.farewell == "the server stops"
        ctx.watcher.leave(stream)


async def test_whoever_watches_hears_at_once_of_what_this_process_writes(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path), works=False) as opened:
        for stir in (opened.context.wake, opened.context.journal._told):
            opened.context.watcher._woken.clear()
            stir()
            assert opened.context.watcher._woken.is_set()
