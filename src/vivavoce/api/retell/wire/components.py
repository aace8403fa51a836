"""Components ⇄ core (contract, section 7.2)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from vivavoce.api.retell.wire.engine import servers_of
from vivavoce.api.retell.wire.engine_shapes import Servers
from vivavoce.api.retell.wire.graph import part_of, problems
from vivavoce.api.retell.wire.ids import shown
from vivavoce.api.retell.wire.nodes import FlowNode, Scope
from vivavoce.api.retell.wire.tool_shapes import Text, ToolShape
from vivavoce.api.shape import Flag, mapping, omitted, storable
from vivavoce.core.component import Component
from vivavoce.core.flow import Flow
from vivavoce.core.mind import Mind
from vivavoce.services.components import Linked
from vivavoce.services.errors import Rejected

KIND = "conversation_flow_component"
MOST_NAMED = 5
"""How many problems a refusal names."""

Nodes = Annotated[list[FlowNode], Field(min_length=1)]

_ANSWERED = ("conversation_flow_component_id", "user_modified_timestamp", "linked_conversation_flow_ids")


class ComponentShape(BaseModel, frozen=True, extra="allow"):
    """A component, of a flow's own or shared."""

    name: Text
    nodes: Nodes
    start_node_id: str | None = omitted()
    tools: list[ToolShape] | None = omitted()
    mcps: Servers | None = omitted()
    flex_mode: Flag | None = omitted()

    _storable = model_validator(mode="before")(storable)


class ComponentPatch(BaseModel, frozen=True, extra="allow"):
    """What is changed of a component."""

    name: Text = omitted()
    nodes: Nodes = omitted()
    start_node_id: str | None = omitted()
    tools: list[ToolShape] | None = omitted()
    mcps: Servers | None = omitted()
    flex_mode: Flag | None = omitted()

    _storable = model_validator(mode="before")(storable)


def to_component(body: Mapping[str, Any]) -> Component:
    """What the core makes of a whole body; the id and the times are the service's to set. Raises ``Rejected``."""
    return _with_body(Component("", "", Flow("", ()), 0, 0), body)


def patched(component: Component, patch: Mapping[str, Any]) -> Component:
    """The component with what was sent in the place of what it had. Raises ``Rejected``."""
    return _with_body(component, {**body_of(component), **patch})


def body_of(component: Component) -> dict[str, Any]:
    """The body that this component was made of."""
    return dict(mapping(component.extra.get("body")))


def dump_component(linked: Linked) -> dict[str, Any]:
    """The answer. Times are milliseconds since the epoch."""
    component, flows = linked
    return {
        **body_of(component),
        "conversation_flow_component_id": shown(KIND, component.id),
        "user_modified_timestamp": component.changed_at,
        "linked_conversation_flow_ids": [shown("conversation_flow", id_) for id_ in flows],
    }


def refuse_problems(body: Mapping[str, Any], *, inner: bool = False) -> None:
    """Raises ``Rejected`` where the parts of a body do not fit together, naming the first few."""
    found = list(problems(body, inner=inner))
    if found:
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise Rejected("; ".join(found[:MOST_NAMED]) + more, "flow")


def _with_body(component: Component, body: Mapping[str, Any]) -> Component:
    kept = {name: value for name, value in body.items() if name not in _ANSWERED}
    refuse_problems(kept, inner=True)
    # Its nodes speak with the model of the flow that they are in, at that model's temperature.
    flow = part_of(kept, Scope(Mind(), {}))
    return replace(component, name=kept["name"], flow=flow, servers=servers_of(kept), extra={"body": kept})
