"""JUnit XML, held to the schema that CI servers read it by."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.results import BEGAN, UNMET, a_report, a_test, failing

from vivavoce.reports.junit import junit
from vivavoce.reports.results import Problem, Report

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))


def read(report: Report) -> Xml.Element:
    text = junit(report)
    SCHEMA.validate(text)
    return Xml.fromstring(text.encode())


def test_each_test_is_a_case() -> None:
    broken = a_test("error", name="Away", fault="infrastructure")
    tests = (a_test("passed", name="Fine"), failing(), a_test("error", name="Odd"), broken, a_test("cancelled"))
    root = read(a_report(*tests))
    suite = root[0]
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "file")} == {
        "name": "desk",
        "tests": "5",
        "failures": "1",
        "errors": "2",
        "skipped": "1",
        "file": "desk.viva.yaml",
    }
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "1", "2")
    assert suite.get("timestamp") == "2026-11-22T07:00:00"
    assert [[found.tag for found in case] for case in suite] == [[], ["failure"], ["error"], ["error"], ["skipped"]]
    failure = suite[1][0]
    assert failure.get("message") == "asks for the number: unmet. It never asked."
    assert failure.text is not None
    assert "“on Friday” (turn 3)" in failure.text
    assert "[3] assistant: It comes on Friday." in failure.text
    assert [suite[place][0].get("type") for place in (2, 3, 4)] == ["undecided", "could not run", "not examined"]


def test_repeats_tell_how_many_passed() -> None:
    (case,) = read(a_report(a_test("passed", "failed", "passed")))[0]
    assert case.findtext("system-out") == "2 of 3 runs passed (67 %)"
    assert case.get("time") == "4.500"


def test_what_could_not_be_run_is_there_too() -> None:
    report = replace(a_report(problem=Problem("refused", "desk.viva.yaml", 3)), problems=(Problem("no such file"),))
    root = read(report)
    assert [suite.get("errors") for suite in root] == ["1", "1"]
    assert [suite[0][0].get("message") for suite in root] == ["desk.viva.yaml:3: refused", "no such file"]


def test_nothing_is_a_report() -> None:
    assert len(read(Report((), BEGAN, 0.0))) == 0


@settings(max_examples=40)
@given(st.text(), st.text(min_size=1))
def test_any_text_can_be_carried(said: str, name: str) -> None:
    verdict = replace(UNMET, reason=said, criterion=name)
    read(a_report(failing(name, verdict=verdict), problem=Problem(said), suite=name))


@pytest.mark.parametrize(
    "wrong",
    ["<testsuites/>", junit(a_report(a_test("failed"))).replace("failure>", "oops>").replace("<failure ", "<oops ")],
)
def test_the_schema_notices(wrong: str) -> None:
    assert not SCHEMA.is_valid(wrong)
