"""What came of running suites, and the code with which a command that did so ends."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from vivavoce.client.answers import Run, Turn


class State(StrEnum):
    """How a test came out. The order is that of importance: a test with several runs stands as its worst."""

    FAILED = "failed"  # a criterion is unmet
    BROKEN = "could not run"  # something that the examination needs was away
    UNDECIDED = "undecided"  # neither passed nor failed: inconclusive, or one side of the examination went wrong
    SKIPPED = "not examined"  # cancelled
    PASSED = "passed"


class Code(IntEnum):
    """The code with which a command ends that ran suites."""

    PASSED = 0
    FAILED = 1
    BROKEN = 2
    UNDECIDED = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something could not be run at all. ``line`` and ``column`` are counted from 1."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class Examined:
    """A run that is over. ``turns`` is its conversation, and empty where that was not asked for."""

    run: Run
    turns: tuple[Turn, ...] = ()

    @property
    def state(self) -> State:
        """How it came out."""
        return state(self.run.status, self.run.fault)


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test with its runs, of which there are several where it was repeated. ``line`` is where the test stands in its
    file, counted from 1."""

    __test__ = False  # pytest looks for classes with such names

    name: str
    id: str
    runs: tuple[Examined, ...]
    file: str | None = None
    line: int | None = None

    @property
    def worst(self) -> Examined | None:
        """The run that decides how the test stands: the first of the worst. None where it was never run."""
        order = list(State)
        return min(self.runs, key=lambda one: order.index(one.state), default=None)

    @property
    def state(self) -> State:
        """How the test stands: passed where all of its runs are."""
        worst = self.worst
        return worst.state if worst else State.SKIPPED

    @property
    def passed(self) -> int:
        """How many of its runs passed."""
        return sum(one.state is State.PASSED for one in self.runs)

    @property
    def rate(self) -> float:
        """The part of its runs that passed, from 0 to 1."""
        return self.passed / len(self.runs) if self.runs else 0.0

    @property
    def seconds(self) -> float:
        """How long its runs took together."""
        return sum(one.run.seconds or 0.0 for one in self.runs)


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """A suite with its tests. ``problem`` says why it was not run, or not to its end."""

    name: str
    tests: tuple[TestResult, ...]
    file: str | None = None
    batch_id: str | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that came of it. ``problems`` are those that belong to no suite; ``seconds`` is how long it took."""

    suites: tuple[SuiteResult, ...]
    started_at: datetime
    seconds: float
    problems: tuple[Problem, ...] = ()

    @property
    def tests(self) -> tuple[TestResult, ...]:
        """The tests of all suites."""
        return tuple(test for suite in self.suites for test in suite.tests)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """The problems of the suites too."""
        return (*self.problems, *(suite.problem for suite in self.suites if suite.problem))


def state(status: str, fault: str | None) -> State:
    """How a run that is over came out."""
    match status:
        case "passed":
            return State.PASSED
        case "failed":
            return State.FAILED
        case "cancelled":
            return State.SKIPPED
        case _:
            return State.BROKEN if fault == "infrastructure" else State.UNDECIDED


def counted(tests: Iterable[TestResult]) -> Mapping[State, int]:
    """How many tests stand how, worst first; states in which there is none are left out."""
    many = Counter(test.state for test in tests)
    return {state: many[state] for state in State if many[state]}


def code(report: Report) -> Code:
    """The code for the whole: what failed comes before what could not run, and that before what is undecided.

    A failure is a finding, which stays one whatever else went wrong. A test that was not examined is not decided, and
    neither is a report without any test.
    """
    states = {test.state for test in report.tests}
    if State.FAILED in states:
        return Code.FAILED
    if State.BROKEN in states or report.all_problems:
        return Code.BROKEN
    return Code.UNDECIDED if states != {State.PASSED} else Code.PASSED
