"""Flows that look where to go when the assistant has answered: the ten rules of section 4.2 of the assistants contract.

Pure.

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

from collections.abc import Collection, Sequence

from vivavoce.assistant.moving import acted, entering, reached, taken
from vivavoce.assistant.place import Need, Place, Scene, of_assistant, of_caller, place, said, visits
from vivavoce.assistant.state import owes_words
from vivavoce.assistant.templating import fill
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Recalled,
    Speaker,
    ToolCalled,
    ToolReturned,
    Usage,
)
from vivavoce.core.expression import holds
from vivavoce.core.flow import (
    AskCondition,
    AssistantTarget,
    CallCondition,
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


def walk(scene: Scene, flow: Flow) -> Event | Need:
    """The next thing that follows from the record alone, or what has to be asked first. No tool is pending."""
    here = place(flow, scene.transcript)
    if here is None:
        return entering(flow, flow.start, scene.now)
    match here.node:
        case PromptNode():
            return _from_prompt(scene, flow, here)
        case SpeakNode(message=message):
            if not said(scene.transcript, here.entered):
                return Message(Speaker.ASSISTANT, fill(message, scene.filling, unset="empty"), scene.now)
        case ToolNode() as node:
            act = acted(scene, flow, node, here)
            if act is not None:
                return act
        case _:
            pass
    return _advancing(scene, flow, here)


def ways(scene: Scene, flow: Flow, node: Node) -> tuple[Edge, ...]:
    """The edges that can be taken from the node at all, in the order of their declaration."""
    leaving = reached(scene, flow, flow.leaving(node.id))
    if not isinstance(node, PromptNode):
        return leaving
    nodes, assistants = visits(scene.transcript)
    return tuple(
        edge
        for edge in leaving
        if not (isinstance(edge.target, NodeTarget) and edge.target.node in nodes)
        and not (isinstance(edge.target, AssistantTarget) and edge.target.assistant_id in assistants)
    )


def questions(scene: Scene, flow: Flow, node: Node) -> tuple[tuple[Edge, str], ...]:
    """(edge, question) for every condition that a model decides."""
    return tuple(
        (edge, edge.condition.prompt) for edge in ways(scene, flow, node) if isinstance(edge.condition, AskCondition)
    )


def routed(scene: Scene, flow: Flow, holding: Collection[str], took_ms: int, usage: Usage | None) -> Event:
    """Where the conversation goes now that it is known which conditions hold, by the ids of their edges."""
    here = place(flow, scene.transcript)
    assert here is not None, "only a node is routed from"
    edge = _chosen(scene, ways(scene, flow, here.node), holding)
    if not isinstance(edge, Edge):
        return Moved(here.node.id, scene.now, "", here.node.name, took_ms, usage)
    return _over_edge(scene, flow, edge, took_ms, usage)


def _from_prompt(scene: Scene, flow: Flow, here: Place) -> Event | Need:
    transcript, spoken = scene.transcript, scene.state.spoken
    owed = owes_words(scene.version, transcript)
    edges = ways(scene, flow, here.node)
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


def _advancing(scene: Scene, flow: Flow, here: Place) -> Event | Need:
    choice = _chosen(scene, ways(scene, flow, here.node)) if here.stayed == here.entered else None
    if isinstance(choice, Edge):
        return _over_edge(scene, flow, choice)
    if choice is Need.ROUTE:
        return Need.ROUTE
    return Need.WORDS if owes_words(scene.version, scene.transcript) else Need.NOTHING


def _over_edge(scene: Scene, flow: Flow, edge: Edge, took_ms: int = 0, usage: Usage | None = None) -> Event:
    nodes, assistants = visits(scene.transcript)
    moved = taken(scene, flow, edge, took_ms, usage)
    if isinstance(moved, HandedOver):
        times, name = assistants.count(moved.assistant_id), moved.assistant_id
    else:
        times, name = nodes.count(moved.node), moved.name or moved.node
    if times < MAX_VISITS:
        return moved
    reason = f"the flow goes round without coming to rest: it came to {name!r} {times} times since the caller spoke"
    return Left(Ending.ASSISTANT_FAULT, scene.now, Speaker.ASSISTANT, reason, took_ms, usage)


# --- choosing -------------------------------------------------------------------------------------------------------


def _chosen(scene: Scene, edges: Sequence[Edge], holding: Collection[str] | None = None) -> Edge | Need | None:
    """The first edge whose condition holds, in the order of declaration; in a call expressions come before questions.
    The default edge is last, wherever it stands. ``holding`` None: nobody was asked yet, and ``Need.ROUTE`` says that
    somebody must be."""
    asked = [edge for edge in edges if not isinstance(edge.condition, DefaultCondition | CallCondition)]
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


def _unrouted(transcript: Transcript, here: Place) -> bool:
    """Whether the node has answered the caller, and nobody has looked yet where that leads."""
    events = transcript.events
    acts = [turn for turn in range(len(events)) if not isinstance(events[turn], Moved | HandedOver)]
    replies = [turn for turn in acts if of_assistant(events[turn])]
    if not replies or replies[-1] < here.stayed:
        return False
    reply = replies[-1]
    # Words that came with calls are no reply yet.
    done = all(not isinstance(events[turn], ToolCalled | ToolReturned) for turn in acts if turn > reply)
    return done and any(of_caller(event) for event in events[:reply])


def _turn_begins(transcript: Transcript, here: Place) -> bool:
    """Whether the model of this node has done nothing since it was entered, or since the caller spoke."""
    for event in reversed(transcript.events[here.entered + 1 :]):
        if of_caller(event):
            return True
        if not isinstance(event, Moved | Recalled):
            return False
    return True
