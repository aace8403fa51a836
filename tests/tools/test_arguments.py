import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.tools.arguments import mismatch

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ages": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": "Ann"}, None),
        ({"name": "Ann", "ages": [1], "more": None}, None),
        ({}, "'name' is a required property"),
        ({"name": 5}, "name: 5 is not of type 'string'"),
        ({"name": "Ann", "ages": [1, "x"]}, "ages.1: 'x' is not of type 'integer'"),
    ],
)
def test_the_first_mismatch_is_named(arguments: dict[str, Any], expected: str | None) -> None:
    assert mismatch(PERSON, arguments) == expected


def test_a_long_mismatch_is_cut() -> None:
    assert len(mismatch(PERSON, {"name": ["x" * 10_000]}) or "") < 600


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"properties": 5},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "#/$defs/nothing"},
        {"$ref": "#"},
        {"$schema": ["odd"], "type": "object"},
        {"type": {1, 2}},
        {"$schema": 5},
        {"$schema": "http://json-schema.org/draft-03/schema#", "properties": {"a": {"type": "odd"}}},
        {"properties": {"a": {"multipleOf": 0.5}}, "additionalProperties": {"multipleOf": 1e-300}},
    ],
)
def test_a_schema_that_cannot_be_used_is_not_checked_against(schema: dict[str, Any]) -> None:
    assert mismatch(schema, {"a": 1, "b": 10**400}) is None


def test_references_within_the_schema_work() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}
    assert mismatch(schema, {"a": 1}) is None
    assert mismatch(schema, {"a": "1"}) == "a: '1' is not of type 'number'"


def test_older_drafts_are_understood() -> None:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"minimum": 1}}}
    assert mismatch(schema, {"a": 0}) == "a: 0 is less than the minimum of 1"


def test_regular_expressions_are_not_tried() -> None:
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "patternProperties": {"^(a+)+$": False}}
    schema |= {"additionalProperties": False}
    began = time.monotonic()
    assert mismatch(schema, {"a": "a" * 40 + "b", "a" * 40 + "b": 1}) is None
    assert time.monotonic() - began < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
WORDS = st.sampled_from(["type", "properties", "required", "items", "$ref", "enum"]) | st.text()


@given(st.dictionaries(WORDS, JSON), JSON)
def test_nothing_raises(schema: dict[str, Any], value: Any) -> None:
    assert isinstance(mismatch(schema, {"a": value}), str | None)


def test_references_that_multiply_come_to_an_end() -> None:
    """A schema of a page can ask for more steps than there is time; servers of others send schemas too."""
    both = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    for keyword in ("unevaluatedProperties", "additionalProperties"):
        schema = {"$ref": "#/$defs/d0", keyword: False, "$defs": {**both, "d40": {"type": "object"}}}
        began = time.monotonic()
        mismatch(schema, {"a": 1})
        assert time.monotonic() - began < 20


def test_many_items_are_told_apart_quickly() -> None:
    schema = {"properties": {"a": {"uniqueItems": True}}}
    began = time.monotonic()
    items = [{"n": n} for n in range(20_000)]
    assert mismatch(schema, {"a": items}) is None
    assert mismatch(schema, {"a": [*items, {"n": 0}]}) == "a: items are not all different"
    assert mismatch({"properties": {"a": {"uniqueItems": False}}}, {"a": [1, 1]}) is None
    assert time.monotonic() - began < 10
