"""Response engines of prompts and states ⇄ core (contract, section 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import BaseModel, model_validator

from vivavoce.api.retell.wire import engine
from vivavoce.api.retell.wire.engine_shapes import EngineShape, ModelName
from vivavoce.api.retell.wire.tool_shapes import Name, ObjectSchema, ToolShape
from vivavoce.api.retell.wire.tools import to_tool
from vivavoce.api.shape import Flag, omitted, storable
from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.flow import CallCondition, Edge, Flow, NodeTarget, PromptNode
from vivavoce.core.tool import Tool
from vivavoce.services.errors import Rejected

NAME = "Response engine"
"""What people see of something that has no name on the wire."""

TRANSITION = "transition_to_"
"""Begins the name of the tool that leads to another state."""


# --- shapes ---------------------------------------------------------------------------------------------------------


class StateEdge(BaseModel, frozen=True, extra="allow"):
    """A way to another state; what the model calls it with becomes variables."""

    destination_state_name: str
    description: str
    parameters: ObjectSchema | None = omitted()


class State(BaseModel, frozen=True, extra="allow"):
    """A prompt and tools for one part of a conversation."""

    name: Name
    state_prompt: str | None = omitted()
    edges: list[StateEdge] | None = omitted()
    tools: list[ToolShape] | None = omitted()


class LlmShape(EngineShape, frozen=True, extra="allow"):
    """A new one, or what is changed of one: every field may be left out, and stays as it is then."""

    model: ModelName | None = omitted()
    s2s_model: ModelName | None = omitted()
    model_high_priority: Flag | None = omitted()
    begin_message: str | None = omitted()
    general_prompt: str | None = omitted()
    general_tools: list[ToolShape] | None = omitted()
    states: list[State] | None = omitted()
    starting_state: str | None = omitted()

    _storable = model_validator(mode="before")(storable)


# --- bodies ---------------------------------------------------------------------------------------------------------


def to_version(body: Mapping[str, Any]) -> Version:
    """What the core makes of a whole body; ids and times are the service's to set. Raises ``Rejected``."""
    return change_version(Version("", "", NAME, "", 0), body)


def change_version(version: Version, body: Mapping[str, Any]) -> Version:
    """The version with this body in the place of its own. Raises ``Rejected``."""
    kept = engine.kept(body)
    _check(kept)
    return replace(
        version,
        instructions=kept.get("general_prompt") or "",
        mind=engine.mind_of(kept),
        fallback=engine.fallback_of(kept),
        greeting=engine.greeting_of(kept),
        tools=_tools(kept.get("general_tools"), kept),
        flow=_flow(kept),
        variables=engine.variables_of(kept),
        templating=engine.TEMPLATING,
        own_servers=engine.servers_of(kept),
        recall=engine.recall_of(kept),
        extra={**version.extra, "body": kept},
    )


def patched(version: Version, patch: Mapping[str, Any]) -> Version:
    """The version with what was sent in the place of what it had; a model takes the place of one of the other kind
    (section 4: they exclude each other). Raises ``Rejected``."""
    before = dict(engine.body_of(version))
    for new, old in (("model", "s2s_model"), ("s2s_model", "model")):
        if patch.get(new) is not None and old not in patch:
            before.pop(old, None)
    return change_version(version, engine.merged(before, patch))


def dump(assistant: Assistant, version: Version) -> dict[str, Any]:
    """The answer. What was left out and has a default that everybody relies on is said (section 4)."""
    answer = engine.dump_engine("llm", assistant, version)
    if not any(answer.get(name) for name in ("model", "s2s_model", "model_config")):
        answer["model"] = engine.DEFAULT_MODEL
    return {"start_speaker": "agent", **answer}


def _tools(sent: object, body: Mapping[str, Any]) -> tuple[Tool, ...]:
    return tuple(engine.with_server(to_tool(one), body) for one in _items(sent))


def _flow(body: Mapping[str, Any]) -> Flow | None:
    states = _items(body.get("states"))
    if not states:
        return None
    nodes = tuple(
        PromptNode(
            state["name"],
            state.get("state_prompt") or "",
            state["name"],
            instructions_mode="append",
            tools=(),
            tools_mode="append",
            inline=_tools(state.get("tools"), body),
        )
        for state in states
    )
    edges = tuple(_edge(state["name"], way) for state in states for way in _items(state.get("edges")))
    return Flow(body["starting_state"], nodes, edges)


def _edge(start: str, way: Mapping[str, Any]) -> Edge:
    end: str = way["destination_state_name"]
    condition = CallCondition(TRANSITION + end, way["description"], way.get("parameters"))
    return Edge(f"{start}:{end}", start, condition, NodeTarget(end))


# --- rules ----------------------------------------------------------------------------------------------------------


def _check(body: Mapping[str, Any]) -> None:
    """What a shape alone cannot say, of a whole body."""
    if body.get("model") and body.get("s2s_model"):
        raise Rejected("Only one of model and s2s_model can be set.", "mind")
    general = _names(body.get("general_tools"))
    states = _items(body.get("states"))
    if not states:
        _check_once(general, "general_tools")
        return
    names: list[str] = [state["name"] for state in states]
    if (twice := _twice(names)) is not None:
        raise Rejected(f"states: two states are named {twice!r}.", "flow")
    start = body.get("starting_state")
    if not start:
        raise Rejected("starting_state is required when there are states.", "flow")
    if start not in names:
        raise Rejected(f"starting_state: there is no state named {start!r}.", "flow")
    for state in states:
        _check_state(state, general, names)


def _check_state(state: Mapping[str, Any], general: Sequence[str], names: Sequence[str]) -> None:
    place = f"states.{state['name']}"
    ends: list[str] = [way["destination_state_name"] for way in _items(state.get("edges"))]
    unknown = next((end for end in ends if end not in names), None)
    if unknown is not None:
        raise Rejected(f"{place}.edges: there is no state named {unknown!r}.", "flow")
    if (twice := _twice(ends)) is not None:
        raise Rejected(f"{place}.edges: two of them lead to {twice!r}.", "flow")
    _check_once([*general, *_names(state.get("tools")), *(TRANSITION + end for end in ends)], place)


def _check_once(names: Sequence[str], place: str) -> None:
    if (twice := _twice(names)) is not None:
        raise Rejected(f"{place}: two tools are named {twice!r}.", "tools")


def _twice(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _names(tools: object) -> list[str]:
    names = (one.get("name") for one in _items(tools))
    return [name for name in names if isinstance(name, str)]


def _items(sent: object) -> Sequence[Mapping[str, Any]]:
    """A list of objects, each of which was checked; null is none."""
    return cast("Sequence[Mapping[str, Any]]", sent or ())
