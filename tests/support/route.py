"""One route of the API, with a good body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.server import Server

Fresh = Callable[[Server, Mapping[str, str]], dict[str, str]]
"""Makes what a request needs anew each time it is to succeed, and returns the ids."""


@dataclass(frozen=True)
class Route:
    """``body`` is a good one; ``required`` are the fields that may not be left out. ``{name}`` in a path is an id.

    ``fresh`` is for requests that succeed once with the same ids; ``makes`` is by how much one of them lets
    ``World.count`` grow.
    """

    method: str
    path: str
    body: Any = None
    required: tuple[str, ...] = ()
    keyed: bool = False
    paged: bool = False
    success: int = 200
    fresh: Fresh | None = None
    makes: int = 1

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"
