"""Identifiers that sort by the time they were made (UUID version 7, RFC 9562, section 5.7)."""

from collections.abc import Callable
from threading import Lock
from uuid import UUID

from vivavoce.core.clock import Clock
from vivavoce.core.event import Millis

NewId = Callable[[], str]


def first_of(ms: Millis) -> str:
    """The least id that can be made in this millisecond or later."""
    return str(UUID(int=max(0, min(ms, (1 << 48) - 1)) << 80))


def uuid7(clock: Clock, random: Callable[[int], bytes]) -> NewId:
    """A source of ids, which threads may share. Within one source they strictly increase, also inside a millisecond and
    when the clock steps back: 48 bits of milliseconds, a 12-bit counter in ``rand_a``, and 62 random bits
    (``random(n)`` gives n bytes).
    """
    last = 0
    lock = Lock()

    def new() -> str:
        nonlocal last
        with lock:
            # The millisecond and the counter are one number; a full counter borrows from the next millisecond.
            mine = last = max(last + 1, clock.now() << 12)
        high = (mine >> 12) << 16 | 0x7000 | (mine & 0xFFF)
        low = int.from_bytes(random(8)) & (1 << 62) - 1 | 1 << 63
        return str(UUID(int=high << 64 | low))

    return new
