"""The list of runs, and the page of one."""

from dataclasses import replace

import pytest
from tests.support.outcomes import (
    BROKEN,
    CANCELLED,
    ENDED,
    RUNNING,
    a_test,
    an_assistant,
    batch_of,
    decided,
    failed,
    passed,
    ran,
    ran_suite,
)
from tests.support.pages import EVIL, Person, logged_in
from tests.support.store import NOW, set_row

from vivavoce.core.event import Ending, Left, Speaker, ToolCall, ToolCalled, ToolReturned, Usage
from vivavoce.core.scenario import Criterion
from vivavoce.core.scope import Scope
from vivavoce.core.tool import ToolMock
from vivavoce.core.verdict import Decision, Quote
from vivavoce.services import runs
from vivavoce.services.context import Context
from vivavoce.services.prices import Price
from vivavoce.storage.codec import usage_codec
from vivavoce.storage.page import Window
from vivavoce.storage.runs import RunFilter

MET, UNMET, OPEN = Decision.MET, Decision.UNMET, Decision.INCONCLUSIVE
OTHER = "org-b"


async def test_a_run_says_what_broke_whose_fault_it_is_and_shows_the_words(ctx: Context, person: Person) -> None:
    assistant = await an_assistant(ctx, name="Desk")
    criteria = (Criterion("kind", "is kind"), Criterion("quick", "answers within 2 seconds"))
    test = await a_test(ctx, target=assistant.id, suite="s/t", name="Order", criteria=criteria, persona="Dana")
    quote = Quote(2, "on Friday")
    run = await ran(
        ctx, test, failed(decided("kind", UNMET, "it was rude", quote), decided("quick", MET, "1.5 s", Quote(2, "It")))
    )
    page = await person.get(f"/ui/runs/{run.id}")
    assert page.status == 200
    assert page.root.one("h1").text == "Order failed"
    assert "The assistant’s fault: unmet: kind" in page.text
    rows = page.main.one("ol", class_="verdicts").all("li")
    assert [row.attributes["data-state"] for row in rows] == ["unmet", "met"]
    assert rows[0].text == "unmet kind is kind it was rude “on Friday” turn 2 Decided by: a judge"
    assert rows[0].one("a").attributes["href"] == "#turn-2"
    turn = page.main.one("li", id="turn-2")
    assert [mark.text for mark in turn.all("mark")] == ["It", "on Friday"]
    assert "0:02.5" in turn.text
    assert page.main.one("li", id="turn-3").text.startswith("The caller was done and left.")
    for there in (f"/ui/tests/{test.id}", "/ui/suites/s%2Ft", f"/ui/assistants/{assistant.id}"):
        assert there in page.links()
    assert f"/ui/conversations/{run.conversation_id}" in page.links()
    assert "4.0 s with the judge" in page.text
    assert page.main.all("details")[-1].text == "Log the story"
    assert "Dana" in page.text
    # Over: nothing is waited for.
    assert "hx-sse:connect" not in page.body
    assert "http-equiv" not in page.body


async def test_calls_are_folded_with_all_that_was_sent_and_came_back(ctx: Context, person: Person) -> None:
    test = await a_test(ctx, mocks=(ToolMock("look_up", '{"eta": "Friday"}', {"number": "A-1"}),), variables={"a": 1})
    call = ToolCall("c1", "look_up", {"number": "A-1"})
    events = (
        ToolCalled(call, NOW),
        ToolReturned("c1", "look_up", '{"eta": "Friday"}', False, NOW + 400, 400, 503, mocked=True),
        Left(Ending.HANGUP, NOW + 500, Speaker.ASSISTANT),
    )
    run = await ran(ctx, test, passed(decided("kind", MET, quote=Quote(1, "Friday"))), events)
    page = await person.get(f"/ui/runs/{run.id}")
    shown = page.main.one("li", id="turn-0")
    assert "failed" in shown.text
    assert "mocked" in shown.text
    assert "HTTP 503, mocked, after 400 ms" in shown.text
    assert '"number": "A-1"' in shown.text
    assert [mark.text for mark in shown.all("mark")] == ["Friday"]
    # What is quoted stands open.
    assert "open" in shown.one("details").attributes


async def test_what_a_run_cost_and_how_often_it_was_begun(ctx: Context) -> None:
    test = await a_test(ctx)
    priced = replace(ctx, prices={"m": Price(10, 20)})
    cost = usage_codec.dumps(Usage("m", 12_300, 100))
    run = await ran(ctx, test, {**passed(), "usage": cost, "attempts": 2, "setbacks": ["the model was away"]})
    async with logged_in(priced) as person:
        text = (await person.get(f"/ui/runs/{run.id}")).text
    assert "12 300 in, 100 out" in text
    assert "100 out 0.125 Attempts" in text
    assert "Attempts 2 the model was away" in text
    unpriced = replace(ctx, prices={"other": Price(1, 1)})
    async with logged_in(unpriced) as person:
        text = (await person.get(f"/ui/runs/{run.id}")).text
    assert "0, 12 400 tokens without a price" in text


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (BROKEN, "it says nothing about the assistant: the model was away"),
        (CANCELLED, "Nobody’s fault: cancelled"),
        ({**failed(), "status": "error", "fault": "judge", "reason": "x"}, "The judge could not decide"),
        ({**failed(), "status": "error", "fault": "tester", "reason": "x"}, "The caller’s fault, not the assistant’s"),
        (passed(), "Every criterion is met."),
    ],
)
async def test_every_outcome_is_told(ctx: Context, person: Person, columns: dict[str, object], words: str) -> None:
    run = await ran(ctx, await a_test(ctx), columns)
    assert words in (await person.get(f"/ui/runs/{run.id}")).text


async def test_a_run_that_goes_on_is_loaded_again_without_javascript(ctx: Context, person: Person) -> None:
    test = await a_test(ctx)
    run = await ran(ctx, test, RUNNING, ENDED[:2])
    page = await person.get(f"/ui/runs/{run.id}")
    assert "The conversation goes on." in page.text
    assert [row.attributes["data-state"] for row in page.main.one("ol", class_="verdicts").all("li")] == ["open"]
    assert page.root.one("noscript").one("meta").attributes["http-equiv"] == "refresh"
    assert f"/ui/runs/{run.id}" in page.links()
    assert page.root.one("div", id="run").attributes["hx-sse:connect"] == f"/ui/runs/{run.id}/live"
    # The story so far.
    assert "Where is my order?" in page.main.all("details")[-1].text
    run = await ran(ctx, test, RUNNING)
    assert "the judge reads it" in (await person.get(f"/ui/runs/{run.id}")).text
    run = await ran(ctx, test, {}, ())
    text = (await person.get(f"/ui/runs/{run.id}")).text
    assert "Waits to be taken." in text
    assert "Nothing was said yet." in text


async def test_running_again_cancelling_and_comparing(ctx: Context, person: Person) -> None:
    test = await a_test(ctx)
    first = await ran(ctx, test, failed(decided("kind", UNMET)))
    page = await person.get(f"/ui/runs/{first.id}")
    assert not any("compare" in there for there in page.links())
    again = await person.post(f"/ui/runs/{first.id}/again", page.fields(f"/ui/runs/{first.id}/again"))
    assert again.there != f"/ui/runs/{first.id}"
    page = await person.follow(again)
    assert page.root.one("h1").text.endswith("pending")
    here = again.there
    assert (await person.post(f"{here}/cancel", page.fields(f"{here}/cancel"))).there == f"{here}?said=cancelled"
    page = await person.get(here, said="cancelled")
    assert page.root.one("h1").text.endswith("cancelled")
    assert page.main.one("p", class_="said").text == "Stopped."
    # A cancelled one is nothing to compare with, and is itself compared with what was before.
    assert f"/ui/compare?left={first.id}&right={here.rsplit('/', 1)[1]}" in page.links()
    (found,) = (await runs.get_page(ctx, "org-a", RunFilter(), Window())).items[:1]
    assert found.cancelled


async def test_what_a_key_may_not_do_is_not_offered_and_refused(ctx: Context) -> None:
    test = await a_test(ctx)
    done, going = await ran(ctx, test, passed()), await ran(ctx, test, RUNNING, ENDED[:1])
    async with logged_in(ctx, Scope.READ) as reader:
        for run, action in ((done, "again"), (going, "cancel")):
            page = await reader.get(f"/ui/runs/{run.id}")
            assert page.status == 200
            assert not page.main.all("form")
            assert (await reader.post(f"/ui/runs/{run.id}/{action}")).status == 403
    async with logged_in(ctx, Scope.RUN) as runner:
        assert (await runner.post(f"/ui/runs/{done.id}/again")).status == 303
        assert (await runner.post(f"/ui/runs/{going.id}/cancel")).status == 303


async def test_runs_of_others_are_not_there(ctx: Context, person: Person) -> None:
    theirs = await ran(ctx, await a_test(ctx, OTHER, suite="theirs"), passed(), org=OTHER)
    for path in ("", "/live"):
        page = await person.get(f"/ui/runs/{theirs.id}{path}")
        assert (page.status, page.root.one("h1").text) == (404, "Not here")
    for action in ("again", "cancel"):
        assert (await person.post(f"/ui/runs/{theirs.id}/{action}")).status == 404
    page = await person.get("/ui/runs")
    assert theirs.id not in page.body
    assert "theirs" not in page.body


async def test_a_run_whose_test_is_gone_stays(ctx: Context, person: Person) -> None:
    test = await a_test(ctx)
    run = await ran(ctx, test, passed())
    page = await person.get(f"/ui/tests/{test.id}/delete")
    await person.post(f"/ui/tests/{test.id}/delete", page.fields(f"/ui/tests/{test.id}/delete"))
    page = await person.get(f"/ui/runs/{run.id}")
    assert page.status == 200
    assert f"/ui/tests/{test.id}" not in page.links()
    assert not page.main.all("form")


async def test_the_list_is_filtered_and_paged(ctx: Context, person: Person) -> None:
    one, two = await a_test(ctx, suite="s", name="One"), await a_test(ctx, suite="t & u", name="Two")
    assert "Nothing was run yet" in (await person.get("/ui/runs")).text
    batch = batch_of(await ran_suite(ctx, "s", failed(decided("kind", UNMET, "it was rude"))))
    alone = await ran(ctx, two, passed(decided("kind", MET)))
    page = await person.get("/ui/runs")
    rows = page.main.one("tbody").all("tr")
    assert [row.all("td")[1].text for row in rows] == ["Two t & u", "One s"]
    assert rows[1].all("td")[2].text == "kind: it was rude"
    assert rows[0].all("td")[2].text == "1 of 1 met"
    assert [option.text for option in page.main.one("select", id="suite").all("option")] == ["All", "s", "t & u"]
    for query, shown in (
        ({"suite": "t & u"}, ["Two"]),
        ({"status": "failed"}, ["One"]),
        ({"status": "nonsense"}, ["Two", "One"]),
        ({"batch": batch}, ["One"]),
        ({"test": two.id}, ["Two"]),
        ({"test": two.id, "suite": "s"}, ["Two"]),
        ({"status": "failed", "suite": "t & u"}, []),
        ({"test": "nothing"}, []),
    ):
        page = await person.get("/ui/runs", **query)
        assert page.status == 200
        assert [a.text for a in page.main.all("a") if a.attributes["href"].startswith("/ui/runs/")] == shown, query
    assert "No run is like that" in page.text
    await ctx.database.write(lambda tx: set_row(tx, alone.id, verdicts=None, reason="x" * 500, status="error"))
    page = await person.get("/ui/runs", status="error")
    assert "xxx..." in page.text
    assert "x" * 300 not in page.text
    for _ in range(25):
        await ran(ctx, one, passed(), ())
    page = await person.get("/ui/runs", path="/evil", said="saved")
    assert "Page 1 of 2 (27 in all)" in page.text
    second = await person.get(page.link("Older →"))
    assert len(second.main.one("tbody").all("tr")) == 2
    for wrong in ("0", "-1", "x", "²", "9" * 30):
        assert (await person.get("/ui/runs", page=wrong)).status == 200
    assert "behind the last page" in (await person.get("/ui/runs", page="9")).text


async def test_nothing_that_was_said_or_named_is_taken_for_html(ctx: Context, person: Person) -> None:
    call = ToolCall("c", EVIL, {EVIL: EVIL})
    events = (
        *[replace(event, text=EVIL) for event in ENDED[:2] if hasattr(event, "text")],
        ToolCalled(call, NOW),
        ToolReturned("c", EVIL, EVIL, True, NOW),
        Left(Ending.GOODBYE, NOW, None, EVIL),
    )
    test = await a_test(
        ctx,
        name=EVIL,
        suite=EVIL,
        brief=EVIL,
        persona=EVIL,
        lines=(EVIL, None),
        target=EVIL,
        criteria=(Criterion(EVIL, EVIL + "!"),),
        variables={EVIL: EVIL},
        mocks=(ToolMock(EVIL, EVIL),),
        tester_model=EVIL,
    )
    columns = {**failed(decided(EVIL, UNMET, EVIL, Quote(0, EVIL))), "reason": EVIL, "story": EVIL, "trigger": "x<y"}
    run = await ran(ctx, test, columns, events)
    await ran(ctx, test, {**columns, "attempts": 2, "setbacks": [EVIL]}, events)
    paths = ["/", "/ui/runs", "/ui/suites", "/ui/tests", "/ui/batches", f"/ui/runs/{run.id}", f"/ui/tests/{test.id}"]
    paths += [f"/ui/tests/{test.id}/delete", f"/ui/runs?suite={EVIL[:9]}", f"/ui/tests/new?suite={EVIL}"]
    page = await person.get("/ui/suites")
    paths += [there for there in page.links() if there.startswith("/ui/suites/")]
    paths.append(f"/ui/compare?left={run.id}&right={run.id}")
    for path in paths:
        page = await person.get(path)
        assert page.status == 200, path
        assert "alert('x')" not in page.body.replace("&#39;", ""), path
        assert "<script>" not in page.body, path
        assert 'onclick="y"' not in page.body, path
