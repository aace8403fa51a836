"""``flex_mode``: all nodes are tasks of one prompt (contract, section 7.4).

An approximation: what the vendor makes of such a flow is not published. Here the model is told of every task and of
the ways between them in words, and has all tools; equations are told, and not computed; fixed words are asked for, and
not certain; documents of single nodes are not searched. A shared component is known by its name only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vivavoce.api.retell.wire.edges import globals_of, leaving, listed
from vivavoce.api.retell.wire.nodes import component_of, local_components, own_key, spoken
from vivavoce.api.shape import mapping
from vivavoce.assistant.offer import by_name
from vivavoce.core.flow import (
    AskCondition,
    CallCondition,
    Condition,
    Edge,
    EndNode,
    EquationCondition,
    Flow,
    HeardCondition,
    NodeTarget,
    PromptNode,
    ResultCondition,
    SpokenCondition,
)
from vivavoce.core.tool import CodeTool, HangupTool, RemoteTool, Tool, WebhookTool

END = "end_call"
DONE = "task_done"

_INTRODUCTION = """\
Your work consists of tasks. Begin with {start}. When a task is done, go on as it says; go straight to another task
where the conversation asks for it. Never speak of tasks."""

Wire = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tasks:
    """A flow as one prompt."""

    instructions: str
    tools: tuple[Tool, ...]


def flexible(body: Wire, graph: Flow) -> Tasks:
    """The whole flow in words, with its tools. ``graph`` is what it is otherwise."""
    ends = any(isinstance(node, EndNode) for node in graph.nodes)
    return _tasks(body, graph, END, (HangupTool(name=END),) if ends else ())


def flexible_part(component: Wire, graph: Flow) -> Flow:
    """A component as one node that talks until the component's work is done."""
    tasks, done = _tasks(component, graph, DONE), f"{graph.start}/done"
    node = PromptNode(graph.start, tasks.instructions, component["name"], "append", (), inline=tasks.tools)
    condition = CallCondition(DONE, "Call this as soon as the last task is done, and say nothing with it.")
    edge = Edge(done, node.id, condition, NodeTarget(done))
    return Flow(node.id, (node, EndNode(done)), (edge,), routes="before")


def _tasks(body: Wire, graph: Flow, end: str, ending: Sequence[Tool] = ()) -> Tasks:
    tools = [*ending, *_tools(body, graph)]
    names = [(name, one) for name, one in by_name(tools).items() if not isinstance(one, Edge)]
    start = next(wire for wire in listed(body["nodes"]) if wire["id"] == graph.start)
    introduction = _INTRODUCTION.format(start=_title(start))
    return Tasks("\n\n".join((introduction, *_blocks(body, graph, names, end))), tuple(one for _, one in names))


def _tools(body: Wire, graph: Flow) -> Iterator[Tool]:
    """Every tool once. In this mode all are waited for, and what they answer is spoken of."""
    copies = {own_key(wire) for wire in listed(body["nodes"]) if wire["type"] == "function"}
    for id_, tool in graph.tools.items():
        if id_ not in copies:
            yield _awaited(tool)
    for node in graph.nodes:
        if isinstance(node, PromptNode):
            yield from map(_awaited, node.inline)
    for component in _components(body, graph):
        yield from _tools(*component)


def _awaited(tool: Tool) -> Tool:
    match tool:
        case WebhookTool():
            return replace(tool, waits_ms=None, quiet=False)
        case CodeTool() | RemoteTool():
            return replace(tool, waits=True, quiet=False)
        case _:
            return tool


def _components(body: Wire, graph: Flow) -> Iterator[tuple[Wire, Flow]]:
    """The components of its own that a flow goes through, as they were written and as they are run; each once."""
    known = local_components(body)
    found = {component_of(wire): known.get(wire["component_id"]) for wire in listed(body["nodes"]) if _is_local(wire)}
    return ((one, graph.components[name]) for name, one in found.items() if one is not None)


def _is_local(wire: Wire) -> bool:
    return wire["type"] == "component" and wire["component_type"] == "local"


# --- in words -------------------------------------------------------------------------------------------------------


def _blocks(body: Wire, graph: Flow, names: Sequence[tuple[str, Tool]], end: str) -> Iterator[str]:
    titles = {wire["id"]: _title(wire) for wire in listed(body["nodes"])}
    known = local_components(body)
    called: dict[str, list[tuple[str, Tool]]] = {}
    for name, tool in names:
        called.setdefault(tool.name, []).append((name, tool))
    for wire in listed(body["nodes"]):
        part = known.get(wire["component_id"]) if _is_local(wire) else None
        lines = [f"## {_title(wire)}", *_work(wire, part, graph, called, end), *_ways(wire, titles)]
        yield "\n".join(line for line in lines if line)
    for component, part in _components(body, graph):
        after = "then go on as the task says that led to this part"
        parts = _blocks(component, part, names, "")
        yield "\n\n".join((f"# The part {component['name']!r}: begin with its first task; {after}.", *parts))


def _title(wire: Wire) -> str:
    return f'"{wire.get("name") or wire["id"]}"'


def _work(
    wire: Wire, part: Wire | None, graph: Flow, called: Mapping[str, Sequence[tuple[str, Tool]]], end: str
) -> Iterator[str]:
    """``part`` is the component that it stands for; ``called`` are the tools under their own names, each with the one
    that the model knows it by."""
    instruction = mapping(wire.get("instruction"))
    text = str(instruction.get("text") or "")
    match wire["type"]:
        case "conversation" | "subagent" | "press_digit":
            yield _words(text, instruction.get("type") == "prompt")
        case "branch":
            pass
        case "component":
            yield f"Do the part {_part(wire, part)!r}."
        case "end":
            yield _words(*spoken(wire))
            yield f"Then call {end}." if end else "This part is done."
        case _:
            yield _words(*spoken(wire))
            tool = graph.tools.get(wire["tool_id"] if wire["type"] == "function" else own_key(wire))
            wanted = _awaited(tool) if tool is not None else None
            alike = called.get(wanted.name, ()) if wanted is not None else ()
            name = next((name for name, one in alike if one == wanted), None)
            yield f"Call {name}." if name else ""


def _words(text: str, generated: bool) -> str:
    return text if generated or not text else f'Say this word for word: "{text}"'


def _part(wire: Wire, component: Wire | None) -> str:
    return str(component["name"] if component is not None else wire.get("name") or wire["component_id"])


def _ways(wire: Wire, titles: Mapping[str, str]) -> Iterator[str]:
    for edge, condition in leaving(wire):
        yield f"- {_when(condition)}, go on with {titles[edge['destination_node_id']]}."
    for one in globals_of(wire):
        yield f"- From any other task come here {_when(one.condition).lower()}."


def _when(condition: Condition) -> str:
    match condition:
        case AskCondition(prompt=prompt):
            return f"When this holds: {prompt}"
        case EquationCondition(equations=equations, joined=joined, prompt=prompt):
            parts = (f"{one.left} {one.relation} {one.right}".strip() for one in equations)
            said = f" {joined} ".join(parts)
            return f"When this holds: {said}" + (f"; and {prompt}" if prompt else "")
        case ResultCondition(ok=ok):
            return "When that has worked" if ok else "When that has failed"
        case SpokenCondition():
            return "When you have said it, without waiting for an answer"
        case HeardCondition():
            return "When you were answered, whatever was said"
        case _:
            return "Otherwise"
