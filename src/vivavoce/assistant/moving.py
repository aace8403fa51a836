"""Movements of a flow, and what a node that calls a tool does: what both sets of rules share. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vivavoce.assistant.offer import property_schemas, specification
from vivavoce.assistant.place import Need, Place, Scene, said, tool_of
from vivavoce.assistant.state import in_cast
from vivavoce.assistant.templating import fill
from vivavoce.core.event import Event, HandedOver, Message, Millis, Moved, Speaker, ToolCall, ToolCalled, Usage
from vivavoce.core.flow import AssistantTarget, BackTarget, Edge, Flow, NodeTarget, ToolNode
from vivavoce.core.tool import HandoffTool, LineTool
from vivavoce.core.transcript import Transcript


def entering(flow: Flow, node: str, now: Millis, edge: str = "", took_ms: int = 0, usage: Usage | None = None) -> Moved:
    """The movement to a node."""
    return Moved(node, now, edge, flow.node(node).name, took_ms, usage)


def taken(scene: Scene, flow: Flow, edge: Edge, took_ms: int = 0, usage: Usage | None = None) -> Moved | HandedOver:
    """The movement over an edge whose target can be reached."""
    match edge.target:
        case NodeTarget(node=node):
            return entering(flow, node, scene.now, edge.id, took_ms, usage)
        case AssistantTarget(assistant_id=assistant_id):
            version = in_cast(scene.cast, assistant_id)
            assert version is not None, "such an edge is not open"
            return HandedOver(version.assistant_id, version.id, version.name, scene.now, edge.id, took_ms, usage)
        case _:
            left = _before(_trail(flow, scene.transcript), _entered(edge))
            assert left is not None, "such an edge is not open"
            return entering(flow, left, scene.now, edge.id, took_ms, usage)


def reached(scene: Scene, flow: Flow, edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Those of the edges whose target can be reached: an assistant that is there, a node to go back to."""
    edges = tuple(edges)
    back = any(isinstance(edge.target, BackTarget) for edge in edges)
    trail = _trail(flow, scene.transcript) if back else []
    return tuple(
        edge
        for edge in edges
        if isinstance(edge.target, NodeTarget)
        or (isinstance(edge.target, AssistantTarget) and in_cast(scene.cast, edge.target.assistant_id) is not None)
        or (isinstance(edge.target, BackTarget) and _before(trail, _entered(edge)) is not None)
    )


def _entered(edge: Edge) -> str:
    return (edge.target.left if isinstance(edge.target, BackTarget) else "") or edge.start


def _trail(flow: Flow, transcript: Transcript) -> list[str]:
    """The nodes that lead to where the flow stands: who goes back takes his way there out of it."""
    back = {edge.id: _entered(edge) for edge in flow.edges if isinstance(edge.target, BackTarget)}
    trail: list[str] = []
    for event in transcript.events:
        if isinstance(event, HandedOver):
            trail = []
        elif isinstance(event, Moved):
            if event.edge in back and _before(trail, back[event.edge]) == event.node:
                del trail[_first_of_last(trail, back[event.edge]) :]
            elif event.edge or not trail:
                trail.append(event.node)
    return trail


def _before(trail: Sequence[str], node: str) -> str | None:
    at = _first_of_last(trail, node)
    return trail[at - 1] if at > 0 else None


def _first_of_last(trail: Sequence[str], node: str) -> int:
    """Where the last stretch at this node begins; 0 where it is not in the trail."""
    at = next((place for place in range(len(trail) - 1, -1, -1) if trail[place] == node), 0)
    while at > 0 and trail[at - 1] == node:
        at -= 1
    return at


def acted(scene: Scene, flow: Flow, node: ToolNode, here: Place) -> Event | Need | None:
    """What a tool node does next: its words, then its call; None when the call has returned."""
    behind = scene.transcript.events[here.entered + 1 :]
    if any(isinstance(event, ToolCalled) for event in behind):
        return None
    if node.message.strip() and not said(scene.transcript, here.entered):
        if node.generated:
            return Need.SPEECH
        words = fill(node.message, scene.filling, unset="empty")
        if words.strip():
            return Message(Speaker.ASSISTANT, words, scene.now)
    tool = tool_of(scene.version, flow, node.tool)
    spec = specification(tool, scene.filling) if tool is not None else None
    schemas: Mapping[str, Any] = property_schemas(spec.parameters) if spec is not None else {}
    if node.filled_by == "variables":
        arguments = {name: scene.variables[name] for name in schemas if name in scene.variables}  # section 4.2, rule 8
    else:
        # Whom there is only one of needs no model to choose.
        alone = _only_choices(schemas) if isinstance(tool, HandoffTool | LineTool) else {}
        if len(alone) < len(schemas):
            return Need.ARGUMENTS
        arguments = alone
    return calling(scene, (tool.name if tool is not None else "") or node.tool, arguments)


def calling(scene: Scene, name: str, arguments: Mapping[str, Any]) -> ToolCalled:
    """A call that the flow makes, not the model."""
    return ToolCalled(ToolCall(scene.transcript.free_call_id(len(scene.transcript.events)), name, arguments), scene.now)


def _only_choices(schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {name: schema["enum"][0] for name, schema in schemas.items() if len(schema.get("enum", ())) == 1}
