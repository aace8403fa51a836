"""How deeply data is nested. What is written must be read again, and readers have limits of their own."""

from collections.abc import Mapping
from typing import Any, cast

MAX_DEPTH = 100
"""Levels of objects and lists inside each other that data from outside may have."""


def shallow(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether no list or object in it stands deeper than that."""
    if isinstance(value, Mapping):
        inner = list(cast("Mapping[Any, Any]", value).values())
    elif isinstance(value, list | tuple):
        inner = list(cast("list[Any] | tuple[Any, ...]", value))
    else:
        return True
    return levels > 0 and all(shallow(one, levels - 1) for one in inner)
