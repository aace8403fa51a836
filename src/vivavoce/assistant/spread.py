"""Components put in the place of the nodes that stand for them, so that whoever walks a flow meets none. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from vivavoce.core.flow import (
    BackTarget,
    BranchNode,
    ComponentNode,
    DefaultCondition,
    Edge,
    EndNode,
    Flow,
    Global,
    Inner,
    Node,
    NodeTarget,
    PromptNode,
    SpeakNode,
    ToolNode,
)
from vivavoce.core.tool import Tool


def spread(flow: Flow, shared: Mapping[str, Flow]) -> Flow:
    """The flow with each component's nodes in it, under the ids ``<node>/<node of the component>``.

    The node that stood for a component leads into it; where the component ends, the ways of that node are looked at.
    A component that is nowhere, or has nowhere to start, is passed through, and so is one within a component (there are
    none: they are refused when a component is written).
    """
    if not any(isinstance(node, ComponentNode) for node in flow.nodes):
        return flow
    parts = {
        node.id: part
        for node in flow.nodes
        if isinstance(node, ComponentNode) and (part := _part(flow, node, shared)) is not None
    }
    leaving: dict[str, list[Edge]] = {}
    for edge in flow.edges:
        leaving.setdefault(edge.start, []).append(edge)
    nodes: list[Node] = []
    edges: list[Edge] = [edge for edge in flow.edges if edge.start not in parts]
    globals_: list[Global] = [*flow.globals]
    tools: dict[str, Tool] = dict(flow.tools)
    inner: dict[str, Inner] = dict(flow.inner)
    for node in flow.nodes:
        if not isinstance(node, ComponentNode):
            nodes.append(node)
            continue
        nodes.append(BranchNode(node.id, node.name, extra=node.extra))
        part = parts.get(node.id)
        if part is None:
            continue
        prefix = f"{node.id}/"
        edges.append(Edge(prefix, node.id, DefaultCondition(), NodeTarget(prefix + part.start)))
        tools |= {prefix + id_: tool for id_, tool in part.tools.items()}
        for one in part.nodes:
            nodes.append(_placed(one, prefix, part))
            inner[prefix + one.id] = Inner(node.component, one.id)
            if isinstance(one, EndNode):
                edges += [_behind(edge, prefix, one) for edge in leaving.get(node.id, ())]
        edges += [_inside(edge, prefix) for edge in part.edges]
        globals_ += [replace(one, id=prefix + one.id, node=prefix + one.node) for one in part.globals]
    return replace(
        flow,
        nodes=tuple(nodes),
        edges=tuple(edges),
        globals=tuple(globals_),
        tools=tools,
        components={},
        inner=inner,
    )


def _part(flow: Flow, node: ComponentNode, shared: Mapping[str, Flow]) -> Flow | None:
    found = flow.components.get(node.component) or shared.get(node.component)
    return found if found is not None and any(one.id == found.start for one in found.nodes) else None


def _behind(edge: Edge, prefix: str, end: EndNode) -> Edge:
    """A way of the node that stood for the component, from one of the component's ends."""
    target = replace(edge.target, left=edge.start) if isinstance(edge.target, BackTarget) else edge.target
    return replace(edge, id=f"{prefix}{end.id}/{edge.id}", start=prefix + end.id, target=target)


def _inside(edge: Edge, prefix: str) -> Edge:
    target = NodeTarget(prefix + edge.target.node) if isinstance(edge.target, NodeTarget) else edge.target
    return replace(edge, id=prefix + edge.id, start=prefix + edge.start, target=target)


def _placed(node: Node, prefix: str, part: Flow) -> Node:
    id_ = prefix + node.id

    def named(tool: str) -> str:
        return prefix + tool if tool in part.tools else tool

    match node:
        case EndNode() if node.message.strip():
            return SpeakNode(id_, node.message, node.name, node.extra, generated=node.generated, mind=node.mind)
        case EndNode() | ComponentNode():
            return BranchNode(id_, node.name, extra=node.extra)
        case ToolNode():
            return replace(node, id=id_, tool=named(node.tool))
        case PromptNode() if node.tools is not None:
            return replace(node, id=id_, tools=tuple(named(tool) for tool in node.tools))
        case _:
            return replace(node, id=id_)
