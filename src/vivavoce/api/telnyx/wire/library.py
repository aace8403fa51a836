"""Shared tools ⇄ core (contract, sections 5.6 and 5.12)."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from vivavoce.api.shape import Whole, mapping, omitted, sent, storable
from vivavoce.api.telnyx.wire.times import iso
from vivavoce.api.telnyx.wire.tool_shapes import (
    ClientSideConfig,
    DescribedConfig,
    FunctionConfig,
    HandoffConfig,
    InviteConfig,
    PayConfig,
    ReferConfig,
    RetrievalConfig,
    SendMessageConfig,
    ToolBody,
    TransferConfig,
    UpdateVariablesConfig,
    VisionConfig,
    WebhookConfig,
)
from vivavoce.api.telnyx.wire.tools import dump_tool, load_tool
from vivavoce.core.library import SharedTool
from vivavoce.tools.trial import Trial

_TOOL: TypeAdapter[Any] = TypeAdapter(ToolBody)
_OURS = frozenset({"id", "created_at", "display_name", "tool_definition", "shared"})
"""Fields of a shared tool that are none of the tool inside."""


class SharedToolUpdate(BaseModel, frozen=True, extra="allow"):
    """What may be changed of a shared tool: what is left out stays, and an object that is sent replaces the old one."""

    type: Annotated[str, Field(min_length=1, max_length=64)] = omitted()
    display_name: str = omitted()
    timeout_ms: Annotated[Whole, Field(ge=1, le=60_000)] = omitted()
    webhook: WebhookConfig = omitted()
    function: FunctionConfig = omitted()
    client_side_tool: ClientSideConfig = omitted()
    retrieval: RetrievalConfig = omitted()
    handoff: HandoffConfig = omitted()
    hangup: DescribedConfig = omitted()
    transfer: TransferConfig = omitted()
    invite: InviteConfig = omitted()
    refer: ReferConfig = omitted()
    send_dtmf: dict[str, Any] = omitted()
    send_message: SendMessageConfig = omitted()
    skip_turn: DescribedConfig = omitted()
    pay: PayConfig = omitted()
    update_dynamic_variables: UpdateVariablesConfig = omitted()
    vision: VisionConfig = omitted()

    _storable = model_validator(mode="before")(storable)


class SharedToolCreate(SharedToolUpdate, frozen=True):
    """A new shared tool: its type, what people call it, and an object that is named like the type."""

    type: Annotated[str, Field(min_length=1, max_length=64)] = Field(...)
    display_name: str = Field(...)


class ToolTest(BaseModel, frozen=True, extra="allow"):
    """What a tool is called with to try it."""

    arguments: dict[str, Any] = omitted()
    dynamic_variables: dict[str, Any] = omitted()

    _storable = model_validator(mode="before")(storable)


def to_shared(body: SharedToolCreate) -> SharedTool:
    """A new tool without an id. Raises ``RequestValidationError`` where it lacks what its type needs."""
    return _shared(SharedTool("", body.display_name, body.type, load_tool({"type": "hangup"}), 0), sent(body))


def overlay(tool: SharedTool, body: SharedToolUpdate) -> SharedTool:
    """The tool with what was sent in its place; of another type than before, nothing of the old one stays.

    Raises ``RequestValidationError`` where the whole lacks what its type needs.
    """
    wire = sent(body)
    kind = wire.get("type", tool.type)
    kept = dump_tool(tool.tool) if kind == tool.type else dict[str, Any]()
    return _shared(tool, {**kept, "type": kind, **wire})


def _shared(tool: SharedTool, wire: Mapping[str, Any]) -> SharedTool:
    inner = {key: value for key, value in wire.items() if key not in _OURS}
    try:
        _TOOL.validate_python(inner)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        # The union puts the type before each place in the tool.
        raise RequestValidationError([{**error, "loc": ("body", *error["loc"][1:])} for error in errors]) from failure
    name = wire.get("display_name", tool.name)
    return SharedTool(tool.id, name, inner["type"], load_tool(inner), tool.created_at)


def dump_shared(tool: SharedTool) -> dict[str, Any]:
    """The response object: what is named like the type stands in ``tool_definition``."""
    wire = dump_tool(tool.tool)
    del wire["shared"]
    # Of a type that is not known here, what is named like it may be anything.
    definition = mapping(wire.get(tool.type))
    return {
        **{key: value for key, value in wire.items() if value is not definition},
        "id": tool.id,
        "type": tool.type,
        "display_name": tool.name,
        "tool_definition": definition,
        "created_at": iso(tool.created_at),
    }


def dump_trial(trial: Trial) -> dict[str, Any]:
    """What came of trying a tool (section 5.6)."""
    request = trial.request
    return {
        "success": trial.success,
        "status_code": trial.status_code,
        "content_type": trial.content_type,
        "response": trial.response,
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers),
            "body": None if request.body is None else json.loads(request.body),
        }
        if request
        else {},
    }
