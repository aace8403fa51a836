"""Stand-ins for the providers from which assistants are imported, with answers as theirs look."""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "provider-key"

ELEVENLABS_AGENT: dict[str, Any] = {
    "agent_id": "agent_3701k3ttaq12ewp8b7qv5rfyszkz",
    "name": "Clinic desk",
    "conversation_config": {
        "asr": {"quality": "high", "provider": "elevenlabs", "user_input_audio_format": "pcm_16000", "keywords": []},
        "turn": {"turn_timeout": 7, "mode": "turn"},
        "tts": {"model_id": "eleven_turbo_v2", "voice_id": "21m00Tcm4TlvDq8ikWAM", "stability": 0.5},
        "conversation": {"text_only": False, "max_duration_seconds": 600},
        "agent": {
            "first_message": "Hi {{ name }}, this is the clinic.",
            "language": "en",
            "dynamic_variables": {"dynamic_variable_placeholders": {"name": "Ann", "visits": 2}},
            "prompt": {
                "prompt": "It is {{system__time_utc}}. {{system__caller_id}} calls about {{topic}}.",
                "llm": "gemini-2.0-flash",
                "temperature": 0,
                "max_tokens": -1,
                "tool_ids": ["tool_6701"],
                "built_in_tools": {
                    "end_call": {
                        "name": "end_call",
                        "description": "",
                        "type": "system",
                        "params": {"system_tool_type": "end_call"},
                    },
                    "language_detection": None,
                    "transfer_to_agent": None,
                    "transfer_to_number": {
                        "name": "transfer_to_number",
                        "description": "When asked for a person.",
                        "params": {
                            "system_tool_type": "transfer_to_number",
                            "transfers": [
                                {
                                    "transfer_destination": {"type": "phone", "phone_number": "+15550100"},
                                    "condition": "billing",
                                    "transfer_type": "conference",
                                },
                                {"phone_number": "+15550101", "condition": "emergency"},
                                {"transfer_destination": {"type": "sip_uri", "sip_uri": "sip:a@b.example"}},
                            ],
                        },
                    },
                    "skip_turn": {"name": "skip_turn", "params": {"system_tool_type": "skip_turn"}},
                    "play_keypad_touch_tone": {
                        "name": "play_keypad_touch_tone",
                        "params": {"system_tool_type": "play_keypad_touch_tone"},
                    },
                    "voicemail_detection": {
                        "name": "voicemail_detection",
                        "params": {"system_tool_type": "voicemail_detection"},
                    },
                },
                "tools": [
                    {
                        "type": "client",
                        "name": "show_map",
                        "description": "Shows the way.",
                        "expects_response": False,
                        "parameters": {
                            "type": "object",
                            "required": ["place"],
                            "properties": {"place": {"type": "string", "description": "Where", "constant_value": ""}},
                        },
                    },
                    {"type": "mcp", "name": "other", "description": ""},
                ],
                "knowledge_base": [],
                "custom_llm": None,
            },
        },
    },
    "metadata": {"created_at_unix_secs": 1753372000},
    "platform_settings": {"auth": {"enable_auth": False}},
    "tags": ["x"],
}
ELEVENLABS_TOOL: dict[str, Any] = {
    "id": "tool_6701",
    "tool_config": {
        "type": "webhook",
        "name": "book",
        "description": "Books a visit.",
        "response_timeout_secs": 120,
        "api_schema": {
            "url": "https://clinic.example/{site}/visits/{id}",
            "method": "POST",
            "path_params_schema": {
                "id": {"type": "string", "description": "The visit", "dynamic_variable": "", "constant_value": ""},
                "site": {"type": "string", "constant_value": "north"},
            },
            "query_params_schema": {
                "properties": {"dry": {"type": "boolean", "constant_value": False}, "lang": {"type": "string"}},
                "required": ["dry", "lang"],
            },
            "request_body_schema": {
                "type": "object",
                "required": ["day", "who"],
                "description": "The visit",
                "properties": {
                    "day": {"type": "string", "description": "The day", "enum": None, "is_system_provided": False},
                    "who": {"type": "string", "dynamic_variable": "system__caller_id"},
                    "notes": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"text": {"type": "string", "constant_value": ""}}},
                    },
                },
            },
            "request_headers": {
                "X-Plain": "yes",
                "X-Secret": {"secret_id": "abc"},
                "X-Variable": {"variable_name": "site_key"},
                "Authorization": "Bearer {{secret__clinic}}",
            },
        },
        "assignments": [{"source": "response", "dynamic_variable": "visit", "value_path": "visit.id"}],
    },
    "access_info": {"is_creator": True},
}
VAPI_ASSISTANT: dict[str, Any] = {
    "id": "0f2c1b6e-2d5a-4a44-9a57-1f1f7c6a0001",
    "orgId": "7b1d0000-0000-4000-8000-000000000000",
    "name": "Pet hospital",
    "createdAt": "2026-01-02T03:04:05.000Z",
    "updatedAt": "2026-01-02T03:04:05.000Z",
    "firstMessage": "Hello, you called on {{date}}.",
    "firstMessageMode": "assistant-speaks-first",
    "voicemailMessage": "",
    "endCallFunctionEnabled": True,
    "endCallMessage": "Take care!",
    "transcriber": {"model": "nova-3-general", "language": "en", "provider": "deepgram"},
    "voice": {"provider": "11labs", "voiceId": "sarah", "model": "eleven_turbo_v2_5", "stability": 0.5},
    "serverUrl": "https://hospital.example/vapi",
    "model": {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "temperature": 0.2,
        "toolIds": ["c1d2e3f4-0000-4000-8000-000000000001"],
        "messages": [
            {"role": "system", "content": 'Today is {{"now" | date: "%A, %B %d", "America/New_York"}}.'},
            {"role": "assistant", "content": "Not a prompt."},
            {"role": "system", "content": "{{customer.number}} calls {{ phoneNumber.number }} for {{pet}}."},
        ],
        "tools": [
            {
                "type": "transferCall",
                "destinations": [
                    {"type": "number", "number": "+15550100", "description": "The desk", "message": "One moment."},
                    {"type": "sip", "sipUri": "sip:vet@hospital.example"},
                    {"type": "assistant", "assistantName": "other"},
                ],
            },
            {"type": "endCall"},
            {"type": "dtmf"},
            {"type": "sms", "metadata": {"from": "+15550199"}},
            {
                "type": "function",
                "async": True,
                "function": {"name": "note", "description": "Takes a note.", "parameters": {"type": "object"}},
            },
            {"type": "query", "function": {"name": "knowledge"}},
        ],
    },
}
VAPI_TOOL: dict[str, Any] = {
    "id": "c1d2e3f4-0000-4000-8000-000000000001",
    "type": "apiRequest",
    "name": "find_pet",
    "description": "Finds a pet.",
    "url": "https://hospital.example/pets",
    "method": "POST",
    "timeoutSeconds": 10,
    "headers": {"type": "object", "properties": {"X-Team": {"type": "string", "value": "vets"}}},
    "body": {
        "type": "object",
        "required": ["name", "kind"],
        "properties": {
            "name": {"type": "string", "description": "The pet's name"},
            "kind": {"type": "string", "value": "{{kind}}"},
        },
    },
    "variableExtractionPlan": {
        "aliases": [{"key": "owner", "value": "{{$.owner.name}}"}, {"key": "odd", "value": "{{a}} and {{b}}"}]
    },
    "messages": [
        {"type": "request-start", "content": "Let me look."},
        {"type": "request-response-delayed", "content": "Still looking.", "timingMilliseconds": 2000},
        {"type": "request-failed", "content": "Sorry."},
    ],
}
VAPI_OTHER: dict[str, Any] = {
    "id": "0f2c1b6e-2d5a-4a44-9a57-1f1f7c6a0002",
    "name": None,
    "createdAt": "2026-01-01T03:04:05.000Z",
    "firstMessageMode": "assistant-speaks-first-with-model-generated-message",
    "model": {"provider": "custom-llm", "url": "https://llm.example/v1/chat/completions", "model": "mine"},
    "forwardingPhoneNumber": "+15550102",
}
RETELL_AGENT: dict[str, Any] = {
    "agent_id": "oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD",
    "version": 3,
    "is_published": True,
    "agent_name": "Bike shop",
    "channel": "voice",
    "voice_id": "11labs-Adrian",
    "language": "en-US",
    "response_engine": {"type": "retell-llm", "llm_id": "llm_234sdertfsdsfsdf", "version": 3},
    "last_modification_timestamp": 1703413636133,
}
RETELL_LLM: dict[str, Any] = {
    "llm_id": "llm_234sdertfsdsfsdf",
    "version": 3,
    "model": "gpt-4.1",
    "model_temperature": 0,
    "start_speaker": "agent",
    "begin_message": None,
    "general_prompt": "You sell bikes to {{user_number}}. It is {{current_time_Europe/Berlin}}.",
    "default_dynamic_variables": {"shop": "Birch"},
    "general_tools": [
        {"type": "end_call", "name": "end_call", "description": "End it."},
        {
            "type": "transfer_call",
            "name": "to_workshop",
            "description": "For repairs.",
            "transfer_destination": {"type": "predefined", "number": "+15550103"},
            "transfer_option": {"type": "cold_transfer"},
        },
        {
            "type": "transfer_call",
            "name": "to_anybody",
            "transfer_destination": {"type": "inferred", "prompt": "whoever"},
            "transfer_option": {"type": "cold_transfer"},
        },
        {"type": "press_digit", "name": "press"},
        {"type": "send_sms", "name": "text", "sms_content": {"type": "predefined", "content": "Thanks, {{name}}!"}},
        {
            "type": "custom",
            "name": "stock",
            "description": "Looks up the stock.",
            "url": "https://bikes.example/stock",
            "method": "GET",
            "headers": {"X-Shop": "{{shop}}"},
            "query_params": {"v": "2"},
            "parameters": {
                "type": "object",
                "properties": {"model": {"type": "string"}, "region": {"type": "string", "const": "eu"}},
                "required": ["model", "region"],
            },
            "response_variables": {"left": "$.left"},
            "timeout_ms": 120000,
            "speak_during_execution": True,
        },
        {
            "type": "extract_dynamic_variable",
            "name": "remember",
            "description": "Notes the customer.",
            "variables": [
                {"type": "string", "name": "name", "description": "The name"},
                {"type": "enum", "name": "size", "description": "The size", "choices": ["S", "L"]},
                {"type": "number", "name": "age", "description": "The age"},
            ],
        },
    ],
    "starting_state": "greet",
    "states": [
        {
            "name": "greet",
            "state_prompt": "Greet.",
            "edges": [{"destination_state_name": "sell", "description": "they want a bike"}],
            "tools": [
                {
                    "type": "custom",
                    "name": "order",
                    "url": "https://bikes.example/orders",
                    "parameters": {"type": "object", "properties": {"bike": {"type": "string"}}},
                }
            ],
        },
        {"name": "sell", "state_prompt": "Sell."},
    ],
}
RETELL_FLOW = {
    "agent_id": "agent_flow",
    "agent_name": "Flow",
    "response_engine": {"type": "conversation-flow", "conversation_flow_id": "cf_1", "version": 0},
}
RETELL_CHAT = {
    "agent_id": "agent_chat",
    "agent_name": "Chat",
    "response_engine": {"type": "retell-llm", "llm_id": "llm_plain"},
}
RETELL_PLAIN = {"llm_id": "llm_plain", "model": "claude-4.5-haiku", "begin_message": "", "general_prompt": "Chat."}

_ELEVENLABS_ID, _VAPI_ID = ELEVENLABS_AGENT["agent_id"], VAPI_ASSISTANT["id"]
_ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", f"/v1/convai/agents/{_ELEVENLABS_ID}"): ELEVENLABS_AGENT,
    ("GET", "/v1/convai/agents/agent_two"): {
        "agent_id": "agent_two",
        "name": "",
        "conversation_config": {
            "agent": {
                "prompt": {
                    "prompt": "Two.",
                    "llm": "custom-llm",
                    "custom_llm": {"url": "https://llm.example/v1", "model_id": "mine", "api_key": {"secret_id": "s"}},
                }
            }
        },
    },
    ("GET", "/v1/convai/agents/agent_odd"): {"agent_id": "agent_odd", "conversation_config": []},
    ("GET", "/v1/convai/tools/tool_6701"): ELEVENLABS_TOOL,
    ("GET", "/assistant"): [VAPI_ASSISTANT, VAPI_OTHER],
    ("GET", f"/assistant/{_VAPI_ID}"): VAPI_ASSISTANT,
    ("GET", f"/assistant/{VAPI_OTHER['id']}"): VAPI_OTHER,
    ("GET", f"/tool/{VAPI_TOOL['id']}"): VAPI_TOOL,
    ("GET", f"/get-agent/{RETELL_AGENT['agent_id']}"): RETELL_AGENT,
    ("GET", "/get-agent/agent_flow"): RETELL_FLOW,
    ("GET", "/get-chat-agent/agent_chat"): RETELL_CHAT,
    ("GET", "/get-retell-llm/llm_234sdertfsdsfsdf"): RETELL_LLM,
    ("GET", "/get-retell-llm/llm_plain"): RETELL_PLAIN,
}


def answer(method: str, target: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    """What the provider to whom this path belongs answers: the status and the JSON."""
    given = {name.lower(): value for name, value in headers.items()}
    if KEY not in (given.get("xi-api-key"), given.get("authorization", "").removeprefix("Bearer ")):
        return 401, {"detail": {"status": "invalid_api_key"}}
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    place = (method, unquote(parts.path))
    if place == ("GET", "/v1/convai/agents"):
        if "cursor" not in query:
            return 200, {"agents": [{"agent_id": _ELEVENLABS_ID}], "has_more": True, "next_cursor": "more"}
        return 200, {"agents": [{"agent_id": "agent_two"}, {"agent_id": "agent_odd"}], "has_more": False}
    if place == ("POST", "/v2/list-agents"):
        if "pagination_key" not in query:
            first = [{"agent_id": RETELL_AGENT["agent_id"], "agent_name": "Bike shop", "channel": "voice"}]
            return 200, {"items": first, "has_more": True, "pagination_key": "more"}
        rest = [{"agent_id": "agent_flow", "channel": "voice"}, {"agent_id": "agent_chat", "channel": "chat"}]
        return 200, {"items": rest, "has_more": False}
    found = _ANSWERS.get(place)
    return (404, {"message": "not found"}) if found is None else (200, found)


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, found = answer(self.command, self.path, dict(self.headers.items()))
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815  # the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing to say."""


@contextmanager
def providing() -> Generator[str]:
    """The address of all of them, for as long as the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
