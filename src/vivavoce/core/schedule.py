"""A schedule: tests that are run by the calendar."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vivavoce.core.event import Millis
from vivavoce.core.run import Priority

MOST_MISSED = 24
"""How many of the times that nobody was there for are made up for, at most."""
GRACE_MS = 5 * 60_000


class Missed(StrEnum):
    """What becomes of times at which nobody was there to fire."""

    SKIP = "skip"  # they are lost, unless they are younger than the grace period
    ONCE = "once"  # one firing stands for all of them
    ALL = "all"  # each is made up for, the last ones of very many


class Overlap(StrEnum):
    """What becomes of a firing while runs of the last one go on."""

    ALLOW = "allow"
    SKIP = "skip"


class Outcome(StrEnum):
    """What a firing came to."""

    STARTED = "started"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Firing:
    """``due_at`` is the time it was meant for, ``at`` when it happened. ``reason`` says why it did not start what it
    should have, or not all of it."""

    due_at: Millis
    at: Millis
    outcome: Outcome
    batch_id: str | None = None
    runs: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Runs a suite, or scenarios by their ids, whenever ``cron`` (five fields) says so in an IANA ``timezone``.

    ``version_id`` is the version that is examined (None: main as it is then). ``next_at`` is None while it is paused,
    and where its time never comes. ``last`` is the last firing, whatever it came to; ``batch_id`` names the batch of
    the last one that started.
    """

    id: str
    name: str
    cron: str
    created_at: Millis
    changed_at: Millis
    timezone: str = "UTC"
    suite: str | None = None
    scenario_ids: tuple[str, ...] = ()
    version_id: str | None = None
    priority: Priority = Priority.SCHEDULED
    missed: Missed = Missed.SKIP
    grace_ms: int = GRACE_MS
    overlap: Overlap = Overlap.ALLOW
    paused: bool = False
    next_at: Millis | None = None
    last: Firing | None = None
    batch_id: str | None = None


def to_fire(missed: Missed, grace_ms: int, come: Sequence[Millis], now: Millis) -> Millis | None:
    """Which of the times that have come, oldest first, is fired for now; None where all of them are lost.

    What came before it is lost; what comes after it is for the next time that this is asked.
    """
    if missed is Missed.SKIP:
        return next((at for at in come if at >= now - grace_ms), None)
    if not come:
        return None
    return come[-1] if missed is Missed.ONCE else come[0]
