"""When a cron expression is due, also where clocks are put forward and back."""

import contextlib
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.services.calendar import come, following, local, shown, upcoming
from vivavoce.services.errors import Rejected

BERLIN = "Europe/Berlin"
DAY_MS = 24 * 3_600_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def times(cron: str, zone: str, after: str, count: int) -> list[str]:
    return [shown(at, zone) for at in islice(upcoming(cron, zone, ms(after)), count)]


def test_times_come_after_the_one_that_is_given() -> None:
    assert times("30 2 * * MON-FRI", "UTC", "2026-11-20T02:30:00Z", 2) == [
        "2026-11-23T02:30:00+00:00",
        "2026-11-24T02:30:00+00:00",
    ]
    assert following("30 2 * * *", "UTC", ms("2026-11-20T02:29:59.999Z")) == ms("2026-11-20T02:30:00Z")


def test_a_time_that_does_not_exist_happens_once_at_the_next_one_that_does() -> None:
    # On 29 March 2026 clocks in Berlin go from 02:00 to 03:00.
    assert times("30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert times("*/30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", 1) == ["2026-03-30T02:00:00+02:00"]


def test_a_time_that_comes_twice_happens_once() -> None:
    # On 25 October 2026 clocks in Berlin go from 03:00 back to 02:00.
    assert times("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    # Also for somebody who looks from within the second pass.
    assert times("50 2 * * *", BERLIN, "2026-10-25T02:40+01:00", 1) == ["2026-10-26T02:50:00+01:00"]


def test_what_happens_every_hour_counts_real_hours() -> None:
    assert times("30 * * * *", BERLIN, "2026-10-25T01:45+02:00", 3) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:30:00+01:00",
    ]


ZONES = st.sampled_from(
    [BERLIN, "America/New_York", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
)
MOMENTS = st.integers(ms("2020-01-01T00:00Z"), ms("2030-01-01T00:00Z"))


@settings(deadline=None)  # the first look at a zone reads its file
@given(zone=ZONES, hour=st.integers(0, 23), minute=st.integers(0, 59), after=MOMENTS)
def test_a_daily_time_comes_once_a_day(zone: str, hour: int, minute: int, after: int) -> None:
    """Whatever clocks do on the way; the first day may be over already."""
    found = list(islice(upcoming(f"{minute} {hour} * * *", zone, after), 120))
    days = [local(at, ZoneInfo(zone)).date().toordinal() for at in found]
    assert [later - earlier for earlier, later in pairwise(days)] == [1] * 119
    assert days[0] - local(after, ZoneInfo(zone)).date().toordinal() in (0, 1)


@settings(deadline=None)  # the first look at a zone reads its file
@given(
    cron=st.sampled_from(["*/7 * * * *", "15,45 2,3 * * *", "0 */3 * * *", "30 2 1,L * *", "* 2 * * *"]),
    zone=ZONES,
    after=MOMENTS,
)
def test_one_by_one_is_the_same_as_all_at_once(cron: str, zone: str, after: int) -> None:
    found = list(islice(upcoming(cron, zone, after), 30))
    assert found == sorted(set(found))
    assert found[0] > after
    one_by_one = [after]
    for _ in found:
        one_by_one.append(following(cron, zone, one_by_one[-1]))
    assert one_by_one[1:] == found


@settings(deadline=None)  # the first look at a zone reads its file
@given(
    cron=st.sampled_from(["* * * * *", "*/20 * * * *", "0 3 * * *", "0 0 * * MON", "0 0 1 * *", "0 0 29 2 *"]),
    zone=ZONES,
    first=MOMENTS,
    lag=st.integers(0, 40 * DAY_MS),
    most=st.integers(1, 24),
)
def test_the_last_of_what_has_come(cron: str, zone: str, first: int, lag: int, most: int) -> None:
    first = following(cron, zone, first)
    now = first + lag
    every = [first]
    while (at := following(cron, zone, every[-1])) <= now and len(every) < 3000:
        every.append(at)
    if len(every) < 3000:
        assert come(cron, zone, first, now, most) == tuple(every[-most:])


def test_the_last_of_very_many() -> None:
    now = ms("2026-11-20T12:00:30Z")
    assert len(come("* * * * *", BERLIN, ms("1990-01-01T00:00Z"), now, 24)) == 24
    yearly = come("0 0 1 1 *", "UTC", ms("2000-01-01T00:00Z"), now, 24)
    assert [date.fromisoformat(shown(at, "UTC")[:10]).year for at in yearly] == list(range(2003, 2027))


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "0 * * * * *", "60 * * * *", "x * * * *", "0 0 31 2 *", "*/0 * * * *", "@daily"],
)
def test_what_is_no_cron_expression(cron: str) -> None:
    with pytest.raises(Rejected, match="no cron expression") as told:
        following(cron, "UTC", 0)
    assert told.value.part == "cron"


def test_a_time_that_never_comes() -> None:
    # The last working day of a month is no Sunday and no Saturday.
    with pytest.raises(Rejected, match="never comes") as told:
        following("0 0 LW * */6", BERLIN, 0)
    assert told.value.part == "cron"


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "europe/berlin", "../../etc/passwd", "localtime", "x" * 400])
def test_what_is_no_time_zone(zone: str) -> None:
    with pytest.raises(Rejected, match="no IANA time zone") as told:
        following("* * * * *", zone, 0)
    assert told.value.part == "timezone"


@settings(deadline=None)  # the first look at a zone reads its file
@given(st.text("0123456789*/,-L#W?MONFEB \x00²", max_size=20))
def test_no_expression_is_a_defect(cron: str) -> None:
    with contextlib.suppress(Rejected):
        assert following(cron, "UTC", 0) > 0


@settings(deadline=None)  # the first look at a zone reads its file
@given(st.lists(st.text("0123456789*/,-L#W", min_size=1, max_size=4), min_size=5, max_size=5).map(" ".join))
def test_no_five_fields_are_a_defect(cron: str) -> None:
    with contextlib.suppress(Rejected):
        assert following(cron, BERLIN, 0) > 0
