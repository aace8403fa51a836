"""Response engines of nodes and edges ⇄ core (contract, section 7)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from pydantic import model_validator

from vivavoce.api.retell.wire import engine
from vivavoce.api.retell.wire.components import KIND as COMPONENT
from vivavoce.api.retell.wire.components import ComponentShape, Nodes, body_of, refuse_problems
from vivavoce.api.retell.wire.edges import listed
from vivavoce.api.retell.wire.engine_shapes import EngineShape, ModelRef
from vivavoce.api.retell.wire.flex import flexible
from vivavoce.api.retell.wire.graph import graph_of
from vivavoce.api.retell.wire.ids import shown
from vivavoce.api.retell.wire.nodes import Scope, component_of
from vivavoce.api.retell.wire.tool_shapes import ToolShape
from vivavoce.api.shape import Flag, fault, omitted, refuse, storable
from vivavoce.core.assistant import MODEL_OPENS, Assistant, Version
from vivavoce.core.component import Component
from vivavoce.core.flow import ComponentNode, Flow
from vivavoce.core.server import OwnServer

NAME = "Conversation flow"
"""What people see of something that has no name on the wire."""

REQUIRED = ("nodes", "start_speaker")
"""What a new flow cannot do without."""

# --- shapes ---------------------------------------------------------------------------------------------------------


class FlowPatch(EngineShape, frozen=True, extra="allow"):
    """What is changed of a flow: every field may be left out, and stays as it is then."""

    nodes: Nodes = omitted()
    model_choice: ModelRef | None = omitted()
    start_node_id: str | None = omitted()
    global_prompt: str | None = omitted()
    tools: list[ToolShape] | None = omitted()
    components: list[ComponentShape] | None = omitted()
    flex_mode: Flag | None = omitted()

    _storable = model_validator(mode="before")(storable)


class FlowCreate(FlowPatch, frozen=True, extra="allow", json_schema_extra={"required": list(REQUIRED)}):
    """A new flow. Older clients have to name a model, newer ones may leave it out (contract, section 13)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in REQUIRED if name not in self.model_fields_set]
        if missing:
            raise refuse(*(fault("missing", "Field required", None, (name,)) for name in missing))
        return self


# --- bodies ---------------------------------------------------------------------------------------------------------


def to_version(body: Mapping[str, Any]) -> Version:
    """What the core makes of a whole body; ids and times are the service's to set. Raises ``Rejected``."""
    return change_version(Version("", "", NAME, "", 0), body)


def change_version(version: Version, body: Mapping[str, Any]) -> Version:
    """The version with this body in the place of its own. Raises ``Rejected``."""
    kept = engine.kept(body)
    refuse_problems(kept)
    mind = engine.mind_of(kept)
    graph = _with_copies(graph_of(kept, Scope(mind, {})), version.flow)
    flexed = flexible(kept, graph) if kept.get("flex_mode") is True else None
    prompt = str(kept.get("global_prompt") or "")
    return replace(
        version,
        instructions="\n\n".join(part for part in (prompt, flexed.instructions if flexed else "") if part),
        mind=mind,
        fallback=engine.fallback_of(kept),
        greeting="" if kept.get("start_speaker") == "user" else MODEL_OPENS,
        tools=flexed.tools if flexed else (),
        flow=None if flexed else graph,
        variables=engine.variables_of(kept),
        templating=engine.TEMPLATING,
        own_servers=_servers(kept),
        recall=engine.recall_of(kept),
        extra={**version.extra, "body": kept},
    )


def patched(version: Version, patch: Mapping[str, Any]) -> Version:
    """The version with what was sent in the place of what it had. Raises ``Rejected``."""
    return change_version(version, engine.merged(engine.body_of(version), patch))


def localised(version: Version, component: Component) -> Version:
    """The version with a copy of a shared component of its own (contract, section 7.2: what is left when a shared one
    is deleted)."""
    body, id_ = dict(engine.body_of(version)), shown(COMPONENT, component.id)
    body["components"] = [
        *listed(body.get("components")),
        {**body_of(component), "conversation_flow_component_id": id_},
    ]
    body["nodes"] = [
        {**node, "component_type": "local", "component_id": id_} if _stands_for(node, component) else node
        for node in listed(body.get("nodes"))
    ]
    return change_version(version, body)


def dump(assistant: Assistant, version: Version) -> dict[str, Any]:
    """The answer."""
    return engine.dump_engine("conversation_flow", assistant, version)


def _stands_for(node: Mapping[str, Any], component: Component) -> bool:
    shared = node["type"] == "component" and node["component_type"] == "shared"
    return shared and component_of(node) == component.id


def _with_copies(graph: Flow, before: Flow | None) -> Flow:
    """The graph with the copies of shared components that it had when it was published, where it still names them."""
    named = {node.component for node in graph.nodes if isinstance(node, ComponentNode)}
    if before is None:
        return graph
    copies = {name: flow for name, flow in before.components.items() if name in named}
    return replace(graph, components={**copies, **graph.components})


def _servers(body: Mapping[str, Any]) -> tuple[OwnServer, ...]:
    """Those of the flow and of its components; a name that both have is the flow's."""
    bodies = (body, *listed(body.get("components")))
    found = [server for one in bodies for server in engine.servers_of(one)]
    return tuple({server.name: server for server in reversed(found)}.values())[::-1]
