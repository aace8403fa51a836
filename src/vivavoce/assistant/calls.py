"""One round of tool calls, and what follows from it: somebody leaves, takes over, moves on or stays silent."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from vivavoce.assistant.moving import taken
from vivavoce.assistant.offer import handoff_names
from vivavoce.assistant.place import Scene, stands, visits
from vivavoce.assistant.ports import ToolOutput, Tools
from vivavoce.assistant.state import Listener, in_cast
from vivavoce.assistant.targets import named, reachable
from vivavoce.assistant.templating import Filling, fill
from vivavoce.assistant.variables import as_text
from vivavoce.core.assistant import Rules
from vivavoce.core.clock import Clock
from vivavoce.core.event import Ending, Event, HandedOver, Left, Message, Moved, Speaker, ToolCall, ToolReturned
from vivavoce.core.flow import CallCondition, Edge, ToolNode
from vivavoce.core.tool import (
    Act,
    CodeTool,
    Filler,
    HandoffTool,
    HangupTool,
    LineTool,
    MessageTool,
    RemoteTool,
    SettableVariable,
    SkipTool,
    Tool,
    VariablesTool,
    WebhookTool,
)

Known = Mapping[str, Tool | Edge]
"""What can be called, by the name that the model knows it by."""

DONE = "Done."
MAX_HANDOVERS = 8
"""How often a conversation can be handed over before the caller speaks again: flows of two assistants may hand it to
each other without asking a model."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Outside:
    """What is needed to call something, and to be heard meanwhile."""

    tools: Tools
    clock: Clock
    listener: Listener | None = None


@dataclass(frozen=True, slots=True)
class _Called:
    """One call that came back. ``effect`` is what follows from it for the conversation."""

    call: ToolCall
    output: ToolOutput
    at: int
    took_ms: int = 0
    effect: Left | HandedOver | Moved | Message | None = None


async def call_round(scene: Scene, pending: Sequence[ToolCall], known: Known, outside: Outside) -> tuple[Event, ...]:
    """All these calls, side by side, in their order, then the one thing that follows: leaving goes before handing
    over, that before moving on in the flow, and that before silence. A wish to hang up is granted when the others have
    returned.

    Words that fill the time come first; they are heard when they are due.
    """
    leaving = [call for call in pending if isinstance(known.get(call.name), HangupTool)]
    texts = scene.filling.as_texts()
    fills: list[Message] = []

    async def one(call: ToolCall) -> _Called:
        tool = known.get(call.name)
        local = _decided_here(scene, tool, call)
        if local is not None:
            return local
        started = outside.clock.ticks()
        if isinstance(tool, Edge) or tool is None:
            output = ToolOutput(f"There is no tool named {call.name!r}.", ok=False)
        else:
            output = await _call(scene, tool, call, texts, outside, fills)
        took_ms = round((outside.clock.ticks() - started) * 1000)
        return _Called(call, output, outside.clock.now(), took_ms, _put_through(scene, tool, call, output, outside))

    called = await asyncio.gather(*(one(call) for call in pending if call not in leaving))
    effects = [one.effect for one in called if one.effect is not None]
    if leaving:
        reason = as_text(leaving[0].arguments.get("reason")) or "the assistant hung up"
        effects.append(Left(Ending.HANGUP, outside.clock.now(), Speaker.ASSISTANT, reason))
    if (
        called
        and not effects
        and not _at_tool_node(scene)
        and all(_is_quiet(known.get(one.call.name)) for one in called)
    ):
        effects.append(Message(Speaker.ASSISTANT, "", outside.clock.now()))  # it waits for the caller
    effect = min(effects, key=_weight, default=None)
    # Calls that ran side by side took as long as the slowest of them, not their sum.
    slowest = max((one.took_ms for one in called), default=0)
    returned = [_returned(one, effect, slowest if place == 0 else 0) for place, one in enumerate(called)]
    return (*fills, *returned, *((effect,) if effect is not None else ()))


def at_once(known: Known, calls: Sequence[ToolCall], scene: Scene) -> tuple[Message, ...]:
    """The words that fill the time from the moment when these calls are made."""
    tools = (known.get(call.name) for call in calls)
    found = (filler for tool in tools for filler in _fillers(tool) if filler.after_ms <= 0 and not filler.generated)
    return tuple(_filling(filler, scene) for filler in found)


def to_say(known: Known, calls: Sequence[ToolCall]) -> str:
    """What the model is told to say while these calls are made; empty where nothing is. One line is enough for all."""
    fillers = (filler for call in calls for filler in _fillers(known.get(call.name)) if filler.generated)
    return next((filler.text for filler in fillers), "")


def _weight(effect: Left | HandedOver | Moved | Message) -> int:
    return {"left": 0, "handed_over": 1, "moved": 2}.get(effect.kind, 3)


def _returned(one: _Called, effect: Event | None, took_ms: int) -> ToolReturned:
    output = one.output
    if isinstance(one.effect, HandedOver | Moved) and one.effect is not effect:
        output = ToolOutput("This did not happen: something else came first.", ok=False)
    return ToolReturned(
        one.call.id,
        one.call.name,
        output.text,
        output.ok,
        one.at,
        took_ms,
        output.status_code,
        output.mocked,
        output.variables,
    )


# --- what needs nobody else -----------------------------------------------------------------------------------------


def _decided_here(scene: Scene, tool: Tool | Edge | None, call: ToolCall) -> _Called | None:
    match tool:
        case Edge():
            assert scene.version.flow is not None, "an edge is a flow's"
            given = dict(call.arguments) if isinstance(tool.condition, CallCondition) else {}
            output = ToolOutput(DONE, True, variables=given)
            return _Called(call, output, scene.now, 0, taken(scene, scene.version.flow, tool))
        case SkipTool():
            return _Called(call, ToolOutput(DONE, True), scene.now, 0, Message(Speaker.ASSISTANT, "", scene.now))
        case VariablesTool():
            return _Called(call, _set(scene, tool, call.arguments), scene.now)
        case HandoffTool():
            return _hand_over(scene, tool, call)
        case _:
            return None


def _hand_over(scene: Scene, tool: HandoffTool, call: ToolCall) -> _Called:
    names = handoff_names(tool)
    wanted = as_text(call.arguments.get("assistant")).strip()
    fitting = [target for name, target in names if wanted in (name, target.name, target.assistant_id)]
    if not wanted and len(names) == 1:
        fitting = [names[0][1]]
    if not fitting:
        choices = ", ".join(name for name, _ in names)
        return _Called(call, ToolOutput(f"There is no assistant {wanted!r}. There is: {choices}.", False), scene.now)
    if len(visits(scene.transcript)[1]) >= MAX_HANDOVERS:
        return _Called(
            call, ToolOutput("The conversation was handed over too often since the caller spoke.", False), scene.now
        )
    version = in_cast(scene.cast, fitting[0].assistant_id)
    if version is None:
        missing = f"The assistant {wanted or names[0][0]!r} cannot be reached: it does not exist any more."
        return _Called(call, ToolOutput(missing, False), scene.now)
    output = ToolOutput(f"{version.name} goes on with the conversation.", True)
    return _Called(call, output, scene.now, 0, HandedOver(version.assistant_id, version.id, version.name, scene.now))


def _set(scene: Scene, tool: VariablesTool, arguments: Mapping[str, Any]) -> ToolOutput:
    """All of them are set, or none. By the rules of the testing contract, a number that was written as a text is one,
    and of what a node of a flow asks for, where nobody tries again, those are set that can be."""
    texts = scene.version.templating.rules is Rules.NESTED
    alone = texts and _at_tool_node(scene)
    declared = {one.name: one for one in tool.variables}
    given = {name: value for name, value in arguments.items() if not (alone and value is None)}
    right: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in given.items():
        one = declared.get(name)
        read = _read(value, one.type) if one is not None and texts else value
        fault = f"{name} is no variable that can be set" if one is None else _fault(one, read)
        if fault:
            wrong.append(fault)
        else:
            right[name] = read
    if alone and not given:
        return ToolOutput("Nothing was said that could be set.", ok=True)
    if wrong and alone and right:
        return ToolOutput(f"Set: {', '.join(right)}. Not set: {'; '.join(wrong)}.", ok=False, variables=right)
    if wrong or not given:
        return ToolOutput(f"Nothing was set: {'; '.join(wrong) or 'no variable was given'}.", ok=False)
    return ToolOutput(f"Set: {', '.join(right)}.", ok=True, variables=right)


def _fault(one: SettableVariable, value: Any) -> str:
    """Why the variable cannot be this; empty where it can."""
    if not _is(value, one.type):
        return f"{one.name} must be of type {one.type}"
    if one.choices and as_text(value) not in one.choices:
        return f"{one.name} must be one of {', '.join(one.choices)}"
    return ""


def _read(value: Any, type_: str) -> Any:
    """The value, where a model wrote a number or a truth value as a text, as what it is."""
    if not isinstance(value, str):
        return value
    if type_ == "boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if type_ in ("number", "integer"):
        try:
            number = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return number if _is(number, type_) and isfinite(number) else value
    return value


def _is(value: Any, type_: str) -> bool:
    if isinstance(value, bool):
        return type_ == "boolean" or type_ not in _TYPES
    return isinstance(value, _TYPES.get(type_, object))


# --- what does ------------------------------------------------------------------------------------------------------


async def _call(
    scene: Scene, tool: Tool, call: ToolCall, texts: Filling, outside: Outside, fills: list[Message]
) -> ToolOutput:
    later = [filler for filler in _fillers(tool) if filler.after_ms > 0 and not filler.generated]
    key = f"{scene.state.key}:{call.id}"
    if not later:
        return await outside.tools.call(tool, call.arguments, key=key, filling=texts)
    filling = asyncio.create_task(_fill(later, scene, outside, fills))
    try:
        return await outside.tools.call(tool, call.arguments, key=key, filling=texts)
    finally:
        filling.cancel()
        # A listener who fails takes nothing away from what the tool has done.
        await asyncio.gather(filling, return_exceptions=True)


async def _fill(fillers: Sequence[Filler], scene: Scene, outside: Outside, fills: list[Message]) -> None:
    waited_ms = 0
    for filler in sorted(fillers, key=lambda filler: filler.after_ms):
        await asyncio.sleep((filler.after_ms - waited_ms) / 1000)
        waited_ms = filler.after_ms
        said = replace(_filling(filler, scene), at=outside.clock.now())
        fills.append(said)
        if outside.listener is not None:
            await outside.listener(said.text)


def _fillers(tool: Tool | Edge | None) -> tuple[Filler, ...]:
    match tool:
        case WebhookTool():
            return tool.fillers if tool.waits_ms is None else ()
        case CodeTool() | RemoteTool() | HangupTool() | HandoffTool() | LineTool() | MessageTool():
            return tool.fillers
        case _:
            return ()


def _is_quiet(tool: Tool | Edge | None) -> bool:
    return isinstance(tool, WebhookTool | CodeTool | RemoteTool) and tool.quiet


def _at_tool_node(scene: Scene) -> bool:
    standing = stands(scene)
    return standing is not None and isinstance(standing[1].node, ToolNode)


def _filling(filler: Filler, scene: Scene) -> Message:
    words = fill(filler.text, scene.filling, unset="empty")
    return Message(Speaker.ASSISTANT, words, scene.now, fills=True)


def _put_through(
    scene: Scene, tool: Tool | Edge | None, call: ToolCall, output: ToolOutput, outside: Outside
) -> Left | None:
    """The assistant leaves a caller whom it has put through to somebody else."""
    if not isinstance(tool, LineTool) or tool.act not in (Act.TRANSFER, Act.REFER) or not output.ok:
        return None
    wanted = as_text(call.arguments.get("target"))
    target = wanted or ", ".join(named(one) for one in reachable(tool, scene.filling))
    return Left(Ending.TRANSFER, outside.clock.now(), Speaker.ASSISTANT, f"the caller was put through to {target}")
