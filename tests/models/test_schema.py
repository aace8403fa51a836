"""Schemas that strict servers take, and answers read back."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.examination import tasks
from vivavoce.models.schema import Mismatch, shape_of, strict


@dataclass(frozen=True, slots=True)
class Cat:
    kind: Literal["cat"]
    title: str  # named like a keyword of JSON Schema
    default: int = 3


@dataclass(frozen=True, slots=True)
class Basket:
    """What is ``in`` it,
    on two lines.
    """

    pets: tuple[Cat, ...]
    first: Cat | None = None


def objects(node: Any) -> list[dict[str, Any]]:
    """Every schema of an object in the schema."""
    if isinstance(node, list):
        return [each for child in cast("list[Any]", node) for each in objects(child)]
    if not isinstance(node, dict):
        return []
    schema = cast("dict[str, Any]", node)
    found = [each for child in schema.values() for each in objects(child)]
    return [*found, schema] if schema.get("type") == "object" else found


@pytest.mark.parametrize("shape", [Basket, tasks.Sheet, tasks.TesterMove])
def test_every_object_is_closed_and_every_property_required(shape: type[Any]) -> None:
    schema = shape_of(shape).schema
    assert shape_of(shape).strict
    assert objects(schema)
    for node in objects(schema):
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])
    assert '"default":' not in shape_of(shape).text.replace('"default": {"type"', "")


def test_names_that_are_keywords_stay_and_nullable_stays_nullable() -> None:
    schema = shape_of(Basket).schema
    cat = schema["$defs"]["Cat"]
    assert set(cat["properties"]) == {"kind", "title", "default"}
    assert cat["properties"]["default"] == {"type": "integer"}
    assert schema["properties"]["first"] == {"anyOf": [{"$ref": "#/$defs/Cat"}, {"type": "null"}]}
    assert schema["description"] == "What is 'in' it, on two lines."


def test_keywords_that_strict_servers_refuse_are_gone() -> None:
    raw = {"oneOf": [{"type": "string", "default": "a"}], "discriminator": {"propertyName": "kind"}, "title": "T"}
    assert strict(raw) == {"anyOf": [{"type": "string"}]}
    assert strict({"$ref": "#/x", "description": "d"}) == {"$ref": "#/x"}
    assert strict({"enum": [{"title": "kept"}]}) == {"enum": [{"title": "kept"}]}


def test_a_shape_is_worked_out_once() -> None:
    assert shape_of(Basket) is shape_of(Basket)


@pytest.mark.parametrize(
    ("words", "jsonless"),
    [
        ("", True),
        ("no", True),
        ("{", True),
        ('{"pets": 1}', False),
        ('see {"pets": 1}', False),
        ("```\n{}\n```", False),
    ],
)
def test_what_cannot_be_read_says_why(words: str, jsonless: bool) -> None:
    with pytest.raises(Mismatch, match=r"\w: \w") as caught:
        shape_of(Basket).read(words)
    assert caught.value.jsonless is jsonless


def test_deep_nonsense_ends() -> None:
    with pytest.raises(Mismatch):
        shape_of(Basket).read("so " + '{"a":' * 100_000)


@given(
    st.text(), st.text().filter(lambda text: "{" not in text and "```" not in text and "<think>" not in text), st.text()
)
def test_a_move_is_found_whatever_stands_around_it(message: str, before: str, after: str) -> None:
    move = tasks.TesterMove("say", message)
    words = before + '{"action": "say", "message": ' + _quoted(message) + "}" + after
    assert shape_of(tasks.TesterMove).read(words) == move


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text) + '"'
