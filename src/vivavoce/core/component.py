"""A part of flows: kept once, gone through by any number of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vivavoce.core.event import Millis
from vivavoce.core.flow import Flow
from vivavoce.core.server import OwnServer


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Component:
    """A shared component. ``flow`` has no components of its own; ``servers`` are the MCP servers that its tools are on.
    ``extra`` is kept and given back unchanged."""

    id: str
    name: str
    flow: Flow
    created_at: Millis
    changed_at: Millis
    servers: tuple[OwnServer, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=_nothing)
