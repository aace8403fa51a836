"""A conversation as it is kept: what it is about. What happened in it is its transcript."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vivavoce.core.event import Millis


@dataclass(frozen=True, slots=True)
class Conversation:
    """``metadata`` are strings that the API's user, or the server, keeps with it."""

    id: str
    created_at: Millis
    last_message_at: Millis
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
