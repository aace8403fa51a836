"""A tool as a model sees it."""

from collections.abc import Mapping
from typing import Any, cast

from vivavoce.core.model import ToolSpec
from vivavoce.core.tool import FunctionTool, HangupTool, Tool, WebhookTool

_HANGUP = "This tool is used to hang up the call."  # contract, section 3
_SHARED = ("$defs", "definitions")


def specification(tool: Tool) -> ToolSpec | None:
    """What the model is offered, or None for a kind of tool that is kept and not offered."""
    if isinstance(tool, WebhookTool):
        return ToolSpec(tool.name, tool.description, offered_parameters(tool))
    if isinstance(tool, FunctionTool):
        return ToolSpec(tool.name, tool.description, tool.parameters or _object({}, []))
    if isinstance(tool, HangupTool):
        return ToolSpec(tool.name, tool.description or _HANGUP, _object({}, []))
    return None


def offered_parameters(tool: WebhookTool) -> Mapping[str, Any]:
    """One JSON Schema of the path, query and body parameters, without those that are preset (contract, section 3)."""
    parts = [
        (tool.path_parameters or {}, frozenset[str]()),
        (tool.query_parameters or {}, frozenset(tool.preset_query)),
        (tool.body_parameters or {}, frozenset(tool.preset_body)),
    ]
    merged: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: dict[str, None] = {}
    for schema, hidden in parts:
        for word, value in schema.items():
            if word in _SHARED:
                merged[word] = {**merged.get(word, {}), **_mapping(value)}
            elif word not in ("type", "properties", "required", "additionalProperties"):
                merged[word] = value
        properties |= {name: value for name, value in property_schemas(schema).items() if name not in hidden}
        required |= dict.fromkeys(name for name in _names(schema.get("required")) if name not in hidden)
    given = [schema for schema, _ in parts if schema]
    if given and all(schema.get("additionalProperties") is False for schema in given):
        merged["additionalProperties"] = False
    return _object(properties, list(required)) | merged


def property_schemas(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The properties that an object's schema names; none for a schema that is not in order."""
    return _mapping((schema or {}).get("properties"))


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    return schema | {"required": required} if required else schema


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _names(value: Any) -> list[str]:
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    return [each for each in items if isinstance(each, str)]
