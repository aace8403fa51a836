import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.equation import Equation, Relation, holds

SET = {"{{name}}": "Ada", "{{empty}}": "", "{{age}}": "9", "{{year}}": "1815"}


ORDERS: tuple[Relation, ...] = ("<", "<=", ">", ">=")
OPPOSITE: dict[Relation, Relation] = {
    "==": "!=",
    "!=": "==",
    "contains": "not_contains",
    "not_contains": "contains",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}


def fill(template: str) -> str | None:
    return SET.get(template, None if template.startswith("{{") else template)


def true(left: str, relation: Relation, right: str = "") -> bool:
    return holds(Equation(left, relation, right), fill)


@pytest.mark.parametrize(
    ("left", "relation", "right"),
    [
        ("{{name}}", "==", "Ada"),
        ("{{name}}", "!=", "ada"),
        ("{{name}}", "contains", "da"),
        ("{{name}}", "contains", ""),
        ("{{name}}", "not_contains", "x"),
        ("{{age}}", "==", "{{age}}"),
        ("{{age}}", "!=", "9.0"),
        ("{{age}}", "<", "{{year}}"),
        ("{{age}}", "<=", " 9.0 "),
        ("{{year}}", ">", "-1e3"),
        ("{{year}}", ">=", "1815"),
        ("{{empty}}", "==", ""),
    ],
)
def test_section_7_4_texts_are_compared_as_texts_and_orders_need_numbers(
    left: str, relation: Relation, right: str
) -> None:
    assert true(left, relation, right)
    assert not true(left, OPPOSITE[relation], right)


@pytest.mark.parametrize("relation", ORDERS)
@pytest.mark.parametrize("text", ["", "nine", "nan", "inf", "1_000", "0x10", "٣", "1e9999"])
def test_section_7_4_an_order_does_not_hold_of_what_is_no_number(relation: Relation, text: str) -> None:
    assert not true(text, relation, "1")
    assert not true("1", relation, text)


def test_section_7_4_an_empty_text_exists_and_what_is_not_set_does_not() -> None:
    assert true("{{empty}}", "exists")
    assert not true("{{empty}}", "not_exists")
    assert true("{{nobody}}", "not_exists", "whatever")
    assert not true("{{nobody}}", "exists", "whatever")


@pytest.mark.parametrize("sides", [("{{nobody}}", "Ada"), ("Ada", "{{nobody}}"), ("{{nobody}}", "{{nobody}}")])
def test_what_is_not_set_is_equal_to_nothing(sides: tuple[str, str]) -> None:
    assert not any(true(sides[0], relation, sides[1]) for relation in (*ORDERS, "==", "contains"))
    assert true(sides[0], "!=", sides[1])
    assert true(sides[0], "not_contains", sides[1])


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**6), 10**6))
def test_numbers_are_in_their_order(one: float, other: int) -> None:
    expected = [one < other, one <= other, one > other, one >= other]
    assert [true(str(one), relation, str(other)) for relation in ORDERS] == expected
