"""Addresses that are told when something is over."""

from dataclasses import dataclass
from enum import StrEnum

from vivavoce.core.event import Millis


class Occasion(StrEnum):
    """What somebody can be told of."""

    RUN = "run.completed"
    BATCH = "batch.completed"


@dataclass(frozen=True, slots=True)
class Hook:
    """Tell this address on these occasions."""

    id: str
    url: str
    kinds: tuple[Occasion, ...]
    created_at: Millis
