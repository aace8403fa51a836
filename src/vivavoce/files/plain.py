"""Objects of the core as plain data for a document: what has its default is left out."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, cast


def plain(value: Any) -> Any:
    """The value as lists, maps and scalars. What a field has by default is left out, but for ``kind``, which says
    what a thing is."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(mine) for name, mine in _said(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in cast("list[Any]", value)]
    return value


def _said(value: Any) -> Iterator[tuple[str, Any]]:
    # What a thing is comes first, as people write it.
    for one in sorted(fields(value), key=lambda one: one.name != "kind"):
        mine = getattr(value, one.name)
        default = one.default if one.default_factory is MISSING else one.default_factory()
        if one.name == "kind" or mine != default:
            yield one.name, mine
