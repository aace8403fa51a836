"""The clock of the house."""

import time

from vivavoce.core.event import Millis


class SystemClock:
    """Implements ``vivavoce.core.clock.Clock``."""

    def now(self) -> Millis:
        """Milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000

    def ticks(self) -> float:
        """Seconds on a monotonic clock."""
        return time.monotonic()
