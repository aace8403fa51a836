"""What an assistant may call. ``extra`` keeps what a tool's author sent that has no behaviour here yet.

``name`` is what the model calls it by. Where a field is a template, ``{{variables}}`` in it are filled in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, cast


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
class Filler:
    """Words for the caller while a tool works: at once, or when it has not answered after ``after_ms``."""

    text: str
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class WebhookTool:
    """An HTTP request that the model fills in. The three parameter maps are JSON Schema objects or None.

    ``waits_ms`` None waits for the answer, at most ``timeout_ms``; otherwise the tool works on its own, and the model
    is told that it was submitted when it has not answered by then. ``fillers`` are only for tools that are waited for.
    """

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
    waits_ms: int | None = None
    fillers: tuple[Filler, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["webhook"] = "webhook"


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that somebody else runs: a mock in an examination, the client elsewhere (``by_client``: a browser)."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    by_client: bool = False
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
class HandoffTarget:
    """An assistant that can take over, and what the model calls it."""

    assistant_id: str
    name: str


@dataclass(frozen=True, slots=True)
class HandoffTool:
    """Hands the conversation to another assistant of this server, which goes on in the same conversation."""

    targets: tuple[HandoffTarget, ...]
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["handoff"] = "handoff"
    name: str = "handoff"


class Act(StrEnum):
    """What can be done to a call beside talking."""

    TRANSFER = "transfer"  # the caller is put through to somebody else; the assistant leaves
    REFER = "refer"  # the same by SIP REFER
    INVITE = "invite"  # somebody else joins; the assistant stays
    TONES = "tones"  # keys are pressed
    PAY = "pay"  # a card is taken by keypad


@dataclass(frozen=True, slots=True)
class LineTarget:
    """Where a call can go: a number or SIP URI (a template), what the model calls it, and what is said there."""

    address: str
    name: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class LineTool:
    """Does something to the call. In text it takes effect as an event; on a call it acts.

    ``targets`` may instead come from one template, ``targets_template``, that becomes a JSON array or an address.
    """

    act: Act
    name: str
    targets: tuple[LineTarget, ...] = ()
    targets_template: str = ""
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["line"] = "line"


@dataclass(frozen=True, slots=True)
class MessageTool:
    """Sends a text message to the caller. Without a ``template`` the model writes it."""

    template: str = ""
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["message"] = "message"
    name: str = "send_message"


@dataclass(frozen=True, slots=True)
class SkipTool:
    """Stays silent this turn."""

    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["skip"] = "skip"
    name: str = "skip_turn"


@dataclass(frozen=True, slots=True)
class SettableVariable:
    """A variable that the model may write; ``type`` is a JSON Schema type."""

    name: str
    type: str = "string"
    description: str = ""


@dataclass(frozen=True, slots=True)
class VariablesTool:
    """Lets the model write variables of the conversation."""

    name: str
    description: str
    variables: tuple[SettableVariable, ...]
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["variables"] = "variables"


@dataclass(frozen=True, slots=True)
class RetrievalTool:
    """Searches embedded documents. ``most`` is how many passages it gives at most; None is the server's default."""

    buckets: tuple[str, ...]
    most: int | None = None
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["retrieval"] = "retrieval"
    name: str = "retrieval"


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool of an MCP server that is attached to the assistant, as that server listed it. ``tool`` is its name there;
    ``name`` differs from it where two servers name a tool alike."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    server_id: str
    tool: str
    kind: Literal["remote"] = "remote"


@dataclass(frozen=True, slots=True)
class OtherTool:
    """A kind of tool that is kept and given back, and not offered to the model."""

    type: str
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["other"] = "other"
    name: str = ""


Tool = (
    WebhookTool
    | FunctionTool
    | HangupTool
    | HandoffTool
    | LineTool
    | MessageTool
    | SkipTool
    | VariablesTool
    | RetrievalTool
    | RemoteTool
    | OtherTool
)


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
            key in arguments and _same(arguments[key], value) for key, value in self.arguments.items()
        )


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON is: Python takes True for 1 at any depth."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        these, those = cast("Mapping[str, Any]", one), cast("Mapping[str, Any]", other)
        return these.keys() == those.keys() and all(_same(these[key], those[key]) for key in these)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        first, second = cast("list[Any]", one), cast("list[Any]", other)
        return len(first) == len(second) and all(map(_same, first, second))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
