"""The fixture ``viva``: examine a function, an address or an assistant from within a test."""

import asyncio
import contextlib
import contextvars
import inspect
import queue
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any

from vivavoce.client import Run, Turn, Verdict
from vivavoce.clock import SystemClock
from vivavoce.pytest_plugin.calling import Target, answer, arguments
from vivavoce.pytest_plugin.items import CouldNotRun, told
from vivavoce.pytest_plugin.station import Station, Stations
from vivavoce.reports.results import Report, State, TestResult
from vivavoce.running.desk import Answer, Heard, Responder
from vivavoce.running.suites import Plan, Wanted, run_suites

SUITE = "pytest"
"""The suite in which a server keeps these tests."""
_LONGEST = 1000
Criteria = Sequence[str | Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of it. ``result`` holds its runs, of which there are several where it was repeated."""

    # What pytest shows of a failed assertion should not be all of it: ``report`` is for that.
    result: TestResult = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every criterion is met, in every run."""
        return self.result.state is State.PASSED

    @property
    def run(self) -> Run:
        """The run: of several the first of the worst."""
        assert self.result.worst is not None
        return self.result.worst.run

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation of that run."""
        assert self.result.worst is not None
        return self.result.worst.turns

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What was decided of each criterion in that run."""
        return self.run.verdicts

    @property
    def report(self) -> str:
        """Why it did not pass, for people: ``assert examination.passed, examination.report``."""
        return told(self.result)


@dataclass(frozen=True, slots=True)
class Viva:
    """Examines from within one test, whose name the examinations have."""

    _stations: Stations = field(repr=False)
    _name: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    async def examine(
        self,
        target: Target | str | Mapping[str, Any],
        *,
        scenario: str | None = None,
        criteria: Criteria = (),
        checks: Criteria = (),
        persona: str | None = None,
        turns: Sequence[str | Mapping[str, Any]] = (),
        variables: Mapping[str, Any] | None = None,
        repeats: int = 1,
        **more: Any,
    ) -> Examination:
        """Have a simulated caller talk to ``target``, and a judge decide each criterion.

        ``target`` is a function (``calling.arguments`` tells what it is given), a URL, the name of an assistant of the
        server, or an assistant as a document. What ``more`` there can be stands in docs/reference/files.md: ``mocks``,
        ``turn_limit``, ``max_duration_seconds``, ``tester_model`` …

        Raises ``CouldNotRun`` where something that it needs is away or refused, and what the function raised.
        """
        __tracebackhide__ = True
        document = self._document(scenario, criteria, checks, persona, turns, variables, repeats, more)
        loop = asyncio.get_running_loop()
        # A server that has to be started first must not hold up the loop of the tests.
        station = await asyncio.to_thread(self._stations.get)
        if not callable(target):
            future = station.submit(_examine(station, {**document, **_aim(target)}))
            return _examination(await asyncio.wrap_future(future), ())
        context = contextvars.copy_context()

        def call(work: Callable[[], Any]) -> object:
            value = context.copy().run(work)
            return asyncio.run_coroutine_threadsafe(_of(value), loop).result() if inspect.isawaitable(value) else value

        with _serving(station, target, call) as (address, failures):
            future = station.submit(_examine(station, {**document, "destination": address}))
            found = await asyncio.wrap_future(future)
        return _examination(found, failures)

    def examine_sync(self, target: Target | str | Mapping[str, Any], **given: Any) -> Examination:
        """The same in a test that is no coroutine. A function is called in the thread of the test; one that is a
        coroutine in an event loop of its own, which is the same for the whole examination."""
        __tracebackhide__ = True
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            raise CouldNotRun("an event loop runs in this thread: await viva.examine instead")
        station = self._stations.get()
        document = self._document(**{**_DEFAULTS, **_split(given)})
        calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[object]] | None] = queue.SimpleQueue()

        def call(work: Callable[[], Any]) -> object:
            waiting: Future[object] = Future()
            calls.put((work, waiting))
            return waiting.result()

        with contextlib.ExitStack() as stack:
            failures: list[BaseException] = []
            aim = {} if callable(target) else _aim(target)
            if callable(target):
                address, failures = stack.enter_context(_serving(station, target, call))
                aim = {"destination": address}
            runner = stack.enter_context(contextlib.closing(_Runner()))
            future = station.submit(_examine(station, {**document, **aim}))
            future.add_done_callback(lambda _done: calls.put(None))
            try:
                while (asked := calls.get()) is not None:
                    _fulfil(*asked, runner)
                found = future.result()
            except KeyboardInterrupt:
                future.cancel()
                raise
        return _examination(found, failures)

    def _document(
        self,
        scenario: str | None,
        criteria: Criteria,
        checks: Criteria,
        persona: str | None,
        turns: Sequence[str | Mapping[str, Any]],
        variables: Mapping[str, Any] | None,
        repeats: int,
        more: Mapping[str, Any],
    ) -> dict[str, Any]:
        said = list(turns)
        if said and scenario is None and said[-1] != "hang_up" and "free" not in said:
            said.append("hang_up")  # nobody has told the caller what else to say
        number = next(self._numbers)
        name = self._name[-_LONGEST + 10 :] + (f" #{number}" if number > 1 else "")
        given = {
            "scenario": scenario,
            "criteria": list(criteria),
            "checks": list(checks),
            "persona": persona,
            "turns": said,
            "variables": dict(variables or {}),
            "repeats": repeats,
            **more,
        }
        return {"name": name, **{key: value for key, value in given.items() if value not in (None, [], {})}}


_DEFAULTS: Mapping[str, Any] = {
    "scenario": None,
    "criteria": (),
    "checks": (),
    "persona": None,
    "turns": (),
    "variables": None,
    "repeats": 1,
}


def _split(given: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in given.items() if name in _DEFAULTS}
    return {**known, "more": {name: value for name, value in given.items() if name not in _DEFAULTS}}


def _aim(target: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(target, str):
        return {"destination": target} if target.startswith(("http://", "https://")) else {"assistant": target}
    return {"assistant": dict(target)}


async def _examine(station: Station, test: Mapping[str, Any]) -> Report:
    plan = Plan({"suite": SUITE, "tests": [test]})
    wanted = Wanted(lambda _suite, name: name == test["name"], transcripts=True)
    return await run_suites(station.client, [plan], wanted, SystemClock())


def _examination(report: Report, failures: Sequence[BaseException]) -> Examination:
    """What came of it, unless the function raised something: that is what the test is about then, and not what became
    of the run."""
    __tracebackhide__ = True
    if failures:
        raise failures[0].with_traceback(_own(failures[0].__traceback__))
    if report.all_problems:
        raise CouldNotRun("\n".join(map(str, report.all_problems)))
    (result,) = report.tests
    if result.state is State.BROKEN:
        raise CouldNotRun(told(result))
    return Examination(result)


@contextlib.contextmanager
def _serving(
    station: Station, target: Target, call: Callable[[Callable[[], Any]], object]
) -> Generator[tuple[str, list[BaseException]]]:
    """The address at which the function is reached, and what it raises while it is."""
    failures: list[BaseException] = []
    made = arguments(target)

    def respond(heard: Heard) -> Answer:
        positional, named = made(heard)
        try:
            return answer(call(partial(target, *positional, **named)))
        except BaseException as failure:
            failures.append(failure)
            raise

    responder: Responder = respond
    with station.desk.serving(responder) as address:
        yield address, failures


class _Runner:
    """An event loop for functions that are coroutines, made when the first one is."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def do(self, value: object) -> object:
        """What it comes to."""
        if not inspect.isawaitable(value):
            return value
        self._runner = self._runner or asyncio.Runner()
        return self._runner.run(_of(value))

    def close(self) -> None:
        """End the loop."""
        if self._runner is not None:
            self._runner.close()


def _fulfil(work: Callable[[], Any], waiting: Future[object], runner: _Runner) -> None:
    try:
        waiting.set_result(runner.do(work()))
    except KeyboardInterrupt as failure:
        waiting.set_exception(failure)
        raise
    except BaseException as failure:  # noqa: BLE001  # a failing assertion of the test, too, is told where it waits
        waiting.set_exception(failure)


def _own(traceback: TracebackType | None) -> TracebackType | None:
    """The part of it that is the function's own; what called it is nobody's interest."""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in {"asyncio", "concurrent", __name__.partition(".")[0]}:
            return traceback
        traceback = traceback.tb_next
    return None


async def _of(value: Any) -> object:
    return await value
