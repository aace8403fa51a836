"""Flows that look where to go before the assistant answers: the rules of section 7 of the testing contract. Pure.

A node that talks speaks when it is entered. When the caller has spoken, its equations are looked at in their order,
then one model decides all its questions at once, with those of global nodes; where nothing holds, it stays. Nodes
that do not talk do their work and go on at once. Where the contract is silent:

- Where the caller speaks first, nothing happens until then, and the first node is asked for its ways before it has
  said anything.
- The model of a node that calls tools goes on until it has spoken; no way is looked for in between. A silent node's is
  asked when the caller has spoken.
- Global nodes come behind the node's own ways and before its default one. Who goes back from one comes to the node
  that was left when it was entered, however far things went from there; that node speaks again, and not its fixed
  words.
- The default way from a node that talks is for who answers it: it is not taken before the node has said or done
  anything.
- Fixed words that become nothing are not said.
- A node that does not talk and has no way to take ends the conversation, and the fault is the assistant's; so do more
  than ``MAX_MOVES`` movements while nobody speaks.
"""

from collections.abc import Collection, Iterable
from itertools import takewhile

from vivavoce.assistant.moving import acted, entering, reached, taken
from vivavoce.assistant.offer import by_name, tools_of
from vivavoce.assistant.place import Need, Place, Scene, last_result, of_assistant, of_caller, place, said
from vivavoce.assistant.state import said_anything
from vivavoce.assistant.templating import Filling, fill, filled
from vivavoce.assistant.variables import as_text
from vivavoce.core.assistant import MODEL_OPENS
from vivavoce.core.equation import holds
from vivavoce.core.event import (
    Ending,
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Speaker,
    ToolCalled,
    ToolReturned,
    Usage,
)
from vivavoce.core.flow import (
    AskCondition,
    BackTarget,
    DefaultCondition,
    Edge,
    EndNode,
    EquationCondition,
    Flow,
    HeardCondition,
    Node,
    NodeTarget,
    PromptNode,
    ResultCondition,
    SpeakNode,
    SpokenCondition,
    ToolNode,
)
from vivavoce.core.tool import Act, LineTool
from vivavoce.core.transcript import Transcript

MAX_MOVES = 20
"""How often a flow may move before the caller speaks again."""


def walk(scene: Scene, flow: Flow) -> Event | Need:
    """The next thing that follows from the record alone, or what has to be asked first. No tool is pending."""
    here = place(flow, scene.transcript)
    if here is None:
        return _start(scene, flow)
    if scene.version.greeting != MODEL_OPENS and not said_anything(scene.transcript):
        return Need.NOTHING  # the caller speaks first
    match here.node:
        case PromptNode() as node:
            return _talking(scene, flow, here, node)
        case SpeakNode() | EndNode() as node:
            words = _words(scene, here, node)
            if words is not None:
                return words
            if isinstance(node, EndNode):
                reason = f"the flow came to its end at {node.name or node.id!r}"
                return Left(Ending.HANGUP, scene.now, Speaker.ASSISTANT, reason)
        case ToolNode() as node:
            act = acted(scene, flow, node, here)
            if act is not None:
                return act
        case _:
            pass
    return _advancing(scene, flow, here)


def _start(scene: Scene, flow: Flow) -> Event:
    if any(node.id == flow.start for node in flow.nodes):
        return entering(flow, flow.start, scene.now)
    return Left(Ending.ASSISTANT_FAULT, scene.now, Speaker.ASSISTANT, "the flow has no node to start at")


def ways(scene: Scene, flow: Flow, node: Node) -> tuple[Edge, ...]:
    """The edges that can be taken from the node now, those to global nodes last."""
    own, globally = _ways(scene, flow, node)
    return (*own, *globally)


def questions(scene: Scene, flow: Flow, node: Node) -> tuple[tuple[Edge, str], ...]:
    """(edge, question) for every condition that a model decides: equations with a question only where they hold."""
    return _asked(scene, ways(scene, flow, node))


def routed(scene: Scene, flow: Flow, holding: Collection[str], took_ms: int, usage: Usage | None) -> Event:
    """Where the conversation goes now that it is known which conditions hold, by the ids of their edges."""
    here = place(flow, scene.transcript)
    assert here is not None, "only a node is routed from"
    edge = _chosen(scene, flow, here, holding)
    if isinstance(edge, Edge):
        return _over(scene, flow, edge, took_ms, usage)
    if isinstance(here.node, PromptNode):
        return Moved(here.node.id, scene.now, "", here.node.name, took_ms, usage)
    return _stuck(scene, here, took_ms, usage)


# --- nodes that talk ------------------------------------------------------------------------------------------------


def _talking(scene: Scene, flow: Flow, here: Place, node: PromptNode) -> Event | Need:
    transcript = scene.transcript
    acted_here = _acted(transcript, here)
    heard = _heard(transcript, here)
    if not acted_here and heard is None:
        return _opening(scene, flow, here, node)
    last = transcript.last_act
    if isinstance(last, ToolReturned):
        keys = _pressed(scene, node) if node.silent else ""
        return Message(Speaker.ASSISTANT, keys, scene.now) if keys else Need.WORDS
    if heard is None or not (isinstance(last, Message) and last.speaker is Speaker.CALLER):
        own, _ = _ways(scene, flow, node)
        onward = [edge for edge in own if isinstance(edge.condition, SpokenCondition)]
        return _over(scene, flow, onward[0]) if onward else Need.NOTHING
    looked = here.stayed > max(heard, here.entered)
    choice = None if looked else _chosen(scene, flow, here, None)
    if isinstance(choice, Edge):
        return _over(scene, flow, choice)
    return choice or (Need.WORDS if acted_here else _first_words(scene, flow, here, node))


def _heard(transcript: Transcript, here: Place) -> int | None:
    """The turn in which the caller last spoke at this node; None where nothing was said there. What was said before
    the flow began is said at its first node, unless somebody has answered it."""
    turns = [turn for turn, event in enumerate(transcript.events) if of_caller(event)]
    last = turns[-1] if turns else None
    if last is None or last > here.entered:
        return last
    answered = any(of_assistant(event) or isinstance(event, ToolCalled) for event in transcript.events)
    return None if answered or _entry(transcript, here).edge else last


def _acted(transcript: Transcript, here: Place) -> bool:
    """Whether the assistant has said or done anything at the node."""
    behind = transcript.events[here.entered + 1 :]
    return any(of_assistant(event) or isinstance(event, ToolCalled) for event in behind)


def _entry(transcript: Transcript, here: Place) -> Moved:
    move = transcript.events[here.entered]
    assert isinstance(move, Moved), "a place is entered by a movement"
    return move


def _opening(scene: Scene, flow: Flow, here: Place, node: PromptNode) -> Event | Need:
    transcript = scene.transcript
    last = next((message for _, message in reversed([*transcript.messages()]) if not message.fills), None)
    answered = last is None or last.speaker is Speaker.ASSISTANT
    greeted = last is not None and last is transcript.last_act and answered and not _entry(transcript, here).edge
    return Need.NOTHING if greeted or (node.silent and answered) else _first_words(scene, flow, here, node)


def _first_words(scene: Scene, flow: Flow, here: Place, node: PromptNode) -> Event | Need:
    words = "" if _came_back(scene.transcript, flow, here) else fill(node.says, scene.filling)
    return Message(Speaker.ASSISTANT, words, scene.now) if words.strip() else Need.WORDS


def _came_back(transcript: Transcript, flow: Flow, here: Place) -> bool:
    over = _entry(transcript, here).edge
    return any(edge.id == over and isinstance(edge.target, BackTarget) for edge in flow.edges)


def _pressed(scene: Scene, node: PromptNode) -> str:
    """The keys that the last calls pressed: they are heard on a line, and in text they have to be written."""
    known = by_name(tools_of(scene.version, node))
    results = takewhile(lambda event: isinstance(event, ToolReturned), reversed(scene.transcript.events))
    fine = {one.call_id for one in results if isinstance(one, ToolReturned) and one.ok}
    pressed = [
        f"({call.name} {as_text(call.arguments.get('digits')).strip()})"
        for _, call in scene.transcript.tool_calls()
        if call.id in fine and _presses(known.get(call.name))
    ]
    return " ".join(pressed)


def _presses(tool: object) -> bool:
    return isinstance(tool, LineTool) and tool.act is Act.TONES


# --- nodes that do not ----------------------------------------------------------------------------------------------


def _words(scene: Scene, here: Place, node: SpeakNode | EndNode) -> Event | Need | None:
    if not node.message.strip() or said(scene.transcript, here.entered):
        return None
    if node.generated:
        return Need.SPEECH
    words = fill(node.message, scene.filling)
    return Message(Speaker.ASSISTANT, words, scene.now) if words.strip() else None


def _advancing(scene: Scene, flow: Flow, here: Place) -> Event | Need:
    choice = _chosen(scene, flow, here, None)
    if isinstance(choice, Edge):
        return _over(scene, flow, choice)
    return choice or _stuck(scene, here)


def _stuck(scene: Scene, here: Place, took_ms: int = 0, usage: Usage | None = None) -> Left:
    reason = f"the flow has no way to go on from {here.node.name or here.node.id!r}"
    return Left(Ending.ASSISTANT_FAULT, scene.now, Speaker.ASSISTANT, reason, took_ms, usage)


def _over(scene: Scene, flow: Flow, edge: Edge, took_ms: int = 0, usage: Usage | None = None) -> Event:
    moves = _moves(scene.transcript)
    if moves < MAX_MOVES:
        return taken(scene, flow, edge, took_ms, usage)
    reason = f"the flow goes round without coming to rest: it moved {moves} times since the caller spoke"
    return Left(Ending.ASSISTANT_FAULT, scene.now, Speaker.ASSISTANT, reason, took_ms, usage)


def _moves(transcript: Transcript) -> int:
    count = 0
    for event in reversed(transcript.events):
        if of_caller(event):
            break
        count += isinstance(event, HandedOver) or (isinstance(event, Moved) and event.edge != "")
    return count


# --- choosing -------------------------------------------------------------------------------------------------------


def _ways(scene: Scene, flow: Flow, node: Node) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """(the node's own ways, those to global nodes)."""
    own = reached(scene, flow, flow.leaving(node.id))
    if not isinstance(node, PromptNode):
        return own, ()
    taken_ = _moves_since(scene.transcript) if flow.globals else {}
    open_ = (
        one
        for one in flow.globals
        if not _is_at(flow, node, one.node) and taken_.get(one.id, one.cool_down) >= one.cool_down
    )
    return own, tuple(Edge(one.id, node.id, one.condition, NodeTarget(one.node)) for one in open_)


def _asked(scene: Scene, edges: Iterable[Edge]) -> tuple[tuple[Edge, str], ...]:
    """(edge, question) for every condition that a model decides: equations with a question only where they hold."""
    found: list[tuple[Edge, str]] = []
    for edge in edges:
        match edge.condition:
            case AskCondition(prompt=prompt):
                found.append((edge, prompt))
            case EquationCondition(prompt=prompt) as condition if prompt and _true(scene, condition):
                found.append((edge, prompt))
            case _:
                pass
    return tuple(found)


def _chosen(scene: Scene, flow: Flow, here: Place, holding: Collection[str] | None) -> Edge | Need | None:
    """The edge to take: equations first, in their order, then what was asked; the node's own before global ones; the
    default edge last. ``holding`` None: nobody was asked yet, and ``Need.ROUTE`` says that somebody must be."""
    own, globally = _ways(scene, flow, here.node)
    plain = _plain(scene, here, own) or _first_true(scene, own)
    if plain is not None:
        return plain
    asked, asked_globally = _asked(scene, own), _asked(scene, globally)
    if holding is None:
        certain = _first_true(scene, globally) if not asked else None
        if certain is not None:
            return certain
        if asked or asked_globally:
            return Need.ROUTE
    otherwise = own if not isinstance(here.node, PromptNode) or _acted(scene.transcript, here) else ()
    return (
        _first_held(asked, holding)
        or _first_true(scene, globally)
        or _first_held(asked_globally, holding)
        or next((edge for edge in otherwise if isinstance(edge.condition, DefaultCondition)), None)
    )


def _plain(scene: Scene, here: Place, edges: Iterable[Edge]) -> Edge | None:
    """The first edge that what happened at the node decides, before anything is compared or asked."""
    spoke = isinstance(here.node, PromptNode) and said(scene.transcript, here.entered)
    result = last_result(scene.transcript, here.entered)
    for edge in edges:
        match edge.condition:
            case HeardCondition() if spoke:
                return edge
            case ResultCondition(ok=ok) if result is not None and result.ok is ok:
                return edge
            case _:
                pass
    return None


def _first_held(asked: Iterable[tuple[Edge, str]], holding: Collection[str] | None) -> Edge | None:
    return next((edge for edge, _ in asked if edge.id in (holding or ())), None)


def _first_true(scene: Scene, edges: Iterable[Edge]) -> Edge | None:
    for edge in edges:
        condition = edge.condition
        if isinstance(condition, EquationCondition) and not condition.prompt and _true(scene, condition):
            return edge
    return None


def _true(scene: Scene, condition: EquationCondition) -> bool:
    filling: Filling = scene.filling
    results = (holds(equation, lambda template: filled(template, filling)) for equation in condition.equations)
    return all(results) if condition.joined == "and" else any(results)


def _is_at(flow: Flow, node: Node, id_: str) -> bool:
    """Whether this is the node, or a part of the component that it stood for."""
    return node.id == id_ or (node.id in flow.inner and node.id.startswith(f"{id_}/"))


def _moves_since(transcript: Transcript) -> dict[str, int]:
    """How often the flow has moved since an edge was taken last, by the ids of all that were. Looked up once: looking
    through everything for each of many global nodes takes long in a long conversation."""
    found: dict[str, int] = {}
    moves = 0
    for event in reversed(transcript.events):
        if isinstance(event, HandedOver):
            break
        if isinstance(event, Moved) and event.edge != "":
            found.setdefault(event.edge, moves)
            moves += 1
    return found
