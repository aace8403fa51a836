"""Vapi assistants: ``/assistant`` and ``/tool``, as its API reference describes them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vivavoce.core.assistant import MODEL_OPENS, Version
from vivavoce.core.mind import Mind
from vivavoce.core.tool import (
    Filler,
    FunctionTool,
    HangupTool,
    Header,
    LineTarget,
    MessageTool,
    StoredField,
    Tool,
    WebhookTool,
)
from vivavoce.importing.account import Account, Names, ask, ask_part, at, few, number, objects, table, text, texts
from vivavoce.importing.provider import Draft, Unusable
from vivavoce.importing.tools import endpoint, joined, mind, schema, tones, transfer, within

_PAGE = 1000
_GENERATED = "assistant-speaks-first-with-model-generated-message"
_WAITS = "assistant-waits-for-user"
_MAKERS = {"11labs": "ElevenLabs", "azure": "Azure", "openai": "OpenAI", "rime-ai": "Rime", "minimax": "Minimax"}
_PATH = re.compile(r"\{\{\s*\$?\.?([\w.-]+)\s*\}\}")


def headers(key: str) -> dict[str, str]:
    """What shows who asks."""
    return {"authorization": f"Bearer {key}"}


def names(prefix: str) -> Names:
    """Its default variables, and ours."""
    return (
        (r'"now"|now', prefix + "current_time"),
        (r"date", prefix + "current_date"),
        (r"time", prefix + "current_time_of_day"),
        (r"(month|day|year)", prefix + r"current_\1"),
        (r"customer\.number", prefix + "end_user_target"),
        (r"phoneNumber\.number", prefix + "agent_target"),
        (r"call\.id", prefix + "conversation_id"),
    )


async def listed(account: Account) -> list[str]:
    """The ids of all assistants."""
    found: list[str] = []
    query: dict[str, str | int] = {"limit": _PAGE}
    while True:
        page = objects({"": await ask(account, "/assistant", query)}, "")
        found += [text(one, "id") for one in page if text(one, "id") not in found]
        few(found)
        oldest = min((text(one, "createdAt") for one in page), default="")
        if len(page) < _PAGE or not oldest or query.get("createdAtLt") == oldest:
            return found
        query["createdAtLt"] = oldest


async def fetched(account: Account, id_: str) -> Draft:
    """One assistant. Raises ``Unusable``."""
    assistant = await ask(account, f"/assistant/{quote(id_, safe='')}")
    model = table(assistant, "model")
    if not model:
        raise Unusable("it has no model")
    shared = [await ask_part(account, f"/tool/{quote(one, safe='')}") for one in texts(model, "toolIds")]
    server = text(assistant, "server", "url") or text(assistant, "serverUrl")
    found = [_tool(one, server) for one in (*shared, *objects(model, "tools"))]
    if at(assistant, "endCallFunctionEnabled") is True:
        found.append(HangupTool())
    if text(assistant, "forwardingPhoneNumber"):
        found.append(transfer([LineTarget(text(assistant, "forwardingPhoneNumber"))]))
    said = [text(one, "content") for one in objects(model, "messages") if text(one, "role") == "system"]
    version = Version(
        "",
        "",
        text(assistant, "name") or id_,
        "\n\n".join(filter(None, [*said, text(model, "systemPrompt")])),
        0,
        mind=_mind(model),
        greeting=_greeting(assistant),
        tools=joined(found),
    )
    voice = table(assistant, "voice")
    maker = text(voice, "provider")
    parts = [_MAKERS.get(maker, maker), text(voice, "model"), text(voice, "voiceId")]
    return Draft(id_, version, ".".join(filter(None, parts)) if parts[2] else "")


def _mind(model: Mapping[str, Any]) -> Mind:
    url, provider = text(model, "url"), text(model, "provider")
    if provider == "custom-llm" and url:
        return endpoint(url, text(model, "model"))
    return mind(text(model, "model"), provider)


def _greeting(assistant: Mapping[str, Any]) -> str:
    match text(assistant, "firstMessageMode"):
        case mode if mode == _GENERATED:
            return MODEL_OPENS
        case mode if mode == _WAITS:
            return ""
        case _:
            return text(assistant, "firstMessage")


def _tool(wire: Mapping[str, Any], server: str) -> Tool | None:
    """One of its tools, or None where there is nothing like it here."""
    function = table(wire, "function")
    name = text(function, "name") or text(wire, "name")
    description = text(function, "description") or text(wire, "description")
    match text(wire, "type"):
        case "function":
            return _function(wire, name, description, text(wire, "server", "url") or server)
        case "apiRequest":
            return _request(wire, name, description)
        case "endCall":
            return HangupTool(description)
        case "transferCall":
            return transfer((_place(one) for one in objects(wire, "destinations") if _number(one)), description)
        case "dtmf":
            return tones()
        case "sms":
            return MessageTool(description=description)
        case _:
            return None


def _number(wire: Mapping[str, Any]) -> str:
    return text(wire, "number") or text(wire, "sipUri")


def _place(wire: Mapping[str, Any]) -> LineTarget:
    return LineTarget(_number(wire), text(wire, "description"), text(wire, "message"))


def _function(wire: Mapping[str, Any], name: str, description: str, url: str) -> Tool | None:
    """Its own server is asked in a form of its own; here the arguments go to the same address as they are."""
    given = table(wire, "function", "parameters")
    parameters = schema(table(given, "properties"), texts(given, "required"))
    if not name:
        return None
    if not url:
        return FunctionTool(name, description, parameters)
    waits = at(wire, "async") is not True
    return WebhookTool(
        name,
        description,
        url,
        headers=tuple(Header(key, value) for key, value in table(wire, "server", "headers").items() if value),
        body_parameters=parameters,
        timeout_ms=within(number(wire, "server", "timeoutSeconds") or 20),
        waits_ms=None if waits else 300,
        fillers=_fillers(wire) if waits else (),
    )


def _request(wire: Mapping[str, Any], name: str, description: str) -> Tool | None:
    url, method = text(wire, "url"), text(wire, "method") or "GET"
    if not url:
        return None
    asked, fixed = _split(table(wire, "body", "properties"))
    shape = schema(asked, texts(wire, "body", "required"))
    bodiless = method in ("GET", "DELETE")
    aliases = objects(wire, "variableExtractionPlan", "aliases")
    paths = [(text(one, "key"), _PATH.fullmatch(text(one, "value"))) for one in aliases]
    return WebhookTool(
        name or "api_request",
        description,
        url,
        method,
        tuple(Header(key, str(value)) for key, value in _split(table(wire, "headers", "properties"))[1].items()),
        query_parameters=shape if bodiless else None,
        body_parameters=None if bodiless else shape,
        preset_query=fixed if bodiless else {},
        preset_body={} if bodiless else fixed,
        stored=tuple(StoredField(key, path[1]) for key, path in paths if key and path),
        timeout_ms=within(number(wire, "timeoutSeconds") or 20),
        fillers=_fillers(wire),
    )


def _split(properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the model fills in, and what has a value already."""
    fixed = {name: at(one, "value") for name, one in properties.items() if at(one, "value") not in (None, "")}
    return {name: one for name, one in properties.items() if name not in fixed}, fixed


def _fillers(wire: Mapping[str, Any]) -> tuple[Filler, ...]:
    found: list[Filler] = []
    for one in objects(wire, "messages"):
        words, kind = text(one, "content"), text(one, "type")
        if words and kind == "request-start":
            found.append(Filler(words))
        elif words and kind == "request-response-delayed":
            after = number(one, "timingMilliseconds") or 1000
            found.append(Filler(words, max(100, min(round(after), 120_000))))
    return tuple(found)
