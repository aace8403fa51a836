"""Tools and mocks as this API writes them, and what the core makes of them (contract, sections 2.2, 3.6 and 5)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vivavoce.api.retell.wire.tool_shapes import ToolMockShape, ToolShape
from vivavoce.api.retell.wire.tools import CAL, ENVELOPE, dotted, to_mocks, to_tool
from vivavoce.assistant.offer import offered_parameters, specification
from vivavoce.core.tool import (
    Act,
    CodeTool,
    Filler,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    Header,
    LineTarget,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    StoredField,
    Tool,
    ToolMock,
    VariablesTool,
    WebhookTool,
)

SHAPE: TypeAdapter[Any] = TypeAdapter(ToolShape)
MOCKS: TypeAdapter[Any] = TypeAdapter(list[ToolMockShape])

END: dict[str, Any] = {"type": "end_call", "name": "end_call"}
TRANSFER: dict[str, Any] = {
    "type": "transfer_call",
    "name": "to_sales",
    "transfer_destination": {"type": "predefined", "number": "+15550101000", "extension": "12"},
    "transfer_option": {"type": "cold_transfer", "show_transferee_as_caller": True},
}
SWAP: dict[str, Any] = {
    "type": "agent_swap",
    "name": "to_support",
    "agent_id": "agent_0199c0de00007000800000000000beef",
    "post_call_analysis_setting": "both_agents",
}
PRESS: dict[str, Any] = {"type": "press_digit", "name": "press", "delay_ms": 5000}
SMS: dict[str, Any] = {"type": "send_sms", "name": "text", "sms_content": {"type": "predefined", "text": "Hi {{name}}"}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"number": {"type": "string"}, "shop": {"type": "string", "const": "{{shop}}"}},
    "required": ["number", "shop"],
}
CUSTOM: dict[str, Any] = {
    "type": "custom",
    "name": "find_order",
    "description": "Finds an order.",
    "url": "https://shop.example/orders",
    "headers": {"X-Key": "{{key}}"},
    "query_params": {"v": "2"},
    "parameters": SCHEMA,
    "response_variables": {"who": "items[0].name"},
}
CODE: dict[str, Any] = {"type": "code", "name": "sum", "code": "return 1", "description": "Adds."}
CAL_TOOL: dict[str, Any] = {
    "type": "check_availability_cal",
    "name": "slots",
    "cal_api_key": "cal_x",
    "event_type_id": 60444,
}
EXTRACT: dict[str, Any] = {
    "type": "extract_dynamic_variable",
    "name": "extract",
    "description": "Finds things out.",
    "variables": [{"type": "string", "name": "city", "description": "Where.", "examples": ["Bern", "Rome"]}],
}
MCP: dict[str, Any] = {
    "type": "mcp",
    "name": "docs.search",
    "description": "Searches.",
    "mcp_id": "docs",
    "input_schema": {"properties": {"q": {"type": "string"}}},
}
APP: dict[str, Any] = {
    "type": "integration_app",
    "name": "make_ticket",
    "app_id": "app_1",
    "app_tool_template_name": "ticket",
    "provider": "desk",
}
ALL = [END, TRANSFER, SWAP, PRESS, SMS, CUSTOM, CODE, CAL_TOOL, EXTRACT, MCP, APP]


def made(raw: dict[str, Any]) -> Tool:
    """The tool of a body that the shapes let in, as they give it on."""
    tool = SHAPE.validate_python(raw)
    return to_tool(tool.model_dump(by_alias=True, exclude_unset=True))


def webhook(**changes: Any) -> WebhookTool:
    tool = made({**CUSTOM, **changes})
    assert isinstance(tool, WebhookTool)
    return tool


# --- shapes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ALL, ids=lambda raw: raw["type"])
def test_bodies_come_through_the_shapes_as_they_were(raw: dict[str, Any]) -> None:
    odd = {**raw, "something_new": {"kept": [1, None]}}
    assert SHAPE.validate_python(odd).model_dump(by_alias=True, exclude_unset=True) == odd


@pytest.mark.parametrize("raw", [raw for raw in ALL if raw is not MCP], ids=lambda raw: raw["type"])
@pytest.mark.parametrize("name", ["", "has space", "x" * 65, "ä", None])
def test_section_5_names_are_what_a_model_can_call(raw: dict[str, Any], name: Any) -> None:
    with pytest.raises(ValidationError):
        SHAPE.validate_python({**raw, "name": name})


@pytest.mark.parametrize("raw", ALL, ids=lambda raw: raw["type"])
def test_section_5_what_a_kind_needs_must_be_there(raw: dict[str, Any]) -> None:
    optional = {"description", "headers", "query_params", "parameters", "response_variables", "delay_ms", "mcp_id"}
    required = set(raw) - {"type", "input_schema"} - (optional - ({"description"} if raw in (EXTRACT, MCP) else set()))
    for name in required:
        with pytest.raises(ValidationError):
            SHAPE.validate_python({key: value for key, value in raw.items() if key != name})


@pytest.mark.parametrize(
    ("raw", "field", "low", "high"),
    [
        (CUSTOM, "timeout_ms", 1000, 600_000),
        (CODE, "timeout_ms", 5000, 60_000),
        (PRESS, "delay_ms", 0, 5000),
        (CUSTOM, "max_retry", 0, 5),
    ],
)
def test_section_5_numbers_have_bounds(raw: dict[str, Any], field: str, low: int, high: int) -> None:
    for good in (low, high, None):
        SHAPE.validate_python({**raw, field: good})
    for bad in (low - 1, high + 1, "1000"):
        with pytest.raises(ValidationError):
            SHAPE.validate_python({**raw, field: bad})


def test_section_5_code_has_20000_characters_at_most() -> None:
    SHAPE.validate_python({**CODE, "code": "x" * 20_000})
    with pytest.raises(ValidationError):
        SHAPE.validate_python({**CODE, "code": "x" * 20_001})


def test_section_5_a_choice_needs_choices() -> None:
    wanted = {"type": "enum", "name": "size", "description": "How big."}
    with pytest.raises(ValidationError, match="needs choices"):
        SHAPE.validate_python({**EXTRACT, "variables": [wanted]})
    SHAPE.validate_python({**EXTRACT, "variables": [{**wanted, "choices": ["s", "m"]}]})


@pytest.mark.parametrize("raw", [{"type": "brand_new", "name": "has space"}, {"type": "brand_new"}])
def test_a_kind_that_nobody_knows_is_kept_and_not_offered(raw: dict[str, Any]) -> None:
    tool = made(raw)
    assert tool == OtherTool("brand_new", name=raw.get("name", ""))
    assert specification(tool) is None


@pytest.mark.parametrize("raw", [{"name": "x"}, {"type": 3}, "end_call", None, []])
def test_what_is_no_tool_is_refused(raw: Any) -> None:
    with pytest.raises(ValidationError):
        SHAPE.validate_python(raw)


# --- what is said meanwhile -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ()),
        ({"speak_during_execution": False, "execution_message_description": "Wait."}, ()),
        (
            {"speak_during_execution": True, "execution_message_description": "Say wait."},
            (Filler("Say wait.", generated=True),),
        ),
        (
            {
                "speak_during_execution": True,
                "execution_message_description": "Wait.",
                "execution_message_type": "static_text",
            },
            (Filler("Wait."),),
        ),
        ({"speak_during_execution": True, "execution_message_type": "static_text"}, ()),
    ],
)
def test_section_5_what_is_said_while_a_tool_works(said: dict[str, Any], expected: tuple[Filler, ...]) -> None:
    for raw in (END, TRANSFER, SWAP, SMS, CUSTOM, CODE, MCP):
        tool: Any = made({**raw, **said})
        assert tool.fillers == expected


def test_section_5_a_prompt_that_is_left_out_is_the_vendors_own() -> None:
    (filler,) = webhook(speak_during_execution=True).fillers
    assert filler.generated
    assert "fits into the conversation" in filler.text


# --- calls and messages ---------------------------------------------------------------------------------------------


def test_section_5_end_call_hangs_up_under_its_own_name() -> None:
    assert made({**END, "name": "bye", "description": "Ends it."}) == HangupTool("Ends it.", name="bye")


def test_section_5_a_predefined_transfer_has_one_target() -> None:
    assert made(TRANSFER) == LineTool(Act.TRANSFER, "to_sales", (LineTarget("+15550101000"),))


def test_section_5_an_inferred_transfer_offers_the_numbers_of_its_prompt() -> None:
    prompt = "Sales is +1 (555) 010-1000, support is sip:help@shop.example. Sales again: +15550101000."
    tool = made(
        {**TRANSFER, "transfer_destination": {"type": "inferred", "prompt": prompt}, "description": "Sends on."}
    )
    assert isinstance(tool, LineTool)
    assert tool.targets == (LineTarget("+15550101000"), LineTarget("sip:help@shop.example"))
    assert tool.description == f"Sends on.\nWhere to: {prompt}"


def test_section_5_an_inferred_transfer_without_numbers_can_be_made_all_the_same() -> None:
    tool = made({**TRANSFER, "transfer_destination": {"type": "inferred", "prompt": "To the {{department}}"}})
    assert isinstance(tool, LineTool)
    assert tool.targets == (LineTarget("To the {{department}}"),)
    assert specification(tool) is not None


@pytest.mark.parametrize(
    ("version", "number"), [({}, None), ({"agent_version": 3}, 3), ({"agent_version": "prod"}, None)]
)
def test_section_5_agent_swap_names_the_version_of_the_other(version: dict[str, Any], number: int | None) -> None:
    id_ = "assistant-0199c0de-0000-7000-8000-00000000beef"
    assert made({**SWAP, **version}) == HandoffTool((HandoffTarget(id_, SWAP["agent_id"], number),), name="to_support")


def test_section_5_keys_and_transfers_among_agents() -> None:
    assert made(PRESS) == LineTool(Act.TONES, "press")
    bridge = made({"type": "bridge_transfer", "name": "bridge"})
    assert isinstance(bridge, LineTool)
    assert (bridge.act, bridge.name) == (Act.TRANSFER, "bridge")
    cancel = made({"type": "cancel_transfer", "name": "cancel"})
    assert isinstance(cancel, HangupTool)
    assert cancel.name == "cancel"
    assert all(specification(tool) for tool in (bridge, cancel))


def test_section_5_a_message_is_given_or_left_to_the_model() -> None:
    assert made(SMS) == MessageTool("Hi {{name}}", name="text")
    assert made({**SMS, "sms_content": {"type": "inferred", "prompt": "The address."}}) == MessageTool(
        "", "What to write: The address.", name="text"
    )
    # The type may be left out.
    for content, kind in (({"text": "Hi {{name}}"}, "predefined"), ({"prompt": "The address."}, "inferred")):
        assert made({**SMS, "sms_content": content}) == made({**SMS, "sms_content": {**content, "type": kind}})
    asking = made({**SMS, "sms_content": {"type": "template", "template": "info_collection"}})
    assert isinstance(asking, MessageTool)
    assert asking.template


# --- requests -------------------------------------------------------------------------------------------------------


def test_section_3_6_a_custom_tool_posts_its_name_the_call_and_the_arguments() -> None:
    tool = webhook()
    assert (tool.method, tool.timeout_ms, tool.retries, tool.longest) == ("POST", 120_000, 2, 15_000)
    assert tool.envelope is not None
    assert (tool.envelope.name, tool.envelope.conversation, tool.envelope.arguments) == ("name", "call", "args")
    assert tool.envelope == ENVELOPE
    assert tool.headers == (Header("X-Key", "{{key}}"),)
    assert tool.preset_query == {"v": "2"}
    assert not tool.form


def test_section_3_6_with_args_at_root_only_the_arguments_are_sent() -> None:
    assert webhook(args_at_root=True).envelope is None


def test_section_5_a_constant_is_not_asked_for_and_sent_as_it_is() -> None:
    tool = webhook()
    assert tool.preset_body == {"shop": "{{shop}}"}
    assert offered_parameters(tool) == {
        "type": "object",
        "properties": {"number": {"type": "string"}},
        "required": ["number"],
    }


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_section_3_6_without_a_body_the_arguments_go_into_the_query(method: str) -> None:
    tool = webhook(method=method)
    assert (tool.body_parameters, tool.envelope, tool.preset_body) == (None, None, {})
    assert tool.query_parameters == SCHEMA
    assert tool.preset_query == {"shop": "{{shop}}", "v": "2"}
    assert offered_parameters(tool)["required"] == ["number"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_section_3_6_these_have_bodies(method: str) -> None:
    tool = webhook(method=method, max_retry=0, timeout_ms=1000, speak_after_execution=False)
    assert (tool.method, tool.body_parameters, tool.query_parameters) == (method, SCHEMA, None)
    assert (tool.retries, tool.timeout_ms, tool.quiet) == (0, 1000, True)


def test_section_5_a_tool_without_parameters_asks_for_nothing() -> None:
    tool = webhook(parameters=None, query_params=None, headers=None, response_variables=None)
    assert offered_parameters(tool) == {"type": "object", "properties": {}}
    assert (tool.headers, tool.preset_query, tool.stored) == ((), {}, ())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data.order.id", "data.order.id"),
        ("items[0].name", "items.0.name"),
        ("[1][2]", "1.2"),
        ("$.data['a b'].c", "data.a b.c"),
        ('$["x"]', "x"),
        ("$", ""),
        ("$price", "$price"),
    ],
)
def test_section_3_6_paths_with_brackets_become_dotted_ones(path: str, expected: str) -> None:
    assert dotted(path) == expected


@given(st.text())
def test_no_path_is_too_odd(path: str) -> None:
    assert not dotted(f"a[0]{path}").startswith("a[0]")


def test_section_3_6_parts_of_the_answer_become_variables() -> None:
    assert webhook().stored == (StoredField("who", "items.0.name"),)


def test_section_5_code_runs_for_30_seconds_and_is_spoken_about_unless_it_says_otherwise() -> None:
    assert made(CODE) == CodeTool("sum", "return 1", "Adds.")
    short = {"timeout_ms": 5000, "speak_after_execution": False, "response_variables": {"x": "a[0]"}}
    assert made({**CODE, **short}) == CodeTool(
        "sum", "return 1", "Adds.", timeout_ms=5000, quiet=True, stored=(StoredField("x", "a.0"),)
    )


@pytest.mark.parametrize(("sent", "kept"), [(60444, 60444), (60444.0, 60444), ("60444", 60444), ("{{e}}", "{{e}}")])
def test_section_5_free_times_are_asked_of_cal_com(sent: Any, kept: Any) -> None:
    tool = made({**CAL_TOOL, "event_type_id": sent, "timezone": "Europe/Berlin"})
    assert isinstance(tool, WebhookTool)
    assert (tool.method, tool.url) == ("GET", f"{CAL}/slots")
    assert tool.preset_query == {"eventTypeId": kept, "timeZone": "Europe/Berlin"}
    assert offered_parameters(tool)["required"] == ["start", "end"]
    assert tool.headers == (Header("Authorization", "Bearer cal_x"), Header("cal-api-version", "2024-09-04"))


def test_section_5_without_a_time_zone_the_caller_is_asked_for_theirs() -> None:
    tool = made(CAL_TOOL)
    assert isinstance(tool, WebhookTool)
    assert "timeZone" in offered_parameters(tool)["properties"]


@pytest.mark.parametrize("zone", [{}, {"timezone": "Europe/Berlin"}])
def test_section_5_appointments_are_booked_at_cal_com(zone: dict[str, str]) -> None:
    tool = made({**CAL_TOOL, "type": "book_appointment_cal", **zone})
    assert isinstance(tool, WebhookTool)
    assert (tool.method, tool.url, tool.preset_body) == ("POST", f"{CAL}/bookings", {"eventTypeId": 60444})
    assert offered_parameters(tool)["required"] == ["start", "attendee"]
    assert tool.headers[1] == Header("cal-api-version", "2024-08-13")


def test_section_3_6_mcp_tools_are_really_called_in_examinations_too() -> None:
    tool = made(MCP)
    assert tool == RemoteTool(
        "docs_search",
        "Searches.",
        {"type": "object", "properties": {"q": {"type": "string"}}},
        "docs",
        "docs.search",
        own=True,
        mockable=False,
    )


TWO_SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {}}, "required": ["a"]},
    {"type": "object", "properties": {"b": {}}},
]
BOTH: dict[str, Any] = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]}


@pytest.mark.parametrize(("parameters", "expected"), [(None, None), (SCHEMA, SCHEMA), (TWO_SCHEMAS, BOTH)])
def test_section_5_a_tool_of_an_app_is_a_function_that_mocks_answer(parameters: Any, expected: Any) -> None:
    assert made({**APP, "parameters": parameters}) == FunctionTool("make_ticket", "", expected)


def test_section_5_what_is_found_out_has_types_and_choices() -> None:
    tool = made(
        {
            **EXTRACT,
            "variables": [
                *EXTRACT["variables"],
                {"type": "enum", "name": "size", "description": "", "choices": ["s", "m"]},
                {"type": "boolean", "name": "vip", "description": "Rich?", "conditional_prompt": "there is an order"},
                {"type": "number", "name": "age", "description": "How old.", "choices": []},
            ],
        }
    )
    assert isinstance(tool, VariablesTool)
    assert [(one.name, one.type, one.choices) for one in tool.variables] == [
        ("city", "string", ()),
        ("size", "string", ("s", "m")),
        ("vip", "boolean", ()),
        ("age", "number", ()),
    ]
    assert tool.variables[0].description == "Where. Examples: Bern; Rome."
    assert tool.variables[2].description == "Rich? Only where this holds: there is an order"


def test_a_tool_without_a_name_of_its_own_is_called_by_its_key() -> None:
    nameless = {key: value for key, value in CODE.items() if key != "name"}
    assert to_tool(nameless, key="my node").name == "my node"
    assert to_tool(CODE, key="my node").name == "sum"


# --- mocks ----------------------------------------------------------------------------------------------------------


def mocks(*raw: dict[str, Any]) -> tuple[ToolMock, ...]:
    return to_mocks([one.model_dump(by_alias=True, exclude_unset=True) for one in MOCKS.validate_python(list(raw))])


def test_section_2_2_mocks_match_any_call_or_some_arguments() -> None:
    part = {"type": "partial_match", "args": {"a": 1}}
    assert mocks(
        {"tool_name": "t", "input_match_rule": part, "output": "{}", "result": None},
        {"tool_name": "t", "input_match_rule": {"type": "any"}, "output": "x", "result": False, "type": "custom"},
        {"tool_name": "t", "input_match_rule": {"type": "partial_match", "args": {}}, "output": "", "result": True},
    ) == (ToolMock("t", "{}", {"a": 1}), ToolMock("t", "x", ok=False), ToolMock("t", "", {}))


@pytest.mark.parametrize(
    "change",
    [
        {"tool_name": None},
        {"input_match_rule": {"type": "partial_match"}},
        {"input_match_rule": {"type": "exact", "args": {}}},
        {"input_match_rule": None},
        {"output": None},
        {"output": "x" * 15_001},
        {"result": "yes"},
    ],
)
def test_section_2_2_mocks_that_say_too_little_or_too_much_are_refused(change: dict[str, Any]) -> None:
    good = {"tool_name": "t", "input_match_rule": {"type": "any"}, "output": "x" * 15_000}
    assert mocks(good)[0].ok
    with pytest.raises(ValidationError):
        mocks({**good, **change})


@pytest.mark.parametrize(
    ("written", "sent_id"), [(10**400, 10**400), (7.0, 7), (1.5, 1.5), ("7", 7), ("{{x}}", "{{x}}")]
)
def test_section_5_an_event_type_is_any_number_or_a_template(written: Any, sent_id: Any) -> None:
    tool = made({"type": "check_availability_cal", "name": "cal", "cal_api_key": "k", "event_type_id": written})
    assert isinstance(tool, WebhookTool)
    assert tool.preset_query["eventTypeId"] == sent_id
