"""``{{variables}}`` by the rules of section 6 of the testing contract.

Whitespace in the braces is trimmed; a name may hold others (``{{current_time_{{zone}}}}``), which are filled in first;
a name that is not set stays as it was written, braces included; a value is never read as a template; all values are
texts. The variables that tell the time are below all others: who sets one of the same name wins.
"""

import re
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any

from vivavoce.assistant.variables import as_text
from vivavoce.core.assistant import Version
from vivavoce.core.event import HandedOver, Millis, Moved
from vivavoce.core.transcript import Transcript

TAG = re.compile(r"\{\{((?:[^{}]++|\{\{[^{}]*+\}\})*+)\}\}")
"""A name in braces, which may hold others. It never goes back over a text, so that none takes long."""

CALENDAR_DAYS = 14
"""How many days ``current_calendar`` lists, today first."""

_INNER = re.compile(r"\{\{([^{}]*+)\}\}")
_CLOCK = re.compile(r"(current_time|current_hour|current_calendar)(?:_(.+))?")
_LONGEST_PART = 500
"""Characters of a value that can be part of a name: each of many names would copy a long one."""


def render(template: str, variables: Mapping[str, Any], *, now_ms: Millis, zone: str) -> str:
    """The template with its variables filled in. Never raises."""
    return _filled(template, variables, now_ms, zone)[0]


def filled(template: str, variables: Mapping[str, Any], *, now_ms: Millis, zone: str) -> str | None:
    """The same, or None where it names something that is not set. Never raises."""
    text, complete = _filled(template, variables, now_ms, zone)
    return text if complete else None


def standing(version: Version, transcript: Transcript, now_ms: Millis) -> dict[str, str]:
    """The variables that follow from how far a conversation has come: how long it lasts, and the nodes it is at and was
    at before, by their names."""
    events = transcript.events
    found = {"session_duration": _lasting(now_ms - events[0].at if events else 0)}
    here, before = _nodes(transcript) if version.flow is not None else ("", "")
    return found | {
        name: value for name, value in (("current_agent_state", here), ("previous_agent_state", before)) if value
    }


def _nodes(transcript: Transcript) -> tuple[str, str]:
    id_, here, before = "", "", ""
    for event in transcript.events:
        if isinstance(event, HandedOver):
            id_, here, before = "", "", ""
        elif isinstance(event, Moved) and (event.edge or event.node != id_):  # otherwise it stayed
            id_, here, before = event.node, event.name or event.node, here
    return here, before


def _lasting(span_ms: int) -> str:
    minutes, seconds = divmod(max(span_ms, 0) // 1000, 60)
    counted = [f"{minutes} minute{'s' * (minutes != 1)}"] if minutes else []
    return " ".join([*counted, f"{seconds} second{'s' * (seconds != 1)}"])


def _filled(template: str, variables: Mapping[str, Any], now_ms: Millis, zone: str) -> tuple[str, bool]:
    complete = True

    def put(tag: re.Match[str]) -> str:
        nonlocal complete
        name = _name(tag[1], variables, now_ms, zone)
        value = None if name is None else _value(name, variables, now_ms, zone)
        complete = complete and value is not None
        return tag[0] if value is None else value

    return TAG.sub(put, template), complete


def _name(written: str, variables: Mapping[str, Any], now_ms: Millis, zone: str) -> str | None:
    """The name that stands in the braces, with those in it filled in; None where one of them is not set."""
    # Odd pieces are names, since the pattern has one group.
    pieces = _INNER.split(written)
    for place in range(1, len(pieces), 2):
        value = _value(pieces[place].strip(), variables, now_ms, zone)
        if value is None or len(value) > _LONGEST_PART:
            return None
        pieces[place] = value
    return "".join(pieces).strip()


def _value(name: str, variables: Mapping[str, Any], now_ms: Millis, zone: str) -> str | None:
    if name in variables:
        return as_text(variables[name])
    asked = _CLOCK.fullmatch(name)
    place = _zone(asked[2]) if asked and asked[2] else _zone(zone) or UTC
    if asked is None or place is None:
        return None
    now = datetime.fromtimestamp(now_ms / 1000, place)
    match asked[1]:
        case "current_time":
            return f"{_day(now)} at {now.hour % 12 or 12}:{now:%M %p %Z}"
        case "current_hour":
            return f"{round(now.hour + now.minute / 60, 2):g}"
        case _:
            days = [f"{_day(now + timedelta(number))} {now + timedelta(number):%Z}" for number in range(CALENDAR_DAYS)]
            return "\n".join([f"{days[0]} (Today)", *days[1:]])


def _day(moment: datetime) -> str:
    return f"{moment:%A, %B} {moment.day}, {moment.year}"


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":  # known even where the system has no time zone data
        return UTC
    return zoneinfo.ZoneInfo(name) if name in _zones() else None


@cache
def _zones() -> frozenset[str]:
    """All that there are. Looked up once, because looking for one that does not exist takes long."""
    return frozenset(zoneinfo.available_timezones())
