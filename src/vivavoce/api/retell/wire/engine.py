"""What response engines of both kinds have in common: the model, documents, servers, variables and who speaks first
(contract, sections 4, 7.2 and 13)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.shape import mapping
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Rules, Templating, Version
from vivavoce.core.mind import Mind
from vivavoce.core.passage import Recall
from vivavoce.core.server import OwnServer
from vivavoce.core.tool import Header, RemoteTool, Tool
from vivavoce.services.errors import Rejected

DEFAULT_MODEL = "gpt-4.1"
"""The model of an engine that names none (contract, section 4)."""

TEMPLATING = Templating("", Rules.NESTED, "America/Los_Angeles")
"""How the templates of an engine are filled in (contract, sections 3.1 and 6)."""

SERVER_TIMEOUT_MS = 120_000

_ANSWERED = (
    "llm_id",
    "conversation_flow_id",
    "version",
    "is_published",
    "last_modification_timestamp",
)
_FIXED = ("is_transfer_llm", "is_transfer_cf")

EngineKind = Literal["llm", "conversation_flow"]


# --- what the core makes of a body ----------------------------------------------------------------------------------


def mind_of(body: Mapping[str, Any]) -> Mind:
    """Which model speaks. One that speaks and hears by itself is played by the server's default in text; an engine
    that names none has ``DEFAULT_MODEL``."""
    return said_mind(body) or _mind(None if body.get("s2s_model") else DEFAULT_MODEL, body.get("model_temperature"))


def said_mind(body: Mapping[str, Any]) -> Mind | None:
    """The model that an engine or one of its nodes names itself, or None. ``model_config`` wins over the fields that
    it replaced (contract, section 13)."""
    config = mapping(body.get("model_config"))
    if config:
        if config.get("type") == "s2s":
            return _mind(None, config.get("temperature"))
        return _mind(mapping(config.get("primary")).get("model") or DEFAULT_MODEL, config.get("temperature"))
    model = body.get("model") or mapping(body.get("model_choice")).get("model")
    return _mind(model, body.get("model_temperature")) if model else None


def fallback_of(body: Mapping[str, Any]) -> Mind | None:
    """The model that speaks where the first one fails, or None."""
    config = mapping(body.get("model_config"))
    if config:
        model = mapping(config.get("backup")).get("model")
        return _mind(model, config.get("temperature")) if model else None
    model = mapping(mapping(body.get("backup_model")).get("backup_model_choice")).get("model")
    return _mind(model, body.get("model_temperature")) if model else None


def recall_of(body: Mapping[str, Any]) -> Recall | None:
    """The documents that an engine or one of its nodes has searched before each answer, or None."""
    ids = cast("list[str]", body.get("knowledge_base_ids") or [])
    if not ids:
        return None
    most = mapping(body.get("kb_config")).get("top_k")
    return Recall(tuple(read("knowledge_base", id_) for id_ in ids), None if most is None else int(most))


def servers_of(body: Mapping[str, Any]) -> tuple[OwnServer, ...]:
    """The MCP servers that belong to this engine alone."""
    return tuple(
        OwnServer(
            one["name"],
            one["url"],
            tuple(Header(name, value) for name, value in mapping(one.get("headers")).items()),
            dict(mapping(one.get("query_params"))),
            int(one.get("timeout_ms") or SERVER_TIMEOUT_MS),
        )
        for one in cast("list[Mapping[str, Any]]", body.get("mcps") or [])
    )


def with_server(tool: Tool, body: Mapping[str, Any]) -> Tool:
    """The tool, where it is one of an MCP server, under the name of that server: what it calls it by may be the name or
    an id that the server was sent with, and where there is one server only, it may be nothing."""
    if not isinstance(tool, RemoteTool):
        return tool
    servers = cast("list[Mapping[str, Any]]", body.get("mcps") or [])
    known = [one["name"] for one in servers if tool.server_id in (one["name"], one.get("mcp_id"), one.get("id"))]
    if not known and not tool.server_id and len(servers) == 1:
        known = [servers[0]["name"]]
    return replace(tool, server_id=known[0]) if known else tool


def variables_of(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The values that variables have where nobody gives them others."""
    return dict(mapping(body.get("default_dynamic_variables")))


def greeting_of(body: Mapping[str, Any]) -> str:
    """Who opens (contract, section 3.2): the empty text waits for the caller."""
    if body.get("start_speaker") == "user":
        return ""
    message = body.get("begin_message")
    return MODEL_OPENS if message is None else str(message)


def _mind(model: str | None, temperature: float | None) -> Mind:
    return Mind(model=model, temperature=temperature)


# --- bodies ---------------------------------------------------------------------------------------------------------


def kept(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without what only answers have: clients send answers back."""
    return {name: value for name, value in body.items() if name not in _ANSWERED}


def merged(body: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The body with what was sent in its place, key by key; null is kept as null. ``model_config`` is merged by its own
    keys (contract, section 13). Raises ``Rejected`` for one of another type without a model."""
    new = {name: value for name, value in kept(patch).items() if name not in _FIXED}
    if new.get("model_config") is not None:
        new["model_config"] = _merged_config(mapping(body.get("model_config")), mapping(new["model_config"]))
    return {**body, **new}


def _merged_config(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    config = {**old, **new}
    if old and config.get("type", "cascading") != old.get("type", "cascading"):
        if not new.get("primary"):
            raise Rejected("model_config: another type needs a primary model.", "mind")
        if "backup" not in new:
            config.pop("backup", None)
    if config.get("backup") is None:
        config.pop("backup", None)
    return config


def body_of(version: Version) -> Mapping[str, Any]:
    """The body that this version was made of."""
    return mapping(version.extra.get("body"))


def dump_engine(kind: EngineKind, assistant: Assistant, version: Version) -> dict[str, Any]:
    """The answer: the body as it was sent, and what only the server knows. Times are milliseconds since the epoch."""
    known: dict[str, Any] = {
        f"{kind}_id": shown(kind, assistant.id),
        "version": version.number,
        "last_modification_timestamp": version.changed_at,
    }
    if kind == "llm":
        known["is_published"] = version.published
    return {**body_of(version), **known}
