"""Suites of files as tests of pytest."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from vivavoce.clock import SystemClock
from vivavoce.pytest_plugin import stations_of
from vivavoce.reports.results import Report, State, TestResult
from vivavoce.reports.telling import explained, rate, reason
from vivavoce.running.errors import CannotStart
from vivavoce.running.loading import NotLoaded, load
from vivavoce.running.suites import Plan, Wanted, run_suites

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

_rounds = pytest.StashKey[dict[tuple[str, str], TestResult]]()


class NotPassed(Exception):
    """A criterion is unmet, or it could not be decided; the message is for people."""


class CouldNotRun(Exception):
    """There was nothing to be decided."""


class SuiteFile(pytest.File):
    """A file with suites."""

    def collect(self) -> Iterable[pytest.Item]:
        """The tests of its suites."""
        try:
            plans = load([self.path])
        except NotLoaded as failure:
            raise self.CollectError("\n".join(map(str, failure.problems))) from failure
        several = len(plans) > 1
        for plan in plans:
            for test in plan.document["tests"]:
                name = f"{plan.suite}::{test['name']}" if several else test["name"]
                yield SuiteTest.from_parent(self, name=name, plan=plan, test=test["name"])


class SuiteTest(pytest.Item):
    """One test of a suite."""

    def __init__(self, *, plan: Plan, test: str, **given: Any) -> None:
        super().__init__(**given)
        self.plan, self.test = plan, test
        self.result: TestResult | None = None
        self.add_marker("viva")

    def setup(self) -> None:
        """Examine: what cannot be run is an error and no failure, as with a fixture that breaks."""
        super().setup()
        why = ""
        try:
            self.result = self._examined()
        except (CouldNotRun, CannotStart) as failure:
            why = str(failure)
        else:
            why = told(self.result) if self.result.state is State.BROKEN else ""
        if why:
            pytest.fail(why, pytrace=False)

    def runtest(self) -> None:
        """Say what came of it."""
        result = self.result
        assert result is not None
        if result.state is not State.PASSED:
            raise NotPassed(told(result))

    def repr_failure(self, excinfo: "ExceptionInfo[BaseException]", style: Any = None) -> "str | TerminalRepr":
        """What the server said of it, instead of a traceback of this file."""
        if isinstance(excinfo.value, NotPassed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """The place of the test in its file; pytest counts lines from 0."""
        line = self.plan.lines.get(self.test)
        return self.path, None if line is None else line - 1, self.name

    def _examined(self) -> TestResult:
        """The result of this test; the first one of a suite has all of the suite's tests run that this session will
        ask for, because a server examines many at the same time."""
        kept = self.session.stash.setdefault(_rounds, {})
        key = str(self.path), f"{self.plan.suite}\0{self.test}"
        if key not in kept:
            kept |= {(str(self.path), f"{self.plan.suite}\0{name}"): one for name, one in self._round().items()}
        # Once only: a plugin that runs a test again wants it examined again.
        if (found := kept.pop(key, None)) is None:
            raise CouldNotRun(f"the server does not know the test {self.test!r}")
        return found

    def _round(self) -> Mapping[str, TestResult]:
        names = {self.test, *self._others()}
        wanted = Wanted(lambda _suite, test: test in names, self.config.getoption("--viva-repeats"))
        station = stations_of(self.config).get()
        future = station.submit(run_suites(station.client, [self.plan], wanted, SystemClock()))
        try:
            report = future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        _raise_problems(report)
        return {test.name: test for test in report.tests}

    def _others(self) -> Iterator[str]:
        """The tests of the same suite that come after this one. Of several processes nobody knows which runs what."""
        if hasattr(self.config, "workerinput"):
            return
        items = self.session.items
        for item in items[items.index(self) + 1 :] if self in items else ():
            if isinstance(item, SuiteTest) and item.path == self.path and item.plan.suite == self.plan.suite:
                yield item.test


def _raise_problems(report: Report) -> None:
    if report.all_problems:
        raise CouldNotRun("\n".join(map(str, report.all_problems)))


def told(result: TestResult) -> str:
    """Why a test did not pass, for people."""
    why = reason(result.worst) if result.worst else "it was not run"
    lines = [f"{result.state.value}: {why}", rate(result), *(line.text for line in explained(result))]
    return "\n".join(line for line in lines if line)
