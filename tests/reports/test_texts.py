"""What people and runners read: words, Markdown, annotations, JSON."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.results import MET, TURNS, UNMET, a_report, a_test, failing

from vivavoce.client import Turn
from vivavoce.reports import markdown as markdown_module
from vivavoce.reports.annotations import annotations, command, stopped
from vivavoce.reports.document import document, turn
from vivavoce.reports.markdown import escaped, markdown
from vivavoce.reports.results import Problem, TestResult
from vivavoce.reports.telling import clean, explained, one_line, seconds, summary, tail
from vivavoce.reports.telling import turn as told


def words(test: TestResult) -> list[str]:
    return [line.text for line in explained(test)]


def test_a_failure_is_explained_by_what_is_unmet_and_where_it_is_seen() -> None:
    assert words(failing()) == [
        "asks for the number: unmet. It never asked.",
        "  “on Friday” (turn 3)",
        "the fault of the assistant",
        "[0] caller: Where is my order?",
        '[1] tool: lookup_order was called with {"number": "A-1"}',
        "[2] tool: lookup_order failed (mocked): {}",
        "[3] assistant: It comes on Friday.",
        "[4] end: goodbye",
        "run r1",
    ]
    assert words(a_test("passed")) == []
    assert words(a_test()) == []


def test_an_error_tells_its_reason_and_what_broke_off_before() -> None:
    test = a_test("error", fault="infrastructure")
    run = replace(test.runs[0].run, setbacks=("no answer in time",))
    broken = replace(test, runs=(replace(test.runs[0], run=run),))
    assert words(broken) == [
        "error!",
        "the fault of the infrastructure",
        "an earlier attempt: no answer in time",
        "run r1",
    ]


def test_a_long_conversation_shows_its_end() -> None:
    turns = [Turn(place, "message", speaker="caller", text=f"{place}") for place in range(20)]
    lines = list(tail(turns, 3))
    assert lines == ["… 17 turns before", "[17] caller: 17", "[18] caller: 18", "[19] caller: 19"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Turn(0, "message", speaker="assistant"), ("assistant", "(silence)")),
        (Turn(0, "moved", name="Billing", node="n"), ("flow", "stands at Billing")),
        (Turn(0, "handed_over", name="Sales"), ("flow", "Sales speaks from here on")),
        (Turn(0, "recalled", passages=("a", "b")), ("documents", "2 passages shown to the model")),
        (Turn(0, "left", ending="loop", reason="thrice"), ("end", "loop: thrice")),
        (Turn(0, "sang", text="la"), ("sang", "la")),
    ],
)
def test_what_happens_has_words(given: Turn, expected: tuple[str, str]) -> None:
    assert told(given) == expected


@given(st.text())
def test_cleaned_text_steers_nothing(text: str) -> None:
    found = clean(text)
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in found)
    assert "\x1b" not in found
    found.encode()
    assert "\n" not in one_line(text)


def test_times_and_sums_are_words() -> None:
    assert (seconds(4.24), seconds(125.9)) == ("4.2 s", "2 min 5 s")
    report = a_report(a_test("passed"), a_test("passed"), failing())
    assert summary(report) == "3 tests: 1 failed, 2 passed in 4.2 s"
    assert summary(a_report()) == "0 tests in 4.2 s"


def test_markdown_has_a_table_and_the_evidence() -> None:
    text = markdown(a_report(failing("Order | 1"), a_test("passed", "passed"), problem=Problem("<b>odd</b>")))
    assert "| ❌ | Order \\| 1 | failed: unmet: asks for the number | 1.5 s |" in text
    assert "| ✅ | Order | passed · 2 of 2 runs passed \\(100 %\\) | 3.0 s |" in text
    assert "- **asks for the number**: unmet. It never asked." in text
    assert "  > “on Friday” \\(turn 3\\)" in text
    assert "```text\n[0] caller: Where is my order?" in text
    assert "\\<b\\>odd\\</b\\>" in text


def test_markdown_in_a_conversation_stays_in_it() -> None:
    turns = (Turn(0, "message", speaker="caller", text="````\n</details>"),)
    test = failing()
    text = markdown(a_report(replace(test, runs=(replace(test.runs[0], turns=turns),))))
    assert "\n`````text\n[0] caller: ```` </details>\n`````\n" in text


@given(st.text(alphabet="|`*_[]<>\\a\n!@#"))
def test_escaped_text_is_on_one_line_and_begins_nothing(text: str) -> None:
    found = escaped(text)
    assert "\n" not in found
    bare = found.replace("\\\\", "")
    assert all(place and bare[place - 1] == "\\" for place, letter in enumerate(bare) if letter in "|`*_[]<>!@#")


def test_too_long_a_summary_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown_module, "MOST", 500)
    text = markdown(a_report(*(failing(f"Tést {number}") for number in range(20))))
    assert len(text.encode()) <= 500
    assert text.endswith("… the rest is left out: the report is too long.\n")


def test_annotations_stand_at_the_test() -> None:
    report = a_report(failing("50%, or so"), a_test("error"), a_test("passed"), a_test(), problem=Problem("odd\nly"))
    assert list(annotations(report, lambda file: f"tests/{file}")) == [
        "::error::odd%0Aly",
        "::error file=tests/desk.viva.yaml,line=7,title=desk%3A 50%25%2C or so (failed)"
        "::asks for the number: unmet. It never asked.",
        "::warning file=tests/desk.viva.yaml,line=7,title=desk%3A Order (undecided)::error!",
        "::notice file=tests/desk.viva.yaml,line=7,title=desk%3A Order (not examined)::It was not run.",
    ]


@given(st.text(), st.text())
def test_a_command_is_one_line_whatever_it_says(message: str, title: str) -> None:
    line = command("error", message, title=title)
    assert "\n" not in line
    assert "\r" not in line
    assert line.split("::")[1].count(",") == 0


def test_commands_are_stopped_by_a_token_only() -> None:
    assert stopped("ab-1") == ("::stop-commands::ab-1", "::ab-1::")
    with pytest.raises(ValueError, match="letters"):
        stopped("a::b")


def test_the_document_holds_everything() -> None:
    report = a_report(failing(), a_test("passed", "failed"), problem=Problem("odd", "f", 1, 2))
    found = json.loads(json.dumps(document(report)))
    assert {key: found[key] for key in ("format", "version", "result", "exit_code", "started_at", "counts")} == {
        "format": "vivavoce-report",
        "version": 1,
        "result": "failed",
        "exit_code": 1,
        "started_at": "2026-11-22T07:00:00.000Z",
        "counts": {"failed": 2},
    }
    assert found["problems"] == [{"message": "odd", "file": "f", "line": 1, "column": 2}]
    first, second = found["suites"][0]["tests"]
    assert (first["line"], first["runs"][0]["verdicts"][1]["quote"]) == (7, {"turn": 3, "text": "on Friday"})
    assert [one["kind"] for one in first["runs"][0]["transcript"]] == [one.kind for one in TURNS]
    assert (second["passed"], second["total"], second["pass_rate"]) == (1, 2, 0.5)
    assert first["runs"][0]["verdicts"][0]["criterion"] == MET.criterion
    assert UNMET.reason in json.dumps(found)


def test_a_turn_holds_what_belongs_to_its_kind() -> None:
    assert turn(Turn(1, "moved", name="Billing", node="n")) == {
        "turn": 1,
        "kind": "moved",
        "took_ms": 0,
        "name": "Billing",
        "node": "n",
    }
