"""Results of suites, made up."""

from datetime import UTC, datetime, timedelta

from vivavoce.client import Quote, Run, Turn, Usage, Verdict
from vivavoce.reports.results import Examined, Problem, Report, SuiteResult, TestResult

BEGAN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
TURNS = (
    Turn(0, "message", BEGAN, 0, "caller", "Where is my order?"),
    Turn(1, "tool_called", BEGAN, 5, name="lookup_order", call_id="c", arguments={"number": "A-1"}),
    Turn(2, "tool_returned", BEGAN, 7, name="lookup_order", call_id="c", output="{}", ok=False, mocked=True),
    Turn(3, "message", BEGAN, 9, "assistant", "It comes on Friday."),
    Turn(4, "left", BEGAN, 0, "caller", ending="goodbye"),
)
FAULTS = {"failed": "assistant", "error": "judge", "cancelled": "nobody"}


def a_run(
    status: str = "passed",
    *,
    fault: str | None = None,
    reason: str = "",
    verdicts: tuple[Verdict, ...] = (),
    seconds: float = 1.5,
    id_: str = "r1",
) -> Run:
    return Run(
        id_,
        "t1",
        status,
        "c1",
        BEGAN,
        fault=fault or FAULTS.get(status),
        reason=reason,
        ending="goodbye",
        verdicts=verdicts,
        usage=Usage(10, 2),
        talked_seconds=0.5,
        started_at=BEGAN,
        completed_at=BEGAN + timedelta(seconds=seconds),
    )


UNMET = Verdict("asks for the number", "unmet", "It never asked.", "judge", Quote(3, "on Friday"))
MET = Verdict("is polite", "met", "It was.", "judge")


def failing(name: str = "Order", *, verdict: Verdict = UNMET, reason: str = "unmet: asks for the number") -> TestResult:
    run = a_run("failed", reason=reason, verdicts=(MET, verdict))
    return TestResult(name, "t1", (Examined(run, TURNS),), "desk.viva.yaml", 7)


def a_test(*statuses: str, name: str = "Order", fault: str | None = None) -> TestResult:
    runs = tuple(Examined(a_run(status, fault=fault, reason=f"{status}!")) for status in statuses)
    return TestResult(name, "t1", runs, "desk.viva.yaml", 7)


def a_report(*tests: TestResult, problem: Problem | None = None, suite: str = "desk") -> Report:
    return Report((SuiteResult(suite, tests, "desk.viva.yaml", "b1", problem),), BEGAN, 4.2)
