"""How a conversation moves through a flow: the ten rules of section 4.2 of the assistants contract. Pure.

Where the contract is silent:

- Whoever owes words speaks. A prompt node that is entered before the assistant has answered, or after a tool worked,
  speaks at once; one that is entered after words waits for the caller.
- An edge to an assistant that cannot be reached is not there.
- From a prompt node no edge leads to a node that was entered since the caller last spoke, nor to an assistant that took
  over since, so that the assistant comes to rest. Speak and tool nodes always advance; where they go round for too
  long, the conversation ends, and the fault is the assistant's.
- Where a speak or tool node has no edge that can be taken, the flow is over: the assistant goes on with its own
  instructions, tools and model.
- An opening is no reply, so no edge is taken after it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vivavoce.assistant.offer import property_schemas, specification
from vivavoce.assistant.state import State, in_cast, owes_words
from vivavoce.assistant.variables import render
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Millis,
    Moved,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
    Usage,
)
from vivavoce.core.expression import holds
from vivavoce.core.flow import (
    AskCondition,
    DefaultCondition,
    Edge,
    ExpressionCondition,
    Flow,
    Node,
    NodeTarget,
    PromptNode,
    SpeakNode,
    ToolNode,
)
from vivavoce.core.transcript import Transcript

MAX_VISITS = 3
"""How often speak and tool nodes may lead to one node, or to one assistant, before the caller speaks again."""


class Need(Enum):
    """What has to be asked of somebody else before it can go on."""

    WORDS = "words"  # of the assistant's model
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


def stands(scene: Scene) -> tuple[Flow, Place] | None:
    """The flow of whoever speaks and where it stands; None where there is none, or where it has not begun."""
    flow = scene.version.flow
    here = place(flow, scene.transcript) if flow is not None else None
    return (flow, here) if flow is not None and here is not None else None


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


# --- moving ---------------------------------------------------------------------------------------------------------


def walk(scene: Scene, flow: Flow) -> Event | Need:
    """The next thing that follows from the record alone, or what has to be asked first. No tool is pending."""
    here = place(flow, scene.transcript)
    if here is None:
        return _entering(flow, flow.start, scene.now)
    match here.node:
        case PromptNode():
            return _from_prompt(scene, flow, here)
        case SpeakNode(message=message):
            if not _said(scene.transcript, here.entered):
                return Message(Speaker.ASSISTANT, render(message, scene.variables, unset="empty"), scene.now)
        case node:
            act = _tool_act(scene, node, here)
            if act is not None:
                return act
    return _advancing(scene, flow, here)


def open_edges(scene: Scene, flow: Flow, node: Node) -> tuple[Edge, ...]:
    """The edges that can be taken from the node at all, in the order of their declaration."""
    leaving = [
        edge
        for edge in flow.leaving(node.id)
        if isinstance(edge.target, NodeTarget) or in_cast(scene.cast, edge.target.assistant_id) is not None
    ]
    if not isinstance(node, PromptNode):
        return tuple(leaving)
    nodes, assistants = _visits(scene.transcript)
    return tuple(
        edge
        for edge in leaving
        if (
            edge.target.node not in nodes
            if isinstance(edge.target, NodeTarget)
            else edge.target.assistant_id not in assistants
        )
    )


def routed(scene: Scene, flow: Flow, holding: Collection[str], took_ms: int, usage: Usage | None) -> Event:
    """Where the conversation goes now that it is known which conditions hold, by the ids of their edges."""
    here = place(flow, scene.transcript)
    assert here is not None, "only a node is routed from"
    edge = _chosen(scene, open_edges(scene, flow, here.node), holding)
    if not isinstance(edge, Edge):
        return Moved(here.node.id, scene.now, "", here.node.name, took_ms, usage)
    return _over_edge(scene, flow, edge, took_ms, usage)


def taken(scene: Scene, flow: Flow, edge: Edge, took_ms: int = 0, usage: Usage | None = None) -> Moved | HandedOver:
    """The movement over an edge whose target can be reached."""
    if isinstance(edge.target, NodeTarget):
        return _entering(flow, edge.target.node, scene.now, edge.id, took_ms, usage)
    version = in_cast(scene.cast, edge.target.assistant_id)
    assert version is not None, "such an edge is not open"
    return HandedOver(version.assistant_id, version.id, version.name, scene.now, edge.id, took_ms, usage)


def _entering(
    flow: Flow, node: str, now: Millis, edge: str = "", took_ms: int = 0, usage: Usage | None = None
) -> Moved:
    return Moved(node, now, edge, flow.node(node).name, took_ms, usage)


def _from_prompt(scene: Scene, flow: Flow, here: Place) -> Event | Need:
    transcript, spoken = scene.transcript, scene.state.spoken
    owed = owes_words(scene.version, transcript)
    edges = open_edges(scene, flow, here.node)
    if _unrouted(transcript, here) and not (spoken and owed):
        # In a call the conditions were decided before the reply and within it.
        choice = _chosen(scene, [edge for edge in edges if not spoken or _is_default(edge)])
        if isinstance(choice, Edge):
            return taken(scene, flow, choice)
        if choice is Need.ROUTE:
            return Need.ROUTE
        if not spoken and any(isinstance(edge.condition, AskCondition) for edge in flow.leaving(here.node.id)):
            # Every way that could be asked about is closed for now: written down, so that it is not asked later.
            return Moved(here.node.id, scene.now, "", here.node.name)
    if not owed:
        return Need.NOTHING
    if spoken or _turn_begins(transcript, here):
        for edge in edges:
            if isinstance(edge.condition, ExpressionCondition) and _holds(scene, edge.condition):
                return taken(scene, flow, edge)
    return Need.WORDS


def _tool_act(scene: Scene, node: ToolNode, here: Place) -> Event | None:
    """What a tool node does next: its words, then its call; None when the call has returned."""
    behind = scene.transcript.events[here.entered + 1 :]
    if any(isinstance(event, ToolCalled) for event in behind):
        return None
    words = render(node.message, scene.variables, unset="empty")
    if words.strip() and not _said(scene.transcript, here.entered):
        return Message(Speaker.ASSISTANT, words, scene.now)
    tool = scene.version.library.get(node.tool)
    spec = specification(tool, scene.variables) if tool is not None else None
    arguments = _arguments(spec.parameters, scene.variables) if spec is not None else {}
    name = (tool.name if tool is not None else "") or node.tool
    return ToolCalled(ToolCall(scene.transcript.free_call_id(len(scene.transcript.events)), name, arguments), scene.now)


def _arguments(parameters: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of the same name (rule 8)."""
    return {name: variables[name] for name in property_schemas(parameters) if name in variables}


def _advancing(scene: Scene, flow: Flow, here: Place) -> Event | Need:
    choice = _chosen(scene, open_edges(scene, flow, here.node)) if here.stayed == here.entered else None
    if isinstance(choice, Edge):
        return _over_edge(scene, flow, choice)
    if choice is Need.ROUTE:
        return Need.ROUTE
    return Need.WORDS if owes_words(scene.version, scene.transcript) else Need.NOTHING


def _over_edge(scene: Scene, flow: Flow, edge: Edge, took_ms: int = 0, usage: Usage | None = None) -> Event:
    nodes, assistants = _visits(scene.transcript)
    target = edge.target
    visits = nodes.count(target.node) if isinstance(target, NodeTarget) else assistants.count(target.assistant_id)
    if visits < MAX_VISITS:
        return taken(scene, flow, edge, took_ms, usage)
    name = (flow.node(target.node).name or target.node) if isinstance(target, NodeTarget) else target.assistant_id
    reason = f"the flow goes round without coming to rest: it came to {name!r} {visits} times since the caller spoke"
    return Left(Ending.ASSISTANT_FAULT, scene.now, Speaker.ASSISTANT, reason, took_ms, usage)


# --- choosing -------------------------------------------------------------------------------------------------------


def _chosen(scene: Scene, edges: Sequence[Edge], holding: Collection[str] | None = None) -> Edge | Need | None:
    """The first edge whose condition holds, in the order of declaration; in a call expressions come before questions.
    The default edge is last, wherever it stands. ``holding`` None: nobody was asked yet, and ``Need.ROUTE`` says that
    somebody must be."""
    asked = [edge for edge in edges if not _is_default(edge)]
    if scene.state.spoken:
        asked.sort(key=lambda edge: isinstance(edge.condition, AskCondition))
    for edge in asked:
        if isinstance(edge.condition, ExpressionCondition):
            if _holds(scene, edge.condition):
                return edge
        elif holding is None:
            return Need.ROUTE
        elif edge.id in holding:
            return edge
    return next((edge for edge in edges if _is_default(edge)), None)


def _is_default(edge: Edge) -> bool:
    return isinstance(edge.condition, DefaultCondition)


def _holds(scene: Scene, condition: ExpressionCondition) -> bool:
    return holds(condition.expression, scene.variables)


# --- reading the record ---------------------------------------------------------------------------------------------


def _of_assistant(event: Event) -> bool:
    return isinstance(event, Message) and event.speaker is Speaker.ASSISTANT and not event.fills


def _of_caller(event: Event) -> bool:
    return isinstance(event, Message) and event.speaker is Speaker.CALLER


def _said(transcript: Transcript, entered: int) -> bool:
    return any(_of_assistant(event) for event in transcript.events[entered + 1 :])


def _unrouted(transcript: Transcript, here: Place) -> bool:
    """Whether the node has answered the caller, and nobody has looked yet where that leads."""
    events = transcript.events
    acts = [turn for turn in range(len(events)) if not isinstance(events[turn], Moved | HandedOver)]
    replies = [turn for turn in acts if _of_assistant(events[turn])]
    if not replies or replies[-1] < here.stayed:
        return False
    reply = replies[-1]
    # Words that came with calls are no reply yet.
    done = all(not isinstance(events[turn], ToolCalled | ToolReturned) for turn in acts if turn > reply)
    return done and any(_of_caller(event) for event in events[:reply])


def _turn_begins(transcript: Transcript, here: Place) -> bool:
    """Whether the model of this node has done nothing since it was entered, or since the caller spoke."""
    for event in reversed(transcript.events[here.entered + 1 :]):
        if _of_caller(event):
            return True
        if not isinstance(event, Moved):
            return False
    return True


def _visits(transcript: Transcript) -> tuple[list[str], list[str]]:
    """The nodes of this flow, and the assistants, that were entered since the caller last spoke."""
    nodes: list[str] = []
    assistants: list[str] = []
    events = transcript.events
    for turn in range(len(events) - 1, -1, -1):
        event = events[turn]
        if _of_caller(event):
            break
        if isinstance(event, HandedOver):
            assistants.append(event.assistant_id)
        elif isinstance(event, Moved) and not assistants:
            nodes.append(event.node)
    return nodes, assistants
