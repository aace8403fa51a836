"""What a model is offered to call: tools, and in a call the ways that lead on in a flow."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from vivavoce.assistant.targets import named, reachable
from vivavoce.assistant.templating import Filling, fill
from vivavoce.core.assistant import Rules, Version
from vivavoce.core.flow import AskCondition, CallCondition, Edge, PromptNode
from vivavoce.core.model import ToolSpec
from vivavoce.core.tool import (
    Act,
    CodeTool,
    FunctionTool,
    HandoffTarget,
    HandoffTool,
    HangupTool,
    LineTool,
    MessageTool,
    OtherTool,
    RemoteTool,
    RetrievalTool,
    SettableVariable,
    SkipTool,
    Tool,
    VariablesTool,
    WebhookTool,
)

TRANSITION = "transition__"
"""Begins the name of the tool that a way through a flow is in a call (contract, section 4.2, rule 3)."""

_NOTHING = Filling()
_HANGUP = "This tool is used to hang up the call."  # contract, section 3
_HANDOFF = "Hand the conversation over to another assistant, who goes on with it."
_SKIP = "Stay silent this turn: say nothing and wait."
_MESSAGE = "Send a text message to the person you are talking to."
_RETRIEVAL = "Search the documents for passages about something."
_LINE = {
    Act.TRANSFER: "Put the caller through to somebody else. You leave the conversation.",
    Act.REFER: "Refer the call to somebody else. You leave the conversation.",
    Act.INVITE: "Invite somebody else into the conversation. You stay in it.",
    Act.TONES: "Press keys on the phone.",
    Act.PAY: "Take a card payment by keypad.",
}
_SHARED = ("$defs", "definitions")
_LONGEST_NAME = 64  # as long as providers let the name of a function be
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


# --- which tools ----------------------------------------------------------------------------------------------------


def tools_of(version: Version, node: PromptNode | None = None) -> tuple[Tool, ...]:
    """The tools that may be called: the assistant's own, shared and remote ones, and at a node what the node makes of
    them (contract, section 4.2, rule 2). A shared tool that is gone is left out."""
    if node is not None and node.tools is not None and node.tools_mode == "replace":
        return (*_from_library(version, node.tools), *node.inline)
    own = version.tools
    if version.shared or version.remote:
        own = (*own, *_from_library(version, version.shared), *version.remote)
    return own if node is None else (*own, *_from_library(version, node.tools or ()), *node.inline)


def _from_library(version: Version, ids: Iterable[str]) -> tuple[Tool, ...]:
    known = {**version.library, **version.flow.tools} if version.flow is not None else version.library
    return tuple(known[id_] for id_ in ids if id_ in known)


def by_name(tools: Iterable[Tool], ways: Iterable[Edge] = ()) -> dict[str, Tool | Edge]:
    """Everything under the one name that the model knows it by; what is not offered is left out. The same tool twice
    is one; of others with one name the later have a number behind it."""
    found: dict[str, Tool | Edge] = {}
    for tool in tools:
        if not isinstance(tool, OtherTool) and not (tool.name in found and tool in found.values()):
            found[_free(tool.name, found)] = tool
    for way in ways:
        called = way.condition.name if isinstance(way.condition, CallCondition) else TRANSITION + way.id
        found[_free(_NO_NAME.sub("_", called), found)] = way
    return found


def as_name(name: str) -> str:
    """The name as providers take it: a tool that only a flow calls can be called anything."""
    return _NO_NAME.sub("_", name)[:_LONGEST_NAME] or "_"


def _free(name: str, taken: Mapping[str, object]) -> str:
    number, free = 1, name
    while free in taken or len(free) > _LONGEST_NAME:
        number += 1
        tail = f"_{number}"
        free = name[: _LONGEST_NAME - len(tail)] + tail
    return free


def specifications(offered: Mapping[str, Tool | Edge], filling: Filling) -> Iterator[ToolSpec]:
    """What the model is told of them; what is kept and not offered is left out."""
    for name, one in offered.items():
        if isinstance(one, Edge):
            match one.condition:
                case AskCondition(prompt=told):
                    yield ToolSpec(name, fill(told, filling), _object({}, []))
                case CallCondition(description=told, parameters=parameters):
                    yield _filled(ToolSpec(name, told, parameters or _object({}, [])), filling)
                case _:
                    pass
            continue
        spec = specification(one, filling)
        if spec is not None:
            spec = _filled(spec, filling) if filling.templating.rules is Rules.NESTED else spec
            yield spec if spec.name == name else ToolSpec(name, spec.description, spec.parameters)


def _filled(spec: ToolSpec, filling: Filling) -> ToolSpec:
    """Descriptions are templates too, by these rules (testing contract, section 6)."""

    def deep(value: Any, *, told: bool = False) -> Any:
        if isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            return {name: deep(each, told=name in ("description", "const")) for name, each in inner.items()}
        if isinstance(value, list | tuple):
            return [deep(each) for each in cast("list[Any] | tuple[Any, ...]", value)]
        return fill(value, filling) if told and isinstance(value, str) else value

    return ToolSpec(spec.name, fill(spec.description, filling), deep(spec.parameters))


# --- one tool -------------------------------------------------------------------------------------------------------


def specification(tool: Tool, filling: Filling = _NOTHING) -> ToolSpec | None:
    """What the model is offered. None for a kind of tool that is kept and not offered, and for one that has nobody to
    reach."""
    match tool:
        case WebhookTool():
            return ToolSpec(tool.name, tool.description, offered_parameters(tool))
        case FunctionTool() | CodeTool():
            return ToolSpec(tool.name, tool.description, tool.parameters or _object({}, []))
        case RemoteTool():
            return ToolSpec(tool.name, tool.description, tool.parameters)
        case HangupTool():
            return ToolSpec(tool.name, tool.description or _HANGUP, _object({}, []))
        case SkipTool():
            return ToolSpec(tool.name, tool.description or _SKIP, _object({}, []))
        case HandoffTool():
            names = [who for who, _ in handoff_names(tool)]
            return _choosing(tool.name, tool.description or _HANDOFF, "assistant", names)
        case LineTool():
            return _line(tool, filling)
        case MessageTool():
            text = {} if tool.template else {"text": _text("The words of the message.")}
            return ToolSpec(tool.name, tool.description or _MESSAGE, _object(text, list(text)))
        case VariablesTool():
            settable = {one.name: _settable(one) for one in tool.variables}
            return ToolSpec(tool.name, tool.description, _object(settable, []))
        case RetrievalTool():
            query = {"query": _text("What to look for, in words.")}
            return ToolSpec(tool.name, tool.description or _RETRIEVAL, _object(query, ["query"]))
        case _:
            return None


def handoff_names(tool: HandoffTool) -> tuple[tuple[str, HandoffTarget], ...]:
    """(what the model calls it, target): its name, or its id where it has none or shares it."""
    names = [target.name for target in tool.targets]
    return tuple(
        (target.name if target.name and names.count(target.name) == 1 else target.assistant_id, target)
        for target in tool.targets
    )


def _line(tool: LineTool, filling: Filling) -> ToolSpec | None:
    told = tool.description or _LINE[tool.act]
    match tool.act:
        case Act.TONES:
            digits = {"digits": _text("The keys to press, of 0-9, A-D, * and #; w waits.")}
            return ToolSpec(tool.name, told, _object(digits, ["digits"]))
        case Act.PAY:
            amount = {"amount": {"type": "number", "description": "How much to charge."}}
            return ToolSpec(tool.name, told, _object(amount, ["amount"]))
        case _:
            return _choosing(tool.name, told, "target", [named(one) for one in reachable(tool, filling)])


def _choosing(name: str, description: str, parameter: str, choices: Sequence[str]) -> ToolSpec | None:
    if not choices:
        return None
    choice = {"type": "string", "enum": list(dict.fromkeys(choices))}
    return ToolSpec(name, description, _object({parameter: choice}, [parameter]))


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _settable(one: SettableVariable) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": one.type, "enum": list(one.choices)} if one.choices else {"type": one.type}
    return schema | {"description": one.description} if one.description else schema


def offered_parameters(tool: WebhookTool) -> Mapping[str, Any]:
    """One JSON Schema of the path, query and body parameters, without those that are preset (contract, section 3)."""
    parts = [
        (tool.path_parameters or {}, frozenset[str]()),
        (tool.query_parameters or {}, frozenset(tool.preset_query)),
        (tool.body_parameters or {}, frozenset(tool.preset_body)),
    ]
    merged: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: dict[str, None] = {}
    for schema, hidden in parts:
        for word, value in schema.items():
            if word in _SHARED:
                merged[word] = {**merged.get(word, {}), **_mapping(value)}
            elif word not in ("type", "properties", "required", "additionalProperties"):
                merged[word] = value
        properties |= {name: value for name, value in property_schemas(schema).items() if name not in hidden}
        required |= dict.fromkeys(name for name in _names(schema.get("required")) if name not in hidden)
    given = [schema for schema, _ in parts if schema]
    if given and all(schema.get("additionalProperties") is False for schema in given):
        merged["additionalProperties"] = False
    return _object(properties, list(required)) | merged


def property_schemas(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The properties that an object's schema names; none for a schema that is not in order."""
    return _mapping((schema or {}).get("properties"))


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    return schema | {"required": required} if required else schema


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _names(value: Any) -> list[str]:
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    return [each for each in items if isinstance(each, str)]
