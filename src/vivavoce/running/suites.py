"""Suites are handed to a server, run, followed and collected. Where the server is does not matter here."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from vivavoce.client import (
    FINAL,
    ApiError,
    Applied,
    AppliedTest,
    AsyncClient,
    Batch,
    BatchEnded,
    Deleted,
    Run,
    StatusChanged,
    Turn,
    Unreachable,
)
from vivavoce.core.clock import Clock
from vivavoce.reports.results import Examined, Problem, Report, SuiteResult, TestResult

SUITES_AT_ONCE = 16
"""Each is a stream, of which a server grants a key a hundred."""
TRANSCRIPTS_AT_ONCE = 8
CANCELS = 5
"""How often one that does not hear that it is cancelled is told so."""
LAST_WORDS_S = 5.0
"""How long it may take to stop what was begun, when this is stopped itself."""
GRACE_S = 5.0
"""How long suites may take to be over when their time is: the server has to say how far their runs came."""
_PAGE = 100

Choice = Callable[[str, str], bool]
"""Whether a test is to be run: the names of its suite and its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A suite to be run. ``document`` is its JSON form; ``lines`` tells in which lines of ``file`` its tests stand, by
    their names. ``pointed`` makes a problem from what the server says of a part of it: message and JSON pointer."""

    document: Mapping[str, Any]
    file: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    pointed: Callable[[str, str], Problem] | None = None

    @property
    def suite(self) -> str:
        """The name of the suite."""
        return str(self.document["suite"])


@dataclass(frozen=True, slots=True)
class Wanted:
    """How suites are run. ``repeats`` stands over what the documents say; ``timeout_s`` is for all of it together.
    ``transcripts`` asks for the conversations of runs that passed, too."""

    chosen: Choice = lambda _suite, _test: True
    repeats: int | None = None
    fail_fast: bool = False
    timeout_s: float | None = None
    transcripts: bool = False


@dataclass(frozen=True, slots=True)
class Began:
    """The runs of a suite wait for a worker; ``tests`` tells how often each test is run, by its name."""

    suite: str
    batch_id: str
    tests: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Moved:
    """A run stands otherwise."""

    suite: str
    test: str
    run_id: str
    status: str
    fault: str | None
    reason: str


Told = Began | Moved
Listener = Callable[[Told], None]


@dataclass(slots=True)
class _Going:
    """What all suites of one running share."""

    client: AsyncClient
    wanted: Wanted
    tell: Listener
    places: asyncio.Semaphore
    given_up_at: float | None
    """When the loop's clock says that no answer is waited for any longer."""
    batches: set[str] = field(default_factory=set[str])
    stopped: str = ""

    async def stop(self, why: str) -> None:
        """Have nothing more begin, and end what goes on."""
        if not self.stopped:
            self.stopped = why
            await self.cancel_all()

    async def cancel_all(self) -> None:
        await asyncio.gather(*map(self.cancel, tuple(self.batches)))

    async def cancel(self, batch_id: str) -> None:
        with contextlib.suppress(ApiError, Unreachable):  # it is over, or there is nobody to tell
            await self.client.cancel_batch(batch_id, reason=self.stopped)
            self.batches.discard(batch_id)


def matching(pattern: str) -> Choice:
    """The tests whose name holds these words, whatever their case; with ``*``, ``?`` or ``[`` in it, the pattern is a
    glob for the whole name. ``suite/test`` is looked at as well as ``test``."""
    wanted = pattern.casefold()
    if any(letter in wanted for letter in "*?["):
        return lambda suite, test: any(fnmatchcase(name, wanted) for name in _names(suite, test))
    return lambda suite, test: any(wanted in name for name in _names(suite, test))


def _names(suite: str, test: str) -> tuple[str, str]:
    return test.casefold(), f"{suite}/{test}".casefold()


async def run_suites(
    client: AsyncClient, plans: Sequence[Plan], wanted: Wanted, clock: Clock, tell: Listener = lambda _told: None
) -> Report:
    """Run these suites at the same time, and tell ``tell`` of what happens meanwhile.

    What the server refuses, or that it cannot be reached, is a problem of the suite. When this is cancelled, or
    ``tell`` raises, it stops what it has begun.
    """
    began, started = clock.now(), clock.ticks()
    limit = wanted.timeout_s
    given_up_at = None if limit is None else asyncio.get_running_loop().time() + limit + GRACE_S
    going = _Going(client, wanted, tell, asyncio.Semaphore(SUITES_AT_ONCE), given_up_at)
    problems: list[Problem] = []
    running = [asyncio.create_task(_run(going, plan)) for plan in plans]
    try:
        async with _limited(going, problems):
            # Not gathered: a library that loses the interruption of a request must not hold up ours.
            over = (await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION))[0] if running else ()
            for one in over:
                one.result()  # raises what one of them raised; the others may not be over then
            suites = [one.result() for one in running]
    finally:
        await _left(going, running)
    at = datetime.fromtimestamp(began / 1000, UTC)
    return Report(tuple(suites), at, clock.ticks() - started, tuple(problems))


async def _left(going: _Going, running: Sequence[asyncio.Task[SuiteResult]]) -> None:
    """End what nobody follows any longer."""
    pending = {one for one in running if not one.done()}
    for _ in range(CANCELS):
        for one in pending:
            one.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=LAST_WORDS_S / CANCELS)
    going.stopped = going.stopped or "whoever ran it stopped"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await going.cancel_all()


@contextlib.asynccontextmanager
async def _limited(going: _Going, problems: list[Problem]) -> AsyncGenerator[None]:
    """End it when its time is over."""
    limit = going.wanted.timeout_s

    async def watch(seconds: float) -> None:
        await asyncio.sleep(seconds)
        why = f"it was not over within {seconds:g} s"
        problems.append(Problem(why))
        await going.stop(why)

    watching = asyncio.create_task(watch(limit)) if limit is not None else None
    try:
        yield
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _run(going: _Going, plan: Plan) -> SuiteResult:
    try:
        async with asyncio.timeout_at(going.given_up_at), going.places:
            return await _whole(going, plan)
    except TimeoutError:
        return SuiteResult(plan.suite, (), plan.file, problem=Problem("the server did not answer in time", plan.file))
    except (ApiError, Unreachable) as failure:
        return SuiteResult(plan.suite, (), plan.file, problem=_problem(plan, failure))


async def _whole(going: _Going, plan: Plan) -> SuiteResult:
    applied = await _apply(going.client, plan)
    chosen = [
        test for test in applied.tests if test.change != "retired" and going.wanted.chosen(applied.suite, test.name)
    ]
    if not chosen or going.stopped:
        return SuiteResult(applied.suite, tuple(_result(plan, test, ()) for test in chosen), plan.file)
    result = await _examine(going, plan, applied, chosen)
    going.batches.discard(result.batch_id or "")
    return result


async def _apply(client: AsyncClient, plan: Plan) -> Applied:
    try:
        return await client.put_suite(plan.document)
    except ApiError as failure:
        if failure.status in (404, 405) and not failure.places:
            raise ApiError(failure.status, f"{failure.message}: the server is older than this command") from failure
        raise


async def _examine(going: _Going, plan: Plan, applied: Applied, chosen: Sequence[AppliedTest]) -> SuiteResult:
    wanted, client = going.wanted, going.client
    repeats = {test.id: wanted.repeats or test.repeats for test in chosen}
    batch = await _start(going, repeats)
    problem: Problem | None = None
    try:
        names = {test.id: test.name for test in chosen}
        going.tell(Began(applied.suite, batch.id, {test.name: repeats[test.id] for test in chosen}))
        if going.stopped:
            await going.cancel(batch.id)
        try:
            await _follow(going, applied.suite, batch.id, names)
        except (ApiError, Unreachable) as failure:
            problem = _problem(plan, failure)
        found = await _collect(client, batch.id, transcripts=wanted.transcripts)
    except (ApiError, Unreachable) as failure:
        return SuiteResult(applied.suite, (), plan.file, batch.id, problem or _problem(plan, failure))
    unfinished = sum(not one.run.over for one in found)
    if unfinished and problem is None:
        problem = Problem(f"{unfinished} runs are not over", plan.file)
    tests = [_result(plan, test, [one for one in found if one.run.test_id == test.id]) for test in chosen]
    return SuiteResult(applied.suite, tuple(tests), plan.file, batch.id, problem)


async def _start(going: _Going, repeats: Mapping[str, int]) -> Batch:
    """A new batch, which is known to those who stop it even where this is cancelled meanwhile."""
    starting = asyncio.ensure_future(going.client.start_batch(tests=repeats))
    starting.add_done_callback(
        lambda done: None if done.cancelled() or done.exception() else going.batches.add(done.result().id)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=LAST_WORDS_S)
        starting.cancel()
        raise


def _problem(plan: Plan, failure: ApiError | Unreachable) -> Problem:
    if isinstance(failure, ApiError) and failure.pointer and plan.pointed:
        return plan.pointed(failure.message, failure.pointer)
    return Problem(str(failure), plan.file)


async def _follow(going: _Going, suite: str, batch_id: str, names: Mapping[str, str]) -> None:
    async with contextlib.aclosing(going.client.follow_batch(batch_id)) as stream:
        async for news in stream:
            if isinstance(news, StatusChanged):
                test = names.get(news.test_id, news.test_id)
                going.tell(Moved(suite, test, news.run_id, news.status, news.fault, news.reason))
                bad = news.status in FINAL - {"passed", "cancelled"}
                if going.wanted.fail_fast and bad:
                    await going.stop("stopped at the first that did not pass")
            elif isinstance(news, BatchEnded | Deleted):
                return


async def _collect(client: AsyncClient, batch_id: str, *, transcripts: bool) -> Sequence[Examined]:
    """The runs of a batch as they came out, in the order in which they were triggered."""
    found: list[Run] = []
    number = 1
    while True:
        page = await client.get_batch_runs(batch_id, page=number, size=_PAGE)
        found += page.items
        if number * _PAGE >= page.total:
            break
        number += 1
    found.sort(key=lambda run: run.id)
    places = asyncio.Semaphore(TRANSCRIPTS_AT_ONCE)

    async def whole(run: Run) -> Examined:
        if run.started_at is None or (run.status == "passed" and not transcripts):
            return Examined(run)
        async with places:
            return Examined(run, await _turns(client, run.id))

    return await asyncio.gather(*map(whole, found))


async def _turns(client: AsyncClient, run_id: str) -> tuple[Turn, ...]:
    try:
        return (await client.get_transcript(run_id)).turns
    except ApiError:
        return ()  # the verdicts are there all the same


def _result(plan: Plan, test: AppliedTest, runs: Sequence[Examined]) -> TestResult:
    return TestResult(test.name, test.id, tuple(runs), plan.file, plan.lines.get(test.name))
