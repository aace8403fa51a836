from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.api.telnyx.errors import Refused
from vivavoce.api.telnyx.wire.filters import parse_filter
from vivavoce.core.filter import AnyOf, Comparison, Field, Filter, Op, Order
from vivavoce.core.query import MAX_LIMIT, MAX_PATTERN

ID, NAME, CREATED, LAST = Field("id"), Field("name"), Field("created_at"), Field("last_message_at")
NEW_YEAR = 1_735_689_600_000


def key(name: str) -> Field:
    return Field(name, metadata=True)


def conditions(name: str, text: str) -> tuple[Comparison | AnyOf, ...]:
    return parse_filter([(name, text)]).conditions


def test_nothing_asked():
    assert parse_filter([]) == Filter((), (), None)


CONDITIONS: list[tuple[str, str, Comparison]] = [
    ("id", "eq.123", Comparison(ID, Op.EQ, "123")),
    ("id", "neq.", Comparison(ID, Op.NEQ, "")),
    ("name", "like.Voice%", Comparison(NAME, Op.LIKE, "Voice%")),
    ("name", "ilike.*v_ice*", Comparison(NAME, Op.ILIKE, "%v_ice%")),
    ("name", 'eq."quoted"', Comparison(NAME, Op.EQ, '"quoted"')),
    ("name", "eq.a.b,c", Comparison(NAME, Op.EQ, "a.b,c")),
    ("name", "is.null", Comparison(NAME, Op.IS, None)),
    ("name", "is.NULL", Comparison(NAME, Op.IS, None)),
    ("id", "in.(a,b)", Comparison(ID, Op.IN, ("a", "b"))),
    ("id", 'in.("a,b","c\\"d",e)', Comparison(ID, Op.IN, ("a,b", 'c"d', "e"))),
    ("created_at", "gte.2025-01-01", Comparison(CREATED, Op.GTE, NEW_YEAR)),
    ("created_at", "gt.2025-01-01T01:00:00 01:00", Comparison(CREATED, Op.GT, NEW_YEAR)),
    ("created_at", "lt.2025-01-01 00:00:00", Comparison(CREATED, Op.LT, NEW_YEAR)),
    ("last_message_at", "lte.2025-01-01T00:00:00.000Z", Comparison(LAST, Op.LTE, NEW_YEAR)),
    ("created_at", "in.(2025-01-01,2025-01-02)", Comparison(CREATED, Op.IN, (NEW_YEAR, NEW_YEAR + 86_400_000))),
    ("metadata->assistant_id", "eq.assistant-1", Comparison(key("assistant_id"), Op.EQ, "assistant-1")),
    ("metadata->>a.b", "gt.5", Comparison(key("a.b"), Op.GT, "5")),
    ("metadata->created_at", "eq.2025-01-01", Comparison(key("created_at"), Op.EQ, "2025-01-01")),
    ("metadata->call_control_id", "eq.v3:123", Comparison(key("call_control_id"), Op.EQ, "v3:123")),
]


@pytest.mark.parametrize(("name", "text", "expected"), CONDITIONS)
def test_conditions(name: str, text: str, expected: Comparison):
    assert conditions(name, text) == (expected,)


def test_all_conditions_hold():
    query = [("created_at", "gte.2025-01-01"), ("created_at", "lt.2025-01-02"), ("or", "(id.eq.a,id.eq.b)")]
    assert len(parse_filter(query).conditions) == 3


def test_any_of():
    text = '(created_at.gte.2025-01-01,metadata->a.b.in.(x,"y,z"),name.like.*a.b*,name.eq."c,d")'
    assert conditions("or", text) == (
        AnyOf(
            (
                Comparison(CREATED, Op.GTE, NEW_YEAR),
                Comparison(key("a.b"), Op.IN, ("x", "y,z")),
                Comparison(NAME, Op.LIKE, "%a.b%"),
                Comparison(NAME, Op.EQ, "c,d"),
            )
        ),
    )


def test_order_and_limit():
    query = [("order", "created_at.desc,metadata->a.b.asc,name"), ("limit", "10")]
    assert parse_filter(query) == Filter(
        orders=(Order(CREATED, descending=True), Order(key("a.b")), Order(NAME)), limit=10
    )
    assert parse_filter([("limit", "999999999999")]).limit == MAX_LIMIT


BAD: list[tuple[str, str, str]] = [
    ("colour", "eq.red", "'colour'"),
    ("metadata->", "eq.red", "'metadata->'"),
    ("metadata", "eq.red", "'metadata'"),
    ("page[size]", "3", "size"),
    ("id", "like", "'like'"),
    ("id", "match.x", "match"),
    ("id", "123", "'123'"),
    ("name", "is.true", "is.true"),
    ("id", "in.a,b", "parentheses"),
    ("id", "in.()", "parentheses"),
    ("created_at", "gte.yesterday", "'yesterday'"),
    ("created_at", "like.2025%", "created_at"),
    ("or", "id.eq.1", "parentheses"),
    ("or", "()", "parentheses"),
    ("or", "(id)", "'id'"),
    ("or", "(colour.eq.red)", "'colour'"),
    ("or", "(id.match.1)", "'id.match.1'"),
    ("or", "(and(id.eq.1,name.eq.2),id.eq.3)", "and"),
    ("order", "colour.desc", "'colour'"),
    ("order", "created_at.down", "'created_at.down'"),
    ("limit", "0", "'0'"),
    ("limit", "-1", "'-1'"),
    ("limit", "١", "limit"),
    ("name", "eq.\x00", "NUL"),
    ("metadata->a\x00", "eq.1", "NUL"),
    ("id", f"in.({','.join('x' * 101)})", "100"),
]


@pytest.mark.parametrize(("name", "text", "told"), BAD)
def test_refusals_name_what_is_wrong(name: str, text: str, told: str):
    with pytest.raises(Refused) as caught:
        parse_filter([(name, text)])
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.title) == (400, "10015", "Bad Request")
    assert told in problem.detail


texts = st.text("abin.(),\"\\*é% 'eqor->", max_size=30)


@given(st.lists(st.tuples(st.sampled_from(["or", "id", "order", "metadata->a", "created_at", "limit"]), texts)))
def test_any_text_is_a_filter_or_a_refusal(query: list[tuple[str, str]]):
    try:
        found: Any = parse_filter(query)
    except Refused as refused:
        found = refused.problem
        assert found.status == 400
    else:
        assert len(found.conditions) <= len(query)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_quoted_values_come_through(values: list[str]):
    storable = [value for value in values if "\x00" not in value and value.isprintable()] or ["x"]
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in storable]
    assert conditions("or", f"(id.in.({','.join(quoted)}))") == (AnyOf((Comparison(ID, Op.IN, tuple(storable)),)),)


@pytest.mark.parametrize("op", ["like", "ilike"])
def test_a_pattern_that_no_database_takes_is_refused(op: str) -> None:
    assert conditions("name", f"{op}.{'?' * MAX_PATTERN}")
    with pytest.raises(Refused, match="at most 1000"):
        conditions("name", f"{op}.{'?' * (MAX_PATTERN + 1)}")
