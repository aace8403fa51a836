import json
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from pydantic import ValidationError
from telnyx.types.ai import InferenceEmbedding, assistant_create_params, assistant_update_params
from telnyx.types.ai.assistants import version_update_params
from tests.api.telnyx.bodies import COMPLETE, bodies, lacks

from vivavoce.api.telnyx.wire.assistant import (
    AssistantCreate,
    AssistantUpdate,
    VersionUpdate,
    copied,
    dump_assistant,
    overlay,
    to_version,
)
from vivavoce.api.telnyx.wire.tools import load_tool
from vivavoce.core.assistant import Assistant, Origin, Templating, Version
from vivavoce.core.tool import FunctionTool, HangupTool, SkipTool, WebhookTool


def first(body: dict[str, Any]) -> Version:
    return to_version(AssistantCreate.model_validate(body), version_id="v1", assistant_id="assistant-1", now=1000)


def changed(version: Version, body: dict[str, Any]) -> Version:
    return overlay(version, AssistantUpdate.model_validate(body), version_id="v2", now=2000)


def owned(version: Version, **given: Any) -> Assistant:
    return Assistant(version.assistant_id, version, 1000, **given)


def dumped(version: Version, **given: Any) -> dict[str, Any]:
    return dump_assistant(owned(version, **given), default_model="server/default")


def problems(model: type[VersionUpdate], body: dict[str, Any]) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    return [(error["loc"], error["type"]) for error in caught.value.errors()]


def test_the_complete_body_has_every_field_of_the_sdk():
    create = set(assistant_create_params.AssistantCreateParams.__annotations__) - {"idempotency_key"}
    update = set(assistant_update_params.AssistantUpdateParams.__annotations__) - {"promote_to_main"}
    version = set(version_update_params.VersionUpdateParams.__annotations__) - {"assistant_id"}
    assert create | update | version == set(COMPLETE)
    assert set(VersionUpdate.model_fields) == set(COMPLETE)
    assert set(AssistantUpdate.model_fields) == {*COMPLETE, "promote_to_main"}


def test_a_complete_body_comes_back_whole():
    wire = dumped(first(COMPLETE), tags=("b", "a"))
    assert lacks(COMPLETE, wire) == []
    assert all(tool["shared"] is False for tool in wire["tools"])
    over = dumped(changed(first({"name": "a", "instructions": "b"}), COMPLETE), tags=("b", "a"))
    assert lacks(COMPLETE, over) == []
    assert json.loads(json.dumps(wire, allow_nan=False)) == wire


def test_every_known_nested_field_is_declared():
    extras: list[str] = []

    def look(value: Any, where: str) -> None:
        if hasattr(value, "model_fields_set"):
            extras.extend(f"{where}.{key}" for key in value.model_extra)
            for key in value.model_fields_set:
                look(getattr(value, key, None), f"{where}.{key}")
        elif isinstance(value, list):
            for item in cast("list[Any]", value):
                look(item, where)

    look(AssistantCreate.model_validate(COMPLETE), "$")
    assert extras == []


def test_the_sdk_reads_the_response():
    wire = dumped(first(COMPLETE), tags=("b", "a"))
    parsed = InferenceEmbedding.model_validate(wire)
    assert parsed.id == "assistant-1"
    assert parsed.version_name == "First"
    assert parsed.created_at.isoformat() == "1970-01-01T00:00:01+00:00"
    assert lacks(COMPLETE, json.loads(parsed.model_dump_json(by_alias=True, exclude_unset=True))) == []


def test_named_fields_go_to_the_core_and_the_rest_is_kept():
    version = first(COMPLETE)
    assert (version.name, version.mind.model, version.greeting) == (
        "Receptionist",
        "openai/gpt-4o",
        "Hello, {{caller}}",
    )
    assert (version.label, version.description) == ("First", "Books appointments")
    assert version.templating == Templating(prefix="telnyx_")
    assert version.variables == COMPLETE["dynamic_variables"]
    assert isinstance(version.tools[0], FunctionTool)
    assert isinstance(version.tools[1], HangupTool)
    named = {"name", "instructions", "description", "model", "greeting", "tools", "dynamic_variables", "version_name"}
    assert set(version.extra) == set(COMPLETE) - named - {"tags"}


def test_a_small_body_gets_the_defaults_of_the_contract():
    wire = dumped(first({"name": "a", "instructions": "b"}))
    assert wire["version_name"] == "New assistant"
    assert wire["model"] == "server/default"
    assert wire["dynamic_variables_webhook_timeout_ms"] == 1500
    empty = ("tools", "tool_ids", "mcp_servers", "integrations", "tags", "related_mission_ids", "a2a_agents")
    assert [wire[key] for key in empty] == [[]] * len(empty)
    assert wire["dynamic_variables"] == {}
    assert "description" not in wire
    assert "greeting" not in wire
    assert wire["version_created_at"] == "1970-01-01T00:00:01.000Z"


def test_the_made_ids_belong_to_the_assistant():
    version = first({"name": "a", "instructions": "b", "telephony_settings": {"time_limit_secs": 60}})
    one, again = dumped(version), dumped(replace(version, id="v9"))
    other = dumped(replace(version, assistant_id="assistant-2"))
    assert one["telephony_settings"]["time_limit_secs"] == 60
    for settings_, key in (
        ("telephony_settings", "default_texml_app_id"),
        ("messaging_settings", "default_messaging_profile_id"),
    ):
        assert one[settings_][key] == again[settings_][key] != other[settings_][key]


def test_the_model_of_an_own_endpoint_is_shown():
    body = {"name": "a", "instructions": "b", "external_llm": {"base_url": "https://x.example", "model": "mine"}}
    assert dumped(first(body))["model"] == "mine"


def test_shared_tools_and_resolved_variables_are_merged_in():
    version = first({**COMPLETE, "tools": [{"type": "skip_turn", "skip_turn": {}}], "tool_ids": ["t", "gone"]})
    version = replace(version, library={"t": HangupTool("Bye."), "of the flow": SkipTool()})
    wire = dump_assistant(owned(version), default_model="m", variables={"name": "resolved"})
    assert [(tool["type"], tool["shared"]) for tool in wire["tools"]] == [("skip_turn", False), ("hangup", True)]
    assert wire["tool_ids"] == ["t", "gone"]
    assert wire["dynamic_variables"] == {"name": "resolved"}


def test_another_version_than_main_is_shown_with_what_is_the_assistant_s():
    main = first(COMPLETE)
    beside = replace(main, id="v2", name="beside", created_at=5000)
    origin = Origin("vapi", "x")
    wire = dump_assistant(owned(main, tags=("t",), origin=origin, deleted_at=0), beside, default_model="m")
    assert (wire["id"], wire["version_id"], wire["name"]) == ("assistant-1", "v2", "beside")
    assert (wire["created_at"], wire["version_created_at"]) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:05.000Z")
    assert wire["tags"] == ["t"]
    assert wire["import_metadata"] == {"import_id": "x", "import_provider": "vapi"}
    assert (wire["deleted_at"], wire["permanently_deleted_at"]) == (
        "1970-01-01T00:00:00.000Z",
        "1970-01-31T00:00:00.000Z",
    )


def test_a_copy_leaves_its_lines_behind():
    pay = {"type": "pay", "pay": {"connector_name": "c"}}
    settings_: dict[str, Any] = {
        "telephony_settings": {"disable_dtmf": True, "time_limit_secs": 60},
        "messaging_settings": {"conversation_inactivity_minutes": 5},
    }
    original = first({**COMPLETE, **settings_, "tools": []})
    copy = copied(original)
    assert copy.name == "Receptionist (copy)"
    assert (original.idle_minutes, copy.idle_minutes) == (5, None)
    rest = {key: value for key, value in original.extra.items() if key not in settings_}
    assert copy.extra == rest
    assert replace(copy, name=original.name, extra=original.extra, idle_minutes=5) == original
    # What takes payments must keep the keypad off.
    assert copied(first({**COMPLETE, **settings_, "tools": [pay]})).extra == {
        **rest,
        "telephony_settings": {"disable_dtmf": True},
    }


def test_a_response_can_be_sent_back():
    version = first(COMPLETE)
    library = {"tool-1": load_tool({"type": "pay", "pay": {"connector_name": "c"}})}
    wire = dump_assistant(owned(replace(version, shared=("tool-1",), library=library)), default_model="server/default")
    assert any(tool["shared"] for tool in wire["tools"])
    assert wire["conversation_flow"]["nodes"][0]["tools"]
    back = changed(version, {**wire, "import_metadata": {"import_id": "x"}, "deleted_at": "1970-01-01T00:00:00Z"})
    assert replace(back, id=version.id, created_at=version.created_at) == version


def test_what_is_left_out_of_an_update_stays():
    version = first(COMPLETE)
    after = changed(version, {})
    assert (after.id, after.created_at, after.assistant_id) == ("v2", 2000, "assistant-1")
    assert replace(after, id=version.id, created_at=version.created_at) == version


def test_an_update_replaces_arrays_and_settings_whole():
    update: dict[str, Any] = {
        "tools": [],
        "tool_ids": [],
        "a2a_agents": [],
        "dynamic_variables": {"other": 1},
        "telephony_settings": {"time_limit_secs": 30},
        "version_name": "Second",
        "greeting": "",
        "promote_to_main": False,
    }
    after = changed(first(COMPLETE), update)
    assert (after.tools, after.variables, after.label, after.greeting) == ((), {"other": 1}, "Second", "")
    assert after.extra["telephony_settings"] == {"time_limit_secs": 30}
    assert (after.extra["tool_ids"], after.extra["a2a_agents"]) == ([], [])
    assert "promote_to_main" not in after.extra
    assert "tags" not in after.extra


def test_null_clears_where_it_may():
    after = changed(first(COMPLETE), {"conversation_flow": None, "avatar_settings": None})
    assert "conversation_flow" not in after.extra
    assert after.extra["avatar_settings"] is None
    assert AssistantCreate.model_validate({"name": "a", "instructions": "b", "avatar_settings": None})


def test_the_model_of_insights_has_its_own_rule():
    created = first({"name": "a", "instructions": "b", "insight_settings": {}})
    assert created.extra["insight_settings"] == {"model": "zai-org/GLM-5.3-Flash"}
    cleared = changed(created, {"insight_settings": {"model": None}})
    kept = changed(cleared, {"insight_settings": {"insight_group_id": "g"}})
    assert kept.extra["insight_settings"] == {"insight_group_id": "g", "model": None}
    plain = changed(first({"name": "a", "instructions": "b"}), {"insight_settings": {"insight_group_id": "g"}})
    assert plain.extra["insight_settings"] == {"insight_group_id": "g"}


def test_required_fields():
    assert problems(AssistantCreate, {}) == [(("name",), "missing"), (("instructions",), "missing")]
    assert AssistantUpdate.model_validate({}).promote_to_main is True


NULLABLE = {"avatar_settings", "conversation_flow"}


@pytest.mark.parametrize("field", sorted(AssistantUpdate.model_fields))
def test_null_is_refused_where_the_contract_does_not_allow_it(field: str):
    if field in NULLABLE:
        assert AssistantUpdate.model_validate({field: None})
    else:
        assert [loc[0] for loc, _ in problems(AssistantUpdate, {field: None})] == [field]
    if field == "conversation_flow":
        body = {"name": "a", "instructions": "b", field: None}
        assert [loc for loc, _ in problems(AssistantCreate, body)] == [(field,)]


BAD: list[tuple[str, Any]] = [
    ("version_name", "x" * 51),
    ("dynamic_variables_webhook_timeout_ms", 0),
    ("dynamic_variables_webhook_timeout_ms", 10001),
    ("dynamic_variables_webhook_timeout_ms", "5"),
    ("dynamic_variables_webhook_timeout_ms", True),
    ("dynamic_variables_webhook_timeout_ms", 1.5),
    ("enabled_features", ["telephony", "telephony"]),
    ("enabled_features", ["fax"]),
    ("voice_settings", {}),
    ("voice_settings.background_audio.volume", 0.05),
    ("voice_settings.background_audio.type", "radio"),
    ("voice_settings.tool_call_audio.value", "office"),
    ("voice_settings.language_boost", "Klingon"),
    ("transcription.settings.eot_threshold", 0.95),
    ("transcription.settings.eager_eot_threshold", 0.85),
    ("transcription.settings.eot_timeout_ms", 499),
    ("transcription.settings.prompt", "x" * 1751),
    ("transcription.settings.keyterm", "x" * 1001),
    ("transcription.settings.context", "x" * 10001),
    ("transcription.fallback_models", [{"model": "a"}] * 4),
    ("transcription.challenger", {"model": "xai/grok-stt"}),
    ("telephony_settings.time_limit_secs", 29),
    ("telephony_settings.user_idle_timeout_secs", 14401),
    ("telephony_settings.noise_suppression", "loud"),
    ("telephony_settings.noise_suppression_config.attenuation_limit", 101),
    ("telephony_settings.disable_dtmf", 1),
    ("messaging_settings.conversation_inactivity_minutes", 0),
    ("interruption_settings.interrupt_prediction_threshold", 1.1),
    ("interruption_settings.start_speaking_plan.wait_seconds", -1),
    ("insight_settings.model", "openai/gpt-4o"),
    ("privacy_settings.pii_redaction", "maybe"),
    ("observability_settings.prompt_version", 0),
    ("widget_settings.audio_visualizer_config.color", "pink"),
    ("external_llm", {"model": "m"}),
    ("external_llm.authentication_method", "password"),
    ("websocket_settings", {"enabled": True}),
    ("websocket_settings.url", "https://events.example"),
    ("websocket_settings.url", "ws://localhost/x"),
    ("websocket_settings.url", "ws://10.0.0.1/x"),
    ("websocket_settings.url", "ws://[fe80::1"),
    ("avatar_settings.model", None),
    ("avatar_settings.background_id", "beach"),
    ("a2a_agents", [{"name": "x" * 44, "url": "https://a.example"}]),
    ("a2a_agents", [{"name": "x", "url": "ftp://a.example"}]),
    ("a2a_agents", [{"name": "x", "url": "https://printer.local"}]),
    ("a2a_agents", [{"name": "x", "url": "https://{{host}}.example"}]),
    ("a2a_agents", [{"name": "x", "url": "https://a.example/" + "é" * 1020}]),
    ("mcp_servers", [{}]),
    ("integrations", [{"allowed_list": []}]),
    ("tags", "a,b"),
    ("tools", [{"webhook": {}}]),
    ("promote_to_main", "true"),
]


@pytest.mark.parametrize(("path", "value"), BAD)
def test_constraints(path: str, value: Any):
    body = json.loads(json.dumps(COMPLETE))
    AssistantUpdate.model_validate(body)
    *outer, last = path.split(".")
    place = body
    for key in outer:
        place = place[key]
    place[last] = value
    found = problems(AssistantUpdate, body)
    assert found
    assert all(loc[0] == path.split(".", maxsplit=1)[0] for loc, _ in found)


def test_an_integral_number_is_an_integer():
    version = changed(first(COMPLETE), {"dynamic_variables_webhook_timeout_ms": 30.0})
    assert version.extra["dynamic_variables_webhook_timeout_ms"] == 30


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x\udfff"])
def test_text_that_cannot_be_kept_is_refused_where_it_is(text: str):
    body = {**COMPLETE, "name": text, "unknown": {"deep": [text]}, "dynamic_variables": {text: 1}}
    found = problems(AssistantUpdate, body)
    assert found == [
        (("name",), "string_not_storable"),
        (("dynamic_variables",), "string_not_storable"),
        (("unknown", "deep", 0), "string_not_storable"),
    ]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_cannot_say_are_refused(number: float):
    assert problems(AssistantUpdate, {"dynamic_variables": {"a": [number]}}) == [
        (("dynamic_variables", "a", 0), "finite_number")
    ]


def test_bottomless_nesting_is_refused():
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    assert [kind for _, kind in problems(AssistantUpdate, {"dynamic_variables": {"a": deep}})] == ["too_deep"]


@settings(max_examples=150, deadline=None)
@given(bodies)
def test_nothing_is_lost_and_nothing_reordered(body: dict[str, Any]):
    tags = tuple(body.get("tags", ()))
    wire = dumped(first(body), tags=tags)
    assert lacks(body, wire) == []
    again = dumped(first(wire), tags=tags)
    assert lacks(wire, again) == []
    assert lacks(again, wire) == []


def test_kinds_of_tools_in_the_core():
    version = first(
        {
            "name": "a",
            "instructions": "b",
            "tools": [
                {"type": "webhook", "webhook": {"name": "n", "description": "d", "url": "https://u.example"}},
                {"type": "client_side_tool", "client_side_tool": {"name": "c", "description": "d", "parameters": {}}},
            ],
        }
    )
    assert isinstance(version.tools[0], WebhookTool)
    assert version.tools[0].timeout_ms == 5000
    assert isinstance(version.tools[1], FunctionTool)
    assert version.tools[1].by_client
    assert (version.tools[1].name, dumped(version)["tools"][1]["type"]) == ("c", "client_side_tool")
