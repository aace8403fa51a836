"""Days and places in long lists as addresses name them, and what is wrong with a form."""

from collections.abc import Mapping
from datetime import UTC, datetime

from vivavoce.core.event import Millis

DAY_MS = 24 * 3600 * 1000
Errors = Mapping[str, str]
"""What is wrong with a form, by the names of its fields; the empty name is for all of it."""


def day(written: str) -> Millis | None:
    """The beginning of a day (``2026-03-31``) in UTC; None where it is none."""
    try:
        return round(datetime.strptime(written, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def place(written: str) -> tuple[Millis, str] | None:
    """A place in a list, as ``at_place`` writes it; None where it is none."""
    at, _, id_ = written.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < 16 and 0 < len(id_) <= 64):
        return None
    return int(at), id_


def at_place(at: Millis, id_: str) -> str:
    """A place in a list as an address names it."""
    return f"{at}.{id_}"
