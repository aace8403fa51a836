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
    """Words for the caller while a tool works: at once, or when it has not answered after ``after_ms``. ``generated``:
    the text tells a model what to say, which then happens at once."""

    text: str
    after_ms: int = 0
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """A body that tells of the call beside its arguments: the names under which a tool's author expects the tool's
    name, the arguments and what is known of the conversation, with its id and its variables under names of their own.
    ``context`` are fixed fields of that last part."""

    name: str
    arguments: str
    conversation: str
    id: str
    variables: str
    context: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class WebhookTool:
    """An HTTP request that the model fills in. The three parameter maps are JSON Schema objects or None.

    ``waits_ms`` None waits for the answer, at most ``timeout_ms``; otherwise the tool works on its own, and the model
    is told that it was submitted when it has not answered by then. ``fillers`` are only for tools that are waited for.

    ``envelope`` None sends the arguments as they are. ``form`` sends them as a form instead of JSON. ``retries`` is how
    often a request is made again that failed for the other side or the network; ``longest`` is how many characters of
    the answer are kept (None is the server's bound). After a ``quiet`` tool the assistant waits for the caller.
    ``signature`` is the header whose value only who shares a secret with this server can check; empty signs with the
    server's key pair.
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
    envelope: Envelope | None = None
    form: bool = False
    retries: int = 0
    longest: int | None = None
    quiet: bool = False
    signature: str = ""


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
class CodeTool:
    """JavaScript that its author wrote; it runs only where this server was given a sandbox for it. ``timeout_ms``,
    ``stored``, ``fillers`` and ``quiet`` are as in ``WebhookTool``; with ``waits`` false it is not waited for."""

    name: str
    code: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    timeout_ms: int = 30_000
    stored: tuple[StoredField, ...] = ()
    waits: bool = True
    fillers: tuple[Filler, ...] = ()
    quiet: bool = False
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["code"] = "code"


@dataclass(frozen=True, slots=True)
class HangupTool:
    """Lets the assistant end the conversation."""

    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["hangup"] = "hangup"
    name: str = "hangup"
    fillers: tuple[Filler, ...] = ()


@dataclass(frozen=True, slots=True)
class HandoffTarget:
    """An assistant that can take over, and what the model calls it. ``number`` is that of its version, where it is not
    its main one."""

    assistant_id: str
    name: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class HandoffTool:
    """Hands the conversation to another assistant of this server, which goes on in the same conversation."""

    targets: tuple[HandoffTarget, ...]
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["handoff"] = "handoff"
    name: str = "handoff"
    fillers: tuple[Filler, ...] = ()


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
    fillers: tuple[Filler, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageTool:
    """Sends a text message to the caller. Without a ``template`` the model writes it."""

    template: str = ""
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["message"] = "message"
    name: str = "send_message"
    fillers: tuple[Filler, ...] = ()


@dataclass(frozen=True, slots=True)
class SkipTool:
    """Stays silent this turn."""

    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=_nothing)
    kind: Literal["skip"] = "skip"
    name: str = "skip_turn"


@dataclass(frozen=True, slots=True)
class SettableVariable:
    """A variable that the model may write; ``type`` is a JSON Schema type, ``choices`` are all that a text may be."""

    name: str
    type: str = "string"
    description: str = ""
    choices: tuple[str, ...] = ()


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
    ``name`` differs from it where two servers name a tool alike.

    ``own``: the server is one of the version's own, and ``server_id`` is its name there. Where ``mockable`` is false it
    is really called in examinations too. ``stored``, ``fillers`` and ``quiet`` are as in ``WebhookTool``.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    server_id: str
    tool: str
    own: bool = False
    mockable: bool = True
    stored: tuple[StoredField, ...] = ()
    fillers: tuple[Filler, ...] = ()
    waits: bool = True
    quiet: bool = False
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
    | CodeTool
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
    The first mock that matches wins. ``ok`` false is a tool that failed.
    """

    tool: str
    output: str
    arguments: Mapping[str, Any] | None = None
    ok: bool = True

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
