"""A conversation as it is kept: what it is about. What happened in it is its transcript."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vivavoce.core.event import Millis


@dataclass(frozen=True, slots=True)
class Opening:
    """What a conversation started with: all its variables, and what the assistant is told of earlier ones. Found once,
    when it starts, and kept, so that it is the same after a restart."""

    variables: Mapping[str, Any]
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """``metadata`` are strings that the API's user, or the server, keeps with it. ``opening`` is None until the
    conversation has started, ``ended_at`` until it is over. ``assistant_id`` is set where it can be listed by whom it
    is with; ``extra`` is what an API keeps with it and gives back unchanged."""

    id: str
    created_at: Millis
    last_message_at: Millis
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    opening: Opening | None = None
    ended_at: Millis | None = None
    assistant_id: str | None = None
    extra: Mapping[str, Any] | None = None
