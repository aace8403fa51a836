"""Suites, batches and the first page."""

import re
from dataclasses import replace

import pytest
from tests.support.outcomes import (
    BROKEN,
    CANCELLED,
    RUNNING,
    Columns,
    a_test,
    an_assistant,
    batch_of,
    became,
    decided,
    failed,
    passed,
    ran,
    ran_suite,
)
from tests.support.pages import Person, logged_in
from tests.support.store import NOW, ORG, Hand

from vivavoce.core.budget import Budget
from vivavoce.core.scope import Scope
from vivavoce.core.verdict import Decision, Quote
from vivavoce.services import assistants, batching, lately
from vivavoce.services.batching import Wish
from vivavoce.services.context import Context
from vivavoce.storage import budgets
from vivavoce.storage.budgets import Spent
from vivavoce.storage.page import Window
from vivavoce.storage.scenarios import ScenarioFilter
from vivavoce.web import batches
from vivavoce.web.pages import STATIC

MET, UNMET = Decision.MET, Decision.UNMET
NAME = "a/b & c?"
THERE = "/ui/suites/a%2Fb%20%26%20c%3F"
TIMES = {"response_ms": [1_000, 3_000], "tokens": {"m": [1_000, 20]}}


async def test_suites_are_listed_with_how_they_stand_and_stood(ctx: Context, person: Person) -> None:
    assert "There is no suite yet" in (await person.get("/ui/suites")).text
    await a_test(ctx, suite=NAME, name="one")
    await a_test(ctx, suite=NAME, name="two")
    await a_test(ctx, suite="never")
    await a_test(ctx, suite=None)
    await ran_suite(ctx, NAME, passed(), passed())
    last = batch_of(await ran_suite(ctx, NAME, failed(), passed()))
    page = await person.get("/ui/suites")
    first, second = page.main.one("tbody").all("tr")
    assert [cell.text for cell in first.all("td")][:4] == [NAME, "2", "1/2", "50 %"]
    assert first.one("span", class_="bar").attributes["aria-label"] == "1 passed, 1 failed, 0 in error, of 2"
    spark = first.one("svg", class_="spark").attributes["aria-label"]
    assert spark == "Pass rate of the last 2 batches, from 100 % to 50 %"
    assert first.one("polyline").attributes["points"].split() == ["2.0,2.0", "98.0,12.0"]
    assert "never run as a suite" in second.text
    assert page.links()[2:4] == [THERE, f"/ui/batches/{last}"]
    assert (await person.get(THERE)).root.one("h1").text == NAME


async def test_a_suite_that_is_too_large_is_not_counted_for_its_line(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_test(ctx, suite="s")
    for _ in range(2):
        await ran_suite(ctx, "s", passed())
    assert (await person.get("/ui/suites")).main.all("svg", class_="spark")
    monkeypatch.setattr(lately, "MOST_COUNTED", 0)
    assert not (await person.get("/ui/suites")).main.all("svg", class_="spark")


async def test_a_suite_over_time_has_its_numbers_where_its_plots_read_them(
    ctx: Context, person: Person, hand: Hand
) -> None:
    await a_test(ctx, suite="s", name="one")
    first = batch_of(await ran_suite(ctx, "s", {**passed(decided("kind", MET)), **TIMES}))
    hand.turn(3_600)
    second = batch_of(await ran_suite(ctx, "s", failed(decided("kind", UNMET, "it was rude"))))
    hand.turn(3_600)
    third = batch_of(await ran_suite(ctx, "s"))
    page = await person.get("/ui/suites/s")
    table = page.main.one("table", id="numbers")
    rows = table.one("tbody").all("tr")
    values = [[cell.attributes["data-value"] for cell in row.all("td")] for row in rows]
    assert values == [
        [str(NOW), "1.0", "1000", "3000", "1000", "20"],
        [str(NOW + 3_600_000), "0.0", "", "", "0", "0"],
        [str(NOW + 7_200_000), "", "", "", "0", "0"],
    ]
    assert rows[0].text.endswith("100 % 1.0 s 3.0 s 1 000 20")
    # What the script asks for is there: columns, units, the script itself.
    columns = len(table.one("thead").all("th"))
    script = (STATIC / "plots.js").read_text("utf-8")
    for plot in page.main.all("div", class_="plot"):
        assert plot.attributes["data-plot"] == "numbers"
        assert "hidden" in plot.attributes
        assert all(int(column) < columns for column in plot.attributes["data-columns"].split())
        assert f"\n  {plot.attributes['data-unit']}: (value)" in script
    assert any("plots.js" in one.attributes["src"] for one in page.root.all("script"))
    # Tests with their last runs, batches with what to compare.
    assert "one pending goes on" in page.main.text
    chosen = page.fields("/ui/compare")
    assert chosen == {"left": second, "right": third}
    assert [a for a in page.links() if a.startswith("/ui/batches/")][-3:] == [
        f"/ui/batches/{id_}" for id_ in (third, second, first)
    ]


async def test_a_suite_is_run_so_often_and_in_the_version_that_is_chosen(ctx: Context, person: Person) -> None:
    assistant = await an_assistant(ctx, name="Desk")
    await assistants.update(
        ctx, ORG, assistant.id, lambda main: replace(main, instructions="Be kinder."), lambda _: None, promote=False
    )
    _, versions = await assistants.get_versions(ctx, ORG, assistant.id)
    other = next(one for one in versions if one.id != assistant.main.id)
    for _ in range(2):
        await a_test(ctx, suite="s", target=assistant.id, repeats=2)
    page = await person.get("/ui/suites/s")
    options = [one.attributes["value"] for one in page.main.one("select", id="version").all("option")]
    assert set(options) == {"", assistant.main.id, other.id}
    sent = page.fields("/ui/suites/s/run")
    assert sent == {"repeats": "", "version": ""}
    begun = await person.post("/ui/suites/s/run", sent)
    standing = await batching.retrieve(ctx, ORG, begun.there.rsplit("/", 1)[1])
    assert standing.stand.total == 4
    begun = await person.post("/ui/suites/s/run", repeats=" 3 ", version=other.id)
    whole = await lately.retrieve_batch(ctx, ORG, begun.there.rsplit("/", 1)[1])
    assert (whole.counts.total, whole.first.version_id) == (6, other.id)
    for wrong in ("0", "x", "1001", "9" * 40, "-1", "1.5"):
        page = await person.post("/ui/suites/s/run", repeats=wrong, version=other.id)
        assert page.status == 400
        field = page.main.one("input", id="repeats")
        assert (field.attributes["value"], field.attributes["aria-invalid"]) == (wrong, "true")
        chosen = [one for one in page.main.one("select", id="version").all("option") if "selected" in one.attributes]
        assert [one.attributes["value"] for one in chosen] == [other.id]
    page = await person.post("/ui/suites/s/run", version="nothing")
    assert page.status == 400
    assert "nothing" in page.main.one("p", id="wrong").text
    assert (await person.post("/ui/suites/nothing/run")).status == 404


async def test_who_may_not_run_is_offered_nothing(ctx: Context) -> None:
    await a_test(ctx, suite="s")
    made = await ran_suite(ctx, "s", RUNNING)
    async with logged_in(ctx, Scope.READ) as reader:
        for path in ("/ui/suites/s", f"/ui/batches/{batch_of(made)}"):
            page = await reader.get(path)
            assert page.status == 200
            assert not [form for form in page.main.all("form") if form.attributes.get("method") == "post"]
        assert (await reader.post("/ui/suites/s/run")).status == 403
        assert (await reader.post(f"/ui/batches/{batch_of(made)}/cancel")).status == 403
    async with logged_in(ctx, Scope.RUN) as runner:
        assert (await runner.post("/ui/suites/s/run")).status == 303
        assert (await runner.post(f"/ui/batches/{batch_of(made)}/cancel")).status == 303


async def test_suites_and_batches_of_others_are_not_there(ctx: Context) -> None:
    await a_test(ctx, suite="s")
    made = batch_of(await ran_suite(ctx, "s", passed()))
    async with logged_in(ctx, org="org-b") as other:
        assert (await other.get("/ui/suites/s")).status == 404
        assert (await other.get(f"/ui/batches/{made}")).status == 404
        assert (await other.post("/ui/suites/s/run")).status == 404
        assert (await other.post(f"/ui/batches/{made}/cancel")).status == 404
        for path in ("/", "/ui/suites", "/ui/batches", "/ui/tests", "/ui/runs"):
            page = await other.get(path)
            assert made not in page.body
            assert not any(there.startswith("/ui/suites/") for there in page.links())
        assert "First steps" in (await other.get("/")).text


async def test_a_suite_without_tests_keeps_its_history(ctx: Context, person: Person) -> None:
    test = await a_test(ctx, suite="s")
    await ran_suite(ctx, "s", passed())
    assert (await person.post(f"/ui/tests/{test.id}/delete")).there == "/ui/tests?said=deleted"
    page = await person.get("/ui/suites/s")
    assert page.status == 200
    assert "This suite has no test any more." in page.text
    assert "1/1" in page.text
    assert (await person.get("/ui/suites/nothing")).status == 404


async def test_a_batch_tells_what_failed_first_and_how_often(ctx: Context, person: Person) -> None:
    for name in ("good", "broken", "bad", "open"):
        await a_test(ctx, suite="s", name=name)
    rude = failed(decided("kind", UNMET, "it was rude"), decided("quick", MET))
    slow = failed(decided("kind", UNMET, "and again"), decided("quick", UNMET, "9 s"))
    wish = Wish("s", repeats=2, budget=Budget(1_000, None))
    batch_id, runs = await ctx.database.write(lambda tx: batching.trigger(ctx, tx, ORG, wish))
    columns: tuple[Columns, ...] = (passed(), BROKEN, rude, RUNNING, passed(), CANCELLED, slow, {})
    await ctx.database.write(
        lambda tx: [became(tx, ORG, run, given, ()) for run, given in zip(runs, columns, strict=True)]
    )
    await ctx.database.write(lambda tx: budgets.spend(tx, [Spent(batch_id, 400, 0)], NOW))
    page = await person.get(f"/ui/batches/{batch_id}")
    rows = [[cell.text for cell in row.all("td")] for row in page.main.one("tbody").all("tr")]
    assert rows == [
        ["bad", "0/2", "kind in 2 of 2: it was rude quick in 1 of 2: 9 s", "failed failed"],
        ["broken", "0/2", "the model was away", "error cancelled"],
        ["open", "0/2", "goes on", "running pending"],
        ["good", "2/2", "–", "passed passed"],
    ]
    assert "6 of 8 are over" in page.text
    assert "400 of 1 000 tokens" in page.text
    assert "2 (1 cancelled)" in page.text
    assert f"/ui/runs/{runs[2].id}" in page.links()
    done = await person.post(f"/ui/batches/{batch_id}/cancel", page.fields(f"/ui/batches/{batch_id}/cancel"))
    page = await person.follow(done)
    assert page.main.one("p", class_="said").text == "Stopped."
    assert page.root.one("h1").text == "s failed"
    assert "hx-sse:connect" not in page.body


async def test_a_batch_that_is_too_large_is_told_by_its_counts(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_test(ctx, suite="s")
    first = batch_of(await ran_suite(ctx, "s", passed()))
    second = batch_of(await ran_suite(ctx, "s", passed()))
    monkeypatch.setattr(lately, "MOST_GROUPED", 0)
    page = await person.get(f"/ui/batches/{second}")
    assert "too many runs to tell them by test" in page.text
    assert not page.main.all("tbody")
    assert f"/ui/compare?left={first}&right={second}" in page.links()
    assert f"/ui/runs?batch={second}" in page.links()


async def test_batches_of_all_kinds_are_listed_newest_first_and_paged(
    ctx: Context, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "There is no batch here" in (await person.get("/ui/batches")).text
    monkeypatch.setattr(batches, "SIZE", 2)
    test = await a_test(ctx, suite="s")
    loose = await a_test(ctx, suite=None)
    ids = [batch_of(await ran_suite(ctx, "s", passed())) for _ in range(3)]
    wish = Wish(scenario_ids=(loose.id,))
    ids.append((await ctx.database.write(lambda tx: batching.trigger(ctx, tx, ORG, wish)))[0])
    await ran(ctx, test, passed())
    page = await person.get("/ui/batches")

    def shown() -> list[str]:
        return [there.rsplit("/", 1)[1] for there in page.links() if re.match("/ui/batches/", there)]

    assert shown() == [ids[3], ids[2]]
    assert [row.all("td")[1].text for row in page.main.one("tbody").all("tr")] == ["–", "s"]
    page = await person.get(page.link("Older →"))
    assert shown() == [ids[1], ids[0]]
    assert page.link("← Newest") == "/ui/batches"
    assert not [a for a in page.main.all("a") if a.text == "Older →"]
    assert "no batch here" in (await person.get("/ui/batches", before="0")).text


async def test_the_first_page_says_what_to_do_first_and_then_what_broke(ctx: Context, person: Person) -> None:
    page = await person.get("/")
    assert "First steps" in page.text
    assert "/ui/tests/new" in page.links()
    await a_test(ctx, suite="s", name="bad")
    await a_test(ctx, suite="s", name="good")
    rude = failed(decided("kind", UNMET, "it was rude", Quote(2, "on Friday")))
    made = [await ran_suite(ctx, "s", rude, passed()) for _ in range(3)][-1]
    page = await person.get("/")
    assert "First steps" not in page.text
    # The same test failed three times, and is told once, with the words and the way to them.
    (told,) = page.main.one("ol", class_="verdicts").all("li")
    assert told.text.startswith("failed bad kind: it was rude “on Friday”")
    assert f"/ui/runs/{made[0].id}#turn-2" in page.links()
    assert "50 % passed in 24 hours" in page.text
    assert "Running now" not in page.text
    await ran(ctx, (await lately.get_tests(ctx, ORG, ScenarioFilter(), Window())).items[0].scenario, RUNNING)
    assert "Running now" in (await person.get("/")).text
    async with logged_in(ctx, Scope.READ) as reader:
        assert "/ui/tests/new" not in (await reader.get("/")).links()
