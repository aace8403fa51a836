from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_scenario, set_row

from vivavoce.core.event import Message, Speaker, Usage
from vivavoce.core.percentiles import Percentiles
from vivavoce.core.run import Run
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Outcome
from vivavoce.services import history, overview, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.prices import Price
from vivavoce.storage.database import Tx
from vivavoce.storage.journal import Lease, settled
from vivavoce.storage.page import Window
from vivavoce.storage.results import Counts
from vivavoce.storage.runs import RunFilter

PASSED: dict[str, Any] = {
    "status": "passed",
    "talked_ms": 40,
    "response_ms": [10, 30],
    "tokens": {"small": [1_000_000, 1]},
}
FAILED: dict[str, Any] = {**PASSED, "status": "failed", "talked_ms": 60, "response_ms": [20]}
BROKEN: dict[str, Any] = {"status": "error"}
CANCELLED: dict[str, Any] = {"status": "error", "ending": "cancelled"}


async def a_test(ctx: Context, suite: str = "s", name: str = "one") -> Scenario:
    return await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, a_scenario(suite=suite, name=name)))


async def batch(ctx: Context, *columns: dict[str, Any], suite: str = "s") -> tuple[Run, ...]:
    """A suite run, whose runs are then as they say; those that are left over stay pending."""

    def work(tx: Tx) -> tuple[Run, ...]:
        made = runs.trigger_suite(ctx, tx, ORG, suite, None)
        for run, given in zip(made, columns, strict=False):
            set_row(tx, run.id, **given)
        return made

    return await ctx.database.write(work)


def id_of(made: tuple[Run, ...]) -> str:
    assert made[0].batch_id is not None
    return made[0].batch_id


async def test_a_suite_over_time(ctx: Context, hand: Hand) -> None:
    ctx = replace(ctx, prices={"small": Price(2.0, 0.0)})
    for name in "abcd":
        await a_test(ctx, name=name)
    first = await batch(ctx, PASSED, PASSED, PASSED, PASSED)
    hand.turn(60)
    second = await batch(ctx, PASSED, FAILED, BROKEN, CANCELLED)
    hand.turn(60)
    third = await batch(ctx)
    found = await history.of_suite(ctx, ORG, "s")
    assert [point.batch_id for point in found] == [id_of(first), id_of(second), id_of(third)]
    assert [point.at - NOW for point in found] == [0, 60_000, 120_000]
    assert [point.counts for point in found] == [Counts(4), Counts(1, 1, 1, 1), Counts(open=4)]
    good, mixed, waiting = (point.figures for point in found)
    assert good is not None
    assert mixed is not None
    assert waiting is not None
    assert good.response_ms == Percentiles(10, 30, 30)
    assert good.talked_ms == Percentiles(40, 40, 40)
    assert (good.input_tokens, good.output_tokens, good.micros) == (4_000_000, 4, 8_000_000)
    assert mixed.response_ms == Percentiles(20, 30, 30)
    assert mixed.talked_ms == Percentiles(40, 60, 60)
    assert mixed.micros == 4_000_000
    assert (waiting.response_ms, waiting.talked_ms, waiting.micros) == (None, None, 0)
    assert [point.batch_id for point in await history.of_suite(ctx, ORG, "s", 1)] == [id_of(third)]


async def test_what_would_be_too_many_to_read_has_counts_alone(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_test(ctx)
    await a_test(ctx, name="two")
    await batch(ctx, PASSED, PASSED)
    await batch(ctx, FAILED, FAILED)
    monkeypatch.setattr(history, "MOST_RUNS", 3)
    older, newer = await history.of_suite(ctx, ORG, "s")
    assert (older.counts, older.figures) == (Counts(passed=2), None)
    assert newer.figures is not None


async def test_a_suite_that_was_never_run_has_no_history_and_one_that_there_is_not_is_not_found(ctx: Context) -> None:
    test = await a_test(ctx)
    assert await history.of_suite(ctx, ORG, "s") == ()
    with pytest.raises(NotFound, match="nobody's"):
        await history.of_suite(ctx, ORG, "nobody's")
    with pytest.raises(NotFound):
        await history.of_suite(ctx, "org-b", "s")
    # What is left of one whose tests were retired can still be looked at.
    made = await batch(ctx, PASSED)
    await scenarios.retire(ctx, ORG, test.id)
    assert [point.batch_id for point in await history.of_suite(ctx, ORG, "s")] == [id_of(made)]


async def test_suites_are_listed_with_their_last_batch(ctx: Context) -> None:
    await a_test(ctx, "b")
    await a_test(ctx, "a/b")
    await a_test(ctx, "a/b", "two")
    await a_test(ctx, "c")
    await batch(ctx, PASSED, suite="a/b")
    made = await batch(ctx, PASSED, CANCELLED, suite="a/b")
    page = await overview.get_suites(ctx, ORG, Window(1, 2))
    assert page.total == 3
    first, second = page.items
    assert (first.name, first.tests, second.name, second.tests, second.last) == ("a/b", 2, "b", 1, None)
    assert first.last == overview.Last(id_of(made), NOW, Counts(passed=1, cancelled=1))
    assert [one.name for one in (await overview.get_suites(ctx, ORG, Window(2, 2))).items] == ["c"]
    assert await overview.get_suite(ctx, ORG, "a/b") == first
    with pytest.raises(NotFound):
        await overview.get_suite(ctx, ORG, "a")
    assert (await overview.get_suites(ctx, "org-b", Window())).items == ()


async def test_runs_are_listed_with_the_names_that_their_tests_had(ctx: Context) -> None:
    test = await a_test(ctx)
    await batch(ctx)
    await scenarios.update(ctx, ORG, test.id, lambda one: replace(one, name="renamed"))
    await batch(ctx, FAILED)
    page = await overview.get_runs(ctx, ORG, RunFilter(suite="s"), Window())
    assert [(one.test, one.run.status.value) for one in page.items] == [("renamed", "failed"), ("one", "pending")]
    assert page.total == 2
    assert (await overview.get_runs(ctx, "org-b", RunFilter(), Window())).items == ()


async def test_what_was_cancelled_hides_no_failure(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_PAGE", 2)
    await a_test(ctx, name="broke")
    await batch(ctx, BROKEN)
    await a_test(ctx, suite="t", name="stopped")
    for _ in range(5):
        await batch(ctx, CANCELLED, suite="t")
    assert [one.test for one in (await overview.home(ctx, ORG)).failures] == ["broke"]
    monkeypatch.setattr(overview, "_LOOKS", 2)  # nobody looks for ever
    assert (await overview.home(ctx, ORG)).failures == ()


async def test_home_tells_how_it_stands(ctx: Context, hand: Hand) -> None:
    for name in "abcde":
        await a_test(ctx, name=name)
    await batch(ctx, FAILED, FAILED, PASSED, PASSED, PASSED)
    hand.turn(24 * 3600 + 1)
    await batch(ctx, PASSED, BROKEN, CANCELLED, {"status": "running"}, {"status": "starting"})
    await batch(ctx, FAILED)
    home = await overview.home(ctx, ORG, most=2)
    assert home.since == hand.ms - overview.DAY_MS
    assert home.counts == Counts(passed=1, failed=1, errors=1, cancelled=1, open=6)
    assert [one.test for one in home.running] == ["e", "d"]
    assert (home.running_total, home.waiting) == (2, 4)
    assert [(one.test, one.run.status.value) for one in home.failures] == [("a", "failed"), ("b", "error")]
    every = await overview.home(ctx, ORG, since=0)
    assert (every.counts.total, len(every.failures)) == (15, 4)
    assert (await overview.home(ctx, "org-b")).counts == Counts()


async def test_what_is_settled_holds_response_times_and_tokens_by_model(ctx: Context) -> None:
    talk = Transcript(
        (
            Message(Speaker.CALLER, "a", NOW, 5, Usage("small", 10, 1)),
            Message(Speaker.ASSISTANT, "b", NOW, 700, Usage("big", 20, 2)),
            Message(Speaker.CALLER, "c", NOW, 5),
            Message(Speaker.ASSISTANT, "d", NOW, 900),
        )
    )
    await a_test(ctx)
    (run,) = await batch(ctx)
    await ctx.database.write(lambda tx: set_row(tx, run.id, status="running", lease_token="t"))
    outcome = Outcome(Status.PASSED, None, "every criterion is met")
    total = talk.usage.plus(Usage("judge", 100, 3))
    await ctx.journal.write(settled(Lease(run.id, "t"), NOW, outcome, talk, total, "story"))
    (point,) = await history.of_suite(replace(ctx, prices={"judge": Price(1.0, 0.0)}), ORG, "s")
    assert point.figures is not None
    assert point.figures.response_ms == Percentiles(700, 900, 900)
    assert (point.figures.input_tokens, point.figures.output_tokens) == (130, 6)
    assert (point.figures.micros, point.figures.unpriced_tokens) == (100, 33)
