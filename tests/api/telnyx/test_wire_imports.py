from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from telnyx.types.ai import InferenceEmbedding

from vivavoce.api.telnyx.wire.assistant import TEMPLATING, dump_assistant
from vivavoce.api.telnyx.wire.imports import ImportBody, adopted
from vivavoce.core.assistant import Assistant, Origin, Version
from vivavoce.core.mind import Endpoint, Mind
from vivavoce.core.tool import (
    Act,
    Filler,
    FunctionTool,
    HangupTool,
    LineTarget,
    LineTool,
    MessageTool,
    RemoteTool,
    SettableVariable,
    SkipTool,
    Tool,
    VariablesTool,
    WebhookTool,
)
from vivavoce.importing.provider import Draft, Unfit

TOOLS: tuple[Tool, ...] = (
    WebhookTool(
        "find",
        "Finds.",
        "https://a.example",
        waits_ms=300,
        fillers=(Filler("Now."), Filler("Later.", 2000)),
        preset_query={"v": 1},
    ),
    FunctionTool("inside", "Runs.", {"type": "object"}),
    FunctionTool("there", "Runs there.", {"type": "object", "properties": {}}, by_client=True),
    HangupTool("Bye."),
    LineTool(Act.TRANSFER, "transfer", (LineTarget("+1", "desk", "Hi"), LineTarget("sip:a@b")), "", "To people."),
    LineTool(Act.TONES, "send_dtmf"),
    MessageTool("Thanks, {{name}}"),
    SkipTool("Wait."),
    VariablesTool("remember", "Notes.", (SettableVariable("size", "number", "How large"),)),
)
DRAFT = Draft("x", Version("", "", "desk", "Help.", 0, tools=TOOLS, mind=Mind("openai/gpt-4o"), greeting="Hi"), "A.b")


def fit(draft: Draft, key_ref: str | None = None) -> Version:
    found = adopted(draft, key_ref)
    assert isinstance(found, Version)
    return found


def bare(tool: Tool) -> Tool:
    assert not isinstance(tool, RemoteTool)
    return replace(tool, extra={})


def dumped(version: Version) -> dict[str, Any]:
    return dump_assistant(Assistant("assistant-1", version, 0, (), Origin("vapi", "x")), default_model="m")


def test_an_adopted_assistant_acts_as_the_draft_does() -> None:
    version = fit(DRAFT)
    assert version.templating == TEMPLATING
    assert (version.name, version.instructions, version.greeting) == ("desk", "Help.", "Hi")
    assert version.mind == Mind("openai/gpt-4o")
    assert [bare(tool) for tool in version.tools] == [bare(tool) for tool in TOOLS]


def test_what_it_shows_is_what_a_client_would_have_sent() -> None:
    wire = dumped(fit(DRAFT, "voice-key"))
    assert InferenceEmbedding.model_validate(wire).model_dump()["name"] == "desk"
    assert wire["voice_settings"] == {"voice": "A.b", "api_key_ref": "voice-key"}
    assert wire["import_metadata"] == {"import_id": "x", "import_provider": "vapi"}
    tools = {tool["type"]: tool for tool in wire["tools"]}
    assert tools["webhook"]["webhook"]["async"] is True
    assert [one["type"] for one in tools["webhook"]["webhook"]["messages"]] == [
        "request_start",
        "request_response_delayed",
    ]
    assert tools["transfer"]["transfer"] == {
        "from": "{{telnyx_agent_target}}",
        "targets": [{"to": "+1", "name": "desk", "message": "Hi"}, {"to": "sip:a@b"}],
        "description": "To people.",
    }
    assert tools["send_dtmf"]["send_dtmf"] == {}
    assert tools["send_message"]["send_message"] == {"message_template": "Thanks, {{name}}"}
    assert tools["skip_turn"]["skip_turn"] == {"description": "Wait."}
    assert tools["client_side_tool"]["client_side_tool"]["parameters"] == {"type": "object", "properties": {}}
    assert tools["update_dynamic_variables"]["update_dynamic_variables"]["updatable_variables"] == [
        {"name": "size", "type": "number", "description": "How large"}
    ]


def test_a_model_of_its_own_is_an_own_endpoint() -> None:
    mind = Mind(endpoint=Endpoint("https://llm.example", "mine"))
    version = fit(Draft("x", replace(DRAFT.version, mind=mind, tools=())))
    assert version.mind == mind
    assert dumped(version)["external_llm"] == {"base_url": "https://llm.example", "model": "mine"}
    assert "voice_settings" not in dumped(version)


@pytest.mark.parametrize(
    "draft",
    [
        Draft("x" * 256, DRAFT.version),
        Draft("a\x00", DRAFT.version),
        Draft("x", replace(DRAFT.version, instructions="\ud800")),
        Draft("x", replace(DRAFT.version, tools=(VariablesTool("not a name", "", (SettableVariable("a"),)),))),
        Draft("x", replace(DRAFT.version, variables={"bad": float("nan")})),
    ],
)
def test_what_no_client_could_have_sent_is_unfit(draft: Draft) -> None:
    found = adopted(draft, None)
    assert isinstance(found, Unfit)
    assert found.id == draft.id
    assert found.reason


BAD: list[dict[str, Any]] = [
    {},
    {"provider": "vapi"},
    {"provider": "other", "api_key_ref": "k"},
    {"provider": "vapi", "api_key_ref": None},
    {"provider": "vapi", "api_key_ref": "k", "import_ids": []},
    {"provider": "vapi", "api_key_ref": "k", "import_ids": ["x"] * 1001},
    {"provider": "vapi", "api_key_ref": "k", "import_ids": ["x" * 256]},
    {"provider": "vapi", "api_key_ref": "k", "import_ids": None},
]


@pytest.mark.parametrize("body", BAD)
def test_bad_bodies(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImportBody.model_validate(body)
