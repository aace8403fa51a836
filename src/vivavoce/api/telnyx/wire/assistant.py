"""Assistants and their versions ⇄ core (contract, sections 2 and 6.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, cast
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from vivavoce.api.telnyx.wire.flow import ConversationFlow
from vivavoce.api.telnyx.wire.settings import (
    FIRST_INSIGHT_MODEL,
    A2AAgent,
    AssistantIntegration,
    AssistantMcpServer,
    AvatarSettings,
    DelegationSettings,
    ExternalLLM,
    FallbackConfig,
    InsightSettings,
    InterruptionSettings,
    MessagingSettings,
    ObservabilitySettings,
    PostConversationSettings,
    PrivacySettings,
    TelephonySettings,
    Transcription,
    VoiceSettings,
    WebsocketSettings,
    WidgetSettings,
)
from vivavoce.api.telnyx.wire.shape import Flag, Whole, omitted, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.api.telnyx.wire.tool_shapes import ToolBody
from vivavoce.api.telnyx.wire.tools import dump_tool, load_tools
from vivavoce.core.assistant import Templating, Version
from vivavoce.core.event import Millis

DEFAULT_LABEL = "New assistant"
TEMPLATING = Templating(prefix="telnyx_")

_NAMED = ("name", "instructions", "description", "model", "greeting", "tools", "dynamic_variables", "version_name")
_COMMANDS = ("promote_to_main",)
_READ_ONLY = (
    "id",
    "created_at",
    "version_id",
    "version_created_at",
    "import_metadata",
    "related_mission_ids",
    "deleted_at",
    "permanently_deleted_at",
)
"""What only responses have. Clients that send a response back send these too; they are not kept."""

_NOT_KEPT = frozenset((*_NAMED, *_COMMANDS, *_READ_ONLY))
_IDS = UUID("5b6f0f5e-6f0c-5d0e-9d55-6a2f6f0b7a11")

Feature = Literal["telephony", "messaging"]


def _unique(features: list[Feature]) -> list[Feature]:
    if len(set(features)) < len(features):
        raise PydanticCustomError("unique_items", "Items should be unique")
    return features


class VersionUpdate(BaseModel, frozen=True, extra="allow"):
    """What may be changed of a version; what is left out stays as it is."""

    name: str = omitted()
    instructions: str = omitted()
    model: str = omitted()
    description: str = omitted()
    greeting: str = omitted()
    llm_api_key_ref: str = omitted()
    external_llm: ExternalLLM = omitted()
    fallback_config: FallbackConfig = omitted()
    tools: list[ToolBody] = omitted()
    tool_ids: list[str] = omitted()
    mcp_servers: list[AssistantMcpServer] = omitted()
    integrations: list[AssistantIntegration] = omitted()
    a2a_agents: list[A2AAgent] = omitted()
    dynamic_variables: dict[str, Any] = omitted()
    dynamic_variables_webhook_url: str = omitted()
    dynamic_variables_webhook_timeout_ms: Annotated[Whole, Field(ge=1, le=10000)] = omitted()
    enabled_features: Annotated[
        list[Feature], Field(json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ] = omitted()
    voice_settings: VoiceSettings = omitted()
    transcription: Transcription = omitted()
    telephony_settings: TelephonySettings = omitted()
    messaging_settings: MessagingSettings = omitted()
    interruption_settings: InterruptionSettings = omitted()
    insight_settings: InsightSettings = omitted()
    privacy_settings: PrivacySettings = omitted()
    widget_settings: WidgetSettings = omitted()
    observability_settings: ObservabilitySettings = omitted()
    post_conversation_settings: PostConversationSettings = omitted()
    delegation_settings: DelegationSettings = omitted()
    websocket_settings: WebsocketSettings = omitted()
    avatar_settings: AvatarSettings | None = omitted()
    conversation_flow: ConversationFlow | None = omitted()
    tags: list[str] = omitted()
    version_name: Annotated[str, Field(max_length=50)] = omitted()

    _storable = model_validator(mode="before")(storable)


class AssistantUpdate(VersionUpdate, frozen=True):
    """What may be changed of an assistant: every update writes a new version."""

    promote_to_main: Flag = True


class AssistantCreate(VersionUpdate, frozen=True):
    """A new assistant; its first version is main."""

    name: str = Field(...)
    instructions: str = Field(...)
    conversation_flow: ConversationFlow = omitted()


def to_version(body: AssistantCreate, *, version_id: str, assistant_id: str, now: Millis) -> Version:
    """The first version of a new assistant."""
    wire = sent(body)
    insight = wire.get("insight_settings")
    if insight is not None:
        insight.setdefault("model", FIRST_INSIGHT_MODEL)
    blank = Version(
        version_id, assistant_id, body.name, body.instructions, now, label=DEFAULT_LABEL, templating=TEMPLATING
    )
    return _laid_over(blank, wire)


def overlay(version: Version, body: VersionUpdate, *, version_id: str, now: Millis) -> Version:
    """The version with what was sent in its place (section 6.1, *Update field rules*).

    Omitted fields stay; arrays and nested settings are replaced whole; null clears where it is allowed. Only the
    model of ``insight_settings`` stays when the settings are sent without one (section 2.1). For an edit in place,
    pass the version's own id and ``created_at``.
    """
    wire = sent(body)
    insight, kept = wire.get("insight_settings"), version.extra.get("insight_settings")
    if insight is not None and kept and "model" in kept:
        insight.setdefault("model", kept["model"])
    changed = _laid_over(replace(version, id=version_id, created_at=now), wire)
    if changed.extra.get("conversation_flow", True) is None:
        # Cleared means gone, not null: what a response shows must be good to be sent as a new assistant.
        return replace(
            changed, extra={key: value for key, value in changed.extra.items() if key != "conversation_flow"}
        )
    return changed


def _laid_over(version: Version, wire: Mapping[str, Any]) -> Version:
    return replace(
        version,
        name=wire.get("name", version.name),
        instructions=wire.get("instructions", version.instructions),
        description=wire.get("description", version.description),
        model=wire.get("model", version.model),
        greeting=wire.get("greeting", version.greeting),
        tools=load_tools(wire["tools"]) if "tools" in wire else version.tools,
        variables=wire.get("dynamic_variables", version.variables),
        label=wire.get("version_name", version.label),
        extra={**version.extra, **{key: value for key, value in wire.items() if key not in _NOT_KEPT}},
    )


def dump_assistant(
    version: Version,
    *,
    created_at: Millis,
    default_model: str,
    shared_tools: Iterable[Mapping[str, Any]] = (),
    variables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The response object for one version of an assistant that was created then (section 2, column R).

    ``default_model`` is named where the version names no model itself. ``shared_tools`` are the wire tools behind
    ``tool_ids``. ``variables`` are the resolved ones, where somebody asked for them.
    """
    wire: dict[str, Any] = {
        "mcp_servers": [],
        "integrations": [],
        "a2a_agents": [],
        "tags": [],
        "tool_ids": [],
        "related_mission_ids": [],
        "enabled_features": [],
        "dynamic_variables_webhook_timeout_ms": 1500,
        "post_conversation_settings": {"enabled": False},
        **version.extra,
    }
    wire["telephony_settings"] = _with_id(wire.get("telephony_settings"), "default_texml_app_id", version)
    wire["messaging_settings"] = _with_id(wire.get("messaging_settings"), "default_messaging_profile_id", version)
    wire |= {
        "id": version.assistant_id,
        "name": version.name,
        "created_at": iso(created_at),
        "model": _model(version, default_model),
        "instructions": version.instructions,
        "version_id": version.id,
        "version_created_at": iso(version.created_at),
        "version_name": version.label or DEFAULT_LABEL,
        "dynamic_variables": dict(version.variables if variables is None else variables),
        "tools": [
            *(dump_tool(tool) for tool in version.tools),
            *({**tool, "shared": True} for tool in shared_tools),
        ],
    }
    if version.description is not None:
        wire["description"] = version.description
    if version.greeting is not None:
        wire["greeting"] = version.greeting
    return wire


def _model(version: Version, default: str) -> str:
    """The response must name one: the version's own, that of its own endpoint, or the server's."""
    if version.model is not None:
        return version.model
    endpoint = version.extra.get("external_llm")
    own = cast("Mapping[str, object]", endpoint).get("model") if isinstance(endpoint, Mapping) else None
    return own if isinstance(own, str) else default


def _with_id(settings: Mapping[str, Any] | None, key: str, version: Version) -> dict[str, Any]:
    """The settings with the id that the platform makes with an assistant, the same for all of its versions."""
    return {key: str(uuid5(_IDS, f"{key}:{version.assistant_id}")), **(settings or {})}
