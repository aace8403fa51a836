from dataclasses import replace
from typing import Any

import pytest
from tests.support.scenes import TRUE, edge, version

from vivavoce.assistant.offer import as_name, by_name, specification, specifications, tools_of
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Rules, Templating
from vivavoce.core.flow import CallCondition
from vivavoce.core.model import ToolSpec
from vivavoce.core.tool import (
    Act,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    LineTarget,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    RetrievalTool,
    SettableVariable,
    SkipTool,
    Tool,
    VariablesTool,
    WebhookTool,
)

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


ANN, BOB = LineTarget("+1", "Ann"), LineTarget("sip:bob@example.com")
TEXT, NUMBER = {"type": "string"}, {"type": "number"}


@pytest.mark.parametrize(
    ("tool", "name", "properties", "required"),
    [
        (HandoffTool((HandoffTarget("a1", "Bill"),)), "handoff", {"assistant": TEXT | {"enum": ["Bill"]}}, True),
        (
            HandoffTool((HandoffTarget("a1", "Bill"), HandoffTarget("a2", "Bill"), HandoffTarget("a3", ""))),
            "handoff",
            {"assistant": TEXT | {"enum": ["a1", "a2", "a3"]}},
            True,
        ),
        (
            LineTool(Act.TRANSFER, "transfer", (ANN, BOB)),
            "transfer",
            {"target": TEXT | {"enum": ["Ann", BOB.address]}},
            True,
        ),
        (LineTool(Act.REFER, "refer", (BOB, BOB)), "refer", {"target": TEXT | {"enum": [BOB.address]}}, True),
        (
            LineTool(Act.INVITE, "invite", targets_template="{{who}}"),
            "invite",
            {"target": TEXT | {"enum": ["+2"]}},
            True,
        ),
        (MessageTool("Hello {{who}}"), "send_message", {}, False),
        (SkipTool(), "skip_turn", {}, False),
        (
            VariablesTool("set", "Sets.", (SettableVariable("a"), SettableVariable("b", "number", "B."))),
            "set",
            {"a": TEXT, "b": NUMBER | {"description": "B."}},
            False,
        ),
        (RemoteTool("far", "Far.", {"properties": {"x": {}}}, "s", "far"), "far", {"x": {}}, False),
    ],
)
def test_what_each_kind_of_tool_takes(tool: Tool, name: str, properties: Any, required: bool) -> None:
    spec = specification(tool, Filling({"who": "+2"}))
    assert spec is not None
    assert spec.name == name
    assert spec.parameters["properties"] == properties
    assert list(spec.parameters.get("required", [])) == (list(properties) if required else [])


@pytest.mark.parametrize(
    ("tool", "parameter", "type_"),
    [
        (LineTool(Act.TONES, "tones"), "digits", "string"),
        (LineTool(Act.PAY, "pay"), "amount", "number"),
        (MessageTool(), "text", "string"),
        (RetrievalTool(("b",)), "query", "string"),
    ],
)
def test_what_takes_one_thing_needs_it(tool: Tool, parameter: str, type_: str) -> None:
    spec = specification(tool)
    assert spec is not None
    assert spec.parameters["required"] == [parameter]
    assert spec.parameters["properties"][parameter]["type"] == type_


@pytest.mark.parametrize(
    "tool",
    [
        HandoffTool((HandoffTarget("a", "A"),)),
        LineTool(Act.TRANSFER, "t", (ANN,)),
        MessageTool(),
        SkipTool(),
        RetrievalTool(("b",)),
        HangupTool(),
    ],
)
def test_a_tool_is_described_by_its_author_or_else_by_us(
    tool: HandoffTool | LineTool | MessageTool | SkipTool | RetrievalTool | HangupTool,
) -> None:
    plain, told = specification(tool), specification(replace(tool, description="Mine."))
    assert plain is not None
    assert told is not None
    assert plain.description not in ("", told.description)
    assert told.description == "Mine."


@pytest.mark.parametrize(
    "tool", [HandoffTool(()), LineTool(Act.TRANSFER, "t"), LineTool(Act.INVITE, "i", targets_template="{{unset}}")]
)
def test_who_can_reach_nobody_is_not_offered(tool: Tool) -> None:
    assert specification(tool) is None


def test_an_offer_leaves_them_out_too() -> None:
    found = by_name([LineTool(Act.TRANSFER, "t"), SkipTool()])
    assert [spec.name for spec in specifications(found, Filling({}))] == ["skip_turn"]


# --- names ----------------------------------------------------------------------------------------------------------


def test_a_tool_that_is_there_twice_is_one_and_others_of_its_name_are_numbered() -> None:
    one, other, third = FunctionTool("f"), FunctionTool("f", "Other."), FunctionTool("f", "Third.")
    found = by_name([one, other, one, third, OtherTool("x", name="f"), HangupTool(), HangupTool()])
    assert found == {"f": one, "f_2": other, "f_3": third, "hangup": HangupTool()}
    told = specifications(found, Filling())
    assert [(spec.name, spec.description) for spec in told][:2] == [
        ("f", ""),
        ("f_2", "Other."),
    ]


def test_a_way_of_a_flow_is_a_tool_whose_name_a_provider_takes() -> None:
    ways = [edge("n", "m", "Ask {{it}}.", "a b"), edge("n", "m", "Ask.", "a_b"), edge("n", "m", TRUE, "x" * 80)]
    found = by_name([], ways)
    assert list(found) == ["transition__a_b", "transition__a_b_2", ("transition__" + "x" * 50) + "_2"]
    assert all(len(name) <= 64 for name in found)
    assert [spec.description for spec in specifications(found, Filling({"it": "now"}))] == ["Ask now.", "Ask."]


def test_section_4_a_way_that_is_called_has_its_own_name_description_and_parameters() -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}}
    calls = [
        CallCondition("transition_to_late", "When it is {{when}}.", schema),
        CallCondition("transition to early", "Else."),
    ]
    found = by_name([], [edge("n", "m", call) for call in calls])
    assert list(specifications(found, Filling({"when": "late"}))) == [
        ToolSpec("transition_to_late", "When it is late.", schema),
        ToolSpec("transition_to_early", "Else.", {"type": "object", "properties": {}}),
    ]


@pytest.mark.parametrize(
    ("name", "known"), [("look_up", "look_up"), ("My node, #2", "My_node___2"), ("", "_"), ("n" * 70, "n" * 64)]
)
def test_a_tool_that_only_a_flow_calls_can_be_called_anything(name: str, known: str) -> None:
    assert as_name(name) == known


def test_a_variable_that_can_only_be_some_texts_says_which() -> None:
    settable = SettableVariable("plan", "string", "The plan.", ("gold", "tin"))
    spec = specification(VariablesTool("set", "Sets.", (settable,)))
    assert spec is not None
    assert spec.parameters["properties"] == {
        "plan": {"type": "string", "enum": ["gold", "tin"], "description": "The plan."}
    }


def test_what_tools_an_assistant_has() -> None:
    inline, shared, remote = FunctionTool("a"), FunctionTool("b"), RemoteTool("c", "", {}, "s", "c")
    made = version(tools=(inline,), shared=("t1", "gone"), library={"t1": shared, "t2": inline})
    assert tools_of(made) == (inline, shared)
    assert tools_of(replace(made, remote=(remote,))) == (inline, shared, remote)
    assert tools_of(replace(made, shared=(), remote=(remote,))) == (inline, remote)


def test_section_6_descriptions_are_filled_in_where_the_rules_say_so() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "Of {{shop}}.", "enum": ["{{shop}}"]}},
        "anyOf": [{"description": "{{shop}}"}],
    }
    tool = FunctionTool("find", "Finds things of {{shop}} and {{nobody}}.", schema)
    [plain] = specifications({"find": tool}, Filling({"shop": "Birch"}))
    assert (plain.description, plain.parameters) == (tool.description, schema)
    [told] = specifications({"find": tool}, Filling({"shop": "Birch"}, Templating(rules=Rules.NESTED)))
    assert told.description == "Finds things of Birch and {{nobody}}."
    assert told.parameters["properties"]["a"] == {"type": "string", "description": "Of Birch.", "enum": ["{{shop}}"]}
    assert told.parameters["anyOf"] == [{"description": "Birch"}]
