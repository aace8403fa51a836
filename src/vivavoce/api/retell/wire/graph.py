"""A graph of nodes, as flows and their components write it, and its rules (contract, section 7)."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vivavoce.api.retell.wire.edges import edges_of, globals_of, listed, unique
from vivavoce.api.retell.wire.flex import flexible_part
from vivavoce.api.retell.wire.nodes import Scope, component_of, local_components, named_tools, node_of, own_key
from vivavoce.api.retell.wire.tools import to_tool
from vivavoce.api.shape import mapping
from vivavoce.core.flow import Flow
from vivavoce.core.tool import Tool

_ALONE = ("skip_response_edge", "always_edge", "success_edge", "failed_edge", "edge", "else_edge")

Wire = Mapping[str, Any]


def graph_of(body: Wire, around: Scope) -> Flow:
    """The flow that the core runs, of a body that has no ``problems``. Of the components only those are in it that
    belong to the flow itself. ``around`` is what there is beside its own tools and servers."""
    servers = (*listed(body.get("mcps")), *around.servers)
    own = _tools(body, Scope(around.mind, {}, servers))
    scope = Scope(around.mind, {**around.tools, **own}, servers)
    wires = listed(body["nodes"])
    made = [(wire, *node_of(wire, scope)) for wire in wires]
    known = local_components(body)
    parts = {component_of(wire): known.get(wire["component_id"]) for wire in wires if _is_local(wire)}
    everywhere = tuple(one for wire in wires for one in globals_of(wire))
    return Flow(
        body.get("start_node_id") or wires[0]["id"],
        tuple(node for _, node, _ in made),
        unique((edge for wire in wires for edge in edges_of(wire)), {one.id for one in everywhere}),
        routes="before",
        globals=everywhere,
        tools=own | {own_key(wire): tool for wire, _, tool in made if tool is not None},
        components={name: part_of(part, scope) for name, part in parts.items() if part is not None},
    )


def part_of(component: Wire, around: Scope) -> Flow:
    """The same of a component, which can be played as one prompt (``flex_mode``)."""
    graph = graph_of(component, around)
    return flexible_part(component, graph) if component.get("flex_mode") is True else graph


def problems(body: Wire, outer: Collection[str] = (), *, inner: bool = False) -> Iterator[str]:
    """What is wrong with a body of the right shape, one sentence each. ``inner``: it is a component; ``outer`` are the
    ids of the tools of the flow that it is in."""
    wires = listed(body["nodes"])
    ids = [wire["id"] for wire in wires]
    tool_ids = [one["tool_id"] for one in listed(body.get("tools")) if one.get("tool_id")]
    yield from (f"node id {id_!r} is used more than once" for id_ in _repeated(ids))
    yield from (f"tool_id {id_!r} is used more than once" for id_ in _repeated(tool_ids))
    start = body.get("start_node_id")
    if start and start not in ids:
        yield f"start_node_id {start!r} is not a node"
    known, places, parts = {*tool_ids, *outer}, set(ids), local_components(body)
    for wire in wires:
        for edge in _edges(wire):
            target = edge.get("destination_node_id")
            if target and target not in places:
                yield f"edge {edge['id']!r} of node {wire['id']!r} leads to {target!r}, which is not a node"
        for id_ in named_tools(wire):
            if id_ not in known:
                yield f"node {wire['id']!r} names the tool {id_!r}, which is not among the tools"
        if wire["type"] == "component" and inner:
            yield f"node {wire['id']!r} stands for a component, and a component holds no others"
        elif _is_local(wire) and wire["component_id"] not in parts:
            yield f"node {wire['id']!r} stands for {wire['component_id']!r}, which is not among the components"
    for component in listed(body.get("components")):
        for problem in problems(component, known, inner=True):
            yield f"component {component['name']!r}: {problem}"


def _tools(body: Wire, scope: Scope) -> dict[str, Tool]:
    """The tools of a flow or of a component by their ids, which stand for the name of one that has none."""
    found = ((one.get("tool_id"), one) for one in listed(body.get("tools")))
    return {id_: scope.placed(to_tool(one, key=id_)) for id_, one in found if id_}


def _edges(wire: Wire) -> Iterator[Wire]:
    yield from listed(wire.get("edges"))
    yield from (edge for edge in (mapping(wire.get(kind)) for kind in _ALONE) if edge)


def _is_local(wire: Wire) -> bool:
    return wire["type"] == "component" and wire["component_type"] == "local"


def _repeated(ids: list[str]) -> list[str]:
    return [id_ for id_, count in Counter(ids).items() if count > 1]
