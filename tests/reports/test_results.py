"""How a test stands, and the code for the whole."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.results import a_report, a_test

from vivavoce.client import FINAL
from vivavoce.reports.results import Code, Problem, State, TestResult, code, counted

BROKEN = a_test("error", fault="infrastructure")
STATUSES = st.sampled_from(sorted(FINAL))


@pytest.mark.parametrize(
    ("test", "state"),
    [
        (a_test("passed"), State.PASSED),
        (a_test("failed"), State.FAILED),
        (a_test("error"), State.UNDECIDED),
        (a_test("error", fault="tester"), State.UNDECIDED),
        (a_test("error", fault="assistant"), State.UNDECIDED),
        (BROKEN, State.BROKEN),
        (a_test("cancelled"), State.SKIPPED),
        (a_test(), State.SKIPPED),
    ],
)
def test_how_a_run_makes_its_test_stand(test: TestResult, state: State) -> None:
    assert test.state is state


@given(st.lists(STATUSES, min_size=1, max_size=6))
def test_a_repeated_test_passes_where_all_of_its_runs_do(statuses: list[str]) -> None:
    test = a_test(*statuses)
    assert (test.state is State.PASSED) == (set(statuses) == {"passed"})
    assert (test.state is State.FAILED) == ("failed" in statuses)
    assert test.passed == statuses.count("passed") == round(test.rate * len(statuses))
    assert test.worst is not None
    assert test.worst.state is test.state
    assert test.seconds == 1.5 * len(statuses)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([a_test("passed"), a_test("passed")], Code.PASSED),
        ([a_test("passed"), a_test("error")], Code.UNDECIDED),
        ([a_test("error"), BROKEN], Code.BROKEN),
        ([BROKEN, a_test("failed"), a_test("error")], Code.FAILED),
        ([a_test("passed"), a_test("cancelled")], Code.UNDECIDED),
        ([], Code.UNDECIDED),
    ],
)
def test_failed_before_could_not_run_before_undecided(tests: list[TestResult], expected: Code) -> None:
    assert code(a_report(*tests)) is expected
    # A problem weighs as much as a test that could not run.
    worse = Code.FAILED if expected is Code.FAILED else Code.BROKEN
    assert code(a_report(*tests, problem=Problem("away"))) is worse
    assert code(replace(a_report(*tests), problems=(Problem("away"),))) is worse


@given(st.lists(st.lists(STATUSES, max_size=3), max_size=5))
def test_the_code_says_0_only_where_everything_passed(all_statuses: list[list[str]]) -> None:
    report = a_report(*(a_test(*statuses) for statuses in all_statuses))
    everything = bool(report.tests) and all(test.state is State.PASSED for test in report.tests)
    assert (code(report) is Code.PASSED) == everything
    assert sum(counted(report.tests).values()) == len(all_statuses)


def test_a_problem_says_where_it_is() -> None:
    assert str(Problem("odd", "a.yaml", 3, 5)) == "a.yaml:3:5: odd"
    assert str(Problem("odd", "a.yaml")) == "a.yaml: odd"
    assert str(Problem("odd")) == "odd"
