"""Which channel reaches a scenario's target."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from vivavoce.channels.chat import ChatChannel
from vivavoce.channels.completions import CompletionsChannel, names_completions
from vivavoce.channels.http import HttpChannel
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.examination.channel import Channel
from vivavoce.models.resolve import SCRIPTED
from vivavoce.models.scripted import problems
from vivavoce.services import casting, openings
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.minds import Minds
from vivavoce.services.tooling import ToolsOf
from vivavoce.storage import stopping
from vivavoce.storage.journal import Lease, LeaseLost
from vivavoce.storage.runs import Frozen
from vivavoce.tools.toolbox import Toolbox


class Unreachable(Exception):
    """The target is nothing that this server can talk to; the message says what it could be."""


async def channel(
    ctx: Context, frozen: Frozen, lease: Lease, conversation: Conversation | None
) -> tuple[Channel, Opening | None]:
    """The channel of a run: an assistant of this server, an OpenAI-compatible endpoint or an HTTP destination; and what
    its conversation starts with, where that is still to be kept. ``conversation`` is the run's, None where it is gone.

    Raises ``Unreachable``, ``ModelFailure`` where the assistant's model is not served here, and ``LeaseLost`` where the
    run was deleted, cancelled or taken over.
    """
    scenario, run = frozen.scenario, frozen.run
    # The examination's attempt is part of the key: a channel that cannot resume would begin a second one.
    key = f"{run.id}:1"
    if frozen.cast is not None:
        return await _chat(ctx, frozen, lease, frozen.cast, conversation, key)
    try:
        address = urlsplit(scenario.target)
    except ValueError as failure:
        raise Unreachable(f"the destination {scenario.target!r} is no URL: {failure}") from failure
    if address.scheme not in ("http", "https"):
        raise Unreachable(
            f"the destination {scenario.target!r} is not an assistant of this server, not an http(s) URL, and no "
            "number that VIVA_NUMBERS maps to an assistant"
        )
    if names_completions(scenario.target):
        tools = Toolbox(ctx.outbound, scenario.mocks, telemetry=ctx.telemetry)
        return CompletionsChannel(ctx.outbound, ctx.clock, tools, scenario.target, key, scenario.variables), None
    http = HttpChannel(ctx.outbound, ctx.clock, scenario.target, run.conversation_id, key, variables=scenario.variables)
    return http, None


async def _chat(
    ctx: Context, frozen: Frozen, lease: Lease, cast: Cast, conversation: Conversation | None, key: str
) -> tuple[Channel, Opening | None]:
    minds = Minds(ctx, frozen.org)
    notes: list[str] = []
    for version in (cast.first, *cast.others.values()):
        model = await minds.chosen(version.mind, version.fallback, {})
        if model.name == SCRIPTED:
            notes += [f"the assistant's script, {fault}" for fault in _faults(version)]
    cast, more = await casting.attached(ctx, frozen.org, cast)
    if conversation is None:
        raise LeaseLost(frozen.run.id)
    opening, fresh = await _opening(ctx, frozen, lease, cast.first, conversation)
    scenario = frozen.scenario
    prefix = cast.first.templating.prefix
    tools = ToolsOf(
        ctx, frozen.org, prefix, conversation_id=frozen.run.conversation_id, mocks=scenario.mocks, cast=cast
    )
    chat = ChatChannel(
        cast,
        opening.variables,
        key,
        minds,
        tools,
        ctx.clock,
        (*notes, *more),
        spoken=scenario.medium.spoken,
        memory=opening.memory,
    )
    return chat, opening if fresh else None


def _faults(version: Version) -> Sequence[str]:
    return [str(fault) for fault in problems(version.instructions)]


async def _opening(
    ctx: Context, frozen: Frozen, lease: Lease, version: Version, found: Conversation
) -> tuple[Opening, bool]:
    """What the conversation started with, found once, so that it is the same after a restart; and whether it is still
    to be kept. Where somebody has to be asked for it, it is kept before anything else is done."""
    run = frozen.run
    if found.opening is not None:
        return found.opening, False
    if version.opener is None:
        alone = await openings.found(
            ctx,
            frozen.org,
            version,
            found,
            medium=frozen.scenario.medium,
            agent_target=frozen.scenario.target,
            user_target=None,
            given=frozen.scenario.variables,
        )
        return alone.opening or Opening({}), True
    try:
        opened = await openings.opened(
            ctx,
            frozen.org,
            version,
            found,
            medium=frozen.scenario.medium,
            agent_target=frozen.scenario.target,
            user_target=None,
            given=frozen.scenario.variables,
            allowed=lambda tx: stopping.require(tx, lease),
        )
    except NotFound as failure:  # deleted with its test, in this very moment
        raise LeaseLost(run.id) from failure
    return opened.opening or Opening({}), False
