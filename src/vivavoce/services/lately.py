"""What was run lately, as lists show it: batches, suites over their last batches, tests with their last runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivavoce.core.run import Run
from vivavoce.core.scenario import Scenario
from vivavoce.core.verdict import Decision
from vivavoce.services import batching
from vivavoce.services.batching import Standing
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.overview import Suite
from vivavoce.storage import lately, results, runs, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.results import Counts, Result
from vivavoce.storage.scenarios import ScenarioFilter

MOST_COUNTED = 500
"""A suite whose last batch has more runs than this is not counted over its last batches in a list."""
MOST_GROUPED = 1_000
"""The runs of a batch with more of them are not told by test."""


@dataclass(frozen=True, slots=True)
class Trend:
    """One batch of a suite, as far as it is of the suite."""

    batch_id: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch in a list, and the first of its runs, which says how it was triggered."""

    id: str
    first: Run
    counts: Counts


@dataclass(frozen=True, slots=True)
class Test:
    """A test, and its newest run; None where it was never run."""

    __test__ = False  # its name makes pytest look at it

    scenario: Scenario
    last: Run | None


@dataclass(frozen=True, slots=True)
class Miss:
    """A criterion that was not met in so many runs of a test. ``run_id`` and ``reason`` are of the first of them."""

    criterion: str
    many: int
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one test in a batch, in the order in which they were triggered. ``trouble`` is why the first of those
    ended that ended in error; empty where none did."""

    scenario_id: str
    test: str
    counts: Counts
    misses: tuple[Miss, ...]
    trouble: str
    runs: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A batch: how it stands, how it was triggered, the batch of the same suite before it, and its runs by test, what
    failed first; None where they are too many."""

    standing: Standing
    counts: Counts
    first: Run
    before: str | None
    groups: tuple[Group, ...] | None


async def get_trends(ctx: Context, org: str, suites: Sequence[Suite], most: int = 10) -> Mapping[str, Sequence[Trend]]:
    """The last batches of these suites by the suites' names, the oldest first. Suites that would take too long to count
    are left out."""

    def work(tx: Tx) -> dict[str, list[Trend]]:
        newest = {
            suite.name: results.newest_batches(tx, org, suite.name, most)
            for suite in suites
            if suite.last is not None and suite.last.counts.total <= MOST_COUNTED
        }
        counts = results.counts_by_suite(tx, org, [one.id for found in newest.values() for one in found])
        return {
            name: [Trend(one.id, counts[one.id, name]) for one in reversed(found)] for name, found in newest.items()
        }

    return await ctx.database.read(work)


async def get_batches(ctx: Context, org: str, size: int, below: str | None = None) -> tuple[tuple[Batch, ...], bool]:
    """So many batches, newest first, whoever triggered them, and whether there are older ones; only those below an id
    where one is given."""

    def work(tx: Tx) -> tuple[tuple[Batch, ...], bool]:
        found = lately.newest_batches(tx, org, size + 1, below)
        shown = found[:size]
        counts = results.counts(tx, org, [one.id for one in shown])
        first = {run.id: run for run in runs.get_many(tx, org, [one.first_run_id for one in shown])}
        made = tuple(Batch(one.id, first[one.first_run_id], counts[one.id]) for one in shown)
        return made, len(found) > size

    return await ctx.database.read(work)


async def get_tests(ctx: Context, org: str, wanted: ScenarioFilter, window: Window) -> Page[Test]:
    """A page of tests with their newest runs, newest first."""

    def work(tx: Tx) -> Page[Test]:
        page = scenarios.get_page(tx, org, wanted, window)
        newest = lately.newest_runs(tx, org, [one.id for one in page.items])
        found = {run.id: run for run in runs.get_many(tx, org, newest.values())}
        items = tuple(Test(one, found.get(newest.get(one.id, ""))) for one in page.items)
        return Page(items, page.total, window)

    return await ctx.database.read(work)


async def retrieve_batch(ctx: Context, org: str, batch_id: str) -> Whole:
    """One batch, whoever triggered it. Raises ``NotFound``."""

    def work(tx: Tx) -> Whole:
        standing = batching.standing(tx, org, batch_id)
        counts = results.counts(tx, org, [batch_id])[batch_id]
        first = runs.get(tx, org, lately.first_run(tx, org, batch_id) or "")
        if first is None:
            raise NotFound("batch", batch_id)
        groups = grouped(results.of_batch(tx, org, batch_id)) if counts.total <= MOST_GROUPED else None
        return Whole(standing, counts, first, _before(tx, org, first), groups)

    return await ctx.database.read(work)


def _before(tx: Tx, org: str, first: Run) -> str | None:
    if first.suite is None:
        return None
    found = results.newest_batches(tx, org, first.suite, 50)
    older = [one for one in found if one.at <= first.created_at and one.id != first.batch_id]
    return older[0].id if older else None


def grouped(found: Sequence[Result]) -> tuple[Group, ...]:
    """Runs by their tests: first those of which a run failed, then those in error, then those that go on."""
    by_test: dict[str, list[Result]] = {}
    for run in found:
        by_test.setdefault(run.scenario_id, []).append(run)
    groups = [_group(id_, mine) for id_, mine in by_test.items()]
    return tuple(sorted(groups, key=lambda one: (-one.counts.failed, -one.counts.errors, -one.counts.open)))


def _group(id_: str, mine: Sequence[Result]) -> Group:
    over = [run for run in mine if run.status.final and not run.cancelled]
    many = [run.status.value for run in over]
    counts = Counts(
        many.count("passed"),
        many.count("failed"),
        many.count("error"),
        sum(run.cancelled for run in mine),
        sum(not run.status.final for run in mine),
    )
    trouble = next((run.reason for run in over if run.status.value == "error"), "")
    return Group(id_, mine[0].test, counts, _misses(over), trouble, tuple(mine))


def _misses(over: Sequence[Result]) -> tuple[Miss, ...]:
    found: dict[str, Miss] = {}
    for run in over:
        for verdict in run.verdicts:
            if verdict.decision is Decision.UNMET:
                name = verdict.criterion
                before = found.get(name)
                found[name] = (
                    Miss(name, before.many + 1, before.run_id, before.reason)
                    if before
                    else Miss(name, 1, run.id, verdict.reason)
                )
    return tuple(sorted(found.values(), key=lambda one: -one.many))
