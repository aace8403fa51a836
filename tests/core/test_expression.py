"""Expressions over variables (contract, section 4.1)."""

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.expression import (
    Arithmetic,
    Calculating,
    Comparing,
    Comparison,
    Expression,
    Joining,
    Junction,
    Literally,
    Variable,
    holds,
    value,
)

NAMES = ("a", "b", "c", "missing")
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.text("ab1", max_size=3), st.integers(-3, 3), st.floats(), st.booleans(), st.just(10**400)
)
VALUES = st.one_of(st.none(), SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=1), SCALARS))
VARIABLES = st.dictionaries(st.sampled_from(NAMES[:3]), VALUES)
LEAVES: st.SearchStrategy[Expression] = st.one_of(
    st.builds(Literally, SCALARS), st.builds(Variable, st.sampled_from(NAMES))
)
COMPARING: tuple[Comparing, ...] = ("==", "!=", "<", "<=", ">", ">=", "contains", "not_contains")
CALCULATING: tuple[Calculating, ...] = ("+", "-", "*", "/", "%")


def _deeper(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    many = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Comparison, st.sampled_from(COMPARING), inner, inner),
        st.builds(Arithmetic, st.sampled_from(CALCULATING), inner, inner),
        st.builds(Junction, st.sampled_from(("and", "or", "not")), many),
    )


EXPRESSIONS = st.recursive(LEAVES, _deeper, max_leaves=12)


@settings(deadline=None)
@given(EXPRESSIONS, VARIABLES)
def test_rule_4_1_nothing_ever_raises_and_only_true_is_true(expression: Expression, variables: dict[str, Any]) -> None:
    assert holds(expression, variables) is (value(expression, variables) is True)


@settings(deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, VARIABLES)
def test_rule_4_1_the_laws_of_not_and_or(one: Expression, two: Expression, variables: dict[str, Any]) -> None:
    def joined(op: Joining, *operands: Expression) -> Junction:
        return Junction(op, operands)

    def true(expression: Expression) -> bool:
        return holds(expression, variables)

    assert true(joined("not", one)) is not true(one)
    assert true(joined("and", one, two)) is (true(one) and true(two))
    assert true(joined("or", one, two)) is (true(one) or true(two))
    assert true(joined("not", joined("and", one, two))) is true(joined("or", joined("not", one), joined("not", two)))
    assert true(joined("and", one, two)) is true(joined("and", two, one))


@settings(deadline=None)
@given(st.integers(-1000, 1000))
def test_rule_4_1_a_text_and_a_number_are_never_equal_nor_in_order(number: int) -> None:
    for left, right in ((Literally(str(number)), Literally(number)), (Literally(number), Literally(str(number)))):
        assert not holds(Comparison("==", left, right), {})
        assert holds(Comparison("!=", left, right), {})
        for op in ("<", "<=", ">", ">="):
            assert not holds(Comparison(op, left, right), {})
    assert holds(Comparison("==", Literally(number), Literally(float(number))), {})


@settings(deadline=None)
@given(VALUES, st.sampled_from(("<", "<=", ">", ">=")))
def test_rule_4_1_a_variable_that_is_missing_is_null_and_in_no_order(other: Any, op: Comparing) -> None:
    variables = {"a": other}
    for left, right in ((Variable("missing"), Variable("a")), (Variable("a"), Variable("missing"))):
        assert not holds(Comparison(op, left, right), variables)
        assert holds(Comparison("==", left, right), variables) is (other is None)
    assert value(Variable("missing"), variables) is None


ORDERS: tuple[tuple[Comparing, Callable[[Any, Any], bool]], ...] = (
    ("<", operator.lt),
    ("<=", operator.le),
    (">", operator.gt),
    (">=", operator.ge),
)


@settings(deadline=None)
@given(st.one_of(st.tuples(st.floats(), st.integers()), st.tuples(st.text(), st.text())))
def test_rule_4_1_numbers_and_texts_are_in_their_own_order(pair: tuple[Any, Any]) -> None:
    for op, expected in ORDERS:
        assert holds(Comparison(op, Literally(pair[0]), Literally(pair[1])), {}) is expected(*pair)


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        ("hello", "ell", True),
        ("hello", "x", False),
        ("1", 1, False),
        ([1, "a"], 1.0, True),
        ([1, "a"], "a", True),
        ([1], True, False),
        ((True,), True, True),
        ([], None, False),
        ({"a": 1}, "a", False),
        (5, 5, False),
        (None, "a", False),
    ],
)
def test_rule_4_1_contains_is_a_part_of_a_text_or_a_member_of_a_list(whole: Any, part: Any, expected: bool) -> None:
    variables = {"whole": whole, "part": part}
    assert holds(Comparison("contains", Variable("whole"), Variable("part")), variables) is expected
    assert holds(Comparison("not_contains", Variable("whole"), Variable("part")), variables) is not expected


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("+", 1, 2.0, 3.0),
        ("-", 1, 2, -1),
        ("*", 3, 2, 6),
        ("/", 1, 2, 0.5),
        ("%", 7, 4, 3),
        ("/", 1, 0, None),
        ("%", 1, 0, None),
        ("/", 10**400, 0.5, None),
        ("+", "1", 1, None),
        ("+", True, 1, None),
        ("+", None, 1, None),
    ],
)
def test_rule_4_1_arithmetic_is_of_numbers(op: Calculating, left: Any, right: Any, expected: Any) -> None:
    assert value(Arithmetic(op, Variable("a"), Variable("b")), {"a": left, "b": right}) == expected


def test_rule_4_1_a_truth_value_is_no_number() -> None:
    assert not holds(Comparison("==", Literally(True), Literally(1)), {})
    assert not holds(Comparison("<", Literally(False), Literally(1)), {})
    assert holds(Literally(True), {})
    assert not holds(Literally(1), {})


def test_what_is_nested_too_deeply_comes_to_nothing() -> None:
    deep: Expression = Literally(True)
    for _ in range(20_000):
        deep = Junction("not", (deep,))
    assert value(deep, {}) is None
    assert not holds(deep, {})
