"""Two of a kind beside each other."""

from dataclasses import replace

from tests.support.outcomes import a_test, an_assistant, batch_of, decided, failed, passed, ran, ran_suite
from tests.support.pages import Person, logged_in
from tests.support.store import ORG

from vivavoce.core.scenario import Criterion
from vivavoce.core.verdict import Decision, Quote
from vivavoce.services import assistants
from vivavoce.services.context import Context

MET, UNMET = Decision.MET, Decision.UNMET
BOTH = (Criterion("kind", "is kind"), Criterion("quick", "is quick"), Criterion("same", "is the same"))


async def test_two_runs_with_their_conversations(ctx: Context, person: Person) -> None:
    test = await a_test(ctx, name="Order", criteria=BOTH)
    good = passed(decided("kind", MET), decided("quick", MET), decided("same", MET))
    bad = failed(decided("kind", UNMET, "it was rude", Quote(2, "Friday")), decided("quick", MET), decided("same", MET))
    left, right = await ran(ctx, test, good), await ran(ctx, test, bad)
    page = await person.get(f"/ui/compare?left={left.id}&right={right.id}")
    assert "1 criterion came out otherwise, 2 the same." in page.text
    (row,) = page.main.all("table")[1].one("tbody").all("tr")
    assert [cell.text for cell in row.all("td")] == ["Broke", "Order", "kind", "met", "unmet it was rude"]
    before, after = page.main.all("ol", class_="talk")
    assert not before.all("mark")
    assert [mark.text for mark in after.all("mark")] == ["Friday"]
    assert page.main.all("li", id="before-turn-0")
    assert page.main.all("li", id="after-turn-0")
    back = await person.get(page.link("The other way round"))
    assert back.main.all("table")[1].one("tbody").all("td")[0].text == "Fixed"
    assert (
        "Every criterion came out the same." in (await person.get(f"/ui/compare?left={left.id}&right={left.id}")).text
    )


async def test_two_batches_with_repeats(ctx: Context, person: Person) -> None:
    for name in ("one", "two"):
        await a_test(ctx, suite="s", name=name)
    first = await ran_suite(ctx, "s", passed(decided("kind", MET)), failed(decided("kind", UNMET, "rude")))
    second = await ran_suite(ctx, "s", failed(decided("kind", UNMET, "very rude")), passed(decided("kind", MET)))
    page = await person.get("/ui/compare", left=batch_of(first), right=batch_of(second))
    rows = [[cell.text for cell in row.all("td")] for row in page.main.all("table")[1].one("tbody").all("tr")]
    assert rows == [
        ["Broke", "one", "kind", "met run", "unmet very rude run"],
        ["Fixed", "two", "kind", "unmet rude run", "met run"],
    ]
    assert f"/ui/runs/{second[0].id}" in page.links()
    assert f"/ui/batches/{batch_of(first)}" in page.links()


async def test_two_versions_and_what_differs(ctx: Context, person: Person) -> None:
    assistant = await an_assistant(ctx, instructions="Be kind.")
    other = await assistants.update(
        ctx, ORG, assistant.id, lambda main: replace(main, instructions="Be quick."), lambda _: None, promote=True
    )
    _, versions = await assistants.get_versions(ctx, ORG, assistant.id)
    old, new = assistant.main.id, next(one.id for one in versions if one.id != assistant.main.id)
    assert other.main.id == new
    page = await person.get("/ui/compare", left=old, right=new)
    (row,) = page.main.one("table", class_="diff").one("tbody").all("tr")
    assert [cell.text for cell in row.all("td")] == ["instructions", "Be kind.", "Be quick."]


async def test_what_is_not_of_a_kind_or_not_there(ctx: Context, person: Person) -> None:
    test = await a_test(ctx, suite="s")
    run = await ran(ctx, test, passed())
    batch = batch_of(await ran_suite(ctx, "s", passed()))
    for left, right in ((run.id, batch), (run.id, "nothing"), ("nothing", "nothing")):
        assert (await person.get("/ui/compare", left=left, right=right)).status == 404
    page = await person.get("/ui/compare", left=run.id)
    assert page.status == 200
    assert page.fields("/ui/compare") == {"left": run.id, "right": ""}
    async with logged_in(ctx, org="org-b") as other:
        assert (await other.get("/ui/compare", left=run.id, right=run.id)).status == 404
        assert (await other.get("/ui/compare", left=batch, right=batch)).status == 404
    one, two = await an_assistant(ctx), await an_assistant(ctx)
    page = await person.get("/ui/compare", left=one.main.id, right=two.main.id)
    assert (page.status, "versions of two assistants" in page.text) == (400, True)
