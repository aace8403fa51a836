"""Agents ⇄ core: what they speak as, and settings that are kept and given back (contract, section 8)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field, model_validator

from vivavoce.api.retell.wire.engine import TEMPLATING
from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.shape import Flag, Whole, mapping, omitted, storable
from vivavoce.core.assistant import Assistant, Form, Plays, Version
from vivavoce.services.errors import NotFound

NAME = "Agent"
"""What people see of one that has no name on the wire."""

SILENCE_MS = 3_600_000
"""How long the user of a chat is silent before it ends, where nobody says otherwise."""

_ANSWERED = ("agent_id", "version", "is_published", "base_version", "assigned_tags", "last_modification_timestamp")
_TITLES = ("version_title", "version_description")

Channel = Literal["voice", "chat"]
FORMS: Mapping[Channel, Form] = {"voice": Form.VOICE_AGENT, "chat": Form.CHAT_AGENT}
"""The form of the agents of each channel."""


# --- shapes ---------------------------------------------------------------------------------------------------------

_Version = Annotated[Whole, Field(ge=0)]
_Id = Annotated[str, Field(max_length=256)]
_Voice = Annotated[str, Field(min_length=1, max_length=256)]


class PromptsEngine(BaseModel, frozen=True, extra="allow"):
    """A response engine of prompts; without a version the newest."""

    type: Literal["retell-llm"]
    llm_id: _Id
    version: _Version | None = omitted()


class FlowEngine(BaseModel, frozen=True, extra="allow"):
    """A response engine of nodes and edges; without a version the newest."""

    type: Literal["conversation-flow"]
    conversation_flow_id: _Id
    version: _Version | None = omitted()


class ForeignEngine(BaseModel, frozen=True, extra="allow"):
    """Somebody else's engine, which is kept and never asked."""

    type: Literal["custom-llm"]
    llm_websocket_url: Annotated[str, Field(min_length=1, max_length=2048)]


EngineRef = Annotated[PromptsEngine | FlowEngine | ForeignEngine, Field(discriminator="type")]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:100]!r}") from None
    return name


class AgentShape(BaseModel, frozen=True, extra="allow"):
    """What agents of both channels have; what is left out stays as it is."""

    agent_name: str | None = omitted()
    version_title: str | None = omitted()
    version_description: str | None = omitted()
    timezone: Annotated[str, AfterValidator(_zone)] | None = omitted()
    language: str | list[str] | None = omitted()
    webhook_url: str | None = omitted()
    is_transfer_agent: Flag | None = omitted()

    _storable = model_validator(mode="before")(storable)


class VoiceAgent(AgentShape, frozen=True, extra="allow"):
    """What is changed of an agent for calls."""

    response_engine: EngineRef = omitted()
    voice_id: _Voice = omitted()


class NewVoiceAgent(AgentShape, frozen=True, extra="allow"):
    """A new agent for calls. Any voice is taken: nothing is spoken aloud here."""

    response_engine: EngineRef
    voice_id: _Voice


class ChatShape(AgentShape, frozen=True, extra="allow"):
    """What agents for chats have."""

    auto_close_message: str | None = omitted()
    end_chat_after_silence_ms: Annotated[Whole, Field(ge=120_000, le=259_200_000)] | None = omitted()


class ChatAgent(ChatShape, frozen=True, extra="allow"):
    """What is changed of an agent for chats."""

    response_engine: EngineRef = omitted()


class NewChatAgent(ChatShape, frozen=True, extra="allow"):
    """A new agent for chats."""

    response_engine: EngineRef


class NewVersion(BaseModel, frozen=True, extra="forbid"):
    """Which version a new draft is copied from."""

    base_version: _Version

    _storable = model_validator(mode="before")(storable)


class Publication(BaseModel, frozen=True):
    """Which version is published, and what it is called."""

    version: _Version
    version_title: str | None = omitted()
    version_description: str | None = omitted()

    _storable = model_validator(mode="before")(storable)


class ChannelFilter(BaseModel, frozen=True):
    """Which channel: equal, unequal, begins with, ends with, contains."""

    op: Literal["eq", "ne", "sw", "ew", "co"]
    type: Literal["string"]
    value: Annotated[str, Field(max_length=256)]


class TransferFilter(BaseModel, frozen=True):
    """Whether somebody is put through by it."""

    op: Literal["eq"]
    type: Literal["boolean"]
    value: Flag


class Filter(BaseModel, frozen=True):
    """Which agents; all parts must hold."""

    channel: ChannelFilter | None = omitted()
    is_transfer_agent: TransferFilter | None = omitted()
    query: Annotated[str, Field(max_length=256)] | None = omitted()


class Listing(BaseModel, frozen=True):
    """Which agents are listed. ``query`` is in their names, whatever the case of its letters, or in their ids."""

    filter_criteria: Filter | None = omitted()
    query: Annotated[str, Field(max_length=256)] | None = omitted()

    _storable = model_validator(mode="before")(storable)


# --- wire → core ----------------------------------------------------------------------------------------------------


def to_version(channel: Channel, sent: Mapping[str, Any]) -> Version:
    """The first version of a new agent."""
    return patched(channel, Version("", "", NAME, "", 0), sent)


def patched(channel: Channel, before: Version, sent: Mapping[str, Any]) -> Version:
    """The version with what was sent in its place, key by key; null is kept as null."""
    new = {name: value for name, value in sent.items() if name not in (*_ANSWERED, *_TITLES)}
    body = {**mapping(before.extra.get("body")), **new}
    silence = body.get("end_chat_after_silence_ms") or SILENCE_MS
    return replace(
        before,
        name=body.get("agent_name") or NAME,
        label=(sent["version_title"] or "") if "version_title" in sent else before.label,
        description=sent.get("version_description", before.description),
        plays=_given(before, new["response_engine"]) if "response_engine" in new else before.plays,
        templating=replace(TEMPLATING, zone=body.get("timezone") or TEMPLATING.zone),
        idle_minutes=silence // 60_000 if channel == "chat" else None,
        extra={"body": body},
    )


def _given(before: Version, engine: Mapping[str, Any]) -> Plays | None:
    """What it was given to speak as. Raises ``NotFound`` for what it speaks as already where that is called an engine
    of the other type: only how their ids begin tells the two apart."""
    plays = _plays(engine)
    same = plays is not None and before.plays is not None and plays.assistant_id == before.plays.assistant_id
    if plays is not None and same and engine["type"] != _engine_type(before):
        raise NotFound("assistant", plays.assistant_id)
    return plays


def _engine_type(version: Version) -> object:
    return mapping(mapping(version.extra.get("body")).get("response_engine")).get("type")


def _plays(engine: Mapping[str, Any]) -> Plays | None:
    match engine["type"]:
        case "retell-llm":
            return Plays(read("llm", engine["llm_id"]), engine.get("version"))
        case "conversation-flow":
            return Plays(read("conversation_flow", engine["conversation_flow_id"]), engine.get("version"))
        case _:
            return None


def spoken_as(sent: Mapping[str, Any]) -> tuple[Form, ...]:
    """Which form the response engine must have that was sent."""
    prompts = mapping(sent.get("response_engine")).get("type") == "retell-llm"
    return (Form.PROMPTS,) if prompts else (Form.FLOW,)


def engine_id(sent: Mapping[str, Any]) -> str:
    """The id of the response engine that was sent, as it was written."""
    engine = mapping(sent.get("response_engine"))
    return str(engine.get("llm_id") or engine.get("conversation_flow_id") or "")


# --- core → wire ----------------------------------------------------------------------------------------------------


def channel_of(assistant: Assistant) -> Channel:
    """Where it speaks."""
    return "chat" if assistant.form is Form.CHAT_AGENT else "voice"


def dump(assistant: Assistant, version: Version) -> dict[str, Any]:
    """The answer: the body as it was sent, and what only the server knows. Times are milliseconds since the epoch."""
    body = mapping(version.extra.get("body"))
    known: dict[str, Any] = {
        **_summary(version),
        "agent_id": shown("agent", assistant.id),
        "assigned_tags": [],
        "response_engine": _engine(mapping(body.get("response_engine")), version.plays),
    }
    return {**body, **known}


def _engine(sent: Mapping[str, Any], plays: Plays | None) -> dict[str, Any]:
    if plays is None:
        return dict(sent)
    if sent.get("type") == "retell-llm":
        return {**sent, "llm_id": shown("llm", plays.assistant_id), "version": plays.number}
    id_ = shown("conversation_flow", plays.assistant_id)
    return {**sent, "conversation_flow_id": id_, "version": plays.number}


def _summary(version: Version) -> dict[str, Any]:
    known: dict[str, Any] = {
        "version": version.number,
        "is_published": version.published,
        "base_version": version.base,
        "last_modification_timestamp": version.changed_at,
    }
    if version.label:
        known["version_title"] = version.label
    if version.description is not None:
        known["version_description"] = version.description
    return known


def dump_version(version: Version) -> dict[str, Any]:
    """A version in the list of an agent's versions."""
    return _summary(version)


def dump_item(assistant: Assistant) -> dict[str, Any]:
    """An agent in the list of agents."""
    body = mapping(assistant.main.extra.get("body"))
    return {
        "agent_id": shown("agent", assistant.id),
        "agent_name": body.get("agent_name") or "",
        "channel": channel_of(assistant),
        "tags": {},
        "user_modified_timestamp": assistant.main.changed_at,
        "is_suspended": False,
        "is_transfer_agent": bool(body.get("is_transfer_agent")),
    }


# --- lists ----------------------------------------------------------------------------------------------------------


def forms_of(listing: Listing | None) -> tuple[Form, ...]:
    """The forms of the agents that are wanted."""
    wanted = listing.filter_criteria.channel if listing and listing.filter_criteria else None
    return tuple(form for channel, form in FORMS.items() if not wanted or _holds(wanted, channel))


def _holds(wanted: ChannelFilter, channel: str) -> bool:
    match wanted.op:
        case "eq":
            return channel == wanted.value
        case "ne":
            return channel != wanted.value
        case "sw":
            return channel.startswith(wanted.value)
        case "ew":
            return channel.endswith(wanted.value)
        case "co":
            return wanted.value in channel


def is_wanted(listing: Listing | None, assistant: Assistant) -> bool:
    """Whether an agent of a wanted form is in the list."""
    if listing is None:
        return True
    criteria = listing.filter_criteria or Filter()
    item = dump_item(assistant)
    transfer = criteria.is_transfer_agent
    return (transfer is None or item["is_transfer_agent"] == transfer.value) and all(
        query.lower() in item["agent_name"].lower() or query in item["agent_id"]
        for query in (listing.query, criteria.query)
        if query
    )
