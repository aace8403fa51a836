"""A library of documents: what assistants know besides their instructions."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from vivavoce.core.event import Millis


class Standing(StrEnum):
    """How far a library is. What was taken in already is found at all times."""

    TAKING_IN = "taking_in"
    READY = "ready"
    BROKEN = "broken"  # something could not be taken in
    REFRESHING = "refreshing"  # pages that were taken in once are fetched again


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of a library comes from; its document has the same id. ``name`` is the title of a text, the name of
    a file or the address of a page, ``size`` its bytes.

    A page that has neither ``taken_at`` nor a ``fault`` is still to be fetched. One with both was fetched once and
    could not be fetched again.
    """

    id: str
    kind: Literal["text", "file", "page"]
    name: str
    size: int = 0
    taken_at: Millis | None = None
    fault: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is still to be fetched."""
        return self.taken_at is None and not self.fault


@dataclass(frozen=True, slots=True)
class Library:
    """Its id is the bucket of its documents. Passages have at most ``longest`` characters; ``shortest`` is kept and
    given back, since only the end of a text is cut much shorter. ``refreshes``: its pages are fetched again from time
    to time, last at ``refreshed_at``."""

    id: str
    name: str
    created_at: Millis
    changed_at: Millis
    standing: Standing = Standing.READY
    sources: tuple[Source, ...] = ()
    longest: int = 2000
    shortest: int = 400
    refreshes: bool = False
    refreshed_at: Millis | None = None
