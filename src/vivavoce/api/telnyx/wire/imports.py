"""Imported assistants → core, by way of what a client would have sent to create them (contract, section 5.1)."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from vivavoce.api.shape import omitted, storable, unstorable
from vivavoce.api.telnyx.wire.assistant import AssistantCreate, to_version
from vivavoce.api.telnyx.wire.tools import dump_tool, tool_type
from vivavoce.core.assistant import Version
from vivavoce.core.tool import FunctionTool, LineTool, MessageTool, SkipTool, Tool, VariablesTool, WebhookTool
from vivavoce.importing.provider import Draft, Provider, Unfit

MAX_IDS = 1000
OWN_NUMBER = "{{telnyx_agent_target}}"
"""From where an imported assistant transfers calls: other providers do not ask."""


MAX_ID = 255

ImportId = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class ImportBody(BaseModel, frozen=True, extra="allow"):
    """What is to be imported: everything, unless ids are given."""

    provider: Provider
    api_key_ref: str
    import_ids: Annotated[list[ImportId], Field(min_length=1, max_length=MAX_IDS)] = omitted()

    _storable = model_validator(mode="before")(storable)


def adopted(draft: Draft, voice_key_ref: str | None) -> Version | Unfit:
    """The version that a client would have made of this; ``voice_key_ref`` names the key of the voice, if it has one of
    its own."""
    if len(draft.id) > MAX_ID or unstorable(draft.id):
        return Unfit(draft.id, "its id cannot be kept")
    version = draft.version
    body: dict[str, Any] = {
        "name": version.name,
        "instructions": version.instructions,
        "greeting": version.greeting or "",
        "tools": [_tool(tool) for tool in version.tools],
        "dynamic_variables": dict(version.variables),
    }
    if version.mind.model:
        body["model"] = version.mind.model
    if version.mind.endpoint:
        body["external_llm"] = {"base_url": version.mind.endpoint.base_url, "model": version.mind.endpoint.model}
    if draft.voice:
        key = {"api_key_ref": voice_key_ref} if voice_key_ref else {}
        body["voice_settings"] = {"voice": draft.voice, **key}
    try:
        return to_version(AssistantCreate.model_validate(body), version_id="", assistant_id="", now=0)
    except ValidationError as failure:
        first = failure.errors()[0]
        return Unfit(draft.id, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def _tool(tool: Tool) -> dict[str, Any]:
    """The wire tool. Where the wire form is kept beside what the core knows, it is spelled out here."""
    kind, described = tool_type(tool), _described(tool)
    match tool:
        case FunctionTool(by_client=True):
            config = {"name": tool.name, "description": tool.description, "parameters": tool.parameters or {}}
        case LineTool(targets=targets) if kind == "transfer":
            places = [
                {"to": one.address}
                | ({"name": one.name} if one.name else {})
                | ({"message": one.message} if one.message else {})
                for one in targets
            ]
            config = {"from": OWN_NUMBER, "targets": places, **described}
        case MessageTool(template=template):
            config = {"message_template": template} if template else {}
        case VariablesTool():
            settable = [{"name": one.name, "type": one.type, "description": one.description} for one in tool.variables]
            config = {"name": tool.name, "description": tool.description, "updatable_variables": settable}
        case SkipTool():
            config = described
        case WebhookTool():
            wire = dump_tool(tool)
            if tool.waits_ms is not None:
                wire["webhook"] |= {"async": True, "async_timeout_ms": tool.waits_ms}
            if tool.fillers:
                wire["webhook"]["messages"] = [
                    {"type": "request_response_delayed", "content": one.text, "timing_ms": one.after_ms}
                    if one.after_ms
                    else {"type": "request_start", "content": one.text}
                    for one in tool.fillers
                ]
            return wire
        case LineTool():
            config = {}
        case _:
            return dump_tool(tool)
    return {"type": kind, kind: config}


def _described(tool: Tool) -> dict[str, str]:
    words = getattr(tool, "description", "")
    return {"description": words} if words else {}
