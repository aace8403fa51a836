import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.outbound.answer import json_of, parsed, storable, text_of
from vivavoce.outbound.fetch import Fetched


def answer(body: bytes, content_type: str = "") -> Fetched:
    return Fetched(200, {"content-type": content_type} if content_type else {}, body, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("grüße".encode(), "", "grüße"),
        ("grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "grüße"),
        ("grüße".encode("latin-1"), 'text/plain; charset="latin-1"', "grüße"),
        ("grüße".encode(), "text/plain; charset=klingon", "grüße"),
        (b"a\xffb", "", "a\ufffdb"),
        (b"a\x00b", "", "a\ufffdb"),
        (b"abc", "text/plain; charset=zip", "abc"),
    ],
)
def test_text(body: bytes, content_type: str, expected: str) -> None:
    assert text_of(answer(body, content_type)) == expected


@given(st.binary(), st.text())
def test_any_bytes_are_some_text(body: bytes, charset: str) -> None:
    text_of(answer(body, f"text/plain; charset={charset}")).encode()


def test_json_is_made_storable() -> None:
    assert json_of(answer(rb'{"a\u0000": ["\ud800", 1.5, null, true]}')) == {"a\ufffd": ["\ufffd", 1.5, None, True]}


@pytest.mark.parametrize("body", ["", "{", "NaN", "[Infinity]", "1e999", "[" * 200_000, "1" * 10_000])
def test_what_is_not_json_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError):
        parsed(body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text().map(storable), lambda inner: st.lists(inner)))
def test_json_comes_back_as_it_was(value: object) -> None:
    assert parsed(json.dumps(value)) == value
