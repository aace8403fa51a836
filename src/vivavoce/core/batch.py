"""Runs that were triggered together, of one assistant."""

from dataclasses import dataclass

from vivavoce.core.event import Millis


@dataclass(frozen=True, slots=True)
class Batch:
    """How its runs stand. ``total`` counts them all; what has neither passed, failed nor ended with an error is not
    over. ``version_id`` and ``number`` are those of the version that was examined; ``updated_at`` is when a count last
    rose."""

    id: str
    assistant_id: str
    version_id: str
    number: int
    total: int
    created_at: Millis
    updated_at: Millis
    passed: int = 0
    failed: int = 0
    errors: int = 0

    @property
    def over(self) -> bool:
        """Whether every run is."""
        return self.passed + self.failed + self.errors == self.total
