from datetime import UTC, datetime

import pytest

from vivavoce.agents import telling
from vivavoce.client.answers import Batch, Named, Quote, Run, Turn, Verdict

AT = datetime(2027, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("turn", "line"),
    [
        (Turn(0, "message", speaker="caller", text="Hello"), "[0] caller: Hello"),
        (Turn(1, "message", speaker="assistant", text="Hi", took_ms=1250), "[1] assistant: Hi (1.2 s)"),
        (Turn(2, "tool_called", name="find", arguments={"n": 7}), "[2] assistant calls find(n=7)"),
        (Turn(3, "tool_returned", name="find", output="{}", ok=False), "[3] find failed: {}"),
        (Turn(4, "tool_returned", name="find", output="{}", mocked=True), "[4] find returned, mocked: {}"),
        (Turn(5, "moved", node="n1", name="Refund"), "[5] assistant moves to Refund"),
        (Turn(6, "moved", node="n1"), "[6] assistant moves to n1"),
        (Turn(7, "handed_over", name="Desk"), "[7] the conversation is handed over to Desk"),
        (Turn(8, "recalled", passages=("a", "b")), "[8] assistant is shown 2 passages of documents"),
        (Turn(9, "left", ending="hangup"), "[9] the end: hangup"),
        (Turn(9, "left", ending="goodbye", reason="done"), "[9] the end: goodbye, done"),
        (Turn(10, "something new"), "[10] something new"),
    ],
)
def test_a_conversation_is_told_in_lines(turn: Turn, line: str) -> None:
    assert telling.line(turn) == line


def test_what_a_tool_answered_at_length_is_cut() -> None:
    told = telling.line(Turn(0, "tool_returned", name="find", output="x" * 5_000))
    assert told.endswith("x… (5000 characters in all)")
    assert len(told) < 4_100


def a_run(id_: str, status: str, *decisions: str) -> Run:
    verdicts = tuple(Verdict(one, one, "why", "judge", Quote(3, "words")) for one in decisions)
    return Run(id_, "t", status, "c", AT, test=Named("t", "the test"), reason="so", verdicts=verdicts)


def test_of_a_batch_only_what_did_not_pass_is_told() -> None:
    batch = Batch("b", 4, {"passed": 1, "failed": 1, "error": 0, "running": 2}, False, AT)
    runs = [a_run("r1", "passed", "met"), a_run("r2", "failed", "met", "unmet"), a_run("r3", "running")]
    told = telling.batch(batch, runs)
    assert told == {
        "batch_id": "b",
        "over": False,
        "total": 4,
        "counts": {"passed": 1, "failed": 1, "running": 2},
        "not_passed": [
            {
                "run_id": "r2",
                "test": "the test",
                "status": "failed",
                "reason": "so",
                "criteria": [
                    {
                        "criterion": "unmet",
                        "decision": "unmet",
                        "reason": "why",
                        "evidence": {"turn": 3, "text": "words"},
                    }
                ],
            }
        ],
    }


def test_of_very_many_only_some_are_told() -> None:
    runs = [a_run(f"r{place}", "error") for place in range(telling.MOST_TOLD + 7)]
    told = telling.batch(Batch("b", len(runs), {"error": len(runs)}, True, AT), runs)
    assert (len(told["not_passed"]), told["more_not_passed"]) == (telling.MOST_TOLD, 7)
