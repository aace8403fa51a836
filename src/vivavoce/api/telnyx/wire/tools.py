"""Tools ⇄ core (contract, section 3).

Kinds that behave here become their own core type, all others are kept whole. What the core's fields cannot say
again exactly stays in the tool's ``extra``, in the shape it was sent in, so that nothing is lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from vivavoce.core.tool import FunctionTool, HangupTool, Header, OtherTool, StoredField, Tool, WebhookTool

DEFAULT_TIMEOUT_MS = 5000
"""What a webhook may take when ``timeout_ms`` is left out."""

HANGUP_DESCRIPTION = "This tool is used to hang up the call."


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
    config: Mapping[str, Any] = _map(wire.get(kind))
    tool: WebhookTool | FunctionTool | HangupTool
    match kind:
        case "webhook":
            tool = _webhook(config, wire.get("timeout_ms", DEFAULT_TIMEOUT_MS))
        case "function":
            tool = FunctionTool(config["name"], config.get("description", ""), config.get("parameters"))
        case "hangup":
            tool = HangupTool(config.get("description", HANGUP_DESCRIPTION))
        case _:
            name = config.get("name")
            rest = {key: value for key, value in wire.items() if key != "type"}
            return OtherTool(kind, rest, name=name if isinstance(name, str) else kind)
    return replace(tool, extra=_left_over(wire, _said(tool), kind))


def dump_tool(tool: Tool, *, shared: bool = False) -> dict[str, Any]:
    """The wire tool, as it was sent, with defaults filled in."""
    if isinstance(tool, OtherTool):
        return {"type": tool.type, **tool.extra, "shared": shared}
    said = _said(tool)
    rest = dict(tool.extra)
    config = {**said[tool.kind], **_map(rest.pop(tool.kind, None))}
    return {**said, **rest, tool.kind: config, "shared": shared}


def _map(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


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
        key: value for key, value in _map(sent.get(kind)).items() if key not in said[kind] or said[kind][key] != value
    }
    return {**rest, kind: config} if config else rest
