"""What to look at first: suites with their last batch, and what goes on and went wrong lately."""

from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.core.event import Millis
from vivavoce.core.ids import first_of
from vivavoce.core.run import Run
from vivavoce.core.status import Status
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.storage import results, runs, scenarios
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Page, Window
from vivavoce.storage.results import Counts
from vivavoce.storage.runs import RunFilter

DAY_MS = 24 * 3_600_000
_PAGE = 100
_LOOKS = 10
"""So many pages of what ended with an error are looked through for those that nobody cancelled."""


@dataclass(frozen=True, slots=True)
class Last:
    """The newest batch of a suite, as far as it is of the suite."""

    batch_id: str
    at: Millis
    counts: Counts


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite: how many tests it has, and its newest batch; None where it was never run as one."""

    name: str
    tests: int
    last: Last | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in a list, with the name that its test had."""

    run: Run
    test: str


@dataclass(frozen=True, slots=True)
class Home:
    """How it stands now. ``since`` is when ``counts`` begin; ``running`` and ``failures`` are the newest, of
    ``running_total`` that are driven; ``waiting`` are still to be taken."""

    since: Millis
    counts: Counts
    running: tuple[Listed, ...]
    running_total: int
    waiting: int
    failures: tuple[Listed, ...]


async def get_suites(ctx: Context, org: str, window: Window) -> Page[Suite]:
    """A page of suites, in alphabetical order. A suite is there as long as it has a test."""

    def work(tx: Tx) -> Page[Suite]:
        names = scenarios.get_suites(tx, org)
        start = (window.number - 1) * window.size
        return Page(_suites(tx, org, names[start : start + window.size]), len(names), window)

    return await ctx.database.read(work)


async def get_suite(ctx: Context, org: str, name: str) -> Suite:
    """One suite. Raises ``NotFound`` where it has no test."""

    def work(tx: Tx) -> Suite:
        (found,) = _suites(tx, org, [name])
        if not found.tests:
            raise NotFound("test suite", name)
        return found

    return await ctx.database.read(work)


def _suites(tx: Tx, org: str, names: Sequence[str]) -> tuple[Suite, ...]:
    tests = scenarios.count_suites(tx, org, names)
    newest = results.last_batches(tx, org, names)
    counts = results.counts_by_suite(tx, org, [one.id for one in newest.values()])
    last = {name: Last(one.id, one.at, counts[one.id, name]) for name, one in newest.items()}
    return tuple(Suite(name, tests.get(name, 0), last.get(name)) for name in names)


async def get_runs(ctx: Context, org: str, wanted: RunFilter, window: Window) -> Page[Listed]:
    """A page of runs with the names of their tests, newest first."""

    def work(tx: Tx) -> Page[Listed]:
        page = runs.get_page(tx, org, wanted, window)
        return Page(listed(tx, org, page.items), page.total, window)

    return await ctx.database.read(work)


def listed(tx: Tx, org: str, found: Sequence[Run]) -> tuple[Listed, ...]:
    """These runs with the names of their tests."""
    names = results.names(tx, org, [run.id for run in found])
    return tuple(Listed(run, names[run.id]) for run in found)


def _failures(tx: Tx, org: str, most: int) -> Sequence[Run]:
    """The newest that failed or broke off. Those that were cancelled are errors too, and nobody needs to be told of
    them: they are passed over, a large batch of them as well."""
    failed = runs.get_page(tx, org, RunFilter(statuses=frozenset({Status.FAILED})), Window(1, most)).items
    broken: list[Run] = []
    for number in range(1, _LOOKS + 1):
        page = runs.get_page(tx, org, RunFilter(statuses=frozenset({Status.ERROR})), Window(number, _PAGE))
        broken += [one for one in page.items if not one.cancelled]
        if len(broken) >= most or number * _PAGE >= page.total:
            break
    # Ids are made in the order of time.
    return sorted((*failed, *broken), key=lambda run: run.id, reverse=True)[:most]


async def home(ctx: Context, org: str, *, since: Millis | None = None, most: int = 10) -> Home:
    """How it stands now; ``since`` None counts the runs of the last 24 hours."""
    start = ctx.clock.now() - DAY_MS if since is None else since

    def work(tx: Tx) -> Home:
        window = Window(1, most)
        driven = RunFilter(statuses=frozenset({Status.STARTING, Status.RUNNING}))
        running = runs.get_page(tx, org, driven, window)
        waiting = runs.get_page(tx, org, RunFilter(statuses=frozenset({Status.PENDING})), Window(1, 1)).total
        return Home(
            start,
            results.counts_since(tx, org, first_of(start)),
            listed(tx, org, running.items),
            running.total,
            waiting,
            listed(tx, org, _failures(tx, org, most)),
        )

    return await ctx.database.read(work)
