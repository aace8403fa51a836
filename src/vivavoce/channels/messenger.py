"""The port to whoever carries text messages, and the one that carries them nowhere."""

from dataclasses import dataclass
from typing import Protocol

from vivavoce.core.ids import NewId
from vivavoce.core.scenario import Medium


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text message to be sent. ``sender`` and ``recipient`` are numbers in E.164; ``key`` is the same when it is sent
    again."""

    sender: str
    recipient: str
    text: str
    key: str
    medium: Medium = Medium.SMS_CHAT


class NotSent(Exception):
    """The message did not go out. ``final`` where it never will; the text is for a person."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class Messenger(Protocol):
    """Carries text messages."""

    @property
    def name(self) -> str:
        """As a person should read it."""
        ...

    def carries(self, medium: Medium) -> bool:
        """Whether messages of this medium can be sent at all."""
        ...

    async def send(self, message: Outgoing) -> str:
        """Hand the message over; returns the carrier's id for it. Raises ``NotSent``."""
        ...


class Loopback:
    """Carries messages nowhere: what was sent is what the server itself keeps of it, for tests and people to read."""

    name = "loopback"

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id

    def carries(self, medium: Medium) -> bool:
        """Every medium of text."""
        return not medium.spoken

    async def send(self, message: Outgoing) -> str:
        """Taken at once."""
        return f"loopback-{self._new_id()}"
