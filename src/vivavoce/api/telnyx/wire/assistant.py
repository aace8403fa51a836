"""Assistants and their versions ⇄ core (contract, sections 2 and 6.1)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from vivavoce.api.shape import Flag, Whole, mapping, omitted, sent, storable
from vivavoce.api.telnyx.wire.flow import ConversationFlow
from vivavoce.api.telnyx.wire.graph import load_flow
from vivavoce.api.telnyx.wire.minds import load_mind
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
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.api.telnyx.wire.tool_shapes import ToolBody
from vivavoce.api.telnyx.wire.tools import dump_tool, load_tools
from vivavoce.core.assistant import Assistant, Attached, Opener, Templating, Version
from vivavoce.core.event import Millis
from vivavoce.core.mind import Mind
from vivavoce.core.tool import Act, LineTool, Tool
from vivavoce.services.assistants import RESTORABLE_MS

DEFAULT_LABEL = "New assistant"
TEMPLATING = Templating(prefix="telnyx_")

_NAMED = ("name", "instructions", "description", "model", "greeting", "tools", "dynamic_variables", "version_name")
_COMMANDS = ("promote_to_main", "tags")  # tags belong to the assistant, not to one of its versions
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

_OWN = ("telephony_settings", "messaging_settings")
"""What belongs to one assistant only, and has ids that are made with it."""

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


def copied(version: Version) -> Version:
    """What a clone begins with: all but the telephony and messaging settings (section 5.1).

    A payment needs keys to be off, so that much of the telephony settings stays where the version takes payments.
    """
    extra = {key: value for key, value in version.extra.items() if key not in _OWN}
    tools = (*version.tools, *version.library.values())
    if any(isinstance(tool, LineTool) and tool.act is Act.PAY for tool in tools):
        extra["telephony_settings"] = {"disable_dtmf": True}
    return _acting(replace(version, name=f"{version.name} (copy)", extra=extra), version.mind.model)


def renewed(version: Version) -> tuple[Version, tuple[str, ...]]:
    """A version of the first release, which only kept most of its settings, with what they mean; and the tags that it
    had, which now belong to the assistant."""
    extra = {key: value for key, value in version.extra.items() if key not in _NOT_KEPT}
    if extra.get("conversation_flow"):
        extra["conversation_flow"] = _flow_without_tools(extra["conversation_flow"])
    tools = load_tools(dump_tool(tool) for tool in version.tools)
    acting = _acting(replace(version, tools=tools, extra=extra), version.mind.model)
    return acting, tuple(dict.fromkeys(version.extra.get("tags", ())))


def _laid_over(version: Version, wire: Mapping[str, Any]) -> Version:
    extra = {**version.extra, **{key: value for key, value in wire.items() if key not in _NOT_KEPT}}
    if wire.get("conversation_flow"):
        extra["conversation_flow"] = _flow_without_tools(wire["conversation_flow"])
    laid = replace(
        version,
        name=wire.get("name", version.name),
        instructions=wire.get("instructions", version.instructions),
        description=wire.get("description", version.description),
        greeting=wire.get("greeting", version.greeting),
        tools=load_tools(wire["tools"]) if "tools" in wire else version.tools,
        variables=wire.get("dynamic_variables", version.variables),
        label=wire.get("version_name", version.label),
        extra=extra,
    )
    return _acting(laid, wire.get("model", version.mind.model))


def _acting(version: Version, model: str | None) -> Version:
    """The version with what follows from the settings that are kept in the wire's form."""
    extra = version.extra
    opener, flow = extra.get("dynamic_variables_webhook_url"), extra.get("conversation_flow")
    return replace(
        version,
        mind=load_mind({**extra, "model": model}) or Mind(),
        fallback=load_mind(mapping(extra.get("fallback_config"))),
        shared=tuple(extra.get("tool_ids") or ()),
        servers=tuple(_attached(one, "id", "allowed_tools") for one in extra.get("mcp_servers") or ()),
        integrations=tuple(_attached(one, "integration_id", "allowed_list") for one in extra.get("integrations") or ()),
        flow=load_flow(flow) if flow else None,
        opener=Opener(opener, extra.get("dynamic_variables_webhook_timeout_ms", 1500)) if opener else None,
        insight_group=mapping(extra.get("insight_settings")).get("insight_group_id"),
        insight_model=mapping(extra.get("insight_settings")).get("model"),
        keeps=mapping(extra.get("privacy_settings")).get("data_retention", True) is not False,
        reports=mapping(extra.get("post_conversation_settings")).get("enabled") is True,
        idle_minutes=mapping(extra.get("messaging_settings")).get("conversation_inactivity_minutes"),
    )


def _attached(wire: Mapping[str, Any], id_: str, allowed: str) -> Attached:
    """No list, and for an integration an empty one, allows everything that the other side offers."""
    names = wire.get(allowed)
    everything = names is None or (id_ == "integration_id" and not names)
    return Attached(wire[id_], None if everything else tuple(names or ()))


def dump_assistant(
    assistant: Assistant,
    version: Version | None = None,
    *,
    default_model: str,
    variables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The response object for one version of an assistant, main unless another is given (section 2, column R).

    ``default_model`` is named where the version names no model itself. A version that was completed with its library
    shows its shared tools too. ``variables`` are the resolved ones, where somebody asked for them.
    """
    version = version or assistant.main
    wire: dict[str, Any] = {
        "mcp_servers": [],
        "integrations": [],
        "a2a_agents": [],
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
        "id": assistant.id,
        "name": version.name,
        "created_at": iso(assistant.created_at),
        "model": _model(version, default_model),
        "instructions": version.instructions,
        "version_id": version.id,
        "version_created_at": iso(version.created_at),
        "version_name": version.label or DEFAULT_LABEL,
        "dynamic_variables": dict(version.variables if variables is None else variables),
        "tags": list(assistant.tags),
        "tools": [
            *(dump_tool(tool) for tool in version.tools),
            *(dump_tool(version.library[id_], shared=True) for id_ in version.shared if id_ in version.library),
        ],
    }
    if version.flow and version.library:
        wire["conversation_flow"] = _flow_with_tools(wire["conversation_flow"], version.library)
    if version.description is not None:
        wire["description"] = version.description
    if version.greeting is not None:
        wire["greeting"] = version.greeting
    if assistant.origin is not None:
        wire["import_metadata"] = {"import_id": assistant.origin.id, "import_provider": assistant.origin.provider}
    if assistant.deleted_at is not None:
        wire["deleted_at"] = iso(assistant.deleted_at)
        wire["permanently_deleted_at"] = iso(assistant.deleted_at + RESTORABLE_MS)
    return wire


def _flow_with_tools(flow: Mapping[str, Any], library: Mapping[str, Tool]) -> dict[str, Any]:
    """A node that names shared tools shows them (section 4), one array for each: the published types say that
    ``tools`` of a node is an array of arrays."""
    nodes: list[dict[str, Any]] = []
    for node in flow["nodes"]:
        named = [library[id_] for id_ in node.get("shared_tool_ids") or () if id_ in library]
        nodes.append({**node, "tools": [[dump_tool(tool, shared=True)] for tool in named]} if named else dict(node))
    return {**flow, "nodes": nodes}


def _flow_without_tools(flow: Mapping[str, Any]) -> dict[str, Any]:
    """Only responses show them; what a client sends back must not outlive the tools."""
    nodes = [{key: value for key, value in node.items() if key != "tools"} for node in flow["nodes"]]
    return {**flow, "nodes": nodes}


def _model(version: Version, default: str) -> str:
    """The response must name one: the version's own, that of its own endpoint, or the server's."""
    mind = version.mind
    return mind.model or (mind.endpoint.model if mind.endpoint else default)


def _with_id(settings: Mapping[str, Any] | None, key: str, version: Version) -> dict[str, Any]:
    """The settings with the id that the platform makes with an assistant, the same for all of its versions."""
    return {key: made_with(version.assistant_id, key), **(settings or {})}


def made_with(assistant_id: str, key: str) -> str:
    """The id of the application or messaging profile that was made with an assistant."""
    return str(uuid5(_IDS, f"{key}:{assistant_id}"))
