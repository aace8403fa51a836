import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.variables import as_text, merge, render, system_variables
from vivavoce.core.scenario import Medium

MONDAY = 1_740_413_055_000  # 2025-02-24 16:04:15 UTC

SYSTEM = system_variables(
    "acme_",
    now_ms=MONDAY,
    medium=Medium.SMS_CHAT,
    agent_target="+15550001",
    user_target="+15550002",
    conversation_id="c-1",
)

NAMES = st.text(st.characters(categories=["Lu", "Ll", "Nd"], include_characters="_-"), min_size=1)
PLAIN = st.text(st.characters(exclude_characters="{}"))
VALUES = st.text() | st.integers() | st.booleans() | st.none()


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {{name}}!", "Hi Ann & Bob!"),
        ("Hi {{ name }}{{\tname\n}}", "Hi Ann & BobAnn & Bob"),
        ("{{{name}}} {{&name}} {{& name }}", "Ann & Bob Ann & Bob Ann & Bob"),
        ("{{unknown}} {{ unknown }} {{{ unknown }}}", "{{unknown}} {{ unknown }} {{{ unknown }}}"),
        ("{{nested}}", "{{name}}"),
        ("{{null}}|{{yes}}|{{count}}|{{price}}", "|true|3|2.5"),
        ("{{user}}", '{"name": "Zoë", "tags": ["a", "b"], "name.first": "Z"}'),
        ("{{user.name}} {{user.tags.1}}", "Zoë b"),
        ("{{user.tags.2}} {{user.tags.-1}} {{user.tags.x}}", "{{user.tags.2}} {{user.tags.-1}} {{user.tags.x}}"),
        ("{{user.nobody.0.x}}", "{{user.nobody.0.x}}"),
        ("{{name.upper}} {{name.__class__}} {{name.0}}", "{{name.upper}} {{name.__class__}} {{name.0}}"),
        ("{{count.real}} {{user.keys}} {{ . }}", "{{count.real}} {{user.keys}} {{ . }}"),
        ("{{a.b}} {{my key}}", "flat spaced"),
        ('{"reply": {"to": "{{name}}"}}', '{"reply": {"to": "Ann & Bob"}}'),
        ('{"who":{{count}}}', '{"who":3}'),
        ("{{#name}}x{{/name}} {{^name}}y{{/name}}", "{{#name}}x{{/name}} {{^name}}y{{/name}}"),
        ("{{#secret}}{{name}}{{/secret}}", "{{#secret}}Ann & Bob{{/secret}}"),
        ("{{!name}} {{>name}} {{=<% %>=}} {{$name}}", "{{!name}} {{>name}} {{=<% %>=}} {{$name}}"),
        ("{{ {{name}}", "{{ Ann & Bob"),
        ("{{name}} }} {{#open}} {{", "Ann & Bob }} {{#open}} {{"),
        ("{{}} {{ }} {{{}}}", "{{}} {{ }} {{{}}}"),
        ("", ""),
    ],
)
def test_rendering(template: str, expected: str) -> None:
    variables = {
        "name": "Ann & Bob",
        "nested": "{{name}}",
        "null": None,
        "yes": True,
        "count": 3,
        "price": 2.5,
        "user": {"name": "Zoë", "tags": ["a", "b"], "name.first": "Z"},
        "a": {"b": "deep"},
        "a.b": "flat",
        "my key": "spaced",
    }
    assert render(template, variables) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {{unknown}}, {{ a.b }}!", "Hi , !"),
        ("{{known}}", "yes"),
        ('{{known | date: "%Y"}}', ""),
        ("{{#unknown}}x{{/unknown}}", "{{#unknown}}x{{/unknown}}"),
        ("{{!note}} {{}} {{ two words }}", "{{!note}} {{}} {{ two words }}"),
    ],
)
def test_rendering_with_what_is_not_set_left_out(template: str, expected: str) -> None:
    assert render(template, {"known": "yes"}, unset="empty") == expected


@given(st.text().filter(lambda text: "{{" not in text), st.dictionaries(NAMES, VALUES))
def test_text_without_tags_is_unchanged(text: str, variables: dict[str, Any]) -> None:
    assert render(text, variables) == text


@given(st.lists(st.tuples(PLAIN, NAMES, st.sampled_from(["", " ", "  "]))), PLAIN, st.data())
def test_every_variable_that_is_set_is_filled_in(
    parts: list[tuple[str, str, str]], end: str, data: st.DataObject
) -> None:
    variables = {name: data.draw(VALUES) for _, name, _ in parts}
    template = "".join(f"{text}{{{{{space}{name}{space}}}}}" for text, name, space in parts) + end
    expected = "".join(text + as_text(variables[name]) for text, name, _ in parts) + end
    assert render(template, variables) == expected
    assert render(template, {}) == template


BITS = ["{{", "}}", "{{{", "}}}", "#", "/", "&", ".", "a", "b", "0", " ", ' | date: "%', '"', "acme_current_time_"]
MESS = st.lists(st.sampled_from(BITS) | st.text(max_size=3)).map("".join)


@given(st.text() | MESS, st.dictionaries(st.sampled_from(["a", "b", "a.b"]), VALUES | st.lists(VALUES)))
def test_any_text_is_rendered(template: str, variables: dict[str, Any]) -> None:
    for unset in ("keep", "empty"):
        assert isinstance(render(template, SYSTEM | variables, unset=unset), str)


def test_system_variables() -> None:
    assert SYSTEM == {
        "acme_current_time": "Monday, February 24 2025 04:04:15 PM UTC",
        "acme_current_date": "February 24 2025",
        "acme_current_time_of_day": "04:04:15 PM UTC",
        "acme_current_weekday": "Monday",
        "acme_current_month": "February",
        "acme_current_day": "24",
        "acme_current_year": "2025",
        "acme_conversation_channel": "sms_chat",
        "acme_agent_target": "+15550001",
        "acme_end_user_target": "+15550002",
        "acme_conversation_id": "c-1",
    }


def test_a_target_that_is_not_known_is_not_set() -> None:
    variables = system_variables(
        "", now_ms=0, medium=Medium.WEB_CHAT, agent_target=None, user_target=None, conversation_id="c"
    )
    assert render("{{agent_target}} {{end_user_target}} {{current_year}}", variables) == (
        "{{agent_target}} {{end_user_target}} 1970"
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{acme_current_time_America/New_York}}", "Monday, February 24 2025 11:04:15 AM EST"),
        ("{{acme_current_time_UTC}}", "Monday, February 24 2025 04:04:15 PM UTC"),
        ("{{ acme_current_time_of_day_Europe/Paris }}", "05:04:15 PM CET"),
        ("{{acme_current_time_Etc/GMT+5}}", "Monday, February 24 2025 11:04:15 AM -05"),
        ("{{acme_current_time_Asia/Tokyo}}", "Tuesday, February 25 2025 01:04:15 AM JST"),
        ('{{ acme_current_time | date: "%Y-%m-%d" }}', "2025-02-24"),
        ('{{acme_current_time|date:"%H:%M"}}', "16:04"),
        ('{{ acme_current_time | date: "%H:%M %Z", "Asia/Tokyo" }}', "01:04 JST"),
        ('{{ acme_current_time | date: "%-d. %B, 100%%" , "UTC" }}', "24. February, 100%"),
        ('{{ acme_current_time_Asia/Tokyo | date: "%H" }}', "01"),
    ],
)
def test_moments(template: str, expected: str) -> None:
    assert render(template, SYSTEM) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{acme_current_time_Mars/Olympus}}",
        "{{acme_current_time_America}}",
        "{{acme_current_time_/etc/passwd}}",
        "{{acme_current_time_../../etc/passwd}}",
        "{{acme_current_time_}}",
        "{{current_time_UTC}}",
        "{{other_current_time_of_day_UTC}}",
        '{{ acme_current_time | date: "%Q" }}',
        '{{ acme_current_time | date: "50%" }}',
        '{{ acme_current_time | date: "" }}',
        "{{ acme_current_time | date }}",
        "{{ acme_current_time | date: '%Y' }}",
        '{{ acme_current_time | date: "%Y", "Mars/Olympus" }}',
        '{{ acme_current_time_Mars/Olympus | date: "%Y" }}',
        '{{ acme_current_time | time: "%Y" }}',
        '{{ acme_current_year | date: "%Y" }}',
        '{{ nobody | date: "%Y" }}',
        '{{ number | date: "%Y" }}',
    ],
)
def test_moments_that_cannot_be_told_stay_as_written(template: str) -> None:
    assert render(template, SYSTEM | {"number": 5}) == template


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_moments_at_the_ends_of_the_calendar(year: str) -> None:
    edge = {
        "current_time": {"0001": "Monday, January 01 0001 12:00:00 AM UTC"}.get(
            year, "Friday, December 31 9999 11:59:59 PM UTC"
        )
    }
    zone = "America/New_York" if year == "0001" else "Asia/Tokyo"
    for template in (f"{{{{current_time_{zone}}}}}", f'{{{{current_time | date: "%Y", "{zone}"}}}}'):
        assert render(template, edge) == template


@given(st.text(st.characters(exclude_characters='{}"')), st.text(st.characters(exclude_characters='{}"')))
def test_any_format_and_zone_is_told_or_left(form: str, zone: str) -> None:
    template = f'{{{{ acme_current_time | date: "{form}", "{zone}" }}}}'
    assert isinstance(render(template, SYSTEM), str)


def test_the_variables_of_the_system_can_be_stored_and_read_back() -> None:
    stored = json.loads(json.dumps(SYSTEM))
    assert render("{{acme_current_time_of_day_Europe/Paris}}", stored) == "05:04:15 PM CET"


LAYERS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "acme_c", "acme_"]), st.integers()), max_size=4)


@given(LAYERS)
def test_the_earlier_layer_wins(layers: list[dict[str, int]]) -> None:
    merged = merge(*layers)
    assert merged.keys() == {name for layer in layers for name in layer}
    for name, value in merged.items():
        assert value == next(layer[name] for layer in layers if name in layer)


@given(LAYERS)
def test_reserved_names_are_ignored(layers: list[dict[str, int]]) -> None:
    merged = merge(*layers, reserved="acme_")
    everything: Mapping[str, Any] = merge(*layers)
    assert merged == {name: value for name, value in everything.items() if name in ("a", "b")}
