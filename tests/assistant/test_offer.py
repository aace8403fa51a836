from typing import Any

import pytest

from vivavoce.assistant.offer import specification
from vivavoce.core.tool import FunctionTool, HangupTool, OtherTool, WebhookTool

EMPTY: dict[str, Any] = {"type": "object", "properties": {}}


def webhook(**fields: Any) -> WebhookTool:
    return WebhookTool("look_up", "Looks it up.", "https://example.com/", **fields)


def offered(tool: WebhookTool) -> Any:
    spec = specification(tool)
    assert spec is not None
    assert (spec.name, spec.description) == ("look_up", "Looks it up.")
    return spec.parameters


def test_a_webhook_without_parameters_takes_none() -> None:
    assert offered(webhook()) == EMPTY


def test_the_three_schemas_of_a_webhook_are_offered_as_one() -> None:
    tool = webhook(
        path_parameters={"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        query_parameters={"type": "object", "properties": {"lang": {"type": "string"}, "id": {"type": "string"}}},
        body_parameters={
            "type": "object",
            "properties": {"note": {"$ref": "#/$defs/note"}},
            "required": ["note", "id"],
            "$defs": {"note": {"type": "string"}},
            "minProperties": 1,
        },
    )
    assert offered(tool) == {
        "type": "object",
        "properties": {"id": {"type": "string"}, "lang": {"type": "string"}, "note": {"$ref": "#/$defs/note"}},
        "required": ["id", "note"],
        "$defs": {"note": {"type": "string"}},
        "minProperties": 1,
    }


def test_what_is_preset_is_not_offered() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
    assert offered(webhook(body_parameters=schema, preset_body={"a": 1})) == {
        "type": "object",
        "properties": {"b": {}},
        "required": ["b"],
    }
    assert offered(webhook(query_parameters=schema, preset_query={"a": 1, "b": 2})) == EMPTY


def test_a_preset_of_the_body_does_not_hide_a_path_parameter() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    assert offered(webhook(path_parameters=schema, preset_body={"a": 1})) == schema


def test_other_arguments_are_forbidden_only_if_every_schema_forbids_them() -> None:
    closed: dict[str, Any] = {"properties": {"a": {}}, "additionalProperties": False}
    assert offered(webhook(body_parameters=closed))["additionalProperties"] is False
    assert offered(webhook(body_parameters=closed, query_parameters=closed))["additionalProperties"] is False
    assert "additionalProperties" not in offered(webhook(body_parameters=closed, query_parameters={"properties": {}}))


def test_a_schema_that_is_not_in_order_is_offered_as_far_as_it_goes() -> None:
    broken = {"properties": ["a"], "required": "a", "$defs": 5}
    assert offered(webhook(body_parameters=broken)) == EMPTY | {"$defs": {}}
    assert offered(webhook(body_parameters={"required": [1, "a"]}))["required"] == ["a"]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (FunctionTool("f", "F.", {"type": "object", "properties": {"x": {}}}), ("f", "F.", 1)),
        (FunctionTool("f"), ("f", "", 0)),
        (HangupTool(), ("hangup", "This tool is used to hang up the call.", 0)),
        (HangupTool("Bye."), ("hangup", "Bye.", 0)),
    ],
)
def test_functions_and_hanging_up(tool: FunctionTool | HangupTool, expected: tuple[str, str, int]) -> None:
    spec = specification(tool)
    assert spec is not None
    assert (spec.name, spec.description, len(spec.parameters["properties"])) == expected


def test_other_kinds_are_not_offered() -> None:
    assert specification(OtherTool("retrieval", name="search")) is None
