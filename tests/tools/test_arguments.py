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
    ],
)
def test_a_schema_that_cannot_be_used_is_not_checked_against(schema: dict[str, Any]) -> None:
    assert mismatch(schema, {"a": 1}) is None


def test_references_within_the_schema_work() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}
    assert mismatch(schema, {"a": 1}) is None
    assert mismatch(schema, {"a": "1"}) == "a: '1' is not of type 'number'"


def test_older_drafts_are_understood() -> None:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"minimum": 1}}}
    assert mismatch(schema, {"a": 0}) == "a: 0 is less than the minimum of 1"


def test_regular_expressions_are_not_tried() -> None:
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "patternProperties": {"^(a+)+$": False}}
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
