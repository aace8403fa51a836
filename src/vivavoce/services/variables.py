"""The variables a conversation starts with, and what is noted of it. All of it follows from what is given."""

from collections.abc import Mapping
from typing import Any

from vivavoce.assistant.variables import as_text, merge, system_variables
from vivavoce.core.assistant import Rules, Version
from vivavoce.core.event import Millis
from vivavoce.core.scenario import Medium

_NOTED = frozenset({"assistant_id", "assistant_version_id", "run_id", "call_control_id"})


def starting(
    version: Version,
    given: Mapping[str, Any],
    *,
    conversation_id: str,
    started_at: Millis,
    medium: Medium = Medium.WEB_CHAT,
    agent_target: str | None = None,
    user_target: str | None = None,
) -> Mapping[str, Any]:
    """What the start gave wins over the assistant's defaults; system variables are nobody's to set (contract, 6.3).

    Under ``Rules.NESTED`` they stand below all others, and those that tell the time are worked out when they are asked
    for (section 6 of the testing contract).
    """
    prefix = version.templating.prefix
    if version.templating.rules is Rules.NESTED:
        told = _session(medium, conversation_id, agent_target, user_target)
        return {name: as_text(value) for name, value in {**told, **merge(given, version.variables)}.items()}
    system = system_variables(
        prefix,
        now_ms=started_at,
        medium=medium,
        agent_target=agent_target or version.assistant_id,
        user_target=user_target,
        conversation_id=conversation_id,
    )
    return {**merge(given, version.variables, reserved=prefix), **system}


def _session(medium: Medium, id_: str, agent_target: str | None, user_target: str | None) -> dict[str, str]:
    if not medium.spoken:
        return {"session_type": "chat", "chat_id": id_}
    if medium is not Medium.PHONE_CALL:
        return {"session_type": "voice"}
    phone = {"session_type": "voice", "call_id": id_, "call_type": "phone_call", "direction": "inbound"}
    numbers = {"agent_number": agent_target, "user_number": user_target}
    return phone | {name: number for name, number in numbers.items() if number}


def about(version: Version | None, *, medium: Medium, agent_target: str = "", user_target: str = "") -> dict[str, str]:
    """What a conversation's metadata says of its assistant and its ends (contract, section 5.15)."""
    prefix = version.templating.prefix if version else ""
    known = {f"{prefix}conversation_channel": medium.value}
    if version:
        known |= {"assistant_id": version.assistant_id, "assistant_version_id": version.id}
    if agent_target:
        known[f"{prefix}agent_target"] = agent_target
    if user_target:
        known[f"{prefix}end_user_target"] = user_target
    return known


def is_noted(name: str, prefix: str) -> bool:
    """Whether this key of a conversation's metadata is the server's own: what ``about`` says, and whose run it is."""
    return name in _NOTED or bool(prefix and name.startswith(prefix))
