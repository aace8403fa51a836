"""What an assistant may call. ``extra`` keeps what a tool's author sent that has no behaviour here yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Header:
    """One HTTP header; the value is a template."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class StoredField:
    """A dotted path into a tool's JSON answer, kept as a variable of the conversation."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class WebhookTool:
    """An HTTP request that the model fills in. The three parameter maps are JSON Schema objects or None."""

    name: str
    description: str
    url: str
    method: str = "POST"
    headers: tuple[Header, ...] = ()
    path_parameters: Mapping[str, Any] | None = None
    query_parameters: Mapping[str, Any] | None = None
    body_parameters: Mapping[str, Any] | None = None
    preset_body: Mapping[str, Any] = field(default_factory=_nothing)
    preset_query: Mapping[str, Any] = field(default_factory=_nothing)
    stored: tuple[StoredField, ...] = ()
    timeout_ms: int = 5000
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["webhook"] = "webhook"


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that somebody else runs: a mock in an examination, the client elsewhere."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["function"] = "function"


@dataclass(frozen=True, slots=True)
class HangupTool:
    """Lets the assistant end the conversation."""

    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["hangup"] = "hangup"
    name: str = "hangup"


@dataclass(frozen=True, slots=True)
class OtherTool:
    """A kind of tool that is kept and given back, and not offered to the model."""

    type: str
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["other"] = "other"
    name: str = ""


Tool = WebhookTool | FunctionTool | HangupTool | OtherTool


@dataclass(frozen=True, slots=True)
class ToolMock:
    """What a tool answers in an examination instead of being called.

    ``arguments`` None matches any call; otherwise every given key must be equal, deeply (a subset match).
    The first mock that matches wins.
    """

    tool: str
    output: str
    arguments: Mapping[str, Any] | None = None

    def matches(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this mock answers the call."""
        if name != self.tool:
            return False
        return self.arguments is None or all(
            key in arguments and arguments[key] == value for key, value in self.arguments.items()
        )
