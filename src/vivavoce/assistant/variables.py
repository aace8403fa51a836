"""``{{variables}}``: what fills them, which source wins, and how a template is rendered.

The rules are those of section 6.3 of the assistants contract. This is the only file that knows the
Mustache library; it is given one tag at a time, because templates are people's prompts, in which braces can mean
anything and nothing may fail.
"""

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import combustache

from vivavoce.core.event import Millis
from vivavoce.core.scenario import Medium

_TAG = re.compile(r"\{\{\{([^{}]*)\}\}\}|\{\{([^{}]*)\}\}")
_SIGILS = "#^/!>=$<."
_NAME = re.compile(r"[^\s{}\"'|]+")
_DATED = re.compile(r"(?P<name>[^\s{}\"'|]+)\s*\|\s*date:\s*\"(?P<format>[^\"]+)\"(?:\s*,\s*\"(?P<zone>[^\"]+)\")?")
_ZONED = re.compile(r"(?P<prefix>.*?)(?P<what>current_time_of_day|current_time)_(?P<zone>.+)")
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*")
_FORMAT = re.compile(r"(?:[^%]|%-?[dHIjmMSUWyew]|%[aAbBcDfFGpRTuVxXYzZ%])+")

_MOMENT = "%A, %B %d %Y %I:%M:%S %p"
_TIME_OF_DAY = "%I:%M:%S %p"
_UNSET: Any = object()


def system_variables(
    prefix: str,
    *,
    now_ms: Millis,
    medium: Medium,
    agent_target: str | None,
    user_target: str | None,
    conversation_id: str,
) -> dict[str, str]:
    """The variables that every conversation has; a target that is not known has no variable.

    Names with a time zone (``{prefix}current_time_Europe/Paris``) are not listed: ``render`` works them
    out from ``{prefix}current_time`` when they are asked for, so that the result is plain text to store.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    found = {
        "current_time": _in_words(now, _MOMENT),
        "current_date": now.strftime("%B %d %Y"),
        "current_time_of_day": _in_words(now, _TIME_OF_DAY),
        "current_weekday": now.strftime("%A"),
        "current_month": now.strftime("%B"),
        "current_day": now.strftime("%d"),
        "current_year": now.strftime("%Y"),
        "conversation_channel": medium.value,
        "agent_target": agent_target,
        "end_user_target": user_target,
        "conversation_id": conversation_id,
    }
    # Every conversation under way has them, and the names are the same.
    return {sys.intern(prefix + name): value for name, value in found.items() if value is not None}


def merge(*layers: Mapping[str, Any], reserved: str = "") -> dict[str, Any]:
    """One set of variables from several sources; the earlier layer wins.

    The order of the contract: start request, headers, webhook, defaults. Names that start with the
    ``reserved`` prefix belong to the system and are ignored here; empty means that none are reserved.
    """
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged.update(layer)
    return {name: value for name, value in merged.items() if not (reserved and name.startswith(reserved))}


def render(template: str, variables: Mapping[str, Any], *, unset: Literal["keep", "empty"] = "keep") -> str:
    """The template with its variables filled in, once: a value is never read as a template. Never raises.

    A name that is not set stays as it was written, or becomes empty text with ``unset="empty"``. Whatever is not
    a variable (sections, comments, stray braces, JSON) stays as it is. Nothing is escaped; a null is empty text,
    and lists, objects, numbers and truth values are written as JSON.
    """

    def filled(tag: re.Match[str]) -> str:
        inner = (tag[1] if tag[1] is not None else tag[2]).strip()
        if not inner or inner[0] in _SIGILS:
            return tag[0]
        value = _value(inner.removeprefix("&").strip(), tag[0], variables)
        if value is not _UNSET:
            return as_text(value)
        named = _NAME.fullmatch(inner) or _DATED.fullmatch(inner)
        return "" if unset == "empty" and named else tag[0]

    return _TAG.sub(filled, template)


def _value(name: str, tag: str, variables: Mapping[str, Any]) -> Any:
    if name in variables:  # first, since Mustache would read a name with dots as a path
        return variables[name]
    dated = _DATED.fullmatch(name)
    if dated:
        return _dated(dated, variables)
    zoned = _ZONED.fullmatch(name)
    if zoned:
        return _zoned(zoned, variables)
    return _at_path(tag, variables) if "." in name else _UNSET


def _dated(parts: re.Match[str], variables: Mapping[str, Any]) -> Any:
    """``x | date: "format", "zone"`` for an x that is a moment as the system writes it."""
    moment = _moment(variables.get(parts["name"]))
    if moment is None:
        zoned = _ZONED.fullmatch(parts["name"])
        moment = _zoned_moment(zoned, variables) if zoned else None
    zone = _zone(parts["zone"]) if parts["zone"] else None
    if moment is None or (parts["zone"] and zone is None) or not _FORMAT.fullmatch(parts["format"]):
        return _UNSET
    try:
        return (moment.astimezone(zone) if zone else moment).strftime(parts["format"])
    except (ValueError, OverflowError):
        return _UNSET


def _zoned(parts: re.Match[str], variables: Mapping[str, Any]) -> Any:
    """``current_time_<zone>`` and ``current_time_of_day_<zone>``."""
    moment = _zoned_moment(parts, variables)
    if moment is None:
        return _UNSET
    return _in_words(moment, _MOMENT if parts["what"] == "current_time" else _TIME_OF_DAY)


def _zoned_moment(parts: re.Match[str], variables: Mapping[str, Any]) -> datetime | None:
    moment = _moment(variables.get(parts["prefix"] + "current_time"))
    zone = _zone(parts["zone"])
    if moment is None or zone is None:
        return None
    try:
        return moment.astimezone(zone)
    except (ValueError, OverflowError):  # the first and the last day of the calendar
        return None


def _moment(text: Any) -> datetime | None:
    """The moment that the system's own text names, to the second."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.strptime(text, f"{_MOMENT} UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":  # known even where the system has no time zone data
        return UTC
    if not _ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not known; not a zone; a folder of zones
        return None


def _in_words(moment: datetime, form: str) -> str:
    return moment.strftime(f"{form} %Z")


class _Spot:
    """Where a dotted name has led so far. Looking further never fails: the library would go on with the
    attributes of a Python object, which are none of a template's business."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __getitem__(self, key: str) -> "_Spot":
        inside = self.value
        if isinstance(inside, Mapping):
            return _Spot(cast("Mapping[str, Any]", inside).get(key, _UNSET))
        if isinstance(inside, list | tuple) and key.isascii() and key.isdecimal():
            items = cast("list[Any] | tuple[Any, ...]", inside)
            return _Spot(items[int(key)] if len(key) < 10 and int(key) < len(items) else _UNSET)
        return _Spot(_UNSET)


def _at_path(tag: str, variables: Mapping[str, Any]) -> Any:
    found: list[Any] = []

    def note(spot: _Spot) -> str:
        found.append(spot.value)
        return ""

    combustache.render(tag, cast("dict[str, Any]", _Spot(variables)), stringify=note, escape=str)
    return found[0] if found else _UNSET


def as_text(value: Any) -> str:
    """A variable as it stands in a rendered template: null is empty, everything but text is JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
