"""What differs between two versions of an assistant, field by field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from vivavoce.core.assistant import Version
from vivavoce.storage.codec import version_codec

_OWN = frozenset({"id", "assistant_id", "created_at", "changed_at", "number", "published", "base", "library"})
"""What no two versions have in common, and what is looked up when a version is run."""
_NAMES = ("name", "id", "identifier")
"""By what the items of a list are told apart, where each of them has one of its own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs. ``path`` is such as ``mind.model`` or ``tools[lookup].timeout_ms``; a side that does not
    have the field is None, as is one whose value is null."""

    path: str
    left: Any
    right: Any


def differences(left: Version, right: Version) -> tuple[Difference, ...]:
    """What differs, in the order of the fields."""
    found: list[Difference] = []
    _compare("", _document(left), _document(right), found)
    return tuple(found)


def _document(version: Version) -> dict[str, Any]:
    told = json.loads(version_codec.dumps(version))
    return {name: value for name, value in told.items() if name not in _OWN}


def _compare(path: str, left: Any, right: Any, found: list[Difference]) -> None:
    same = left == right and type(left) is type(right)  # to Python, 1 is True
    if isinstance(left, dict) and isinstance(right, dict):
        mine, theirs = cast("dict[str, Any]", left), cast("dict[str, Any]", right)
        _compare_all(path, mine, theirs, found, "{}.{}" if path else "{}{}")
    elif isinstance(left, list) and isinstance(right, list):
        before, after = _keyed(cast("list[Any]", left), cast("list[Any]", right))
        _compare_all(path, before, after, found, "{}[{}]")
    elif not same:
        found.append(Difference(path, left, right))


def _compare_all(
    path: str, left: Mapping[str, Any], right: Mapping[str, Any], found: list[Difference], form: str
) -> None:
    for name in dict.fromkeys((*left, *right)):
        _compare(form.format(path, name), left.get(name), right.get(name), found)


def _keyed(left: Sequence[Any], right: Sequence[Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The items of both lists by what tells them apart, or by their places."""
    for name in _NAMES:
        mine, theirs = _by(name, left), _by(name, right)
        if mine is not None and theirs is not None:
            return mine, theirs
    return {str(place): one for place, one in enumerate(left)}, {str(place): one for place, one in enumerate(right)}


def _by(name: str, items: Sequence[Any]) -> Mapping[str, Any] | None:
    """The items by this field, if each has one of its own."""
    keyed: dict[str, Any] = {}
    for one in items:
        key = cast("Mapping[str, Any]", one).get(name) if isinstance(one, Mapping) else None
        if not isinstance(key, str) or key in keyed:
            return None
        keyed[key] = one
    return keyed
