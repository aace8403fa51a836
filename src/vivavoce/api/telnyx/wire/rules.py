"""What makes sense only for a whole version: checked when one is about to be written, refused with 400/10015."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from vivavoce.api.shape import mapping
from vivavoce.api.telnyx.errors import Problem, problem
from vivavoce.api.telnyx.wire.flow import flow_problems
from vivavoce.api.telnyx.wire.tools import dump_tool, tool_type
from vivavoce.core.assistant import Version
from vivavoce.core.tool import OtherTool, Tool

MANY = frozenset({"function", "webhook", "client_side_tool"})
"""Kinds of tools of which an assistant may have several."""

Tools = list[Mapping[str, Any]]


def semantic_problem(version: Version) -> Problem | None:
    """The first reason why this version cannot be saved, or None.

    The shared tools of a version that was completed with its library count like inline ones. The rules, by section of
    the contract:

    - 3: one tool of every kind but function, webhook and client_side_tool; the names by which the model calls tools are
      unique; a transfer that must be accepted needs ``warm_transfer_instructions`` or a message on every target;
    - 4: nothing follows a tool node that hangs up, and only a default one that transfers;
    - 2.1 Telephony: a pay tool needs ``disable_dtmf``;
    - 2.1 Privacy: redaction and messaging exclude each other;
    - 2.1 Delegation: no raw ``api_key``; the platform's own mode needs a model;
    - 2.1 A2AAgent: the names of the agents stay different when they become names of tools.
    """
    used = [*version.tools, *(version.library[id_] for id_ in version.shared if id_ in version.library)]
    everything: Tools = [dump_tool(tool) for tool in (*version.tools, *version.library.values())]
    found = (*_tool_problems(used), *_flow_problems(version), *_settings_problems(version.extra, everything))
    return found[0] if found else None


def _refusal(detail: str, pointer: str) -> Problem:
    return problem(400, detail, pointer=pointer)


def _tool_problems(used: Sequence[Tool]) -> Iterator[Problem]:
    for kind, count in Counter(tool_type(tool) for tool in used).items():
        if count > 1 and kind not in MANY:
            yield _refusal(f"An assistant can have only one tool of type {kind}, and this one has {count}", "/tools")
    # A kind that is not offered to the model has no name there.
    for name, count in Counter(tool.name for tool in used if not isinstance(tool, OtherTool)).items():
        if count > 1:
            yield _refusal(f"{count} tools have the name {name!r}; names of functions must be unique", "/tools")
    for tool in used:
        if tool_type(tool) == "transfer":
            yield from _transfer_problems(mapping(dump_tool(tool).get("transfer")))


def _flow_problems(version: Version) -> Iterator[Problem]:
    """Only what depends on particular tools; whether they exist is asked where they are looked up."""
    flow = version.extra.get("conversation_flow")
    if isinstance(flow, Mapping):
        kinds = {
            id_: tool_type(version.library[id_]) if id_ in version.library else "" for id_ in version.library_ids()
        }
        for one in flow_problems(cast("Mapping[str, Any]", flow), kinds):
            yield _refusal(f"conversation_flow: {one}", "/conversation_flow")


def _transfer_problems(transfer: Mapping[str, Any]) -> Iterator[Problem]:
    targets = transfer.get("targets")
    if (
        mapping(transfer.get("warm_transfer_acceptance")).get("enabled") is True
        and not transfer.get("warm_transfer_instructions")
        and isinstance(targets, list)
        and not all(mapping(target).get("message") for target in cast("list[object]", targets))
    ):
        detail = "warm_transfer_acceptance needs warm_transfer_instructions or a message on every target"
        yield _refusal(detail, "/tools")


def _settings_problems(extra: Mapping[str, Any], tools: Tools) -> Iterator[Problem]:
    pays = any(tool.get("type") == "pay" for tool in tools)
    if pays and mapping(extra.get("telephony_settings")).get("disable_dtmf") is not True:
        yield _refusal(
            "telephony_settings.disable_dtmf must be true for a pay tool", "/telephony_settings/disable_dtmf"
        )
    redacts = mapping(extra.get("privacy_settings")).get("pii_redaction") == "redact"
    if redacts and "messaging" in (extra.get("enabled_features") or ()):
        yield _refusal(
            "privacy_settings.pii_redaction cannot be redact with the messaging feature",
            "/privacy_settings/pii_redaction",
        )
    if isinstance(extra.get("delegation_settings"), Mapping):
        yield from _delegation_problems(extra["delegation_settings"])
    tool_names = Counter(
        re.sub(r"[^A-Za-z0-9_]", "_", str(mapping(agent).get("name"))) for agent in extra.get("a2a_agents") or ()
    )
    for name, count in tool_names.items():
        if count > 1:
            yield _refusal(f"{count} agents would have the name {name!r} in names of tools", "/a2a_agents")


def _delegation_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    endpoint = mapping(settings.get("external_llm"))
    for holder, place in ((settings, ""), (endpoint, "/external_llm")):
        if "api_key" in holder:
            detail = "A raw api_key is not accepted: name a secret in llm_api_key_ref"
            yield _refusal(detail, f"/delegation_settings{place}/api_key")
    own = settings.get("enabled", True) and settings.get("mode", "telnyx") == "telnyx"
    if own and not settings.get("model") and not endpoint.get("model"):
        yield _refusal("delegation_settings needs model or external_llm.model", "/delegation_settings/model")
