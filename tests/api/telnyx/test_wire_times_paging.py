from datetime import UTC, datetime

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.api.telnyx.wire.paging import MAX_NUMBER, meta, paged, window
from vivavoce.api.telnyx.wire.times import iso, maybe_iso, millis
from vivavoce.storage.page import Window

NEW_YEAR = 1_735_689_600_000


@given(st.integers(0, 253_402_300_799_999))
def test_times_go_there_and_back(at: int):
    text = iso(at)
    assert len(text) == 24
    assert text.endswith("Z")
    assert millis(text) == at
    assert datetime.fromisoformat(text).timestamp() * 1000 == pytest.approx(at)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2025-01-01", NEW_YEAR),
        ("2025-01-01T00:00:00Z", NEW_YEAR),
        ("2025-01-01T00:00", NEW_YEAR),
        ("2025-01-01 00:00:00", NEW_YEAR),
        ("2025-01-01T01:00:00+01:00", NEW_YEAR),
        ("2025-01-01T01:00:00+01", NEW_YEAR),
        ("2024-12-31T22:30:00-0130", NEW_YEAR),
        ("2025-01-01T00:00:00.5Z", NEW_YEAR + 500),
        ("2025-01-01T00:00:00,123456789Z", NEW_YEAR + 123),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_ways_to_write_a_time(text: str, at: int):
    assert millis(text) == at


@pytest.mark.parametrize(
    "text", ["", "now", "2025", "20250101", "2025-W01-1", "2025-13-01", "2025-01-01T", "0000-01-01"]
)
def test_not_a_time(text: str):
    with pytest.raises(ValueError):
        millis(text)


def test_a_missing_time():
    assert maybe_iso(None) is None
    assert maybe_iso(0) == iso(0) == datetime(1970, 1, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def client() -> TestClient:
    app = FastAPI()

    def show(page: Window = Depends(window)) -> list[int]:  # noqa: B008
        return [page.number, page.size]

    app.get("/")(show)
    return TestClient(app)


def test_pages_are_read_from_the_query():
    assert client().get("/").json() == [1, 20]
    assert client().get("/?page%5Bnumber%5D=2&page%5Bsize%5D=100").json() == [2, 100]
    assert client().get(f"/?page[number]={MAX_NUMBER}").json() == [MAX_NUMBER, 20]
    assert MAX_NUMBER * 100 < 2**63


@pytest.mark.parametrize(
    ("key", "value"),
    [("number", "0"), ("number", str(MAX_NUMBER + 1)), ("size", "0"), ("size", "101"), ("size", "x"), ("number", "-1")],
)
def test_bad_pages(key: str, value: str):
    answer = client().get("/", params={f"page[{key}]": value})
    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json()["detail"]] == [["query", f"page[{key}]"]]


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (40, 2)])
def test_meta(total: int, pages: int):
    expected = {"page_number": 3, "page_size": 20, "total_pages": pages, "total_results": total}
    assert meta(total, Window(3, 20)) == expected
    assert paged([1], total, Window(3, 20)) == {"data": [1], "meta": expected}
