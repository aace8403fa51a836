"""Time, passed in."""

from typing import Protocol

from vivavoce.core.event import Millis


class Clock(Protocol):
    """The only two questions that are asked of time."""

    def now(self) -> Millis:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def ticks(self) -> float:
        """Seconds on a monotonic clock, for measuring how long something took."""
        ...
