"""From a frozen dataclass to a JSON Schema that providers enforce, and from a model's words back to the dataclass."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

_MAX_CANDIDATES = 20
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_DROPPED = frozenset({"title", "default", "discriminator", "examples"})
_DECODER = json.JSONDecoder()


class Mismatch(Exception):
    """The words are not the shape. The message says why, for the model to read; ``jsonless`` if they held no JSON."""

    def __init__(self, message: str, *, jsonless: bool) -> None:
        super().__init__(message)
        self.jsonless = jsonless


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """A dataclass as providers see it. ``strict`` is false where the schema cannot be enforced to the letter."""

    name: str
    schema: dict[str, Any]
    text: str
    strict: bool
    adapter: TypeAdapter[T]

    def read(self, words: str) -> T:
        """The value in the model's words: bare JSON, in a fence, or with prose around it. Raises ``Mismatch``."""
        try:
            return self.adapter.validate_json(words)
        except ValidationError as error:
            mismatch, jsonless = error, error.errors()[0]["type"] == "json_invalid"
        for candidate in _candidates(words):
            try:
                return self.adapter.validate_json(candidate)
            except ValidationError as error:
                mismatch, jsonless = error, False
        raise Mismatch(_explain(mismatch), jsonless=jsonless)


def shape_of(shape: type[T]) -> Shape[T]:
    """The shape of a dataclass, worked out once."""
    return cast("Shape[T]", _shape_of(shape))


@lru_cache(maxsize=256)
def _shape_of(shape: type[Any]) -> Shape[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(shape)
    raw = adapter.json_schema()
    schema = cast("dict[str, Any]", strict(raw))
    return Shape(shape.__name__, schema, json.dumps(schema), not _is_open(raw), adapter)


def strict(schema: Any) -> Any:
    """The schema as OpenAI's strict mode wants it: objects closed, every property required, no defaults.

    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
    """
    if isinstance(schema, list):
        return [strict(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    node = cast("dict[str, Any]", schema)
    if "$ref" in node:
        return {"$ref": node["$ref"]}  # neighbours of a reference are refused
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            kept[key] = {name: strict(child) for name, child in cast("dict[str, Any]", value).items()}
        elif key in ("enum", "const"):
            kept[key] = value
        elif key == "description":
            kept[key] = " ".join(str(value).replace("``", "'").split())
        elif key not in _DROPPED:
            kept["anyOf" if key == "oneOf" else key] = strict(value)
    if "properties" in kept:
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept


def _is_open(schema: Any) -> bool:
    """Whether an object in it takes names that are not known beforehand, which strict mode cannot express."""
    if isinstance(schema, list):
        return any(_is_open(item) for item in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return False
    node = cast("dict[str, Any]", schema)
    if node.get("type") == "object" and "properties" not in node:
        return True
    return any(_is_open(value) for value in node.values())


def _candidates(words: str) -> Iterator[str]:
    """Pieces of the words that may be the JSON meant: what is in fences, then objects in the prose."""
    words = _THOUGHTS.sub("", words)
    yield from _FENCE.findall(words)[:_MAX_CANDIDATES]
    start = words.find("{")
    for _ in range(_MAX_CANDIDATES):
        if start < 0:
            return
        try:
            _, end = _DECODER.raw_decode(words, start)
        except (ValueError, RecursionError):
            start = words.find("{", start + 1)
            continue
        yield words[start:end]
        start = words.find("{", end)


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'answer'}: {problem['msg']}" for problem in problems)
