"""What the assistant still does when the conversation is over: one more turn, in which it can only call tools."""

from collections.abc import Sequence
from dataclasses import replace

from vivavoce.assistant.calls import Outside, call_round
from vivavoce.assistant.offer import by_name, tools_of
from vivavoce.assistant.ports import Models, Tools
from vivavoce.assistant.prompt import Part, history, prompt
from vivavoce.assistant.state import MAX_ROUNDS, State, Step, active, rounds
from vivavoce.assistant.step import said, scene_of
from vivavoce.core.assistant import Cast
from vivavoce.core.clock import Clock
from vivavoce.core.event import Event, Message, ToolReturned
from vivavoce.core.model import PromptLine
from vivavoce.core.tool import FunctionTool, Tool, WebhookTool
from vivavoce.core.transcript import Transcript

BRIEFING = (
    "The conversation is over and nobody reads what you write from here on. Use your tools for whatever your "
    'instructions want done with a finished conversation; then answer only "done".'
)
ENDED = "The conversation ended."


async def report(cast: Cast, state: State, *, models: Models, tools: Tools, clock: Clock) -> Step:
    """One step of the turn after the end, used like ``step`` until it rests; its events stand behind ``Left``.

    Only where the active version asks for it and has webhooks or functions: these alone are offered (contract, section
    3), and they are called in at most ``MAX_ROUNDS`` rounds. It has the assistant's own instructions and model, not
    those of a flow. Raises ``ModelFailure`` where the model does.
    """
    transcript = state.transcript
    version = active(cast, transcript)
    offered = by_name(tool for tool in map(_silent, tools_of(version)) if tool is not None)
    if transcript.end is None or not version.reports or not offered:
        return Step((), state, rests=True)
    behind = Transcript(transcript.events[transcript.end[0] + 1 :])
    if _finished(behind):
        return Step((), state, rests=True)
    scene = scene_of(cast, state, clock)
    pending = behind.pending_calls()
    if pending:
        events = await call_round(scene, pending, offered, Outside(tools, clock))
    else:
        part = Part(version.instructions, version.mind, offered)
        asked = prompt(part, transcript, scene.filling, with_tools=True, memory=state.memory)
        told = (line for line in asked.lines[:1] if line.role == "system")
        lines = (*told, *_told(transcript.events[: transcript.end[0]], behind))
        started = clock.ticks()
        model = await models.chosen(version.mind, version.fallback, scene.variables)
        reply = await model.reply(replace(asked, lines=lines))
        events = said(reply, asked, transcript, clock, started)
    return Step(events, state.plus(events), rests=_finished(behind.plus(events)))


def _silent(tool: Tool) -> Tool | None:
    """The tool without words for a caller who is gone; None where it is none that can be called now."""
    if isinstance(tool, WebhookTool):
        return replace(tool, fillers=()) if tool.fillers else tool
    return tool if isinstance(tool, FunctionTool) and not tool.by_client else None


def _finished(behind: Transcript) -> bool:
    last = behind.events[-1] if behind.events else None
    return isinstance(last, Message) or (not behind.pending_calls() and rounds(behind) >= MAX_ROUNDS)


def _told(before: Sequence[Event], behind: Transcript) -> tuple[PromptLine, ...]:
    talk = Transcript(tuple(before))
    # Providers refuse a call without a result, and hanging up has none.
    ended = [ToolReturned(call.id, call.name, ENDED, True, 0) for call in talk.pending_calls()]
    return (*history(talk.plus(ended)), PromptLine("system", BRIEFING), *history(behind))
