"""The JSON Schema of suite files, by which editors know their keys. ``suite.schema.json`` beside this file holds it."""

import json
from typing import Any, cast

from vivavoce.files.schema import Suite

_FILE: dict[str, Any] = {
    "type": "object",
    "title": "File",
    "description": "A file beside this one, which holds what would stand here.",
    "properties": {"file": {"type": "string"}},
    "required": ["file"],
    "additionalProperties": False,
}
_IN_FILES = {
    "Suite": ("assistant", "persona"),
    "Test": ("assistant", "persona", "scenario"),
    "Assistant": ("instructions",),
}
"""What may stand in a file of its own, by the shape that has it."""


def suite_schema() -> dict[str, Any]:
    """The schema of a suite as it stands in a file, in draft 2020-12."""
    schema = Suite.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    definitions["File"] = _FILE
    for name, keys in _IN_FILES.items():
        shape = schema if name == "Suite" else definitions[name]
        for key in keys:
            shape["properties"][key] = _or_file(shape["properties"][key])
    return cast(
        "dict[str, Any]", {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Suite", **schema}
    )


def _or_file(shape: dict[str, Any]) -> dict[str, Any]:
    about = {key: shape.pop(key) for key in ("title", "description", "default") if key in shape}
    ways: list[Any] = shape.pop("anyOf", None) or shape.pop("oneOf", None) or [shape]
    return {**about, "anyOf": [*ways, {"$ref": "#/$defs/File"}]}


def schema_text() -> str:
    """The schema as the file beside this one holds it."""
    return json.dumps(suite_schema(), indent=2, ensure_ascii=False) + "\n"
