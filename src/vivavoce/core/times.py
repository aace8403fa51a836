"""Milliseconds ⇄ ISO 8601 (contract, section 1.2)."""

import re
from datetime import UTC, datetime, timedelta

from vivavoce.core.event import Millis

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)


def iso(at: Millis) -> str:
    """``YYYY-MM-DDThh:mm:ss.fffZ``."""
    moment = _EPOCH + timedelta(milliseconds=at)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def maybe_iso(at: Millis | None) -> str | None:
    """The same, where a time may be missing."""
    return None if at is None else iso(at)


def millis(text: str) -> Millis:
    """The time that an ISO 8601 date or date-time names; without a zone it is UTC. Raises ``ValueError``."""
    if not _ISO.fullmatch(text):
        raise ValueError(f"{text!r} is not an ISO 8601 date or date-time")
    # Before 3.12 only three or six digits of a second's fraction are guaranteed to be read.
    whole = re.sub(r"[.,](\d+)", lambda found: "." + found[1][:6].ljust(6, "0"), text)
    moment = datetime.fromisoformat(whole)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
