"""How a conversation moves through a flow: by the one or the other set of rules, as the flow says. Pure."""

from collections.abc import Collection

from vivavoce.assistant import after, before
from vivavoce.assistant.place import Need, Scene
from vivavoce.core.event import Event, Usage
from vivavoce.core.flow import Edge, Flow, Node


def walk(scene: Scene, flow: Flow) -> Event | Need:
    """The next thing that follows from the record alone, or what has to be asked first. No tool is pending."""
    rules = before if flow.routes == "before" else after
    return rules.walk(scene, flow)


def ways(scene: Scene, flow: Flow, node: Node) -> tuple[Edge, ...]:
    """The edges that can be taken from the node now, those to global nodes included."""
    rules = before if flow.routes == "before" else after
    return rules.ways(scene, flow, node)


def questions(scene: Scene, flow: Flow, node: Node) -> tuple[tuple[Edge, str], ...]:
    """(edge, question) for what has to be asked of the conversation before it is known where it goes from the node;
    the questions are templates."""
    rules = before if flow.routes == "before" else after
    return rules.questions(scene, flow, node)


def routed(scene: Scene, flow: Flow, holding: Collection[str], took_ms: int, usage: Usage | None) -> Event:
    """Where the conversation goes now that it is known which conditions hold, by the ids of their edges."""
    rules = before if flow.routes == "before" else after
    return rules.routed(scene, flow, holding, took_ms, usage)
