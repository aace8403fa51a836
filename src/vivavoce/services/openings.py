"""How a conversation opens: the variables it starts with, and what its assistant remembers of earlier ones.

Found once, kept, and the same from then on (contract, section 6.3). The webhook that is asked can be late, silent or
wrong: the conversation then opens without it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import structlog

from vivavoce.assistant.variables import as_text, merge
from vivavoce.core.assistant import Opener, Version
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.depth import shallow
from vivavoce.core.query import Malformed, pairs, parse
from vivavoce.core.scenario import Medium
from vivavoce.core.telemetry import plainly
from vivavoce.core.times import iso
from vivavoce.core.transcript import Transcript
from vivavoce.outbound.answer import json_of
from vivavoce.outbound.fetch import Unreachable, fetch, whose
from vivavoce.outbound.guard import Refused
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.variables import is_noted, starting
from vivavoce.storage import conversations, memory, search
from vivavoce.storage.database import Tx

EVENT = "assistant.initialization"
MAX_ANSWER = 256 * 1024
"""Bytes of a webhook's answer."""
MOST_REMEMBERED = 10
"""How many earlier conversations are told of at most: the first that the query finds."""
MOST_INSIGHTS = 100
"""How many insights are looked for; the rest of the query's list is left out."""
MAX_MEMORY = 12_000
"""Characters of what is told of them; of the conversation that no longer fits the end is told."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the webhook said."""

    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    conversation_query: str = ""
    insight_query: str = ""


class _Unusable(Exception):
    """The webhook's answer says nothing; the message says why."""


async def opened(
    ctx: Context,
    org: str,
    version: Version,
    conversation: Conversation,
    *,
    medium: Medium,
    agent_target: str | None,
    user_target: str | None,
    given: Mapping[str, Any] | None = None,
    ask: bool = True,
    allowed: Callable[[Tx], None] = lambda _: None,
) -> Conversation:
    """The conversation with its opening, which is found and kept where it has none yet.

    ``given`` are variables of whoever starts it; they win over the webhook's, which win over the assistant's. ``ask``
    false leaves the webhook out. ``allowed`` raises where whoever calls may not write any more. Raises ``NotFound``
    where the conversation was removed meanwhile.
    """
    if conversation.opening is not None:
        return conversation
    # Whoever calls may have waited for its turn meanwhile, and nobody is asked twice without need.
    current = await ctx.database.read(lambda tx: conversations.get(tx, org, conversation.id))
    if current is not None and current.opening is not None:
        return current
    fresh = await found(
        ctx,
        org,
        version,
        conversation,
        medium=medium,
        agent_target=agent_target,
        user_target=user_target,
        given=given,
        ask=ask,
    )
    assert fresh.opening is not None
    opening = fresh.opening
    noted = {name: value for name, value in fresh.metadata.items() if conversation.metadata.get(name) != value}

    def keep(tx: Tx) -> Conversation:
        allowed(tx)
        current = conversations.get(tx, org, conversation.id, lock=True)
        if current is None:
            raise NotFound("conversation", conversation.id)
        if current.opening is not None:  # another server was faster
            return current
        opened = replace(current, opening=opening, metadata={**current.metadata, **noted})
        conversations.set_opening(tx, opened.id, opening)
        conversations.set_metadata(tx, opened)
        return opened

    return await ctx.database.write(keep)


async def found(
    ctx: Context,
    org: str,
    version: Version,
    conversation: Conversation,
    *,
    medium: Medium,
    agent_target: str | None,
    user_target: str | None,
    given: Mapping[str, Any] | None = None,
    ask: bool = True,
) -> Conversation:
    """The same for a conversation that is not kept yet: with its opening, and what the webhook said of it."""
    told = _Told()
    if ask and version.opener is not None:
        told = await _ask(ctx, org, version, version.opener, medium, agent_target, user_target, None)
    variables = starting(
        version,
        merge(given or {}, told.variables),
        conversation_id=conversation.id,
        started_at=conversation.created_at,
        medium=medium,
        agent_target=agent_target,
        user_target=user_target,
    )
    opening = Opening(variables, await _remembered(ctx, org, conversation.id, told))
    prefix = version.templating.prefix
    noted = {name: value for name, value in told.metadata.items() if not is_noted(name, prefix)}
    return replace(conversation, opening=opening, metadata={**conversation.metadata, **noted})


async def preview(
    ctx: Context,
    org: str,
    version: Version,
    *,
    agent_target: str | None = None,
    user_target: str | None = None,
    call_control_id: str | None = None,
) -> Mapping[str, Any]:
    """The variables that a conversation would start with, besides the system's: the webhook's, then the assistant's.
    Nothing is kept."""
    medium = Medium.PHONE_CALL if call_control_id else Medium.WEB_CHAT
    told = _Told()
    if version.opener is not None:
        told = await _ask(ctx, org, version, version.opener, medium, agent_target, user_target, call_control_id)
    return merge(told.variables, version.variables, reserved=version.templating.prefix)


# the webhook


async def _ask(
    ctx: Context,
    org: str,
    version: Version,
    opener: Opener,
    medium: Medium,
    agent_target: str | None,
    user_target: str | None,
    call_control_id: str | None,
) -> _Told:
    """Ask once. Whatever goes wrong is a warning, and nothing was told."""
    prefix, now = version.templating.prefix, ctx.clock.now()
    payload = {
        f"{prefix}conversation_channel": medium.value,
        f"{prefix}agent_target": agent_target or version.assistant_id,
        f"{prefix}end_user_target": user_target,
        f"{prefix}end_user_target_verified": False,
        "call_control_id": call_control_id,
        "assistant_id": version.assistant_id,
    }
    data = {"record_type": "event", "id": ctx.new_id(), "event_type": EVENT, "occurred_at": iso(now)}
    body = json.dumps({"data": {**data, "payload": payload}}).encode()
    headers = {"content-type": "application/json", **ctx.signer.headers(prefix, body, now)}
    try:
        answer = await fetch(
            ctx.outbound,
            "POST",
            opener.url,
            headers=headers,
            body=body,
            timeout_s=opener.timeout_ms / 1000,
            max_bytes=MAX_ANSWER,
        )
        if not 200 <= answer.status < 300:
            raise _Unusable(f"it answered with status {answer.status}")
        return _told(json_of(answer))
    except (Refused, _Unusable) as failure:
        reason = str(failure)
    except Unreachable as failure:
        reason = plainly(failure)
    except ValueError:
        reason = "its answer is not JSON"
    log.warning(
        "the variables webhook told nothing",
        org=org,
        assistant=version.assistant_id,
        url=whose(opener.url),
        reason=reason,
    )
    return _Told()


def _told(answer: Any) -> _Told:
    known = ("dynamic_variables", "memory", "conversation", "encrypted_dynamic_variables")
    parts = _object(answer)
    if parts is None:
        raise _Unusable("its answer is not a JSON object")
    if parts and not any(name in parts for name in known):
        raise _Unusable("its answer has none of the keys that are known here")
    if not shallow(answer):
        raise _Unusable("its answer is nested too deeply")
    if parts.get("encrypted_dynamic_variables"):
        log.warning("encrypted variables of a webhook are left out: this server has no key for them")
    wanted = _object(parts.get("memory")) or {}
    metadata = _object((_object(parts.get("conversation")) or {}).get("metadata")) or {}
    return _Told(
        _object(parts.get("dynamic_variables")) or {},
        {name: as_text(value) for name, value in metadata.items() if value is not None},
        as_text(wanted.get("conversation_query")),
        as_text(wanted.get("insight_query")),
    )


def _object(value: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


# memory


async def _remembered(ctx: Context, org: str, conversation_id: str, told: _Told) -> str:
    """What the queries find, as text; the newest conversation first unless the query says otherwise."""
    if not told.conversation_query:
        return ""
    try:
        wanted = parse(pairs(told.conversation_query))
    except Malformed as failure:
        log.warning("a webhook's memory query makes no sense", conversation=conversation_id, reason=plainly(failure))
        return ""
    asked = dict(pairs(told.insight_query)).get("insight_ids", "")
    insights = tuple(id_ for id_ in asked.split(",") if id_)[:MOST_INSIGHTS]
    most = min(wanted.limit or MOST_REMEMBERED, MOST_REMEMBERED)

    def look_up(tx: Tx) -> str:
        # One more than is told of: the conversation that is beginning can be among them.
        found = search.get_filtered(tx, org, replace(wanted, limit=None), most + 1)
        earlier = [one for one in found if one.id != conversation_id][:most]
        pieces: list[str] = []
        room = MAX_MEMORY
        for one in earlier:
            if insights:
                lines = [f"{name}: {result}" for name, result in memory.get_results(tx, org, one.id, insights)]
            else:
                lines = _words(conversations.get_transcript(tx, one.id))
            if lines and room > 0:
                text = "\n".join(lines)
                pieces.append(
                    f"Conversation of {iso(one.created_at)}:\n{text if len(text) <= room else '…' + text[-room:]}"
                )
                room -= len(text)
        return "\n\n".join(pieces)

    return await ctx.database.read(look_up)


def _words(transcript: Transcript) -> list[str]:
    return [f"{event.speaker.value}: {event.text}" for _, event in transcript.messages() if event.text]
