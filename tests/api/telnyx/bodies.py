"""Bodies for the tests of this API: a complete assistant by hand, generated ones, and how to compare them."""

from typing import Any, cast

from hypothesis import strategies as st

EXTERNAL_LLM = {
    "base_url": "https://llm.example/v1",
    "model": "mine/7b",
    "llm_api_key_ref": "llm-key",
    "authentication_method": "certificate",
    "certificate_ref": "cert",
    "token_retrieval_url": "https://llm.example/token",
    "forward_metadata": True,
}
TRANSCRIPTION_SETTINGS = {
    "smart_format": True,
    "numerals": False,
    "eot_threshold": 0.8,
    "eot_timeout_ms": 5000,
    "eager_eot_threshold": 0.7,
    "min_turn_silence": 400,
    "max_turn_silence": 1280,
    "end_of_turn_confidence_threshold": 0.4,
    "prompt": "A dental practice.",
    "interim_results": False,
    "enable_endpoint_detection": False,
    "max_endpoint_delay_ms": 500,
    "context": "dentist",
    "language_hints": ["en"],
    "keyterm": "crown",
    "remove_disfluencies": True,
}
VOICE = {
    "voice": "Telnyx.Ultra.{{voice}}",
    "api_key_ref": "eleven",
    "voice_speed": 1.2,
    "speed": 1,
    "style": 0,
    "temperature": 0.5,
    "similarity_boost": 0.75,
    "use_speaker_boost": True,
    "expressive_mode": False,
    "language_boost": "Chinese,Yue",
    "background_audio": {"type": "predefined_media", "value": "office", "volume": 0.3},
    "tool_call_audio": {"type": "predefined_media", "value": "typing", "volume": 0},
}
TRANSCRIPTION: dict[str, Any] = {
    "model": "deepgram/flux",
    "language": "en",
    "region": "us",
    "api_key_ref": "azure",
    "settings": TRANSCRIPTION_SETTINGS,
    "fallback_models": [{"model": "deepgram/nova-3", "language": None, "settings": None}],
    "challenger": None,
}
FLOW: dict[str, Any] = {
    "start_node_id": "hello",
    "nodes": [
        {
            "id": "hello",
            "instructions": "Greet.",
            "name": "Hello",
            "type": "prompt",
            "instructions_mode": "append",
            "model": "openai/gpt-4o",
            "llm_api_key_ref": "key",
            "shared_tool_ids": ["tool-1"],
            "tools_mode": "append",
            "transcription": TRANSCRIPTION,
            "voice_settings": VOICE,
            "position": {"x": 1, "y": 2.5},
        },
        {"id": "other", "instructions": "Ask.", "external_llm": EXTERNAL_LLM, "shared_tool_ids": None},
        {"id": "bye", "type": "speak", "message": "Bye {{name}}", "name": "Bye", "position": {"x": 0, "y": 0}},
        {"id": "look", "type": "tool", "shared_tool_id": "tool-1", "message": "One moment.", "name": "Look"},
    ],
    "edges": [
        {
            "id": "e1",
            "start_node_id": "hello",
            "condition": {"type": "llm", "prompt": "The caller is done."},
            "target": {"type": "node", "node_id": "bye"},
        },
        {
            "id": "e2",
            "start_node_id": "hello",
            "condition": {
                "type": "expression",
                "expression": {
                    "type": "bool_op",
                    "op": "and",
                    "operands": [
                        {
                            "type": "comparison",
                            "op": ">=",
                            "left": {"type": "variable", "name": "age"},
                            "right": {
                                "type": "arithmetic",
                                "op": "+",
                                "left": {"type": "number_literal", "value": 18},
                                "right": {"type": "number_literal", "value": 0.5},
                            },
                        },
                        {
                            "type": "bool_op",
                            "op": "not",
                            "operands": [{"type": "bool_literal", "value": False}],
                        },
                        {
                            "type": "comparison",
                            "op": "contains",
                            "left": {"type": "string_literal", "value": "abc"},
                            "right": {"type": "string_literal", "value": "b"},
                        },
                    ],
                },
            },
            "target": {
                "type": "assistant",
                "assistant_id": "assistant-2",
                "voice_mode": "distinct",
                "position": {"x": 3, "y": 4},
            },
        },
        {
            "id": "e3",
            "start_node_id": "look",
            "condition": {"type": "default"},
            "target": {"type": "node", "node_id": "hello"},
        },
    ],
}
COMPLETE: dict[str, Any] = {
    "name": "Receptionist",
    "instructions": "You are {{name}}.",
    "model": "openai/gpt-4o",
    "description": "Books appointments",
    "greeting": "Hello, {{caller}}",
    "llm_api_key_ref": "openai",
    "external_llm": EXTERNAL_LLM,
    "fallback_config": {"model": "small", "llm_api_key_ref": "other", "external_llm": EXTERNAL_LLM},
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"type": "hangup", "hangup": {"description": "Hang up."}},
    ],
    "tool_ids": ["tool-1", "tool-2"],
    "mcp_servers": [{"id": "mcp-1", "allowed_tools": ["a"]}, {"id": "mcp-2"}],
    "integrations": [{"integration_id": "jira", "allowed_list": []}],
    "a2a_agents": [
        {
            "name": "travel agent",
            "url": "https://agents.example/{{path}}",
            "headers": [{"name": "X-Key", "value": "{{#integration_secret}}k{{/integration_secret}}"}],
            "async": False,
            "timeout_ms": 30000,
            "poll_interval_ms": 500,
            "messages": [
                {"type": "request_start", "content": "One moment", "timing_ms": 5},
                {"type": "request_response_delayed", "content": "Still there", "timing_ms": 100},
            ],
        }
    ],
    "dynamic_variables": {"name": "Ann", "age": 3, "nested": {"a": [1, None, True]}},
    "dynamic_variables_webhook_url": "https://vars.example",
    "dynamic_variables_webhook_timeout_ms": 10000,
    "enabled_features": ["telephony", "messaging"],
    "voice_settings": VOICE,
    "transcription": TRANSCRIPTION,
    "telephony_settings": {
        "default_texml_app_id": "app-1",
        "supports_unauthenticated_web_calls": True,
        "noise_suppression": "aicoustics",
        "noise_suppression_config": {
            "attenuation_limit": 100,
            "mode": "advanced",
            "family": "quail",
            "size": "vf_2_0_l",
            "enhancement_level": 0.8,
        },
        "time_limit_secs": 1800,
        "user_idle_timeout_secs": 10,
        "user_idle_reply_secs": 0,
        "recording_settings": {
            "enabled": True,
            "channels": "dual",
            "format": "mp3",
            "stop_on_conversation_end": False,
        },
        "voicemail_detection": {
            "on_voicemail_detected": {
                "action": "leave_message_and_stop_assistant",
                "voicemail_message": {"type": "message", "prompt": "p", "message": "m"},
            }
        },
        "disable_dtmf": True,
        "fallback_destination": "+15550100",
        "send_message_history_updates": True,
        "conversation_ended_full_history": True,
    },
    "messaging_settings": {
        "default_messaging_profile_id": "profile-1",
        "delivery_status_webhook_url": "https://status.example",
        "conversation_inactivity_minutes": 10_000_000,
    },
    "interruption_settings": {
        "enable": True,
        "disable_greeting_interruption": False,
        "interrupt_prediction_threshold": None,
        "start_speaking_plan": {
            "wait_seconds": 0.4,
            "transcription_endpointing_plan": {
                "on_punctuation_seconds": 0.1,
                "on_no_punctuation_seconds": 1.5,
                "on_number_seconds": 0.5,
            },
        },
    },
    "insight_settings": {"insight_group_id": "group-1", "model": None},
    "privacy_settings": {"data_retention": True, "pii_redaction": "disabled", "in_transit_data_locality": False},
    "widget_settings": {
        "theme": "dark",
        "audio_visualizer_config": {"color": "verdant", "preset": "roundBars"},
        "start_call_text": "Call",
        "default_state": "expanded",
        "position": "fixed",
        "agent_thinking_text": "…",
        "speak_to_interrupt_text": "Speak",
        "view_history_url": None,
        "report_issue_url": "https://a.example",
        "give_feedback_url": None,
        "logo_icon_url": None,
    },
    "observability_settings": {
        "status": "enabled",
        "secret_key_ref": "s",
        "public_key_ref": "p",
        "host": "https://langfuse.example",
        "prompt_name": "n",
        "prompt_version": 1,
        "prompt_label": "l",
        "prompt_sync": "enabled",
    },
    "post_conversation_settings": {"enabled": True},
    "delegation_settings": {
        "enabled": True,
        "mode": "client",
        "model": "big",
        "llm_api_key_ref": "k",
        "external_llm": EXTERNAL_LLM,
        "instructions": "Be exact.",
        "speak_results": False,
    },
    "websocket_settings": {"enabled": True, "url": "wss://events.example/x", "auth_ref": "ws"},
    "avatar_settings": {
        "avatar_id": "ava",
        "background_id": "office",
        "model": "foxtrot-1",
        "provider": "telnyx",
    },
    "conversation_flow": FLOW,
    "tags": ["b", "a"],
    "version_name": "First",
}


def lacks(small: Any, big: Any, where: str = "$") -> list[str]:
    """Where ``big`` does not contain ``small``: objects may have more keys, arrays may not be touched."""
    if isinstance(small, dict) and isinstance(big, dict):
        wanted, found = cast("dict[str, Any]", small), cast("dict[str, Any]", big)
        return [
            line
            for key, value in wanted.items()
            for line in (lacks(value, found[key], f"{where}.{key}") if key in found else [f"{where}.{key} is gone"])
        ]
    if isinstance(small, list) and isinstance(big, list):
        left, right = cast("list[Any]", small), cast("list[Any]", big)
        if len(left) != len(right):
            return [f"{where} has another length"]
        return [line for i, (a, b) in enumerate(zip(left, right, strict=True)) for line in lacks(a, b, f"{where}[{i}]")]
    same = small == big and isinstance(small, bool) == isinstance(big, bool)
    return [] if same else [f"{where}: {small!r} became {big!r}"]


Shape = st.SearchStrategy[dict[str, Any]]


def shape(required: dict[str, Any], optional: dict[str, Any]) -> Shape:
    """Objects with these keys."""
    return st.fixed_dictionaries(required, optional=optional)


def body(kept: set[str], tools: list[dict[str, Any]] | None, extra: dict[str, Any]) -> dict[str, Any]:
    """Some fields of the complete body, with tools and unknown fields."""
    fields = {key: COMPLETE[key] for key in kept}
    return {"name": "a", "instructions": "b", **extra, **fields, **({} if tools is None else {"tools": tools})}


KEYS = st.text("abc_", min_size=1, max_size=3)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
header: Shape = shape({}, {"name": st.text("ab"), "value": st.text("ab"), "note": json_values})
schema = shape(
    {},
    {
        "type": st.just("object"),
        "properties": st.just({"a": {"type": "string"}}),
        "required": st.just(["a"]),
        "x": json_values,
    },
)
objects: Shape = st.dictionaries(KEYS, json_values, max_size=3)
webhooks = shape(
    {"name": st.text("ab"), "description": st.text("ab"), "url": st.text("ab")},
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
        "headers": st.lists(header, max_size=3),
        "path_parameters": schema,
        "query_parameters": schema,
        "body_parameters": schema,
        "preset_body_fields": objects,
        "preset_query_params": objects,
        "async": st.booleans(),
        "async_timeout_ms": st.integers(1, 15000),
        "timeout_ms": st.integers(500, 10000),
        "store_fields_as_variables": st.lists(st.just({"name": "a", "value_path": "b.c"}), max_size=2),
        "unknown": json_values,
    },
)
tool: Shape = st.one_of(
    shape(
        {"type": st.just("webhook"), "webhook": webhooks},
        {"timeout_ms": st.integers(1, 60000), "unknown": json_values},
    ),
    shape(
        {
            "type": st.just("function"),
            "function": shape(
                {"name": st.text("ab")},
                {"description": st.text("ab"), "parameters": objects, "strict": json_values},
            ),
        },
        {"unknown": json_values},
    ),
    shape(
        {"type": st.just("hangup")},
        {"hangup": shape({}, {"description": st.text("ab"), "x": json_values})},
    ),
    shape({"type": st.just("skip_turn")}, {"skip_turn": shape({}, {"x": json_values})}),
    shape({"type": st.text("xyz", min_size=1)}, {"name": json_values, "xyz": json_values}),
)
bodies: Shape = st.builds(
    body,
    st.sets(st.sampled_from(sorted(COMPLETE))),
    st.none() | st.lists(tool, max_size=4),
    st.dictionaries(st.text("uvw", min_size=1, max_size=4), json_values, max_size=3),
)
