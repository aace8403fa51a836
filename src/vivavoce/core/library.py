"""A tool of the shared library: kept once, used by any number of assistants."""

from dataclasses import dataclass

from vivavoce.core.event import Millis
from vivavoce.core.tool import Tool


@dataclass(frozen=True, slots=True)
class SharedTool:
    """``name`` is what people call it; ``type`` is the word that the API which wrote it has for its kind."""

    id: str
    name: str
    type: str
    tool: Tool
    created_at: Millis
