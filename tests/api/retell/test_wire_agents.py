"""Agents ⇄ core (contract, section 8)."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from vivavoce.api.retell.wire.agents import (
    AgentShape,
    ChatAgent,
    Listing,
    NewChatAgent,
    NewVersion,
    NewVoiceAgent,
    Publication,
    VoiceAgent,
    dump,
    dump_item,
    dump_version,
    engine_id,
    forms_of,
    is_wanted,
    patched,
    spoken_as,
    to_version,
)
from vivavoce.api.shape import sent
from vivavoce.core.assistant import Assistant, Form, Plays, Rules, Version
from vivavoce.services.errors import NotFound

DIGITS = "0199c0de00007000800000000000beef"
ENGINE = "assistant-0199c0de-0000-7000-8000-00000000beef"
LLM = {"type": "retell-llm", "llm_id": f"llm_{DIGITS}"}
FLOW = {"type": "conversation-flow", "conversation_flow_id": f"conversation_flow_{DIGITS}", "version": 2}
FOREIGN = {"type": "custom-llm", "llm_websocket_url": "wss://a.example"}


def agent(body: dict[str, Any], form: Form = Form.VOICE_AGENT, **given: Any) -> Assistant:
    """An agent as a client made it, with what the service sets."""
    shape = NewVoiceAgent if form is Form.VOICE_AGENT else NewChatAgent
    made = to_version("voice" if form is Form.VOICE_AGENT else "chat", sent(shape.model_validate(body)))
    main = replace(made, assistant_id=ENGINE, changed_at=7, **given)
    return Assistant(ENGINE, main, 5, form=form)


def voice(**more: Any) -> Assistant:
    return agent({"response_engine": LLM, "voice_id": "any", **more})


def test_section_8_settings_come_back_as_they_were_sent() -> None:
    settings: dict[str, Any] = {
        "agent_name": "Birch",
        "voice_speed": 1.5,
        "language": ["en-US", "de-DE"],
        "pii_config": {"mode": "post_call", "categories": []},
        "boosted_keywords": None,
        "something_newer": {"a": [1]},
    }
    kept = voice(**settings, timezone="Europe/Berlin")
    kept = replace(kept, main=replace(kept.main, plays=Plays(ENGINE, 0)))
    assert dump(kept, kept.main) == {
        **settings,
        "timezone": "Europe/Berlin",
        "voice_id": "any",
        "response_engine": {**LLM, "version": 0},
        "agent_id": f"agent_{DIGITS}",
        "version": 0,
        "is_published": False,
        "base_version": None,
        "assigned_tags": [],
        "last_modification_timestamp": 7,
    }
    assert (kept.main.name, kept.main.templating.zone) == ("Birch", "Europe/Berlin")


def test_what_the_core_makes_of_an_agent() -> None:
    main = voice().main
    assert (main.name, main.plays, main.idle_minutes) == ("Agent", Plays(ENGINE, None), None)
    assert (main.templating.prefix, main.templating.rules) == ("", Rules.NESTED)
    assert main.templating.zone == "America/Los_Angeles"
    assert agent({"response_engine": FLOW, "voice_id": "v"}).main.plays == Plays(ENGINE, 2)
    assert agent({"response_engine": {**FLOW, "version": 0.0}, "voice_id": "v"}).main.plays == Plays(ENGINE, 0)
    assert agent({"response_engine": FOREIGN, "voice_id": "v"}).main.plays is None


@pytest.mark.parametrize(("silence", "minutes"), [(None, 60), (120_000, 2), (259_200_000, 4320)])
def test_section_8_a_chat_ends_after_silence(silence: int | None, minutes: int) -> None:
    kept = agent({"response_engine": LLM, "end_chat_after_silence_ms": silence}, Form.CHAT_AGENT)
    assert kept.main.idle_minutes == minutes
    assert agent({"response_engine": LLM}, Form.CHAT_AGENT).main.idle_minutes == 60


def test_the_engine_of_each_kind_is_told_apart() -> None:
    cases: list[tuple[dict[str, Any], Form, str]] = [
        (LLM, Form.PROMPTS, LLM["llm_id"]),
        (FLOW, Form.FLOW, f"conversation_flow_{DIGITS}"),
    ]
    for engine, form, id_ in cases:
        assert spoken_as({"response_engine": engine}) == (form,)
        assert engine_id({"response_engine": engine}) == id_
    assert engine_id({"response_engine": FOREIGN}) == engine_id({}) == ""
    kept = agent({"response_engine": FLOW, "voice_id": "v"})
    assert dump(kept, kept.main)["response_engine"] == FLOW
    kept = agent({"response_engine": FOREIGN, "voice_id": "v"})
    assert dump(kept, kept.main)["response_engine"] == FOREIGN


def test_a_patch_changes_what_it_names() -> None:
    before = voice(agent_name="Birch", volume=1, version_title="first").main
    before = replace(before, plays=Plays(ENGINE, 3))
    changed = patched("voice", before, {"volume": None, "version_description": "told", "version": 9, "agent_id": "x"})
    assert changed.extra["body"] == {**before.extra["body"], "volume": None}
    assert (changed.name, changed.label, changed.description) == ("Birch", "first", "told")
    assert changed.plays == Plays(ENGINE, 3)
    emptied = patched("voice", changed, {"version_title": None, "version_description": None, "agent_name": None})
    assert (emptied.name, emptied.label, emptied.description) == ("Agent", "", None)
    assert patched("voice", changed, {"response_engine": FOREIGN}).plays is None


def test_titles_are_of_the_version() -> None:
    version = Version("v", "a", "n", "", 0, "title", "told", number=3, published=True, base=1, changed_at=9)
    assert dump_version(version) == {
        "version": 3,
        "is_published": True,
        "base_version": 1,
        "last_modification_timestamp": 9,
        "version_title": "title",
        "version_description": "told",
    }
    assert "version_title" not in dump_version(replace(version, label="", description=None))


WRONG: list[tuple[type[AgentShape] | type[NewVersion] | type[Publication] | type[Listing], dict[str, Any]]] = [
    (NewVoiceAgent, {"response_engine": LLM}),
    (NewVoiceAgent, {"voice_id": "v"}),
    (NewVoiceAgent, {"response_engine": LLM, "voice_id": ""}),
    (NewVoiceAgent, {"response_engine": {"type": "retell-llm"}, "voice_id": "v"}),
    (NewVoiceAgent, {"response_engine": {"type": "other", "llm_id": "x"}, "voice_id": "v"}),
    (NewVoiceAgent, {"response_engine": {**LLM, "version": -1}, "voice_id": "v"}),
    (NewVoiceAgent, {"response_engine": {**LLM, "version": 0.5}, "voice_id": "v"}),
    (NewChatAgent, {}),
    (ChatAgent, {"end_chat_after_silence_ms": 119_999}),
    (ChatAgent, {"end_chat_after_silence_ms": 259_200_001}),
    (ChatAgent, {"response_engine": None}),
    (VoiceAgent, {"voice_id": None}),
    (VoiceAgent, {"response_engine": None}),
    (VoiceAgent, {"agent_name": 1}),
    (VoiceAgent, {"agent_name": "\ud800"}),
    (VoiceAgent, {"timezone": "Mars/Olympus"}),
    (VoiceAgent, {"timezone": "../etc"}),
    (VoiceAgent, {"timezone": "Europe"}),
    (NewVersion, {}),
    (NewVersion, {"base_version": -1}),
    (NewVersion, {"base_version": 0, "more": 1}),
    (Publication, {}),
    (Publication, {"version": "0"}),
    (Publication, {"version": 0, "version_title": {}}),
    (Listing, {"filter_criteria": {"channel": {"op": "lt", "type": "string", "value": "voice"}}}),
    (Listing, {"filter_criteria": []}),
]


@pytest.mark.parametrize(("shape", "body"), WRONG)
def test_what_is_refused(shape: Any, body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        shape.model_validate(body)


@pytest.mark.parametrize(
    ("op", "value", "channels"),
    [
        ("eq", "voice", ["voice"]),
        ("ne", "voice", ["chat"]),
        ("sw", "ch", ["chat"]),
        ("ew", "ice", ["voice"]),
        ("co", "c", ["voice", "chat"]),
        ("eq", "sms", []),
    ],
)
def test_section_8_a_list_of_one_channel(op: str, value: str, channels: list[str]) -> None:
    criteria = {"channel": {"op": op, "type": "string", "value": value}}
    forms = forms_of(Listing.model_validate({"filter_criteria": criteria}))
    assert forms == tuple(Form(f"{channel}_agent") for channel in channels)
    assert forms_of(None) == forms_of(Listing()) == (Form.VOICE_AGENT, Form.CHAT_AGENT)


def test_a_list_of_what_is_looked_for() -> None:
    kept = voice(agent_name="Birch", is_transfer_agent=True)
    item = dump_item(kept)
    assert item == {
        "agent_id": f"agent_{DIGITS}",
        "agent_name": "Birch",
        "channel": "voice",
        "tags": {},
        "user_modified_timestamp": 7,
        "is_suspended": False,
        "is_transfer_agent": True,
    }
    assert dump_item(agent({"response_engine": LLM}, Form.CHAT_AGENT))["agent_name"] == ""

    def wanted(body: dict[str, Any]) -> bool:
        return is_wanted(Listing.model_validate(body), kept)

    transfer = {"op": "eq", "type": "boolean"}
    assert is_wanted(None, kept)
    assert wanted({})
    assert wanted({"query": "bIR"})
    assert wanted({"filter_criteria": {"query": "beef"}})
    assert not wanted({"filter_criteria": {"query": "oak"}})
    assert not wanted({"filter_criteria": {"query": "birch"}, "query": "oak"})
    assert wanted({"filter_criteria": {"is_transfer_agent": {**transfer, "value": True}}})
    assert not wanted({"filter_criteria": {"is_transfer_agent": {**transfer, "value": False}}})


def test_section_8_what_an_agent_speaks_as_cannot_be_called_an_engine_of_the_other_type() -> None:
    before = replace(voice().main, plays=Plays(ENGINE, 2))
    with pytest.raises(NotFound) as failure:
        patched("voice", before, {"response_engine": FLOW})
    assert failure.value.id == ENGINE
    assert patched("voice", before, {"response_engine": {**LLM, "version": 2}}).plays == before.plays
    assert patched("voice", replace(before, plays=None), {"response_engine": FLOW}).plays == Plays(ENGINE, 2)
