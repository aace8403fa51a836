"""Assistants ⇄ documents."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from vivavoce.core.assistant import Templating, Version
from vivavoce.core.flow import Flow, NodeTarget
from vivavoce.core.mind import Mind
from vivavoce.core.tool import OtherTool
from vivavoce.files.plain import plain
from vivavoce.files.schema import Assistant


def to_version(document: Assistant) -> Version:
    """The version that the document describes; its ids and times are set where it is kept."""
    return Version(
        "",
        "",
        document.name,
        document.instructions,
        0,
        description=document.description,
        mind=Mind(document.model, document.key, document.endpoint, document.temperature),
        fallback=document.fallback,
        greeting=document.greeting,
        tools=tuple(document.tools),
        shared=tuple(document.shared_tools),
        servers=tuple(document.servers),
        integrations=tuple(document.integrations),
        flow=document.flow,
        variables=document.variables,
        opener=document.opener,
        insight_group=document.insight_group,
        insight_model=document.insight_model,
        keeps=document.keeps,
        reports=document.reports,
        idle_minutes=document.idle_minutes,
        templating=document.templating,
        own_servers=tuple(document.own_servers),
        recall=document.recall,
        extra=document.extra,
    )


def of_version(version: Version, tags: Sequence[str] = ()) -> dict[str, Any]:
    """The document of this version, in the order of the schema; what is unset or has its default is left out."""
    said: dict[str, Any] = {
        "name": version.name,
        "description": version.description,
        "tags": list(tags),
        "model": version.mind.model,
        "temperature": version.mind.temperature,
        "key": version.mind.key_ref,
        "endpoint": version.mind.endpoint,
        "fallback": version.fallback,
        "greeting": version.greeting,
        "instructions": version.instructions,
        "variables": version.variables,
        "tools": version.tools,
        "flow": version.flow,
        "shared_tools": version.shared,
        "servers": version.servers,
        "integrations": version.integrations,
        "own_servers": version.own_servers,
        "recall": version.recall,
        "opener": version.opener,
        "insight_group": version.insight_group,
        "insight_model": version.insight_model,
        "keeps": None if version.keeps else False,
        "reports": version.reports or None,
        "idle_minutes": version.idle_minutes,
        "templating": None if version.templating == Templating() else version.templating,
        "extra": version.extra,
    }
    written = {key: plain(value) for key, value in said.items()}
    return {key: value for key, value in written.items() if value not in (None, [], {})}


def problems(version: Version) -> Iterator[tuple[str, str]]:
    """(key of the document, what is wrong there) of what a shape alone cannot say."""
    names = Counter(tool.name for tool in version.tools if not isinstance(tool, OtherTool))
    for name, count in names.items():
        if count > 1:
            yield "tools", f"{count} tools have the name {name!r}; the model calls them by it"
    if version.flow is not None:
        for message in _flow_problems(version.flow):
            yield "flow", message


def _flow_problems(flow: Flow) -> Iterator[str]:
    nodes = {node.id for node in flow.nodes}
    yield from _twice("nodes", [node.id for node in flow.nodes])
    yield from _twice("edges", [edge.id for edge in flow.edges])
    if flow.start not in nodes:
        yield f"it starts at {flow.start!r}, and there is no such node"
    for edge in flow.edges:
        ends = [edge.start, *([edge.target.node] if isinstance(edge.target, NodeTarget) else [])]
        yield from (
            f"the edge {edge.id!r} names the node {end!r}, which there is not" for end in ends if end not in nodes
        )
    for way in flow.globals:
        if way.node not in nodes:
            yield f"the way {way.id!r} leads to the node {way.node!r}, which there is not"
    for name, part in flow.components.items():
        yield from (f"in the component {name!r}: {message}" for message in _flow_problems(part))


def _twice(what: str, ids: Sequence[str]) -> Iterator[str]:
    yield from (f"{count} {what} have the id {id_!r}" for id_, count in Counter(ids).items() if count > 1)
