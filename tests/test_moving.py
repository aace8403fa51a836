"""An installation moves from SQLite to PostgreSQL with one command, and goes on there."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.postgres import new_postgres
from tests.support.store import PATIENCE_S, a_scenario, a_version
from vivavoce.cli.db import app
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.status import Status
from vivavoce.house import house
from vivavoce.services import assistants, keys, runs, scenarios, secrets
from vivavoce.services.context import Context
from vivavoce.services.keys import ORG
from vivavoce.settings import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIVA_{name.upper()}", raising=False)


async def triggered(ctx: Context) -> Run:
    """A run that nobody has begun."""
    draft = a_version(instructions='on hear /(.*)/: say "in the post"', model="scripted")
    assistant = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))
    brief = 'on start: say "where is it?"\non hear "post": hang up'
    test = a_scenario(target=assistant.id, brief=brief, criteria=(Criterion("tells", 'says "in the post"'),))
    scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, test))
    return await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, None))


async def test_a_run_that_waited_is_driven_where_everything_moved_to(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path), works=False) as opened:
        ctx, key = opened.context, opened.first_key
        run = await triggered(ctx)
        await ctx.database.write(lambda tx: secrets.create(ctx, tx, ORG, "shop", "bearer", "sesame"))
    assert key is not None
    with new_postgres() as url:
        words = ["copy", "--data-dir", str(tmp_path), "--to", url, "--show-secret-key"]
        copied = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert copied.exit_code == 0, copied.output
        _, _, secret_key = copied.stdout.splitlines()[-1].partition("VIVA_SECRET_KEY=")
        async with house(Settings(database_url=url, secret_key=secret_key)) as opened:  # type: ignore[arg-type]
            assert opened.first_key is None
            assert await keys.check(opened.context.database, key) is not None
            assert await secrets.find(opened.context, ORG, "shop") == "sesame"
            async with asyncio.timeout(PATIENCE_S):
                while not (done := await runs.retrieve(opened.context, ORG, run.scenario_id, run.id)).status.final:
                    pass
    assert done.status is Status.PASSED
