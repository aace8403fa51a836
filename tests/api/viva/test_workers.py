"""The workers' part of the server's own API."""

from dataclasses import replace

from tests.api.viva.test_inbox import client_of
from tests.services.conftest import ctx, hand
from tests.support.store import NOW, ORG, a_scenario, leased_run, pending_run, set_row

from vivavoce.api.scopes import needed
from vivavoce.api.viva.scopes import RULES
from vivavoce.core.run import Priority
from vivavoce.core.scope import Scope
from vivavoce.core.times import iso
from vivavoce.engine.leases import Ceilings
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.services.context import Context
from vivavoce.storage import workers
from vivavoce.storage.workers import Presence

__all__ = ["ctx", "hand"]


async def heard(ctx: Context, name: str, places: int, *, stopping: bool = False, started_at: int = NOW) -> None:
    presence = Presence(name, f"{name}.example", 12, "1.2.0", places, started_at)
    await ctx.database.write(lambda tx: workers.put(tx, presence, 3, stopping=stopping))


async def test_workers_are_shown_with_what_they_do(ctx: Context) -> None:
    await heard(ctx, "w1", 256)
    await heard(ctx, "w2", 16, stopping=True, started_at=NOW + 1)
    await heard(ctx, "api", 0, started_at=NOW + 2)
    async with client_of(ctx) as client:
        answer = await client.get("/workers")
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data[0] == {
        "id": "w1",
        "host": "w1.example",
        "process": 12,
        "version": "1.2.0",
        "state": "working",
        "places": 256,
        "driving": 3,
        "started_at": iso(NOW),
        "seen_at": data[0]["seen_at"],
    }
    assert [(one["id"], one["state"]) for one in data] == [("w1", "working"), ("w2", "stopping"), ("api", "serving")]


async def test_limits_tell_what_is_busy_and_no_secret(ctx: Context) -> None:
    await heard(ctx, "w1", 256)
    await heard(ctx, "w2", 16, stopping=True)
    for target, org in (("assistant-a", ORG), ("assistant-a", ORG), ("https://theirs.example/?key=secret", "org-b")):
        await leased_run(ctx.database, scenario=a_scenario(target=target), org=org)
    for priority in (Priority.BATCH, Priority.BATCH, Priority.SCHEDULED):
        run = await pending_run(ctx.database)
        await ctx.database.write(lambda tx, id_=run.id, one=priority: set_row(tx, id_, priority=one))
    provider = Provider("own", "https://own.example/v1?token=hidden", "hidden", 8, requests_per_minute=600)
    limited = replace(
        ctx,
        models=Models(ModelSettings({"own": provider})),
        ceilings=Ceilings(500, 100, {"assistant-a": 7, "assistant-z": 1}),
    )
    async with client_of(limited) as client:
        answer = await client.get("/limits")
    assert answer.status_code == 200
    assert answer.json() == {
        "runs": {"running": 3, "waiting": {"interactive": 0, "batch": 2, "scheduled": 1}, "places": 256},
        "ceilings": {"total": 500, "destination": 100},
        "destinations": [{"target": "assistant-a", "running": 2, "ceiling": 7}],
        "providers": [
            {
                "name": "own",
                "concurrency": 8,
                "requests_per_minute": 600,
                "tokens_per_minute": None,
                "running": 0,
                "waiting": 0,
                "paused_seconds": 0.0,
            }
        ],
    }
    assert "hidden" not in answer.text
    assert "secret" not in answer.text


def test_only_admins_see_the_machines() -> None:
    assert needed(RULES, "GET", "/workers") is Scope.ADMIN
    assert needed(RULES, "GET", "/limits") is Scope.ADMIN
