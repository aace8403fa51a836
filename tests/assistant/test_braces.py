"""Section 6 of the testing contract: how ``{{variables}}`` are filled in."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scenes import flow, version

from vivavoce.assistant.braces import CALENDAR_DAYS, filled, render, standing
from vivavoce.core.event import Event, HandedOver, Message, Moved, Speaker
from vivavoce.core.flow import PromptNode
from vivavoce.core.transcript import Transcript

PACIFIC = "America/Los_Angeles"
NOW = 1_711_694_764_000
"""Thursday, March 28, 2024, 11:46:04 PM in California."""


def told(template: str, variables: dict[str, Any] | None = None, *, zone: str = PACIFIC, now_ms: int = NOW) -> str:
    return render(template, variables or {}, now_ms=now_ms, zone=zone)


def whole(template: str, variables: dict[str, Any]) -> str | None:
    return filled(template, variables, now_ms=NOW, zone=PACIFIC)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hello {{name}}!", "Hello Ann!"),
        ("{{ name }}{{\tname\n}}", "AnnAnn"),
        ("{name} {{nobody}} {{ nobody }} {{}}", "{name} {{nobody}} {{ nobody }} {{}}"),
        ("[{{empty}}]", "[]"),
        ("{{number}} {{yes}} {{list}} {{nothing}}!", '7 true ["a"] !'),
        ("{{template}}", "{{name}}"),
        ('{"a":{"b":"{{name}}"}}', '{"a":{"b":"Ann"}}'),
        ('{"a":{"b":{{number}}}}', '{"a":{"b":7}}'),
        ("{{{name}}}", "{Ann}"),
        ("{{user name}} {{a.b}}", "both dotted"),
        ("{{unclosed {{name}} and {{name", "{{unclosed Ann and {{name"),
    ],
)
def test_section_6_a_name_is_filled_in_once_and_stays_where_it_is_not_set(template: str, expected: str) -> None:
    variables = {
        "name": "Ann",
        "empty": "",
        "number": 7,
        "yes": True,
        "list": ["a"],
        "nothing": None,
        "template": "{{name}}",
        "user name": "both",
        "a.b": "dotted",
    }
    assert told(template, variables) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{greeting_{{lang}}}}", "Bonjour"),
        ("{{ greeting_{{ lang }} }}", "Bonjour"),
        ("{{{{which}}}}", "Bonjour"),
        ("{{{{a}}_{{lang}}}}", "Bonjour"),
        ("{{greeting_{{nobody}}}}", "{{greeting_{{nobody}}}}"),
        ("{{goodbye_{{lang}}}}", "{{goodbye_{{lang}}}}"),
        ("{{x_{{odd}}}}", "{{x_{{odd}}}}"),
        ("{{x{{greeting_{{lang}}}}}}", "{{xBonjour}}"),
        ("{{x_{{long}}}}", "{{x_{{long}}}}"),
    ],
)
def test_section_6_a_name_may_hold_others_which_come_first(template: str, expected: str) -> None:
    variables = {
        "lang": "fr",
        "greeting_fr": "Bonjour",
        "which": "greeting_fr",
        "a": "greeting",
        "odd": "{{lang}}",
        "long": "x" * 501,
        "x_" + "x" * 501: "too long to be a part of a name",
    }
    assert told(template, variables) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("current_time", "Thursday, March 28, 2024 at 11:46 PM PDT"),
        ("current_time_Australia/Sydney", "Friday, March 29, 2024 at 5:46 PM AEDT"),
        ("current_time_UTC", "Friday, March 29, 2024 at 6:46 AM UTC"),
        ("current_hour", "23.77"),
        ("current_hour_Asia/Kolkata", "12.27"),
        ("current_time_Nowhere", None),
        ("current_time_", None),
        ("current_time_../../etc/passwd", None),
        ("current_times", None),
    ],
)
def test_section_6_the_time_is_told_in_its_zone(name: str, expected: str | None) -> None:
    template = "{{" + name + "}}"
    assert told(template) == (expected or template)
    assert told("{{current_time_{{zone}}}}", {"zone": name.removeprefix("current_time_")}).startswith("{{") is (
        not name.startswith("current_time_") or expected is None
    )


@pytest.mark.parametrize(("hour", "minute", "expected"), [(3, 30, "3.5"), (3, 0, "3"), (0, 0, "0"), (12, 15, "12.25")])
def test_section_6_an_hour_is_a_fraction_as_text(hour: int, minute: int, expected: str) -> None:
    assert told("{{current_hour}}", zone="UTC", now_ms=(hour * 60 + minute) * 60_000) == expected


@pytest.mark.parametrize(("hour", "expected"), [(0, "12:05 AM"), (12, "12:05 PM"), (9, "9:05 AM"), (21, "9:05 PM")])
def test_section_6_noon_and_midnight_are_12(hour: int, expected: str) -> None:
    now = (hour * 60 + 5) * 60_000
    assert told("{{current_time}}", zone="UTC", now_ms=now) == f"Thursday, January 1, 1970 at {expected} UTC"


def test_section_6_the_calendar_has_fourteen_days_one_a_line() -> None:
    lines = told("{{current_calendar}}").split("\n")
    assert len(lines) == CALENDAR_DAYS == 14
    assert lines[:2] == ["Thursday, March 28, 2024 PDT (Today)", "Friday, March 29, 2024 PDT"]
    assert lines[-1] == "Wednesday, April 10, 2024 PDT"
    assert told("{{current_calendar_Asia/Tokyo}}").startswith("Friday, March 29, 2024 JST (Today)\nSaturday")


def test_a_zone_that_is_none_counts_as_utc() -> None:
    assert told("{{current_time}}", zone="Mars/Olympus") == "Friday, March 29, 2024 at 6:46 AM UTC"


def test_section_6_who_sets_a_system_variable_wins() -> None:
    assert (
        told("{{current_time}} {{current_time_UTC}}", {"current_time": "noon", "current_time_UTC": "one"}) == "noon one"
    )


def test_what_is_filled_in_wholly_is_told_apart_from_what_is_not() -> None:
    assert whole("{{a}} {{b}}", {"a": "{{b}} {{}} {{nobody}}", "b": ""}) == "{{b}} {{}} {{nobody}} "
    assert whole("{{a}} {{nobody}}", {"a": "x"}) is None
    assert whole("{{a_{{nobody}}}}", {}) is None
    assert whole("{{current_time_Nowhere}}", {}) is None
    assert whole("no names {at} {{all", {}) == "no names {at} {{all"


PIECES = st.text(alphabet="{} ab_\n", max_size=40)
VALUES = st.dictionaries(st.text(alphabet="ab_ ", max_size=3), st.text(alphabet="{}ab", max_size=6), max_size=5)


@given(PIECES | st.text(max_size=60), VALUES)
def test_nothing_is_an_error_and_a_text_without_names_stays(template: str, variables: dict[str, Any]) -> None:
    text = told(template, variables)
    complete = whole(template, variables)
    assert complete in (None, text)
    if "{{" not in template:
        assert complete == template
    assert told(template, {}) == template or "current_" in template


PARTS = st.lists(st.tuples(st.booleans(), st.text(alphabet="ab_", min_size=1, max_size=2)), max_size=8)


@given(PARTS, VALUES)
def test_a_value_is_never_read_as_a_template(parts: list[tuple[bool, str]], variables: dict[str, Any]) -> None:
    template = "".join(f"{{{{{text}}}}}" if is_name else text for is_name, text in parts)
    expected = "".join(variables.get(text, f"{{{{{text}}}}}") if is_name else text for is_name, text in parts)
    assert told(template, variables) == expected
    assert (whole(template, variables) is None) is any(name and text not in variables for name, text in parts)


@pytest.mark.parametrize(
    "template",
    [
        "{" * 400_000,
        "{{" + "a" * 400_000,
        "{{a" * 150_000,
        "{{" + "{{a}}" * 80_000,
        "{{x{{a}}" * 50_000,
        "{{{{a}}" * 60_000,
        "{{" + "a}" * 200_000,
        "{{x_{{long}}}}" * 30_000,
        "".join(f"{{{{current_time_X{number}}}}}" for number in range(30_000)),
    ],
    ids=["braces", "open", "many open", "run", "nested open", "double", "half closed", "long part", "zones"],
)
def test_a_hostile_template_takes_no_long_time(template: str) -> None:
    variables = {"a": "1", "long": "y" * 1_000_000}
    started = time.perf_counter()
    told(template, variables)
    assert time.perf_counter() - started < 5


def said(at: int) -> Message:
    return Message(Speaker.CALLER, "Hi", at)


def moved(node: str, at: int = 1, edge: str = "e", name: str = "") -> Moved:
    return Moved(node, at, edge, name)


FRONT = version()
FLOWING = version(flow(PromptNode("a", ""), PromptNode("b", "")))


@pytest.mark.parametrize(
    ("lasted_ms", "expected"),
    [
        (0, "0 seconds"),
        (-5, "0 seconds"),
        (1_999, "1 second"),
        (61_000, "1 minute 1 second"),
        (125_000, "2 minutes 5 seconds"),
    ],
)
def test_section_6_a_session_lasts_since_its_first_event(lasted_ms: int, expected: str) -> None:
    assert standing(FRONT, Transcript((said(1_000), said(9_000))), 1_000 + lasted_ms) == {"session_duration": expected}


def test_a_session_that_has_not_begun_lasts_no_time() -> None:
    assert standing(FRONT, Transcript(), NOW) == {"session_duration": "0 seconds"}


@pytest.mark.parametrize(
    ("events", "here", "before"),
    [
        ((), "", ""),
        ((moved("a", edge="", name="Greeting"),), "Greeting", ""),
        ((moved("a", edge=""), moved("b", name="Order")), "Order", "a"),
        ((moved("a", edge=""), moved("b"), moved("b", edge="")), "b", "a"),  # it stayed
        ((moved("a", edge=""), moved("a")), "a", "a"),  # it came back
        ((moved("a", edge=""), moved("b"), HandedOver("other", "v", "Other", 2)), "", ""),
    ],
)
def test_section_6_the_states_are_those_of_now_and_before(events: tuple[Event, ...], here: str, before: str) -> None:
    found = standing(FLOWING, Transcript(events), NOW)
    assert found.get("current_agent_state", "") == here
    assert found.get("previous_agent_state", "") == before
    assert "" not in found.values()


def test_who_has_no_flow_has_no_states() -> None:
    assert "current_agent_state" not in standing(FRONT, Transcript((moved("a"),)), NOW)
