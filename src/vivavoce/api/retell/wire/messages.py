"""What happened in a conversation, as the messages of this API, and back (contract, section 10)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vivavoce.api.retell.wire.ids import read, shown
from vivavoce.api.shape import Flag, Whole, storable
from vivavoce.assistant.state import in_cast
from vivavoce.assistant.variables import as_text
from vivavoce.core.assistant import Cast
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
)
from vivavoce.core.flow import BackTarget, Flow, Inner, NodeTarget
from vivavoce.core.transcript import Transcript

ROLES: Mapping[Speaker, str] = {Speaker.ASSISTANT: "agent", Speaker.CALLER: "user"}
_NAMES: Mapping[Speaker, str] = {Speaker.ASSISTANT: "Agent", Speaker.CALLER: "User"}
_GIVEN = "given"
"""The edge of a movement that a client tells of and that no edge of the flow explains."""

# --- to the client --------------------------------------------------------------------------------------------------


@dataclass
class _Page:
    """What is written so far: (turn, message), and where the flow of whoever speaks stands."""

    key: str
    cast: Cast | None
    flow: Flow | None
    here: str | None = None
    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])

    def add(self, turn: int, event: Event, content: Mapping[str, Any], place: int | None = None) -> None:
        known = {"message_id": f"message_{self.key.replace('-', '')}_{turn}", "created_timestamp": event.at}
        self.rows.insert(len(self.rows) if place is None else place, (turn, {**content, **known}))


def dump_messages(transcript: Transcript, cast: Cast | None, *, key: str, first: int = 0) -> list[dict[str, Any]]:
    """What happened from the turn ``first`` on. ``key`` makes the ids of the messages, which are the same each time
    they are asked for: the conversation's id. ``cast`` is whoever spoke; without it movements are those of nodes.

    Silences of the agent, handovers and what was found in documents are left out, and so is what happened when it was
    over. Words that fill the time of a call stand before it. A call that leads to another state is shown, with its
    result, beside the ``state_transition``.
    """
    page = _Page(key, cast, cast.first.flow if cast is not None else None)
    events = transcript.events
    over = False
    for turn, event in enumerate(events):
        if isinstance(event, Left):
            if event.ending is not Ending.IDLE:
                break
            over = True
        elif isinstance(event, Message) and event.speaker is Speaker.CALLER:
            over = False
        if not over:
            _show(page, turn, event)
    return [message for turn, message in page.rows if turn >= first]


def _show(page: _Page, turn: int, event: Event) -> None:
    match event:
        case Message(speaker=speaker, text=text) if text or speaker is Speaker.CALLER:
            place = _before_calls(page) if event.fills else None
            page.add(turn, event, {"role": ROLES[speaker], "content": text}, place)
        case ToolCalled(call=call):
            arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
            content = {"tool_call_id": call.id, "name": call.name, "arguments": arguments}
            page.add(turn, event, {"role": "tool_call_invocation", **content})
        case ToolReturned(call_id=call_id, output=output, ok=ok):
            content = {"tool_call_id": call_id, "content": output, "successful": ok}
            page.add(turn, event, {"role": "tool_call_result", **content})
        case Moved():
            _move(page, turn, event)
        case HandedOver(assistant_id=assistant_id):
            version = in_cast(page.cast, assistant_id) if page.cast is not None else None
            page.flow, page.here = version.flow if version is not None else None, None
        case _:
            pass


def _before_calls(page: _Page) -> int:
    """Before the calls at the end of what is written."""
    place = len(page.rows)
    while place and page.rows[place - 1][1]["role"] == "tool_call_invocation":
        place -= 1
    return place


def _move(page: _Page, turn: int, event: Moved) -> None:
    flow, former = page.flow, page.here
    if not event.edge and event.node == former:
        return  # it stayed
    page.here = event.node
    if flow is not None and flow.routes == "after":
        if former is not None:  # where it begins is no transition
            names = {"former_state_name": _name(flow, former), "new_state_name": event.name or event.node}
            page.add(turn, event, {"role": "state_transition", **names})
        return
    content: dict[str, Any] = {"role": "node_transition"}
    if former is not None:
        content |= {"former_node_id": _id(flow, former), "former_node_name": _name(flow, former)}
    content |= {"new_node_id": _id(flow, event.node), "new_node_name": event.name or _name(flow, event.node)}
    if former is not None:
        content["transition_type"] = _transition(flow, event.edge)
    page.add(turn, event, content)


def _id(flow: Flow | None, node: str) -> str:
    inner = flow.inner.get(node) if flow is not None else None
    return inner.node if inner is not None else node


def _name(flow: Flow | None, node: str) -> str:
    found = next((one.name for one in flow.nodes if one.id == node), "") if flow is not None else ""
    return found or _id(flow, node)


def _transition(flow: Flow | None, edge: str) -> str:
    if flow is None:
        return "normal"
    if any(one.id == edge for one in flow.globals):
        return "global"
    back = any(one.id == edge and isinstance(one.target, BackTarget) for one in flow.edges)
    return "global_go_back" if back else "normal"


def dump_text(transcript: Transcript) -> str:
    """What was said, a line for each message: ``Agent: …``, ``User: …``."""
    return "\n".join(f"{_NAMES[event.speaker]}: {event.text}" for _, event in transcript.messages() if event.text)


def collected(transcript: Transcript) -> dict[str, str]:
    """The variables that were set while it went on; all values are texts (contract, section 6)."""
    found: dict[str, str] = {}
    for event in transcript.events:
        if isinstance(event, ToolReturned):
            found |= {name: as_text(value) for name, value in event.variables.items()}
    return found


def dump_place(flow: Flow, node: str) -> dict[str, str]:
    """Where a flow stands: ``current_state``, or ``current_node_id`` with the ``component_id`` of a node inside one."""
    if flow.routes == "after":
        return {"current_state": _name(flow, node)}
    inner = flow.inner.get(node)
    where = {"current_node_id": _id(flow, node)}
    return where if inner is None else {**where, "component_id": _component(inner.component)}


def _component(id_: str) -> str:
    """A shared one has an id of the server's own; one of the flow itself has the name that its author gave it."""
    wire = shown("conversation_flow_component", id_)
    return id_ if wire.endswith(f"_{id_}") else wire


# --- from the client ------------------------------------------------------------------------------------------------


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    created_timestamp: Whole | None = Field(default=None, ge=0, le=2**53)


def _no_number(name: str) -> None:
    raise ValueError(f"JSON has no number {name}")


class SaidShape(_Shape):
    """Words of the agent or of the user."""

    role: Literal["agent", "user"]
    content: str


class CallShape(_Shape):
    """A tool that was called; ``arguments`` is a JSON object, written out."""

    role: Literal["tool_call_invocation"]
    tool_call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    arguments: str

    @field_validator("arguments")
    @classmethod
    def _object(cls, value: str) -> str:
        try:
            written = json.loads(value or "{}", parse_constant=_no_number)
            fits = isinstance(written, dict)
            storable(written)
        except (ValueError, RecursionError):
            fits = False
        if not fits:
            raise ValueError("must be a JSON object, written out, of what a request may hold")
        return value


class ResultShape(_Shape):
    """What a tool answered."""

    role: Literal["tool_call_result"]
    tool_call_id: str = Field(min_length=1)
    content: str
    successful: Flag | None = None


class NodeShape(_Shape):
    """The flow moved to another node."""

    role: Literal["node_transition"]
    former_node_id: str | None = None
    new_node_id: str | None = None
    new_node_name: str | None = None
    transition_type: str | None = None


class StateShape(_Shape):
    """The states moved on."""

    role: Literal["state_transition"]
    former_state_name: str | None = None
    new_state_name: str | None = None


class NoteShape(_Shape):
    """What nobody said aloud: context that was put in, or a text message of the caller's."""

    role: Literal["injected", "sms"]
    content: str


MessageShape = Annotated[
    SaidShape | CallShape | ResultShape | NodeShape | StateShape | NoteShape, Field(discriminator="role")
]


def read_messages(
    said: Sequence[MessageShape], flow: Flow | None, *, now: Millis, component: str | None = None
) -> tuple[Event, ...]:
    """The events that these messages tell of; ``now`` is the time of those that name none. ``flow`` is that of the
    agent's engine; ``component`` says in which one a node is that several have.

    Injected context and text messages become words of the caller that say what they are. A result without a call, and
    a call whose id was there before, are left out; a call that nobody answered, with more behind it, counts as answered
    with nothing. Movements to nodes that are not there any more are left out.
    """
    answered = {one.tool_call_id: place for place, one in enumerate(said) if isinstance(one, ResultShape)}
    calls: dict[str, str] = {}
    results: set[str] = set()
    trailing = _trailing(said)
    events: list[Event] = []
    here: str | None = None
    for place, one in enumerate(said):
        at = now if one.created_timestamp is None else one.created_timestamp
        match one:
            case SaidShape(role=role, content=content):
                events.append(Message(Speaker.ASSISTANT if role == "agent" else Speaker.CALLER, content, at))
            case NoteShape(role=role, content=content):
                told = "Text message" if role == "sms" else "Context, said by nobody"
                events.append(Message(Speaker.CALLER, f"[{told}: {content}]", at))
            case CallShape(tool_call_id=id_, name=name) if id_ not in calls:
                calls[id_] = name
                events.append(ToolCalled(ToolCall(id_, name, json.loads(one.arguments or "{}")), at))
                if answered.get(id_, -1) < place < trailing:
                    results.add(id_)
                    events.append(ToolReturned(id_, name, "", True, at))
            case ResultShape(tool_call_id=id_, content=content) if id_ in calls and id_ not in results:
                results.add(id_)
                events.append(ToolReturned(id_, calls[id_], content, one.successful is not False, at))
            case NodeShape(new_node_id=node) if flow is not None and node is not None:
                here = _moved(events, flow, here, find_node(flow, node, component, here), one.transition_type, at)
            case StateShape(new_state_name=node) if flow is not None and node is not None:
                here = _moved(events, flow, here, find_node(flow, node), None, at)
            case _:
                pass
    return tuple(events)


def _trailing(said: Sequence[MessageShape]) -> int:
    """Where the calls begin that stand at the end, which the agent is about to make."""
    place = len(said)
    while place and isinstance(said[place - 1], CallShape):
        place -= 1
    return place


def find_node(flow: Flow, node: str, component: str | None = None, near: str | None = None) -> str | None:
    """The id of the node that is shown by this id or, as a state, by this name; None where it is not there.

    A node inside a component is looked for in the ``component`` or else beside the node ``near``, then anywhere.
    """
    wanted = None if component is None else (component, read("conversation_flow_component", component))

    def fits(inner: Inner | None) -> bool:
        return inner is not None and inner.node == node and (wanted is None or inner.component in wanted)

    ids = [one.id for one in flow.nodes]
    inside = [id_ for id_ in ids if fits(flow.inner.get(id_))]
    # The ids of a component's nodes begin with that of the node that stands for it.
    beside = [id_ for id_ in inside if near is not None and id_.rpartition("/")[0] in (near, near.rpartition("/")[0])]
    outside = [id_ for id_ in ids if id_ == node and id_ not in flow.inner]
    if component is not None:
        return next(iter(inside), None)
    named = [one.id for one in flow.nodes if one.name == node] if flow.routes == "after" else []
    return next(iter([*beside, *outside, *inside, *named]), None)


def _moved(
    events: list[Event], flow: Flow, here: str | None, node: str | None, type_: str | None, at: Millis
) -> str | None:
    if node is None:
        return here
    edge = _edge(flow, here, node, type_) if here is not None else ""
    events.append(Moved(node, at, edge, flow.node(node).name))
    return node


def _edge(flow: Flow, here: str, node: str, type_: str | None) -> str:
    """The edge over which it came, as far as can be told."""
    globally = [one.id for one in flow.globals if one.node == node]
    leaving = flow.leaving(here)
    back = [one.id for one in leaving if isinstance(one.target, BackTarget)]
    plain = [one.id for one in leaving if isinstance(one.target, NodeTarget) and one.target.node == node]
    first = globally if type_ == "global" else back if type_ == "global_go_back" else plain
    return next(iter([*first, *plain]), _GIVEN)


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Variables, all of them texts."""
    return {name: as_text(value) for name, value in values.items()}
