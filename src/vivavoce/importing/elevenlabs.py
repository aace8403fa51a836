"""ElevenLabs Agents: ``/v1/convai/agents`` and ``/v1/convai/tools``, as its API reference describes them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vivavoce.core.assistant import Version
from vivavoce.core.tool import (
    FunctionTool,
    HangupTool,
    Header,
    LineTarget,
    SkipTool,
    StoredField,
    Tool,
    WebhookTool,
)
from vivavoce.importing.account import (
    Account,
    Names,
    ask,
    ask_part,
    at,
    few,
    number,
    objects,
    renamed,
    table,
    text,
    texts,
)
from vivavoce.importing.provider import Draft, Unusable
from vivavoce.importing.tools import endpoint, joined, mind, schema, secret, tones, transfer, within

_BODILESS = ("GET", "DELETE")


def headers(key: str) -> dict[str, str]:
    """What shows who asks."""
    return {"xi-api-key": key}


def names(prefix: str) -> Names:
    """Its system variables, and ours."""
    return (
        (r"system__time(_utc)?", prefix + "current_time"),
        (r"system__caller_id", prefix + "end_user_target"),
        (r"system__called_number", prefix + "agent_target"),
        (r"system__conversation_id", prefix + "conversation_id"),
        (r"system__call_sid", "call_control_id"),
        (r"secret__(.+)", secret(r"\1")),
    )


async def listed(account: Account) -> list[str]:
    """The ids of all agents."""
    found: list[str] = []
    query: dict[str, str | int] = {"page_size": 100}
    while True:
        page = await ask(account, "/v1/convai/agents", query)
        found += [text(agent, "agent_id") for agent in objects(page, "agents")]
        few(found)
        cursor = text(page, "next_cursor")
        if at(page, "has_more") is not True or not cursor or query.get("cursor") == cursor:
            return found
        query["cursor"] = cursor


async def fetched(account: Account, id_: str) -> Draft:
    """One agent. Raises ``Unusable``."""
    agent = await ask(account, f"/v1/convai/agents/{quote(id_, safe='')}")
    config = table(agent, "conversation_config", "agent")
    prompt = table(config, "prompt")
    if not prompt:
        raise Unusable("it has no prompt")
    shared = [await ask_part(account, f"/v1/convai/tools/{quote(one, safe='')}") for one in texts(prompt, "tool_ids")]
    built_in = table(prompt, "built_in_tools")
    everything = [*(table(one, "tool_config") for one in shared), *objects(prompt, "tools")]
    everything += [{"name": name, **table(built_in, name)} for name in built_in if table(built_in, name)]
    own = text(prompt, "custom_llm", "url")
    version = Version(
        "",
        "",
        text(agent, "name") or id_,
        text(prompt, "prompt"),
        0,
        mind=endpoint(own, text(prompt, "custom_llm", "model_id")) if own else mind(text(prompt, "llm")),
        greeting=text(config, "first_message"),
        tools=joined(_tool(one, account.names) for one in everything),
        variables=table(config, "dynamic_variables", "dynamic_variable_placeholders"),
    )
    voice = [text(agent, "conversation_config", "tts", key) for key in ("model_id", "voice_id")]
    return Draft(id_, version, ".".join(("ElevenLabs", *filter(None, voice))) if voice[1] else "")


def _tool(wire: Mapping[str, Any], ours: Names) -> Tool | None:
    """One of its tools, or None where there is nothing like it here."""
    name, description = text(wire, "name"), text(wire, "description")
    match text(wire, "type") or "system":
        case "webhook":
            return _webhook(wire, name, description, ours)
        case "client":
            given = table(wire, "parameters")
            parameters = schema(table(given, "properties"), texts(given, "required"))
            return FunctionTool(name, description, parameters or {"type": "object", "properties": {}}, by_client=True)
        case "system":
            return _system(text(wire, "params", "system_tool_type") or name, description, wire)
        case _:
            return None


def _system(kind: str, description: str, wire: Mapping[str, Any]) -> Tool | None:
    match kind:
        case "end_call":
            return HangupTool(description)
        case "skip_turn":
            return SkipTool(description)
        case "play_keypad_touch_tone":
            return tones()
        case "transfer_to_number":
            places = objects(wire, "params", "transfers")
            return transfer((_place(one) for one in places if _number(one)), description)
        case _:
            return None


def _number(wire: Mapping[str, Any]) -> str:
    destination = table(wire, "transfer_destination")
    return text(destination, "phone_number") or text(destination, "sip_uri") or text(wire, "phone_number")


def _place(wire: Mapping[str, Any]) -> LineTarget:
    return LineTarget(_number(wire), text(wire, "condition"))


def _webhook(wire: Mapping[str, Any], name: str, description: str, ours: Names) -> WebhookTool | None:
    api = table(wire, "api_schema")
    url, method = text(api, "url"), text(api, "method") or "GET"
    if not url or not name:
        return None
    path, fixed_path = _split(table(api, "path_params_schema"), ours)
    query, fixed_query = _split(table(api, "query_params_schema", "properties"), ours)
    body, fixed_body = _split(table(api, "request_body_schema", "properties"), ours)
    for key, value in fixed_path.items():
        url = url.replace(f"{{{key}}}", str(value))
    return WebhookTool(
        name,
        description,
        url,
        method,
        tuple(Header(key, _header(value, ours)) for key, value in table(api, "request_headers").items()),
        schema(path, path),
        schema(query, texts(api, "query_params_schema", "required")),
        None if method in _BODILESS else schema(body, texts(api, "request_body_schema", "required")),
        {} if method in _BODILESS else fixed_body,
        fixed_query,
        tuple(
            StoredField(text(one, "dynamic_variable"), text(one, "value_path"))
            for one in objects(wire, "assignments")
            if text(one, "dynamic_variable") and text(one, "value_path")
        ),
        within(number(wire, "response_timeout_secs")),
    )


def _header(value: Any, ours: Names) -> str:
    if isinstance(value, str):
        return value
    variable = text(value, "variable_name")
    return renamed(f"{{{{{variable}}}}}", ours) if variable else secret(text(value, "secret_id"))


def _split(properties: Mapping[str, Any], ours: Names) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the model fills in, and what is fixed or comes from a variable."""
    asked: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for name, value in properties.items():
        variable, constant = text(value, "dynamic_variable"), at(value, "constant_value")
        if variable:
            fixed[name] = renamed(f"{{{{{variable}}}}}", ours)
        elif constant not in (None, ""):
            fixed[name] = constant
        else:
            asked[name] = value
    return asked, fixed
