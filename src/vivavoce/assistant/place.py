"""Where a conversation stands in a flow, read off the record. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vivavoce.assistant.state import State
from vivavoce.assistant.templating import Filling
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.event import (
    Event,
    HandedOver,
    Message,
    Millis,
    Moved,
    Speaker,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.flow import Flow, Node, ToolNode
from vivavoce.core.tool import Tool
from vivavoce.core.transcript import Transcript


class Need(Enum):
    """What has to be asked of somebody else before it can go on."""

    WORDS = "words"  # of the assistant's model
    SPEECH = "speech"  # of the same, which is told what to say
    ARGUMENTS = "arguments"  # for the tool of the node, of its model
    TOOLS = "tools"  # that were called
    ROUTE = "route"  # which conditions hold, of the model of the node
    NOTHING = "nothing"  # it rests


@dataclass(frozen=True, slots=True)
class Place:
    """Where a flow stands: the node, the turn in which it was entered, and the turn in which it was last found that
    no edge leads on (that of entering, if never)."""

    node: Node
    entered: int
    stayed: int


def place(flow: Flow, transcript: Transcript) -> Place | None:
    """Where the flow stands, by the movements since the last handover; None before it has begun, or where it stood at
    a node that is not there any more."""
    moves: list[tuple[int, Moved]] = []
    for turn in range(len(transcript.events) - 1, -1, -1):
        event = transcript.events[turn]
        if isinstance(event, HandedOver):
            break
        if isinstance(event, Moved):
            if moves and not (moves[-1][1].edge == "" and moves[-1][1].node == event.node):
                break  # what came later was the entry
            moves.append((turn, event))
    if not moves:
        return None
    entered, move = moves[-1]
    node = next((node for node in flow.nodes if node.id == move.node), None)
    return Place(node, entered, moves[0][0]) if node is not None else None


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the rules look at. ``variables`` are those of now."""

    cast: Cast
    version: Version
    state: State
    variables: Mapping[str, Any]
    now: Millis

    @property
    def transcript(self) -> Transcript:
        """What happened so far."""
        return self.state.transcript

    @property
    def filling(self) -> Filling:
        """What fills its templates."""
        return Filling(self.variables, self.version.templating, self.now)


def stands(scene: Scene) -> tuple[Flow, Place] | None:
    """The flow of whoever speaks and where it stands; None where there is none, or where it has not begun."""
    flow = scene.version.flow
    here = place(flow, scene.transcript) if flow is not None else None
    return (flow, here) if flow is not None and here is not None else None


def tool_of(version: Version, flow: Flow, id_: str) -> Tool | None:
    """The tool that a node names: the flow's own, or a shared one; None where it is gone."""
    return flow.tools.get(id_) or version.library.get(id_)


def flow_variables(version: Version, transcript: Transcript, *, spoken: bool) -> Mapping[str, Any]:
    """The two variables that only flows have, under the version's prefix (contract, section 6.3): for how many seconds
    the conversation has lasted, and what the tool of the last tool node answered (a text in a call, section 4.1).

    A tool that did not speak HTTP, or that a mock answered, counts as 200, or as 500 where it failed.
    """
    if version.flow is None:
        return {}
    prefix, events = version.templating.prefix, transcript.events
    lasted_ms = events[-1].at - events[0].at if events else 0
    found: dict[str, Any] = {f"{prefix}conversation_duration_secs": max(lasted_ms, 0) // 1000}
    result = _last_result(version.flow, transcript)
    if result is not None:
        status = result.status_code or (200 if result.ok else 500)
        found[f"{prefix}last_tool_status_code"] = str(status) if spoken else status
    return found


def _last_result(flow: Flow, transcript: Transcript) -> ToolReturned | None:
    tool_nodes = {node.id for node in flow.nodes if isinstance(node, ToolNode)}
    here, entered, call_id, result = "", False, "", None
    for event in transcript.events:
        match event:
            case HandedOver():
                here, entered, call_id, result = "", False, "", None
            case Moved(node=node, edge=edge):
                entered = node in tool_nodes and not (edge == "" and node == here)
                here = node
            case ToolCalled(call=call) if entered:
                entered, call_id = False, call.id
            case ToolReturned() if event.call_id == call_id:
                result = event
            case _:
                pass
    return result


# --- reading the record ---------------------------------------------------------------------------------------------


def of_assistant(event: Event) -> bool:
    """Whether the assistant said it, other than to fill the time."""
    return isinstance(event, Message) and event.speaker is Speaker.ASSISTANT and not event.fills


def of_caller(event: Event) -> bool:
    """Whether the caller said it."""
    return isinstance(event, Message) and event.speaker is Speaker.CALLER


def said(transcript: Transcript, entered: int) -> bool:
    """Whether the assistant has said anything since then."""
    return any(of_assistant(event) for event in transcript.events[entered + 1 :])


def last_result(transcript: Transcript, entered: int) -> ToolReturned | None:
    """What the first tool that was called since then has answered; None while none has."""
    call = next((event.call for event in transcript.events[entered + 1 :] if isinstance(event, ToolCalled)), None)
    return transcript.result_of(call.id) if call is not None else None


def visits(transcript: Transcript) -> tuple[list[str], list[str]]:
    """The nodes of this flow, and the assistants, that were entered since the caller last spoke."""
    nodes: list[str] = []
    assistants: list[str] = []
    events = transcript.events
    for turn in range(len(events) - 1, -1, -1):
        event = events[turn]
        if of_caller(event):
            break
        if isinstance(event, HandedOver):
            assistants.append(event.assistant_id)
        elif isinstance(event, Moved) and not assistants:
            nodes.append(event.node)
    return nodes, assistants
