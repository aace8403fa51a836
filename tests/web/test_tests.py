"""The form that writes a test."""

from tests.support.outcomes import a_test, an_assistant, passed, ran
from tests.support.pages import Person, logged_in
from tests.support.store import ORG, Hand

from vivavoce.core.scenario import Criterion
from vivavoce.core.scope import Scope
from vivavoce.services import runs, scenarios
from vivavoce.services.context import Context
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter
from vivavoce.storage.scenarios import ScenarioFilter

NEW = "/ui/tests/new"


async def every(ctx: Context) -> list[str]:
    page = await scenarios.get_page(ctx, ORG, ScenarioFilter(), Window())
    return [one.name for one in page.items]


async def test_a_test_is_written_saved_and_written_again(ctx: Context, person: Person) -> None:
    assistant = await an_assistant(ctx, name="Desk")
    page = await person.get(NEW, suite="s")
    form = page.fields(NEW)
    assert (form["suite"], form["assistant"], form["repeats"]) == ("s", assistant.id, "1")
    assert form["criterion_text"] == ["", "", ""]
    sent = {
        **form,
        "name": "Order",
        "scenario": "Ask.\r\nTwice.",
        "turns": "Hello\r\nfree",
        "criterion_text": ["is kind", "", "The assistant responds within 2 seconds"],
        "criterion_name": ["", "", "quick"],
        "criterion_kind": ["judge", "judge", "computed"],
        "variables": "customer: Dana",
    }
    saved = await person.post(NEW, {**sent, "do": "save"})
    page = await person.follow(saved)
    assert page.main.one("p", class_="said").text == "Saved."
    assert page.root.one("h1").text == "Order"
    assert "It was never run." in page.text
    here = saved.there.partition("?")[0]
    made = await scenarios.retrieve(ctx, ORG, here.rsplit("/", 1)[1])
    assert (made.target, made.suite, made.brief) == (assistant.id, "s", "Ask.\nTwice.")
    assert (made.lines, made.variables) == (("Hello", None), {"customer": "Dana"})
    assert made.criteria == (
        Criterion("is kind", "is kind"),
        Criterion("quick", "The assistant responds within 2 seconds", computed=True),
    )
    form = page.fields(here)
    # As it stands, it changes nothing.
    await person.post(here, {**form, "do": "save"})
    assert await scenarios.retrieve(ctx, ORG, made.id) == made
    ran_ = await person.post(here, {**form, "name": "Renamed", "do": "run"})
    assert ran_.there.startswith("/ui/runs/")
    assert (await person.follow(ran_)).root.one("h1").text == "Renamed pending"
    page = await person.get(here)
    assert ran_.there in page.links()
    again = await person.post(f"{here}/run", page.fields(f"{here}/run"))
    assert again.there.startswith("/ui/runs/")
    found = await runs.get_page(ctx, ORG, RunFilter(made.id), Window())
    assert (found.total, {one.trigger for one in found.items}) == (2, {"manual"})


async def test_criteria_stay_in_the_order_of_their_rows(ctx: Context, person: Person, hand: Hand) -> None:
    quick, brief = (
        Criterion(name, f"The assistant responds within {number} seconds", computed=True)
        for number, name in ((2, "quick"), (9, "brief"))
    )
    kind, calm = Criterion("is kind", "is kind"), Criterion("calm", "is calm")
    test = await a_test(ctx, criteria=(quick, kind, brief, calm), description="two\nlines")
    here = f"/ui/tests/{test.id}"
    form = (await person.get(here)).fields(here)
    assert form["criterion_kind"] == ["computed", "judge", "computed", "judge"]
    hand.turn(5)
    assert (await person.post(here, {**form, "do": "save"})).status == 303
    assert await scenarios.retrieve(ctx, ORG, test.id) == test
    names = ["quick", "is gentle", "brief", "calm"]
    assert (await person.post(here, {**form, "criterion_name": names, "do": "save"})).status == 303
    saved = await scenarios.retrieve(ctx, ORG, test.id)
    assert saved.criteria == (quick, Criterion("is gentle", "is kind"), brief, calm)
    assert saved.changed_at == hand.now()


async def test_what_was_not_changed_is_not_written(ctx: Context, person: Person, hand: Hand) -> None:
    """Not even where the form could not say it: another API may have kept it so."""
    criteria = tuple(Criterion(f" {number} ", " is kind\r\n") for number in range(250))
    test = await a_test(ctx, name=" two\nlines ", brief="", criteria=criteria)
    here = f"/ui/tests/{test.id}"
    form = (await person.get(here)).fields(here)
    form["name"] = str(form["name"]).replace("\n", "")
    hand.turn(5)
    assert (await person.post(here, {**form, "do": "save"})).status == 303
    assert (await person.post(here, {**form, "do": "run"})).there.startswith("/ui/runs/")
    assert await scenarios.retrieve(ctx, ORG, test.id) == test
    stale = await person.post(here, {**form, "seen": "1", "do": "save"})
    assert stale.status == 409


async def test_another_criterion_is_added_without_javascript_and_without_saving(ctx: Context, person: Person) -> None:
    form = (await person.get(NEW)).fields(NEW)
    page = await person.post(NEW, {**form, "name": "", "turns": "free", "criterion_text": ["a", "b", "c"], "do": "add"})
    assert page.status == 200
    again = page.fields(NEW)
    assert again["criterion_text"] == ["a", "b", "c", ""]
    assert again["turns"] == "free"
    assert not page.main.all("p", class_="wrong")
    assert await every(ctx) == []
    test = await a_test(ctx)
    here = f"/ui/tests/{test.id}"
    page = await person.post(here, {**(await person.get(here)).fields(here), "do": "add"})
    assert page.fields(here)["criterion_text"] == ["is kind", ""]


async def test_what_is_wrong_is_marked_and_what_was_typed_stays(ctx: Context, person: Person) -> None:
    form = (await person.get(NEW)).fields(NEW)
    sent = {
        **form,
        "name": "",
        "scenario": "typed",
        "repeats": "often",
        "variables": "a: [",
        "criterion_text": ["is kind", "is quick", ""],
        "criterion_kind": ["judge", "computed", "judge"],
    }
    page = await person.post(NEW, sent)
    assert page.status == 400
    for name in ("name", "assistant", "repeats", "variables", "text-1"):
        (field,) = [
            one for kind in ("input", "textarea", "select") for one in page.main.all(kind) if one.has("id", name)
        ]
        assert field.attributes["aria-invalid"] == "true", name
        told = page.main.one("p", id=field.attributes["aria-describedby"].split()[0])
        assert told.text.endswith("."), name
    assert "Nothing was saved yet" in page.text
    # What is folded stands open where something in it is wrong.
    (folded,) = [one for one in page.main.all("details") if "Variables, mocked tools" in one.text]
    assert "open" in folded.attributes
    assert page.fields(NEW)["scenario"] == "typed"
    assert await every(ctx) == []
    page = await person.post(NEW, {**sent, "assistant": "nobody", "name": "x", "repeats": "1", "variables": ""})
    assert page.status == 400
    sent |= {"assistant": "nobody", "name": "x", "repeats": "1", "variables": "", "criterion_kind": ["judge"] * 3}
    page = await person.post(NEW, sent)
    assert page.status == 400
    assert "There is no assistant 'nobody'." in page.main.one("p", id="assistant-wrong").text


async def test_an_address_elsewhere_is_written_as_one(ctx: Context, person: Person) -> None:
    await an_assistant(ctx)
    form = (await person.get(NEW)).fields(NEW)
    sent = {**form, "name": "Out", "assistant": "", "destination": "https://example.com/bot", "scenario": "Ask."}
    saved = await person.post(NEW, {**sent, "criterion_text": ["is kind", "", ""]})
    here = saved.there.partition("?")[0]
    form = (await person.get(here)).fields(here)
    assert (form["assistant"], form["destination"]) == ("", "https://example.com/bot")


async def test_nobody_writes_over_somebody_else_without_knowing(ctx: Context, person: Person, hand: Hand) -> None:
    test = await a_test(ctx, name="Order")
    here = f"/ui/tests/{test.id}"
    mine = (await person.get(here)).fields(here)
    hand.turn(5)
    await person.post(here, {**mine, "name": "Theirs"})
    page = await person.post(here, {**mine, "name": "Mine"})
    assert page.status == 409
    assert "Somebody changed this test while you wrote" in page.text
    assert await every(ctx) == ["Theirs"]
    assert page.fields(here)["name"] == "Mine"
    assert (await person.post(here, page.fields(here))).status == 303
    assert await every(ctx) == ["Mine"]


async def test_a_test_is_taken_away_after_a_question(ctx: Context, person: Person) -> None:
    one, two = await a_test(ctx, suite="s", name="one"), await a_test(ctx, suite="s", name="two")
    run = await ran(ctx, one, passed())
    here = f"/ui/tests/{one.id}"
    page = await person.get((await person.get(here)).link("Delete"))
    assert "Its runs stay" in page.text
    assert page.link("Keep it") == here
    assert (await person.post(f"{here}/delete", page.fields(f"{here}/delete"))).there == "/ui/suites/s?said=deleted"
    assert await every(ctx) == ["two"]
    assert (await person.get(here)).status == 404
    assert (await person.get(f"/ui/runs/{run.id}")).status == 200
    assert (await person.post(f"/ui/tests/{two.id}/delete")).there == "/ui/tests?said=deleted"


async def test_tests_are_listed_by_suite_and_by_assistant(ctx: Context, person: Person) -> None:
    assistant = await an_assistant(ctx)
    await a_test(ctx, suite="s", name="one", target=assistant.id)
    other = await a_test(ctx, name="two")
    run = await ran(ctx, other, passed())
    page = await person.get("/ui/tests")
    assert [row.all("td")[0].text for row in page.main.one("tbody").all("tr")] == ["two", "one"]
    assert f"/ui/runs/{run.id}" in page.links()
    for query in ({"suite": "s"}, {"target": assistant.id}):
        page = await person.get("/ui/tests", **query)
        assert [row.all("td")[0].text for row in page.main.one("tbody").all("tr")] == ["one"]
    assert page.link("New test") == f"/ui/tests/new?assistant={assistant.id}"
    assert "no test here" in (await person.get("/ui/tests", suite="none")).text


async def test_who_may_not_change_reads(ctx: Context) -> None:
    test = await a_test(ctx)
    here = f"/ui/tests/{test.id}"
    for scope in (Scope.READ, Scope.RUN):
        async with logged_in(ctx, scope) as reader:
            page = await reader.get(here)
            assert page.status == 200
            assert "disabled" in page.main.one("fieldset", class_="bare").attributes
            words = {button.text for button in page.main.all("button")}
            assert words == ({"Save", "Run"} if scope is Scope.RUN else {"Save"})
            for path in (NEW, here, f"{here}/delete"):
                assert (await reader.post(path, name="x")).status == 403
            assert (await reader.post(f"{here}/run")).status == (303 if scope is Scope.RUN else 403)


async def test_tests_of_others_are_not_there(ctx: Context) -> None:
    test = await a_test(ctx, name="ours")
    assistant = await an_assistant(ctx, name="our desk")
    async with logged_in(ctx, org="org-b") as other:
        here = f"/ui/tests/{test.id}"
        assert (await other.get(here)).status == 404
        assert (await other.get(f"{here}/delete")).status == 404
        for path in (here, f"{here}/run", f"{here}/delete"):
            assert (await other.post(path, name="x")).status == 404
        page = await other.get(NEW, assistant=assistant.id)
        assert "our desk" not in page.body
        sent = {**page.fields(NEW), "name": "x", "scenario": "Ask.", "criterion_text": ["is kind", "", ""]}
        page = await other.post(NEW, sent)
        assert page.status == 400
        assert "There is no assistant" in page.text
    assert await every(ctx) == ["ours"]
