"""Tools ⇄ core (contract, section 3).

Kinds that behave here become their own core type, all others are kept whole. What the core's fields cannot say
again exactly stays in the tool's ``extra``, in the shape it was sent in, so that nothing is lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vivavoce.api.shape import mapping
from vivavoce.core.tool import (
    Act,
    Filler,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    Header,
    LineTarget,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    RetrievalTool,
    SettableVariable,
    SkipTool,
    StoredField,
    Tool,
    VariablesTool,
    WebhookTool,
)

DEFAULT_TIMEOUT_MS = 5000
"""What a webhook may take when ``timeout_ms`` is left out."""

ASYNC_TIMEOUT_MS = 300
"""How long an asynchronous webhook is waited for when ``async_timeout_ms`` is left out."""

HANGUP_DESCRIPTION = "This tool is used to hang up the call."

_ACTS = {
    "transfer": Act.TRANSFER,
    "refer": Act.REFER,
    "invite": Act.INVITE,
    "send_dtmf": Act.TONES,
    "pay": Act.PAY,
}
_KINDS = {act: kind for kind, act in _ACTS.items()}


def load_tools(sent: Iterable[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The core's tools from validated wire tools.

    Tools that carry ``shared: true`` are left out: responses merge them in from ``tool_ids``, and a client that sends
    a response back does not mean to make copies of them.
    """
    return tuple(load_tool(tool) for tool in sent if tool.get("shared") is not True)


def load_tool(sent: Mapping[str, Any]) -> Tool:
    """One tool. ``shared`` is the server's to write and is not kept."""
    wire = {key: value for key, value in sent.items() if key != "shared"}
    kind = str(wire["type"])
    config: Mapping[str, Any] = mapping(wire.get(kind))
    tool: WebhookTool | FunctionTool | HangupTool
    match kind:
        case "webhook":
            tool = _webhook(config, wire.get("timeout_ms", DEFAULT_TIMEOUT_MS))
        case "function":
            tool = FunctionTool(config["name"], config.get("description", ""), config.get("parameters"))
        case "hangup":
            tool = HangupTool(config.get("description", HANGUP_DESCRIPTION))
        case _:
            rest = {key: value for key, value in wire.items() if key != "type"}
            return _acting(kind, config, rest)
    return replace(tool, extra=_left_over(wire, _said(tool), kind))


def _acting(kind: str, config: Mapping[str, Any], rest: Mapping[str, Any]) -> Tool:
    """A kind whose wire form is kept whole, beside what the core makes of it."""
    description = config.get("description") or ""
    match kind:
        case "client_side_tool":
            return FunctionTool(config["name"], description, config.get("parameters"), by_client=True, extra=rest)
        case "handoff":
            targets = tuple(HandoffTarget(one["id"], one["name"]) for one in config["ai_assistants"])
            return HandoffTool(targets, description, rest)
        case "transfer" | "invite" | "refer" | "send_dtmf" | "pay":
            places = config.get("targets") or ()
            if isinstance(places, str):
                return LineTool(_ACTS[kind], kind, (), places, description, rest)
            return LineTool(_ACTS[kind], kind, tuple(_place(one) for one in places), "", description, rest)
        case "send_message":
            return MessageTool(config.get("message_template") or "", description, rest)
        case "skip_turn":
            return SkipTool(description, rest)
        case "retrieval":
            return RetrievalTool(tuple(config["bucket_ids"]), config.get("max_num_results"), description, rest)
        case "update_dynamic_variables":
            settable = tuple(
                SettableVariable(one["name"], one.get("type", "string"), one.get("description", ""))
                for one in config["updatable_variables"]
            )
            return VariablesTool(config["name"], description, settable, rest)
        case _:
            name = config.get("name")
            return OtherTool(kind, rest, name=name if isinstance(name, str) else kind)


def _place(wire: Mapping[str, Any]) -> LineTarget:
    return LineTarget(wire.get("to") or wire.get("sip_address") or "", wire.get("name", ""), wire.get("message", ""))


def tool_type(tool: Tool) -> str:
    """The wire's word for this kind of tool."""
    match tool:
        case OtherTool(type=kind):
            return kind
        case LineTool(act=act):
            return _KINDS[act]
        case FunctionTool(by_client=True):
            return "client_side_tool"
        case MessageTool():
            return "send_message"
        case SkipTool():
            return "skip_turn"
        case VariablesTool():
            return "update_dynamic_variables"
        case _:
            return tool.kind


def dump_tool(tool: Tool, *, shared: bool = False) -> dict[str, Any]:
    """The wire tool, as it was sent, with defaults filled in."""
    if isinstance(tool, RemoteTool):
        raise TypeError("tools of attached servers are not written down")
    if isinstance(tool, WebhookTool | HangupTool) or (isinstance(tool, FunctionTool) and not tool.by_client):
        said = _said(tool)
        rest = dict(tool.extra)
        config = {**said[tool.kind], **mapping(rest.pop(tool.kind, None))}
        return {**said, **rest, tool.kind: config, "shared": shared}
    return {"type": tool_type(tool), **tool.extra, "shared": shared}


def _webhook(config: Mapping[str, Any], timeout_ms: int) -> WebhookTool:
    return WebhookTool(
        name=config["name"],
        description=config["description"],
        url=config["url"],
        method=config.get("method", "POST"),
        headers=tuple(
            Header(header["name"], header.get("value", "")) for header in config.get("headers", ()) if "name" in header
        ),
        path_parameters=config.get("path_parameters"),
        query_parameters=config.get("query_parameters"),
        body_parameters=config.get("body_parameters"),
        preset_body=config.get("preset_body_fields", {}),
        preset_query=config.get("preset_query_params", {}),
        stored=tuple(
            StoredField(one["name"], one["value_path"]) for one in config.get("store_fields_as_variables", ())
        ),
        timeout_ms=timeout_ms,
        waits_ms=config.get("async_timeout_ms", ASYNC_TIMEOUT_MS) if config.get("async") else None,
        fillers=tuple(
            Filler(one["content"], one.get("timing_ms", 0)) for one in config.get("messages", ()) if "content" in one
        ),
    )


def _said(tool: WebhookTool | FunctionTool | HangupTool) -> dict[str, Any]:
    """What the core's own fields say of it on the wire; what is empty is not said."""
    match tool:
        case WebhookTool():
            config: dict[str, Any] = {
                "name": tool.name,
                "description": tool.description,
                "url": tool.url,
                "method": tool.method,
                "headers": [{"name": header.name, "value": header.value} for header in tool.headers],
                "path_parameters": tool.path_parameters,
                "query_parameters": tool.query_parameters,
                "body_parameters": tool.body_parameters,
                "preset_body_fields": tool.preset_body,
                "preset_query_params": tool.preset_query,
                "store_fields_as_variables": [{"name": one.name, "value_path": one.path} for one in tool.stored],
            }
            required = ("name", "description", "url")
            kept = {key: value for key, value in config.items() if key in required or value}
            return {"type": "webhook", "timeout_ms": tool.timeout_ms, "webhook": kept}
        case FunctionTool():
            described = {"description": tool.description} if tool.description else {}
            shaped = {} if tool.parameters is None else {"parameters": tool.parameters}
            return {"type": "function", "function": {"name": tool.name, **described, **shaped}}
        case HangupTool():
            return {"type": "hangup", "hangup": {"description": tool.description}}


def _left_over(sent: Mapping[str, Any], said: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What was sent and is not said by the core's fields, in the shape it was sent in."""
    rest = {key: value for key, value in sent.items() if key != kind and (key not in said or said[key] != value)}
    config = {
        key: value
        for key, value in mapping(sent.get(kind)).items()
        if key not in said[kind] or said[kind][key] != value
    }
    return {**rest, kind: config} if config else rest
