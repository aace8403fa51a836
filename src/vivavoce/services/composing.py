"""Text messages that the assistant's model writes unasked: openings, reminders, filled templates."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vivavoce.assistant.ports import AssistantTask
from vivavoce.assistant.prompt import OPENING, history
from vivavoce.assistant.templating import Filling, fill
from vivavoce.core.assistant import Version
from vivavoce.core.event import Message, Speaker
from vivavoce.core.model import ModelFailure, Prompt, PromptLine
from vivavoce.core.tool import OtherTool
from vivavoce.core.transcript import Transcript
from vivavoce.services.context import Context
from vivavoce.services.errors import Broken
from vivavoce.services.minds import Minds

GO_ON = "[Nothing was said since. Write your next text message to them now, and nothing else.]"
FILL = (
    "These are the message templates that you may send: {templates}\n"
    "Pick the one that suits what you are asked for, fill in its variables from it, and write the message that comes of"
    " it, and nothing else."
)


async def next_words(
    ctx: Context, org: str, version: Version, transcript: Transcript, variables: Mapping[str, Any]
) -> Message:
    """What the assistant says next although nobody asked: its opening, or a reminder. It is offered no tools. Raises
    ``Broken`` where the model fails."""
    instructions = fill(version.instructions, Filling(variables, version.templating, ctx.clock.now()))
    start = PromptLine("system", instructions)
    if transcript.events:
        # Most providers want the last word to be somebody else's.
        lines = (start, *history(transcript), PromptLine("user", GO_ON))
    else:
        lines = (start, PromptLine("system", OPENING))
    return await _written(ctx, org, version, Prompt(lines, (), AssistantTask(instructions, transcript)), variables)


async def filled(
    ctx: Context,
    org: str,
    version: Version,
    templates: Sequence[OtherTool],
    content: str,
    variables: Mapping[str, Any],
) -> Message:
    """The message that the model makes of ``content`` with one of the templates. Raises ``Broken``."""
    known = json.dumps([dict(one.extra) for one in templates], ensure_ascii=False, default=str)
    instructions = fill(version.instructions, Filling(variables, version.templating, ctx.clock.now()))
    asked = Transcript((Message(Speaker.CALLER, content, ctx.clock.now()),))
    lines = (
        PromptLine("system", instructions),
        PromptLine("system", FILL.format(templates=known)),
        PromptLine("user", content),
    )
    return await _written(ctx, org, version, Prompt(lines, (), AssistantTask(instructions, asked)), variables)


async def _written(ctx: Context, org: str, version: Version, prompt: Prompt, variables: Mapping[str, Any]) -> Message:
    started = ctx.clock.ticks()
    try:
        model = await Minds(ctx, org).chosen(version.mind, version.fallback, variables)
        reply = await model.reply(prompt)
    except ModelFailure as failure:
        raise Broken(f"The assistant's model: {failure}") from failure
    if not reply.text.strip():
        raise Broken("The assistant's model wrote nothing to send.")
    took_ms = round((ctx.clock.ticks() - started) * 1000)
    return Message(Speaker.ASSISTANT, reply.text, ctx.clock.now(), took_ms, reply.usage)
