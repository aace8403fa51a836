"""How many measurements are spread."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Half of what was measured is at most ``p50``, 95 of 100 are at most ``p95``, all are at most ``max``. Each of the
    three was measured."""

    p50: int
    p95: int
    max: int


def percentiles(measured: Collection[int]) -> Percentiles | None:
    """By the nearest rank; None where nothing was measured."""
    if not measured:
        return None
    ranked = sorted(measured)
    # The rank is rounded up, in whole numbers: 0.95 is no number that a computer knows.
    middle, high = (-(-len(ranked) * percent // 100) for percent in (50, 95))
    return Percentiles(ranked[middle - 1], ranked[high - 1], ranked[-1])
