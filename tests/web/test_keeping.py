"""Schedules and settings on the dashboard."""

from dataclasses import replace

from tests.support.pages import Person, logged_in
from tests.support.store import NOW, ORG, a_scenario

from vivavoce.core.schedule import Missed, Overlap
from vivavoce.core.scope import Scope
from vivavoce.models.config import ModelSettings
from vivavoce.models.resolve import Models
from vivavoce.services import hooks, keys, schedules
from vivavoce.services.context import Context
from vivavoce.storage import scenarios, workers
from vivavoce.storage.page import Window
from vivavoce.storage.workers import Presence

DRAFT = {
    "name": "Nightly",
    "cron": "30 2 * * *",
    "timezone": "Europe/Dublin",
    "suite": "desk",
    "tests": "",
    "version": "",
    "missed": "once",
    "grace": "7.5",
    "overlap": "skip",
}


async def a_suite(ctx: Context) -> str:
    test = a_scenario(suite="desk", target="https://example.com/bot")
    await ctx.database.write(lambda tx: scenarios.add(tx, ORG, test))
    return test.id


async def test_a_schedule_is_made_changed_paused_fired_and_deleted(ctx: Context, person: Person) -> None:
    test_id = await a_suite(ctx)
    assert "No tests are run by the calendar" in (await person.get("/ui/schedules")).text
    fresh = (await person.get("/ui/schedules/new", suite="desk")).fields("/ui/schedules/new")
    assert fresh["suite"] == "desk"
    made = await person.post("/ui/schedules/new", fresh | DRAFT)
    page = await person.follow(made)
    assert "2027-01-16 02:30" in page.text
    here = made.there.partition("?")[0]
    one = await schedules.retrieve(ctx.database, ORG, here.rpartition("/")[2])
    assert (one.missed, one.overlap, one.grace_ms, one.suite) == (Missed.ONCE, Overlap.SKIP, 450_000, "desk")
    shown = (await person.get(f"{here}/edit")).fields(f"{here}/edit")
    assert shown == DRAFT
    await person.post(f"{here}/edit", shown | {"suite": "", "tests": f"{test_id}\n{test_id}", "name": "Other"})
    one = await schedules.retrieve(ctx.database, ORG, one.id)
    assert (one.name, one.suite, one.scenario_ids) == ("Other", None, (test_id,))
    paused = await person.post(f"{here}/pause")
    assert "It rests" in (await person.follow(paused)).text
    assert (await schedules.retrieve(ctx.database, ORG, one.id)).next_at is None
    fired = await person.follow(await person.post(f"{here}/fire"))
    assert "1 in a batch" in fired.text
    await person.post(f"{here}/resume")
    assert (await schedules.retrieve(ctx.database, ORG, one.id)).next_at is not None
    listed = await person.get("/ui/schedules")
    assert "1 test" in listed.text
    assert "started" in listed.text
    assert "Deleted." in (await person.follow(await person.post(f"{here}/delete"))).text
    assert (await person.get(here)).status == 404


async def test_what_is_wrong_with_a_schedule_is_said_at_its_field(ctx: Context, person: Person) -> None:
    await a_suite(ctx)
    for change, field in (
        ({"name": ""}, "name"),
        ({"cron": "99 2 * * *"}, "cron"),
        ({"cron": ""}, "cron"),
        ({"timezone": "Moon/Base"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"suite": "gone"}, "suite"),
        ({"tests": "x"}, "suite"),
        ({"suite": ""}, "suite"),
        ({"suite": "", "tests": "gone"}, "tests"),
        ({"grace": "soon"}, "grace"),
        ({"grace": "nan"}, "grace"),
        ({"missed": "x"}, "missed"),
        ({"overlap": "x"}, "overlap"),
        ({"version": "v" * 300}, "version"),
    ):
        page = await person.post("/ui/schedules/new", DRAFT | change)
        assert page.status == 422, change
        wrong = {
            one.attributes["name"]
            for tag in ("input", "textarea", "select")
            for one in page.main.all(tag, aria_invalid="true")
        }
        assert field in wrong, (change, wrong)
        assert page.fields("/ui/schedules/new")["cron"] == (DRAFT | change)["cron"]
    made = await person.post("/ui/schedules/new", DRAFT)
    here = made.there.partition("?")[0]
    assert (await person.post(f"{here}/edit", DRAFT | {"cron": "0"})).status == 422
    assert (await person.post(f"{here}/edit", DRAFT | {"name": ""})).status == 422
    assert (await schedules.get_page(ctx.database, ORG, Window())).total == 1


async def test_settings_say_which_models_are_served_and_why_not(ctx: Context, person: Person) -> None:
    page = await person.get("/ui/settings")
    for words in ("assistants", "tester", "judge", "embeddings", "SQLite", "for ever", "loopback"):
        assert words in page.text, words
    unserved = replace(ctx, models=Models(ModelSettings(judge_model="nobody/model")))
    async with logged_in(unserved) as other:
        told = (await other.get("/ui/settings")).text
        assert "nobody/model" in told
        assert "failed" in told
    assert (await person.post("/ui/settings/models")).status == 200


async def test_only_admins_see_keys_workers_and_webhooks(ctx: Context, person: Person) -> None:
    presence = Presence("w", "a-host", 7, "1.0", 4, NOW)
    await ctx.database.write(lambda tx: workers.put(tx, presence, 1))
    page = await person.get("/ui/settings")
    assert "a-host, 7" in page.text
    assert "API keys" in page.text
    async with logged_in(ctx, Scope.RUN) as tester:
        text = (await tester.get("/ui/settings")).text
        assert "Models" in text
        for words in ("API keys", "Webhooks", "a-host"):
            assert words not in text


async def test_a_key_is_shown_once_used_and_revoked(ctx: Context, person: Person) -> None:
    wrong = await person.post("/ui/settings/keys", name=" ", scope="root")
    assert wrong.status == 422
    made = await person.post("/ui/settings/keys", name="ci", scope="run")
    secret = made.main.one("pre", class_="secret").text
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    found = await keys.check(ctx.database, secret)
    assert found is not None
    assert (found.name, found.scope, found.org) == ("ci", Scope.RUN, ORG)
    assert secret not in (await person.get("/ui/settings")).body
    await person.post(f"/ui/settings/keys/{found.id}/revoke")
    assert await keys.check(ctx.database, secret) is None
    assert "revoked" in (await person.get("/ui/settings")).text
    assert (await person.post(f"/ui/settings/keys/{found.id}/revoke")).status == 404
    mine = next(one for one in (await keys.get_page(ctx.database, ORG, Window())).items if one.revoked_at is None)
    last = await person.post(f"/ui/settings/keys/{mine.id}/revoke")
    assert (last.status, "last key" in last.text) == (409, True)


async def test_a_webhook_is_added_tried_and_deleted(ctx: Context, person: Person) -> None:
    for sent, field in (({"url": "nonsense"}, "url"), ({"url": "https://a.example", "kinds": None}, "kinds")):
        page = await person.post("/ui/settings/webhooks", {"kinds": ["run.completed"], **sent})
        assert page.status == 422
        assert page.root.all("p", id=f"{field}-wrong")
    await person.post("/ui/settings/webhooks", url="https://127.0.0.1:1/", kinds=["run.completed"])
    added = await person.post("/ui/settings/webhooks", url="https://a.invalid/hook", kinds=["run.completed"])
    assert added.status == 303
    (hook,) = (await hooks.get_page(ctx.database, ORG, Window())).items
    assert "https://a.invalid/hook" in (await person.get("/ui/settings")).text
    tried = await person.post(f"/ui/settings/webhooks/{hook.id}/test")
    assert "did not answer" in tried.text
    assert (await person.post(f"/ui/settings/webhooks/{hook.id}/delete")).status == 303
    assert (await person.post(f"/ui/settings/webhooks/{hook.id}/test")).status == 404
