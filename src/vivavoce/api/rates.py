"""How many requests a key has made in the running minute. Each process counts for itself."""

import math
from dataclasses import dataclass

from vivavoce.core.clock import Clock

WINDOW_S = 60
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """``reset`` is in seconds."""

    limit: int
    used: int
    reset: int

    @property
    def exceeded(self) -> bool:
        """Whether this request is one too many."""
        return self.used > self.limit

    def headers(self) -> dict[str, str]:
        """The documented headers (contract, section 1.4)."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - self.used)),
            "x-ratelimit-reset": str(self.reset),
        }


class Rates:
    """Fixed windows of a minute. A limit of 0 counts nothing."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, key_id: str) -> Rate | None:
        """Count one request of this key; None where there is no limit."""
        if not self._limit:
            return None
        now = self._clock.ticks()
        begun, used = self._windows.get(key_id, (now, 0))
        if now - begun >= WINDOW_S:
            begun, used = now, 0
        if len(self._windows) >= _MOST_KEYS and key_id not in self._windows:
            self._windows.clear()
        self._windows[key_id] = (begun, used + 1)
        return Rate(self._limit, used + 1, max(1, math.ceil(begun + WINDOW_S - now)))
