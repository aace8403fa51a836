import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.times import iso, maybe_iso, millis


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("1970-01-01 00:00:01", 1_000),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:01.5+01:00", 1_500),
        ("1970-01-01T01:00:01,123456789+01", 1_123),
        ("1969-12-31T23:59:59.999-0000", -1),
    ],
)
def test_a_moment_is_read(text: str, at: int) -> None:
    assert millis(text) == at


@pytest.mark.parametrize("text", ["", "now", "1970-13-01", "1970-01-01T25:00", "1970-01-01T", "19700101", "٢٠٢٥-01-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        millis(text)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_what_is_written_is_read_again(at: int) -> None:
    assert millis(iso(at)) == at == millis(maybe_iso(at) or "")


def test_a_time_may_be_missing() -> None:
    assert maybe_iso(None) is None
