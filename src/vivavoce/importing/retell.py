"""Retell agents that speak with its own model: ``/v2/list-agents``, ``/get-agent``, ``/get-chat-agent`` and
``/get-retell-llm``, as its API reference describes them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vivavoce.core.assistant import MODEL_OPENS, Version
from vivavoce.core.tool import (
    HangupTool,
    Header,
    LineTarget,
    MessageTool,
    SettableVariable,
    StoredField,
    Tool,
    VariablesTool,
    WebhookTool,
)
from vivavoce.importing.account import Account, Names, ask, ask_part, at, few, number, objects, table, text, texts
from vivavoce.importing.provider import Draft, Unknown, Unusable
from vivavoce.importing.tools import joined, mind, schema, tones, transfer, within

_ENGINES = {
    "conversation-flow": "it has a conversation flow, which cannot be imported",
    "custom-llm": "its words come from a server of its own, over a WebSocket",
}
_MAKERS = {"11labs": "ElevenLabs", "openai": "OpenAI", "cartesia": "Cartesia", "minimax": "Minimax"}
_BODILESS = ("GET", "DELETE")


def headers(key: str) -> dict[str, str]:
    """What shows who asks."""
    return {"authorization": f"Bearer {key}"}


def names(prefix: str) -> Names:
    """Its system variables, and ours."""
    return (
        (r"current_time(_[\w/+-]+)?", prefix + r"current_time\1"),
        (r"user_number", prefix + "end_user_target"),
        (r"agent_number", prefix + "agent_target"),
        (r"chat_id", prefix + "conversation_id"),
        (r"call_id", "call_control_id"),
    )


async def listed(account: Account) -> list[str]:
    """The ids of all agents."""
    found: list[str] = []
    query: dict[str, str | int] = {"limit": 1000}
    while True:
        page = await ask(account, "/v2/list-agents", query, method="POST")
        found += [text(one, "agent_id") for one in objects(page, "items")]
        few(found)
        key = text(page, "pagination_key")
        if at(page, "has_more") is not True or not key or query.get("pagination_key") == key:
            return found
        query["pagination_key"] = key


async def fetched(account: Account, id_: str) -> Draft:
    """One agent, for calls or for chat. Raises ``Unusable``."""
    place = quote(id_, safe="")
    try:
        agent = await ask(account, f"/get-agent/{place}")
    except Unknown:
        agent = await ask(account, f"/get-chat-agent/{place}")
    engine = table(agent, "response_engine")
    model_id = text(engine, "llm_id")
    if text(engine, "type") != "retell-llm" or not model_id:
        raise Unusable(_ENGINES.get(text(engine, "type"), "it says nothing of what speaks for it"))
    version_number = number(engine, "version")
    query = None if version_number is None else {"version": int(version_number)}
    model = await ask_part(account, f"/get-retell-llm/{quote(model_id, safe='')}", query)
    states = objects(model, "states")
    tools = [*objects(model, "general_tools"), *(one for state in states for one in objects(state, "tools"))]
    version = Version(
        "",
        "",
        text(agent, "agent_name") or id_,
        "\n\n".join(filter(None, [text(model, "general_prompt"), *(_state(state) for state in states)])),
        0,
        mind=mind(text(model, "model")),
        greeting=_greeting(model),
        tools=joined(_tool(one) for one in tools),
        variables=table(model, "default_dynamic_variables"),
    )
    maker, _, voice = text(agent, "voice_id").partition("-")
    return Draft(id_, version, ".".join(filter(None, [_MAKERS.get(maker, maker), voice])))


def _state(state: Mapping[str, Any]) -> str:
    """A state of its own becomes a section of the instructions, with the ways that lead on from there."""
    ways = [
        f"- Go on with {text(edge, 'destination_state_name')!r} when: {text(edge, 'description')}"
        for edge in objects(state, "edges")
    ]
    return "\n".join([f"## {text(state, 'name')}", text(state, "state_prompt"), *ways])


def _greeting(model: Mapping[str, Any]) -> str:
    if text(model, "start_speaker") == "user":
        return ""
    words = at(model, "begin_message")
    return words if isinstance(words, str) else MODEL_OPENS


def _tool(wire: Mapping[str, Any]) -> Tool | None:
    """One of its tools, or None where there is nothing like it here."""
    name, description = text(wire, "name"), text(wire, "description")
    match text(wire, "type"):
        case "custom":
            return _webhook(wire, name, description)
        case "end_call":
            return HangupTool(description)
        case "transfer_call":
            place = table(wire, "transfer_destination")
            address = text(place, "number") if text(place, "type") != "inferred" else ""
            return transfer([LineTarget(address, name)] if address else [], description)
        case "press_digit":
            return tones()
        case "send_sms":
            return MessageTool(text(wire, "sms_content", "content"), description)
        case "extract_dynamic_variable":
            return _variables(wire, name, description)
        case _:
            return None


def _variables(wire: Mapping[str, Any], name: str, description: str) -> VariablesTool | None:
    found = tuple(
        SettableVariable(
            text(one, "name"),
            text(one, "type") if text(one, "type") in ("boolean", "number") else "string",
            text(one, "description"),
        )
        for one in objects(wire, "variables")
        if text(one, "name")
    )
    return VariablesTool(name, description, found) if found else None


def _webhook(wire: Mapping[str, Any], name: str, description: str) -> WebhookTool | None:
    url, method = text(wire, "url"), text(wire, "method") or "POST"
    if not url or not name:
        return None
    properties = table(wire, "parameters", "properties")
    fixed = {key: at(one, "const") for key, one in properties.items() if at(one, "const") is not None}
    asked = {key: one for key, one in properties.items() if key not in fixed}
    shape = schema(asked, texts(wire, "parameters", "required"))
    bodiless = method in _BODILESS
    timeout_ms = number(wire, "timeout_ms")
    return WebhookTool(
        name,
        description,
        url,
        method,
        tuple(Header(key, str(value)) for key, value in table(wire, "headers").items()),
        query_parameters=shape if bodiless else None,
        body_parameters=None if bodiless else shape,
        preset_query={**table(wire, "query_params"), **(fixed if bodiless else {})},
        preset_body={} if bodiless else fixed,
        stored=tuple(
            StoredField(key, path) for key, path in table(wire, "response_variables").items() if isinstance(path, str)
        ),
        timeout_ms=within(None if timeout_ms is None else timeout_ms / 1000),
    )
