from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from telnyx.types.ai import AssistantTool
from tests.api.telnyx.bodies import lacks

from vivavoce.api.telnyx.wire.assistant import AssistantCreate, to_version
from vivavoce.api.telnyx.wire.rules import semantic_problem
from vivavoce.api.telnyx.wire.tool_shapes import KINDS
from vivavoce.api.telnyx.wire.tools import dump_tool, load_tool
from vivavoce.core.assistant import Version
from vivavoce.core.tool import Filler, FunctionTool, HangupTool, Header, OtherTool, StoredField, WebhookTool

SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False}
NAMED = [{"name": "X-A", "value": "{{b}}"}]
WEBHOOK: dict[str, Any] = {
    "type": "webhook",
    "timeout_ms": 60000,
    "webhook": {
        "name": "book",
        "description": "Books.",
        "url": "https://api.example/{id}",
        "method": "PUT",
        "headers": NAMED,
        "path_parameters": SCHEMA,
        "query_parameters": SCHEMA,
        "body_parameters": SCHEMA,
        "preset_body_fields": {"a": "{{x}}"},
        "preset_query_params": {"b": 1},
        "async": True,
        "async_timeout_ms": 300,
        "messages": [
            {"type": "request_start", "content": "One moment"},
            {"type": "request_response_delayed", "content": "Still there", "timing_ms": 120000},
        ],
        "store_fields_as_variables": [{"name": "order", "value_path": "order.id"}],
        "timeout_ms": 700,
    },
}
TARGET = {
    "to": "+15550100",
    "name": "Desk",
    "message": "A caller",
    "extension": "019ADwW*#",
    "sip_auth_username": "u",
    "sip_auth_password": "p",
}
COMPLETE: list[dict[str, Any]] = [
    WEBHOOK,
    {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}},
    {"type": "client_side_tool", "client_side_tool": {"name": "c", "description": "d", "parameters": SCHEMA}},
    {"type": "retrieval", "retrieval": {"bucket_ids": ["b"], "max_num_results": 3}},
    {"type": "handoff", "handoff": {"ai_assistants": [{"id": "a", "name": "n"}], "voice_mode": "distinct"}},
    {"type": "hangup", "hangup": {"description": "Hang up."}},
    {
        "type": "transfer",
        "transfer": {
            "from": "+15550199",
            "targets": [TARGET, {"to": "sip:a@b.example"}],
            "warm_transfer_instructions": "Say who it is.",
            "warm_message_delay_ms": None,
            "custom_headers": NAMED,
            "voicemail_detection": {
                "detection_mode": "premium",
                "detection_config": {"total_analysis_time_millis": 5000},
                "on_voicemail_detected": {
                    "action": "stop_transfer",
                    "voicemail_message": {"type": "message", "message": "m"},
                },
            },
            "description": "d",
            "diversion": "{{telnyx_agent_target}}",
            "bridge_beep": {"enabled": True, "target_legs": "both"},
            "warm_transfer_acceptance": {
                "enabled": True,
                "end_user_target_context_mode": "private",
                "require_acceptance": True,
                "timeout_secs": 30,
            },
        },
    },
    {
        "type": "invite",
        "invite": {
            "from": "+15550199",
            "targets": [{"to": "+15550100", "name": "n"}],
            "custom_headers": NAMED,
            "voicemail_detection": {"detection_mode": "disabled", "on_voicemail_detected": {"action": "stop_invite"}},
        },
    },
    {
        "type": "refer",
        "refer": {
            "targets": [
                {"name": "n", "sip_address": "sip:a@b", "sip_auth_username": "u", "sip_auth_password": "p"},
            ],
            "sip_headers": [{"name": "User-to-User", "value": "v"}],
            "custom_headers": NAMED,
        },
    },
    {"type": "send_dtmf", "send_dtmf": {"anything": [1]}},
    {"type": "send_message", "send_message": {"message_template": None}},
    {"type": "skip_turn", "skip_turn": {"description": "d"}},
    {
        "type": "pay",
        "pay": {
            "connector_name": "c",
            "currency": "EUR",
            "payment_method": "credit-card",
            "description": None,
            "connector_parameters": {"a": 1},
            "valid_card_types": ["visa", "diners-club"],
        },
    },
    {
        "type": "update_dynamic_variables",
        "update_dynamic_variables": {
            "name": "remember",
            "description": "d",
            "updatable_variables": [{"name": "a.b-c_1", "type": "string", "description": "d"}],
        },
    },
    {"type": "vision", "vision": {"max_frame_age_secs": 3}},
    {"type": "whatsapp_template", "whatsapp_template": {"templates": ["t"]}, "more": 1},
]


def version(tools: list[dict[str, Any]], **fields: Any) -> Version:
    body = AssistantCreate.model_validate({"name": "a", "instructions": "b", "tools": tools, **fields})
    return to_version(body, version_id="v", assistant_id="a", now=0)


def test_the_table_has_every_kind():
    assert {tool["type"] for tool in COMPLETE} == {*KINDS, "whatsapp_template"}


@pytest.mark.parametrize("tool", COMPLETE, ids=lambda tool: tool["type"])
def test_every_kind_comes_back_as_it_was_sent(tool: dict[str, Any]):
    (kept,) = version([tool]).tools
    wire = dump_tool(kept)
    assert lacks(tool, wire) == []
    assert lacks({key: value for key, value in wire.items() if key != "shared"}, tool) == []
    assert wire["shared"] is False
    assert dump_tool(kept, shared=True)["shared"] is True


@pytest.mark.parametrize("tool", COMPLETE[:-1], ids=lambda tool: tool["type"])
def test_the_sdk_reads_every_kind(tool: dict[str, Any]):
    adapter: TypeAdapter[Any] = TypeAdapter(AssistantTool)
    parsed = adapter.validate_python(dump_tool(load_tool(tool)))
    assert parsed.type == tool["type"]
    assert lacks(tool, adapter.dump_python(parsed, by_alias=True, exclude_unset=True)) == []


def test_a_webhook_in_the_core():
    (tool,) = version([WEBHOOK]).tools
    assert tool == WebhookTool(
        name="book",
        description="Books.",
        url="https://api.example/{id}",
        method="PUT",
        headers=(Header("X-A", "{{b}}"),),
        path_parameters=SCHEMA,
        query_parameters=SCHEMA,
        body_parameters=SCHEMA,
        preset_body={"a": "{{x}}"},
        preset_query={"b": 1},
        stored=(StoredField("order", "order.id"),),
        timeout_ms=60000,
        waits_ms=300,
        fillers=(Filler("One moment"), Filler("Still there", 120000)),
        extra={
            "webhook": {
                "async": True,
                "async_timeout_ms": 300,
                "messages": WEBHOOK["webhook"]["messages"],
                "timeout_ms": 700,
            }
        },
    )


def test_only_the_outer_timeout_counts():
    config = {"name": "n", "description": "d", "url": "u"}
    kept = load_tool({"type": "webhook", "webhook": {**config, "timeout_ms": 700}})
    assert isinstance(kept, WebhookTool)
    assert kept.timeout_ms == 5000
    wire = dump_tool(kept)
    assert (wire["timeout_ms"], wire["webhook"]["timeout_ms"]) == (5000, 700)


def test_what_is_sent_empty_comes_back_empty():
    config: dict[str, Any] = {
        "name": "n",
        "description": "",
        "url": "",
        "headers": [],
        "body_parameters": {},
        "preset_body_fields": {},
    }
    kept = load_tool({"type": "webhook", "webhook": config})
    assert lacks(config, dump_tool(kept)["webhook"]) == []
    assert "path_parameters" not in dump_tool(kept)["webhook"]


def test_odd_headers_are_kept_as_they_are():
    headers = [{"value": "no name"}, {"name": "X-A"}, {"name": "X-B", "value": "b", "note": 1}]
    kept = load_tool({"type": "webhook", "webhook": {"name": "n", "description": "d", "url": "u", "headers": headers}})
    assert isinstance(kept, WebhookTool)
    assert kept.headers == (Header("X-A", ""), Header("X-B", "b"))
    assert dump_tool(kept)["webhook"]["headers"] == headers


def test_functions_and_hangups_in_the_core():
    assert load_tool({"type": "function", "function": {"name": "f", "strict": True}}) == FunctionTool(
        "f", extra={"function": {"strict": True}}
    )
    assert load_tool({"type": "hangup"}) == HangupTool("This tool is used to hang up the call.")
    assert load_tool({"type": "hangup", "hangup": {"description": ""}, "x": 1}) == HangupTool("", extra={"x": 1})
    other = load_tool({"type": "vision", "vision": {"name": 5}, "shared": False})
    assert other == OtherTool("vision", {"vision": {"name": 5}}, name="vision")


def test_shared_tools_sent_back_are_not_copied():
    assert [tool.name for tool in version([{**COMPLETE[1], "shared": True}, COMPLETE[2]]).tools] == ["c"]


BAD: list[tuple[dict[str, Any], tuple[int | str, ...]]] = [
    ({"type": "webhook"}, ("webhook", "webhook")),
    ({"type": "webhook", "webhook": {"name": "n", "description": "d"}}, ("webhook", "webhook", "url")),
    ({**WEBHOOK, "timeout_ms": 60001}, ("webhook", "timeout_ms")),
    ({**WEBHOOK, "webhook": {**WEBHOOK["webhook"], "method": "TRACE"}}, ("webhook", "webhook", "method")),
    (
        {**WEBHOOK, "webhook": {**WEBHOOK["webhook"], "async_timeout_ms": 15001}},
        ("webhook", "webhook", "async_timeout_ms"),
    ),
    (
        {**WEBHOOK, "webhook": {**WEBHOOK["webhook"], "store_fields_as_variables": [{"name": "a"}]}},
        ("webhook", "webhook", "store_fields_as_variables", 0, "value_path"),
    ),
    ({"type": "client_side_tool", "client_side_tool": {"name": "n", "description": "d"}}, ("client_side_tool",)),
    ({"type": "transfer", "transfer": {"targets": []}}, ("transfer", "transfer", "from")),
    ({"type": "transfer", "transfer": {"from": "a", "targets": [{}]}}, ("transfer", "transfer", "targets")),
    ({"type": "invite", "invite": {}}, ("invite", "invite", "from")),
    ({"type": "refer", "refer": {"targets": [{"name": "n"}]}}, ("refer", "refer", "targets", 0, "sip_address")),
    ({"type": "pay", "pay": {}}, ("pay", "pay", "connector_name")),
    ({"type": "handoff", "handoff": {"ai_assistants": [{"id": "a"}]}}, ("handoff",)),
    ({"type": "retrieval", "retrieval": {}}, ("retrieval", "retrieval", "bucket_ids")),
    (
        {"type": "update_dynamic_variables", "update_dynamic_variables": {"name": "a b", "description": "d"}},
        ("update_dynamic_variables",),
    ),
    (
        {
            "type": "update_dynamic_variables",
            "update_dynamic_variables": {
                "name": "a",
                "description": "d",
                "updatable_variables": [{"name": "telnyx_x"}],
            },
        },
        ("update_dynamic_variables", "update_dynamic_variables", "updatable_variables", 0, "name"),
    ),
    ({"type": None}, ("other", "type")),
    ({}, ("other", "type")),
]


@pytest.mark.parametrize(("tool", "loc"), BAD)
def test_bad_tools(tool: dict[str, Any], loc: tuple[int | str, ...]):
    with pytest.raises(ValidationError) as caught:
        version([COMPLETE[1], tool])
    found = [error["loc"] for error in caught.value.errors()]
    assert all(place[: 2 + len(loc)] == ("tools", 1, *loc) for place in found)


def test_an_extension_has_at_most_64_tones():
    for extension in ("1" * 65, "12a"):
        with pytest.raises(ValidationError):
            version([{"type": "transfer", "transfer": {"from": "a", "targets": [{"to": "b", "extension": extension}]}}])


def refusal(tools: list[dict[str, Any]], shared: list[dict[str, Any]] | None = None, **fields: Any) -> str | None:
    library = {f"tool-{place}": load_tool(tool) for place, tool in enumerate(shared or [])}
    found = semantic_problem(replace(version(tools, **fields), shared=tuple(library), library=library))
    if found is None:
        return None
    assert (found.status, found.code, found.title) == (400, "10015", "Bad Request")
    return found.pointer


def test_all_kinds_together_are_fine():
    assert refusal(COMPLETE, telephony_settings={"disable_dtmf": True}) is None


@pytest.mark.parametrize("tool", [tool for tool in COMPLETE if tool["type"] != "pay"], ids=lambda tool: tool["type"])
def test_one_instance_of_most_kinds(tool: dict[str, Any]):
    many = tool["type"] in ("webhook", "function", "client_side_tool")
    renamed = {**tool, tool["type"]: {**tool[tool["type"]], "name": "another"}} if many else tool
    assert refusal([tool, renamed]) == (None if many else "/tools")
    assert refusal([tool], [{**renamed, "shared": True}]) == (None if many else "/tools")


def test_names_of_functions_are_unique():
    function = {"type": "function", "function": {"name": "book"}}
    assert refusal([WEBHOOK, function]) == "/tools"
    assert refusal([function], [WEBHOOK]) == "/tools"
    assert refusal([{"type": "hangup"}, {"type": "function", "function": {"name": "hangup"}}]) == "/tools"
    remember = COMPLETE[13]
    assert refusal([remember, {"type": "function", "function": {"name": "remember"}}]) == "/tools"


def test_rule_3_no_two_tools_have_one_name_whatever_their_kinds():
    named = {"type": "function", "function": {"name": "transfer"}}
    transfer: dict[str, Any] = {"type": "transfer", "transfer": {"from": "a", "targets": "{{t}}"}}
    assert refusal([named]) is None
    assert refusal([named, transfer]) == "/tools"
    # What is not offered to the model cannot be mistaken.
    assert refusal([{"type": "function", "function": {"name": "vision"}}, {"type": "vision", "vision": {}}]) is None


def _flow(tool: str, *conditions: str) -> dict[str, Any]:
    edges = [
        {
            "id": f"e{place}",
            "start_node_id": "t",
            "condition": {"type": "default"} if kind == "default" else {"type": "llm", "prompt": "p"},
            "target": {"type": "node", "node_id": "p"},
        }
        for place, kind in enumerate(conditions)
    ]
    nodes = [{"id": "t", "type": "tool", "shared_tool_id": tool}, {"id": "p", "instructions": "i"}]
    return {"start_node_id": "t", "nodes": nodes, "edges": edges}


def test_rule_4_what_may_follow_a_tool_depends_on_its_kind():
    transfer = {"type": "transfer", "transfer": {"from": "a", "targets": "{{t}}"}}
    library = {"h": load_tool({"type": "hangup", "hangup": {}}), "t": load_tool(transfer), "w": load_tool(WEBHOOK)}

    def pointer(tool: str, *conditions: str) -> str | None:
        found = semantic_problem(replace(version([], conversation_flow=_flow(tool, *conditions)), library=library))
        return found and found.pointer

    assert pointer("h") is None
    assert pointer("h", "default") == "/conversation_flow"
    assert pointer("t", "default") is None
    assert pointer("t", "default", "llm") == "/conversation_flow"
    assert pointer("w", "default", "llm") is None
    assert pointer("gone", "default", "llm") is None


def test_a_pay_tool_needs_silence_on_the_keypad():
    pay = {"type": "pay", "pay": {"connector_name": "c"}}
    assert refusal([pay]) == "/telephony_settings/disable_dtmf"
    assert refusal([], [pay], telephony_settings={"disable_dtmf": False}) == "/telephony_settings/disable_dtmf"
    assert refusal([pay], telephony_settings={"disable_dtmf": True}) is None


def test_an_accepted_transfer_needs_something_to_say():
    transfer: dict[str, Any] = {"from": "a", "warm_transfer_acceptance": {"enabled": True}}
    silent, told = {"to": "b"}, {"to": "c", "message": "m"}

    def check(**fields: Any) -> str | None:
        return refusal([{"type": "transfer", "transfer": {**transfer, **fields}}])

    assert check(targets=[silent, told]) == "/tools"
    assert check(targets=[told]) is None
    assert check(targets=[silent], warm_transfer_instructions="Say.") is None
    assert check(targets="{{targets}}") is None
    assert check(targets=[silent], warm_transfer_acceptance={"enabled": False}) is None


def test_redaction_excludes_messaging():
    redact = {"pii_redaction": "redact"}
    assert refusal([], privacy_settings=redact, enabled_features=["messaging"]) == "/privacy_settings/pii_redaction"
    assert refusal([], privacy_settings=redact, enabled_features=["telephony"]) is None
    assert refusal([], privacy_settings={"pii_redaction": "disabled"}, enabled_features=["messaging"]) is None


def test_delegation():
    endpoint = {"base_url": "https://x.example", "model": "m"}
    raw = {"model": "m", "api_key": "sk-1"}
    assert refusal([], delegation_settings=raw) == "/delegation_settings/api_key"
    outside = {"external_llm": {**endpoint, "api_key": "sk-1"}}
    assert refusal([], delegation_settings=outside) == "/delegation_settings/external_llm/api_key"
    assert refusal([], delegation_settings={"enabled": True}) == "/delegation_settings/model"
    for fine in ({"enabled": False}, {"mode": "client"}, {"model": "m"}, {"external_llm": endpoint}):
        assert refusal([], delegation_settings=fine) is None


def test_agents_keep_their_names_apart():
    agents = [{"name": "a b", "url": "https://a.example"}, {"name": "a-b", "url": "https://b.example"}]
    assert refusal([], a2a_agents=agents) == "/a2a_agents"
    assert refusal([], a2a_agents=agents[:1]) is None
