"""What makes sense only for a whole version: checked when one is about to be written, refused with 400/10015."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from vivavoce.api.telnyx.errors import Problem, problem
from vivavoce.api.telnyx.wire.tools import dump_tool
from vivavoce.core.assistant import Version

MANY = frozenset({"function", "webhook", "client_side_tool"})
"""Kinds of tools of which an assistant may have several."""

Tools = list[Mapping[str, Any]]


def semantic_problem(version: Version, *, shared_tools: Iterable[Mapping[str, Any]] = ()) -> Problem | None:
    """The first reason why this version cannot be saved, or None.

    ``shared_tools`` are the wire tools behind ``tool_ids``: they count like inline ones. The rules, by section of the
    contract:

    - 3: one tool of every kind but function, webhook and client_side_tool; function names are unique; a transfer that
      must be accepted needs ``warm_transfer_instructions`` or a message on every target;
    - 2.1 Telephony: a pay tool needs ``disable_dtmf``;
    - 2.1 Privacy: redaction and messaging exclude each other;
    - 2.1 Delegation: no raw ``api_key``; the platform's own mode needs a model;
    - 2.1 A2AAgent: the names of the agents stay different when they become names of tools.
    """
    tools: Tools = [*(dump_tool(tool) for tool in version.tools), *shared_tools]
    found = (*_tool_problems(tools), *_settings_problems(version.extra, tools))
    return found[0] if found else None


def _refusal(detail: str, pointer: str) -> Problem:
    return problem(400, detail, pointer=pointer)


def _tool_problems(tools: Tools) -> Iterator[Problem]:
    kinds = Counter(str(tool.get("type")) for tool in tools)
    for kind, count in kinds.items():
        if count > 1 and kind not in MANY:
            yield _refusal(f"An assistant can have only one tool of type {kind}, and this one has {count}", "/tools")
    for name, count in Counter(_function_names(tools)).items():
        if count > 1:
            yield _refusal(f"{count} tools have the name {name!r}; names of functions must be unique", "/tools")
    for tool in tools:
        if tool.get("type") == "transfer":
            yield from _transfer_problems(_map(tool.get("transfer")))


def _function_names(tools: Tools) -> Iterator[str]:
    for tool in tools:
        kind = str(tool.get("type"))
        if kind in MANY or kind == "update_dynamic_variables":
            name = _map(tool.get(kind)).get("name")
            if isinstance(name, str):
                yield name
        elif kind == "hangup":
            # The model sees it under this name beside the others.
            yield kind


def _transfer_problems(transfer: Mapping[str, Any]) -> Iterator[Problem]:
    targets = transfer.get("targets")
    if (
        _map(transfer.get("warm_transfer_acceptance")).get("enabled") is True
        and not transfer.get("warm_transfer_instructions")
        and isinstance(targets, list)
        and not all(_map(target).get("message") for target in cast("list[object]", targets))
    ):
        detail = "warm_transfer_acceptance needs warm_transfer_instructions or a message on every target"
        yield _refusal(detail, "/tools")


def _settings_problems(extra: Mapping[str, Any], tools: Tools) -> Iterator[Problem]:
    pays = any(tool.get("type") == "pay" for tool in tools)
    if pays and _map(extra.get("telephony_settings")).get("disable_dtmf") is not True:
        yield _refusal(
            "telephony_settings.disable_dtmf must be true for a pay tool", "/telephony_settings/disable_dtmf"
        )
    redacts = _map(extra.get("privacy_settings")).get("pii_redaction") == "redact"
    if redacts and "messaging" in (extra.get("enabled_features") or ()):
        yield _refusal(
            "privacy_settings.pii_redaction cannot be redact with the messaging feature",
            "/privacy_settings/pii_redaction",
        )
    if isinstance(extra.get("delegation_settings"), Mapping):
        yield from _delegation_problems(extra["delegation_settings"])
    tool_names = Counter(
        re.sub(r"[^A-Za-z0-9_]", "_", str(_map(agent).get("name"))) for agent in extra.get("a2a_agents") or ()
    )
    for name, count in tool_names.items():
        if count > 1:
            yield _refusal(f"{count} agents would have the name {name!r} in names of tools", "/a2a_agents")


def _delegation_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    endpoint = _map(settings.get("external_llm"))
    for holder, place in ((settings, ""), (endpoint, "/external_llm")):
        if "api_key" in holder:
            detail = "A raw api_key is not accepted: name a secret in llm_api_key_ref"
            yield _refusal(detail, f"/delegation_settings{place}/api_key")
    own = settings.get("enabled", True) and settings.get("mode", "telnyx") == "telnyx"
    if own and not settings.get("model") and not endpoint.get("model"):
        yield _refusal("delegation_settings needs model or external_llm.model", "/delegation_settings/model")


def _map(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
