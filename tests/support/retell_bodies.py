"""Bodies of engines and tools, generated from the request types of the installed SDK: what they can say and the
contract does not forbid.

``_strategy`` walks the annotations; ``_LIMITS`` holds what the contract restricts in one field, ``_mended`` what it
restricts in a whole engine. Bodies are mended rather than thrown away, so every generated one is good.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Required, Union, cast, get_args, get_origin

from hypothesis import strategies as st
from typing_extensions import get_type_hints, is_typeddict

Body = dict[str, Any]
Anything = st.SearchStrategy[Any]

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
_SHARE = st.floats(0, 1)
_PLAIN: Mapping[Any, Anything] = {
    str: _TEXT,
    int: st.integers(0, 2**31),
    float: st.floats(0, 1e9) | st.integers(0, 9),
    bool: st.booleans(),
    type(None): st.none(),
    object: st.none() | st.booleans() | _TEXT | st.dictionaries(_TEXT, st.integers(0, 9), max_size=2),
}
_LIMITS: Mapping[str, Anything] = {
    "agent_version": st.integers(0, 9) | st.just("prod"),
    "cool_down": st.integers(1, 9),
    "delay_ms": st.integers(0, 5000),
    "filter_score": _SHARE,
    "max_retry": st.integers(0, 5),
    "model_temperature": _SHARE,
    "name": st.text("aZ9_-", min_size=1, max_size=9),
    "properties": st.dictionaries(_TEXT, st.just({"type": "string"}), max_size=2),
    "temperature": _SHARE,
    "timeout_ms": st.integers(5000, 60_000),
    "top_k": st.integers(1, 10),
    "url": _TEXT.map(lambda path: f"https://a.example/{path}"),
}
_AT_LEAST_ONE = frozenset({"choices", "nodes", "variables"})


@cache
def _shaped(type_: Any, *always: str) -> st.SearchStrategy[Body]:
    """Objects of a type of the SDK, with the names that Python has for their fields: those that are needed, these, and
    up to three others. With more, hypothesis would give most of them up as too large."""
    hints = get_type_hints(type_, include_extras=True)
    values = {field: _strategy(hint, field.removeprefix("api_")) for field, hint in hints.items()}
    needed = {field for field, hint in hints.items() if get_origin(hint) is Required} | set(always)
    others = sorted(set(values) - needed)
    some: st.SearchStrategy[list[str]] = (
        st.lists(st.sampled_from(others), max_size=3, unique=True) if others else st.just([])
    )

    def with_these(names: list[str]) -> st.SearchStrategy[Body]:
        return st.fixed_dictionaries({name: values[name] for name in (*sorted(needed), *names)})

    return some.flatmap(with_these)


def typed(type_: Any, *always: str, each: Sequence[str]) -> st.SearchStrategy[Body]:
    """Good bodies of a root type, with the fields ``always`` and one object of each kind in the lists ``each``."""
    hints = get_type_hints(type_)
    lists = st.fixed_dictionaries({field: _of_each_kind(hints[field]) for field in each})
    return st.tuples(_shaped(type_, *always), lists).map(lambda pair: _mended({**pair[0], **pair[1]}))


def _of_each_kind(hint: Any) -> st.SearchStrategy[list[Body]]:
    items = next(one for one in (hint, *get_args(hint)) if get_origin(one) in (list, Iterable))
    [kinds] = get_args(items)
    return st.tuples(*(_shaped(kind) for kind in get_args(kinds))).map(list)


def _strategy(hint: Any, field: str) -> Anything:
    """Values of an annotated type in a field of this name."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Annotated, Required):
        return _strategy(arguments[0], field)
    if origin is Union:
        # Beside a shape, object is how the SDK writes that it may be null.
        shapes = any(is_typeddict(one) for one in arguments)
        return st.one_of([_strategy(type(None) if shapes and one is object else one, field) for one in arguments])
    if hint is type(None):
        return st.none()
    if field in _LIMITS:
        return _LIMITS[field]
    if is_typeddict(hint):
        return st.deferred(lambda: _shaped(hint))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is dict:
        return st.dictionaries(_TEXT, _strategy(arguments[1], ""), max_size=2)
    if origin in (list, Iterable, Sequence):
        return st.lists(_strategy(arguments[0], field), min_size=field in _AT_LEAST_ONE, max_size=2)
    return _PLAIN[hint]


# --- what parts of an engine forbid each other ------------------------------------------------------------------------


def _mended(body: Body) -> Body:
    """Every name and id there once, and references to what there is."""
    made = cast("Body", _numbered(body, itertools.count()))
    # Of the two models one at most is named; without any the default one is.
    made.pop("s2s_model" if made.get("model") is not None else "model", None)
    config: Body = made.get("model_config") or {}
    if config.get("backup", 0) is None:
        del config["backup"]  # null clears it
    states = [state["name"] for state in made.get("states") or ()]
    if states:
        made["starting_state"] = states[0]
        for state in made["states"]:
            # Two ways to one state would be two tools of one name.
            ways = zip(state.get("edges") or (), states, strict=False)
            state["edges"] = [{**edge, "destination_state_name": to} for edge, to in ways]
    else:
        made.pop("starting_state", None)
    if made.get("nodes"):
        _connect(made, [component["name"] for component in made.get("components") or ()])
    return made


def _numbered(value: Any, numbers: Iterator[int]) -> Any:
    if isinstance(value, dict):
        fields = cast("Body", value)
        return {
            key: f"{one}_{next(numbers)}"
            if key in ("id", "name", "tool_id") and isinstance(one, str)
            else _numbered(one, numbers)
            for key, one in fields.items()
        }
    return [_numbered(one, numbers) for one in cast("list[Any]", value)] if isinstance(value, list) else value


def _connect(flow: Body, components: list[str]) -> None:
    """Edges that lead to nodes, and nodes that stand for components and use tools which there are."""
    tools = [tool["tool_id"] for tool in flow.get("tools") or () if "tool_id" in tool]
    for component in flow.get("components") or ():
        _connect(component, [])
    nodes = flow["nodes"] = [_placed(node, tools, components) for node in flow["nodes"]]
    if flow.get("start_node_id") is not None:
        flow["start_node_id"] = nodes[0]["id"]
    for node in nodes:
        for edge in _edges(node):
            if "destination_node_id" in edge:
                edge["destination_node_id"] = nodes[-1]["id"]


def _placed(node: Body, tools: list[str], components: list[str]) -> Body:
    match node["type"]:
        case "function" if tools:
            return {**node, "tool_id": tools[0], "tool_type": "local"}
        case "component" if components:
            return {**node, "component_id": components[0], "component_type": "local"}
        case "function" | "component":
            return {"id": node["id"], "type": "end"}
        case "subagent" if "tool_ids" in node:
            return {**node, "tool_ids": tools}
        case _:
            return node


def _edges(node: Body) -> Iterator[Body]:
    yield from node.get("edges") or ()
    for name, value in node.items():
        if name.endswith("edge") and value:
            yield value
