import pytest

from vivavoce.core.filter import AnyOf, Comparison, Field, Filter, Op, Order, Value
from vivavoce.core.query import MAX_LIMIT, MAX_PATTERN, Malformed, pairs, parse


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
    ("text", "op", "value"),
    [
        ("is.null", Op.IS, None),
        ("is.NULL", Op.IS, None),
        ("in.(a)", Op.IN, ("a",)),
        ('in.(a,"b,c","d\\"e",(f,g))', Op.IN, ("a", "b,c", 'd"e', "(f,g)")),
        ("like.a*b%", Op.LIKE, "a%b%"),
        ("ilike.*x", Op.ILIKE, "%x"),
        ('eq."a"', Op.EQ, '"a"'),
        ("eq.", Op.EQ, ""),
    ],
)
def test_a_comparison(text: str, op: Op, value: Value) -> None:
    assert parse([("name", text)]).conditions == (Comparison(Field("name"), op, value),)


def test_one_of_several() -> None:
    found = parse([("or", '(name.eq."a,b",metadata->x.y.is.null,created_at.gt.1970-01-01T00:00:01 00:00)')])
    assert found.conditions == (
        AnyOf(
            (
                Comparison(Field("name"), Op.EQ, "a,b"),
                Comparison(Field("x.y", metadata=True), Op.IS, None),
                Comparison(Field("created_at"), Op.GT, 1000),
            )
        ),
    )


def test_a_limit_has_a_limit() -> None:
    assert parse([("limit", "999999")]).limit == MAX_LIMIT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("limit", "0"),
        ("or", "()"),
        ("or", "name.eq.x"),
        ("or", "(name)"),
        ("or", "(colour.eq.x)"),
        ("name", "x"),
        ("name", "almost.x"),
        ("name", "is.true"),
        ("name", "in.a"),
        ("name", "in.()"),
        ("name", "like." + "x" * (MAX_PATTERN + 1)),
        ("created_at", "like.2025*"),
        ("created_at", "eq.yesterday"),
        ("order", "colour.desc"),
    ],
)
def test_what_is_wrong_is_named(name: str, text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse([(name, text)])
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("query", "name"),
    [("color=eq.x", "color"), ("or=x", "or"), ("limit=x", "limit"), ("&".join(["id=eq.x"] * 101), None)],
)
def test_a_query_that_asks_for_nothing_says_where(query: str, name: str | None) -> None:
    with pytest.raises(Malformed) as caught:
        parse(pairs(query))
    assert caught.value.name == name
    assert str(caught.value)
