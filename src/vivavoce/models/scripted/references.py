"""References in a script's words and arguments: ``$1``, ``${order.eta}``, ``$$``."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Matched:
    """What made a rule fire: the whole and the groups of what was heard or answered, and data to look paths up in."""

    groups: tuple[str | None, ...] = ()
    data: tuple[object, ...] = ()


_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<group>[0-9]{1,3})|\{(?P<path>[^{}$]{1,200})\})")


class _Nothing:
    """There is nothing of this name."""


def fill(text: str, matched: Matched) -> str:
    """The text with its references replaced. One that refers to nothing stays as it is, for a person to notice.

    ``$0`` is all that matched or all that a tool answered, ``$1`` a group of the pattern; ``${order.items.0}`` is
    looked up in each of the data in turn, and what is no string is written as JSON; ``$$`` is a dollar sign.
    """

    def written(reference: re.Match[str]) -> str:
        found = _referred(reference, matched)
        if isinstance(found, str):
            return found
        try:
            return reference[0] if isinstance(found, _Nothing) else json.dumps(found, ensure_ascii=False)
        except RecursionError:  # a tool may answer anything
            return reference[0]

    return _REFERENCE.sub(written, text)


def fill_all(data: Mapping[str, Any], matched: Matched) -> dict[str, Any]:
    """The arguments with the references in their strings replaced. A string that is one reference keeps its type."""
    return {key: _filled(value, matched) for key, value in data.items()}


def _filled(value: object, matched: Matched) -> object:
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        found = _referred(whole, matched) if whole else _Nothing()
        return fill(value, matched) if isinstance(found, _Nothing) else found
    if isinstance(value, Mapping):
        return fill_all(cast("Mapping[str, Any]", value), matched)
    if isinstance(value, list):
        return [_filled(item, matched) for item in cast("list[object]", value)]
    return value


def _referred(reference: re.Match[str], matched: Matched) -> object:
    if reference["dollar"]:
        return "$"
    if reference["group"]:
        group = int(reference["group"])
        return (matched.groups[group] or "") if group < len(matched.groups) else _Nothing()
    for data in matched.data:
        found = _looked_up(data, reference["path"].strip())
        if not isinstance(found, _Nothing):
            return found
    return _Nothing()


def _looked_up(data: object, path: str) -> object:
    value = data
    for key in path.split("."):
        if isinstance(value, Mapping):
            value = cast("Mapping[str, object]", value).get(key, _Nothing())
        elif isinstance(value, list) and key.isdecimal() and len(key) < 7:
            items = cast("Sequence[object]", value)
            value = items[int(key)] if int(key) < len(items) else _Nothing()
        else:
            return _Nothing()
    return value
