"""When a cron expression is due in a time zone."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from vivavoce.core.event import Millis
from vivavoce.services.errors import Rejected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_HOUR_MS = 3_600_000
_LOOKING_BACK_MS = (_HOUR_MS, 24 * _HOUR_MS, 32 * 24 * _HOUR_MS, 366 * 24 * _HOUR_MS)


@cache
def _zones() -> frozenset[str]:
    """Those that mean the same on every machine, which the machine's own zone does not."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def upcoming(cron: str, timezone: str, after: Millis) -> Iterator[Millis]:
    """Every time at which it is due after this one, in order.

    Where clocks are put forward or back, what has a fixed minute and hour happens once: at the first minute there is
    when its own is left out, the first time when it comes twice. What has a star in front of either counts real time.
    These are the rules of Debian's cron.

    Raises ``Rejected`` for an expression or a zone that there is not.
    """
    zone = _zone(timezone)
    if len(cron.split()) != 5:
        raise Rejected(
            f"{cron!r} is no cron expression: it should have five fields, minute, hour, day of the month, month and "
            "day of the week, such as '30 2 * * MON-FRI'.",
            "cron",
        )
    try:
        times = CronSim(cron, local(after, zone))
    except CronSimError as failure:
        raise Rejected(f"{cron!r} is no cron expression: {str(failure).lower()}.", "cron") from failure
    return _rising(times, after)


def following(cron: str, timezone: str, after: Millis) -> Millis:
    """The next time at which it is due. Raises ``Rejected`` as ``upcoming`` does, and where its time never comes."""
    found = next(upcoming(cron, timezone, after), None)
    if found is None:
        raise Rejected(f"The time of {cron!r} never comes.", "cron")
    return found


def come(cron: str, timezone: str, first: Millis, now: Millis, most: int) -> tuple[Millis, ...]:
    """The last ``most`` of the times from ``first`` to ``now``, oldest first. Raises ``Rejected`` as ``upcoming``."""
    # However long nobody looked, few times are computed: how far back is enough depends on how often it is due.
    for back in _LOOKING_BACK_MS:
        found = _between(cron, timezone, max(first - 1, now - back), now, most)
        if len(found) == most or now - back < first:
            return found
    return _between(cron, timezone, first - 1, now, most)


def _between(cron: str, timezone: str, after: Millis, now: Millis, most: int) -> tuple[Millis, ...]:
    return tuple(deque(takewhile(lambda at: at <= now, upcoming(cron, timezone, after)), maxlen=most))


def local(at: Millis, zone: ZoneInfo) -> datetime:
    """A time as clocks there show it."""
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)


def shown(at: Millis, timezone: str) -> str:
    """ISO 8601 with the offset that holds there then. Raises ``Rejected`` for a zone that there is not."""
    return local(at, _zone(timezone)).isoformat(timespec="seconds")


def _zone(name: str) -> ZoneInfo:
    if name not in _zones():
        raise Rejected(f"{name!r} is no IANA time zone, such as 'Europe/Dublin' or 'UTC'.", "timezone")
    return ZoneInfo(name)


def _rising(times: Iterator[datetime], after: Millis) -> Iterator[Millis]:
    # Between the two passes of an hour that comes twice, the library offers times of the first one again.
    last = after
    for time in times:
        at = (time - _EPOCH) // _MS
        if at > last:
            last = at
            yield at
