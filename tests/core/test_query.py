import pytest

from vivavoce.core.filter import Comparison, Field, Filter, Op, Order
from vivavoce.core.query import Malformed, pairs, parse


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ()),
        ("?", ()),
        ("a=b", (("a", "b"),)),
        ("?a=b&&c", (("a", "b"), ("c", ""))),
        ("metadata-%3Ea=eq.b%20c", (("metadata->a", "eq.b c"),)),
        ("to=eq.+1&to=eq.%2B2", (("to", "eq.+1"), ("to", "eq.+2"))),
        ("a=b=c&%FF=%00", (("a", "b=c"), ("\ufffd", "\ufffd"))),
    ],
)
def test_pairs(query: str, expected: tuple[tuple[str, str], ...]) -> None:
    assert pairs(query) == expected


def test_a_query_is_a_filter() -> None:
    found = parse(
        pairs("metadata->to=eq.+1777&created_at=gte.2025-01-01T00:00:00+01:00&order=name.asc,id.desc&limit=5")
    )
    assert found == Filter(
        (
            Comparison(Field("to", metadata=True), Op.EQ, "+1777"),
            Comparison(Field("created_at"), Op.GTE, 1_735_686_000_000),
        ),
        (Order(Field("name")), Order(Field("id"), descending=True)),
        5,
    )


@pytest.mark.parametrize(
    ("query", "name"),
    [("color=eq.x", "color"), ("or=x", "or"), ("limit=x", "limit"), ("&".join(["id=eq.x"] * 101), None)],
)
def test_a_query_that_asks_for_nothing_says_where(query: str, name: str | None) -> None:
    with pytest.raises(Malformed) as caught:
        parse(pairs(query))
    assert caught.value.name == name
    assert str(caught.value)
