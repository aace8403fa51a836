"""What happens in a conversation, one frozen record per happening.

Times are milliseconds since the Unix epoch, UTC. ``took_ms`` is what producing the event took, measured
on a monotonic clock by whoever waited for it; rules about speed use it rather than differences of ``at``,
so time during which a crashed server was down never counts against anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Millis = int
"""Milliseconds since the Unix epoch, UTC."""


class Speaker(StrEnum):
    """Who did it. Roles such as *user* and *assistant* are derived where a prompt or an answer needs them."""

    CALLER = "caller"
    ASSISTANT = "assistant"


class Ending(StrEnum):
    """The closed list of ways in which a conversation can be over."""

    GOODBYE = "goodbye"  # the caller was done
    HANGUP = "hangup"  # the assistant left
    TRANSFER = "transfer"  # the assistant put the caller through to somebody else
    IDLE = "idle"  # nobody said anything for too long
    MAX_DURATION = "max_duration"
    TURN_LIMIT = "turn_limit"
    LOOP = "loop"
    SILENCE = "silence"
    TESTER_FAULT = "tester_fault"
    ASSISTANT_FAULT = "assistant_fault"
    INFRASTRUCTURE_FAULT = "infrastructure_fault"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Usage:
    """What model calls cost: tokens as the provider counts them, and how many attempts it took."""

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 1

    def plus(self, other: "Usage") -> "Usage":
        """Both together, under the other's model, which is the later one."""
        return Usage(
            other.model,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.attempts + other.attempts,
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. ``id`` is unique within its conversation."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """Words that were said. An assistant that was asked and stayed silent says the empty string.

    ``fills`` marks words that only fill the time in which a tool works. ``extra`` is what a client that wrote the
    message itself wants to be kept with it.
    """

    speaker: Speaker
    text: str
    at: Millis
    took_ms: int = 0
    usage: Usage | None = None
    fills: bool = False
    extra: Mapping[str, Any] | None = None
    kind: Literal["message"] = "message"


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The assistant asked for a tool. Written down before the tool is called."""

    call: ToolCall
    at: Millis
    took_ms: int = 0
    usage: Usage | None = None
    kind: Literal["tool_called"] = "tool_called"


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """What the tool answered: ``output`` is the text the model reads; ``variables`` are those the answer sets;
    ``status_code`` only where HTTP was spoken; ``extra`` as in ``Message``."""

    call_id: str
    name: str
    output: str
    ok: bool
    at: Millis
    took_ms: int = 0
    status_code: int | None = None
    mocked: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] | None = None
    kind: Literal["tool_returned"] = "tool_returned"


@dataclass(frozen=True, slots=True)
class Left:
    """The conversation is over. ``speaker`` is who ended it or, where it broke off, whose turn it was; None for a
    limit that is nobody's. ``reason`` is for the story only: nobody said it."""

    ending: Ending
    at: Millis
    speaker: Speaker | None = None
    reason: str = ""
    took_ms: int = 0
    usage: Usage | None = None
    kind: Literal["left"] = "left"


@dataclass(frozen=True, slots=True)
class Moved:
    """The conversation flow stands at a node: it entered it over ``edge`` (empty at the start of the flow), or stayed
    there when no edge could be taken (``edge`` empty, and the node is that of before). ``name`` is the node's."""

    node: str
    at: Millis
    edge: str = ""
    name: str = ""
    took_ms: int = 0
    usage: Usage | None = None
    kind: Literal["moved"] = "moved"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Another assistant of this server speaks from here on. ``edge`` is the flow's, where a flow led there."""

    assistant_id: str
    version_id: str
    name: str
    at: Millis
    edge: str = ""
    took_ms: int = 0
    usage: Usage | None = None
    kind: Literal["handed_over"] = "handed_over"


@dataclass(frozen=True, slots=True)
class Recalled:
    """Passages of documents that the model was shown for what it said next."""

    passages: tuple[str, ...]
    at: Millis
    took_ms: int = 0
    kind: Literal["recalled"] = "recalled"


Event = Message | ToolCalled | ToolReturned | Moved | HandedOver | Recalled | Left
