"""A text message: one that went out, or one that came in."""

from dataclasses import dataclass
from enum import StrEnum

from vivavoce.core.event import Millis
from vivavoce.core.scenario import Medium


class Direction(StrEnum):
    """Seen from the assistant."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class TextStatus(StrEnum):
    """How far a text message has come."""

    # outbound
    SENDING = "sending"  # kept, and not yet handed over
    SENT = "sent"  # the carrier has taken it
    DELIVERED = "delivered"  # the carrier says that it arrived
    FAILED = "failed"  # it never went out, or was not answered; ``reason`` says why
    # inbound
    RECEIVED = "received"
    HEARD = "heard"  # the assistant was told, and has not come to rest
    HANDLED = "handled"  # answered, or there was nothing to say


@dataclass(frozen=True, slots=True)
class Text:
    """A text message. ``sender`` and ``recipient`` are numbers in E.164, or what else a carrier takes; ``provider_id``
    is the carrier's own name for it."""

    id: str
    direction: Direction
    medium: Medium
    sender: str
    recipient: str
    body: str
    status: TextStatus
    created_at: Millis
    conversation_id: str | None = None
    reason: str = ""
    provider_id: str | None = None

    @property
    def ours(self) -> str:
        """The assistant's number."""
        return self.sender if self.direction is Direction.OUTBOUND else self.recipient

    @property
    def theirs(self) -> str:
        """The other side's number."""
        return self.recipient if self.direction is Direction.OUTBOUND else self.sender


def silent_too_long(last_message_at: Millis, now: Millis, idle_minutes: int) -> bool:
    """Whether the next message begins a new conversation: only a silence that is longer does (contract, 2.1)."""
    return now - last_message_at > idle_minutes * 60_000
