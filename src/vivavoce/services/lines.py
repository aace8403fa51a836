"""Which channel reaches a scenario's target."""

from urllib.parse import urlsplit

from vivavoce.channels.chat import ChatChannel
from vivavoce.channels.completions import CompletionsChannel, names_completions
from vivavoce.channels.http import HttpChannel
from vivavoce.core.assistant import Version
from vivavoce.examination.channel import Channel
from vivavoce.models.resolve import SCRIPTED
from vivavoce.models.scripted import problems
from vivavoce.services.context import Context
from vivavoce.services.variables import starting
from vivavoce.storage.runs import Frozen
from vivavoce.tools.toolbox import Toolbox


class Unreachable(Exception):
    """The target is nothing that this server can talk to; the message says what it could be."""


def channel(ctx: Context, frozen: Frozen) -> Channel:
    """The channel of a run: an assistant of this server, an OpenAI-compatible endpoint or an HTTP destination.

    Raises ``Unreachable``, and ``ModelFailure`` where the assistant's model is not served here.
    """
    scenario, run = frozen.scenario, frozen.run
    # The examination's attempt is part of the key: a channel that cannot resume would begin a second one.
    key = f"{run.id}:1"
    tools = Toolbox(ctx.outbound, scenario.mocks)
    if frozen.version is not None:
        version = frozen.version
        model = ctx.models.resolve(version.model, "assistant")
        faults = problems(version.instructions) if model.name == SCRIPTED else ()
        notes = tuple(f"the assistant's script, {fault}" for fault in faults)
        return ChatChannel(version, _variables(version, frozen), key, model, tools, ctx.clock, notes)
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
        return CompletionsChannel(ctx.outbound, ctx.clock, tools, scenario.target, key, scenario.variables)
    return HttpChannel(ctx.outbound, ctx.clock, scenario.target, run.conversation_id, key, variables=scenario.variables)


def _variables(version: Version, frozen: Frozen) -> dict[str, object]:
    found = starting(
        version,
        frozen.scenario.variables,
        conversation_id=frozen.run.conversation_id,
        started_at=frozen.run.started_at or frozen.run.created_at,
        medium=frozen.scenario.medium,
        agent_target=frozen.scenario.target,
    )
    return dict(found)
