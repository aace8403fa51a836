"""Ways between the nodes of a flow, and what they depend on (contract, section 7.4)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Discriminator, Field, Strict, Tag

from vivavoce.api.shape import mapping, omitted
from vivavoce.core.equation import Equation, Relation
from vivavoce.core.flow import (
    AskCondition,
    BackTarget,
    Condition,
    DefaultCondition,
    Edge,
    EquationCondition,
    Global,
    HeardCondition,
    NodeTarget,
    ResultCondition,
    SpokenCondition,
)

MOST_EQUATIONS = 50
GLOBAL = "global:"
"""Begins the ids of the ways to global nodes, which have none on the wire."""

Amount = Annotated[int, Strict()] | Annotated[float, Strict()]
"""Any number, kept as it was written."""

_SPECIAL: Mapping[str, Condition] = {
    "skip_response_edge": SpokenCondition(),
    "always_edge": HeardCondition(),
    "success_edge": ResultCondition(True),
    "failed_edge": ResultCondition(False),
    "edge": ResultCondition(False),
    "else_edge": DefaultCondition(),
}
"""What the edges that stand alone in a node depend on, whatever their own text says."""

# --- shapes ---------------------------------------------------------------------------------------------------------


class WrittenEquation(BaseModel, frozen=True, extra="allow"):
    """Two templates compared; ``exists`` and ``not_exist`` look at the left one only."""

    left: str
    operator: Literal["==", "!=", ">", ">=", "<", "<=", "contains", "not_contains", "exists", "not_exist"]
    right: str | None = omitted()


Equations = Annotated[list[WrittenEquation], Field(max_length=MOST_EQUATIONS)]
Operator = Literal["||", "&&"]


class PromptCondition(BaseModel, frozen=True, extra="allow"):
    """A model decides."""

    type: Literal["prompt"]
    prompt: str


class EquationsCondition(BaseModel, frozen=True, extra="allow"):
    """The variables decide."""

    type: Literal["equation"]
    equations: Equations
    operator: Operator


class EquationPromptCondition(BaseModel, frozen=True, extra="allow"):
    """The variables decide, and a model."""

    type: Literal["equation_prompt"]
    equations: Equations
    operator: Operator
    prompt_condition: PromptCondition | None = omitted()


TransitionCondition = Annotated[PromptCondition | EquationsCondition, Field(discriminator="type")]


class FlowEdge(BaseModel, frozen=True, extra="allow"):
    """A way to a node; one without a destination leads nowhere."""

    id: str
    transition_condition: TransitionCondition
    destination_node_id: str | None = omitted()


def _condition_kind(condition: object) -> Any:
    if isinstance(condition, str):
        return "text"
    kind = (
        cast("Mapping[str, object]", condition).get("type")
        if isinstance(condition, Mapping)
        else getattr(condition, "type", None)
    )
    return kind if isinstance(kind, str) else None


GlobalCondition = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[PromptCondition, Tag("prompt")]
    | Annotated[EquationsCondition, Tag("equation")]
    | Annotated[EquationPromptCondition, Tag("equation_prompt")],
    Discriminator(
        _condition_kind,
        custom_error_type="condition_type",
        custom_error_message="A condition should be a text or of type 'prompt', 'equation' or 'equation_prompt'",
    ),
]


class GlobalNodeSetting(BaseModel, frozen=True, extra="allow"):
    """When any other node can lead here, and when it leads back."""

    condition: GlobalCondition
    go_back_conditions: list[FlowEdge] | None = omitted()
    cool_down: Annotated[Amount | None, Field(ge=1)] = omitted()


# --- what the core makes of them ------------------------------------------------------------------------------------


def listed(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list that was checked; null is none."""
    return cast("list[Mapping[str, Any]]", value) if isinstance(value, list) else []


def leaving(node: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Condition]]:
    """The ways of a node of the right shape that lead somewhere, in their order, and what each depends on. Where
    nothing is asked or compared, none is taken."""
    skipping = _special(node, "skip_response_edge")
    if skipping:
        yield from skipping  # it replaces all others
        return
    yield from _special(node, "always_edge")
    for edge in listed(node.get("edges")):
        condition = condition_of(edge["transition_condition"])
        if edge.get("destination_node_id") and condition is not None:
            yield edge, condition
    for kind in ("success_edge", "failed_edge", "edge", "else_edge"):
        yield from _special(node, kind)


def edges_of(node: Mapping[str, Any]) -> Iterator[Edge]:
    """The same as the core has them, those that lead back last. Their ids are as they were written."""
    for edge, condition in leaving(node):
        yield Edge(edge["id"], node["id"], condition, NodeTarget(edge["destination_node_id"]))
    for edge in listed(mapping(node.get("global_node_setting")).get("go_back_conditions")):
        condition = condition_of(edge["transition_condition"])
        if condition is not None:
            yield Edge(edge["id"], node["id"], condition, BackTarget())


def globals_of(node: Mapping[str, Any]) -> Iterator[Global]:
    """The ways to this node from everywhere: two, where a model is asked only if no equation holds."""
    setting = mapping(node.get("global_node_setting"))
    if not setting:
        return
    cool_down = int(setting.get("cool_down") or 0)
    conditions = _globally(setting["condition"])
    for number, condition in enumerate(conditions):
        tail = f":{number + 1}" if number else ""
        yield Global(f"{GLOBAL}{node['id']}{tail}", node["id"], condition, cool_down)


def condition_of(written: Mapping[str, Any]) -> AskCondition | EquationCondition | None:
    """None for what can never hold: nothing is asked, nothing is compared."""
    if written["type"] == "prompt":
        return AskCondition(written["prompt"]) if written["prompt"].strip() else None
    equations = _equations(written)
    return EquationCondition(equations, _joined(written)) if equations else None


def unique(edges: Iterable[Edge], taken: Collection[str]) -> tuple[Edge, ...]:
    """The same edges; an id that is taken, not the first of its kind, or empty, has its node's before it."""
    found: dict[str, Edge] = {}
    numbers: dict[str, int] = {}  # where the search goes on: thousands may have one id
    for edge in edges:
        id_, longer = edge.id, f"{edge.start}:{edge.id}"
        while not id_ or id_ in found or id_ in taken:  # a movement without an edge is none
            number = numbers[longer] = numbers.get(longer, 0) + 1
            id_ = longer if number == 1 else f"{longer}:{number}"
        found[id_] = Edge(id_, edge.start, edge.condition, edge.target)
    return tuple(found.values())


def _special(node: Mapping[str, Any], kind: str) -> list[tuple[Mapping[str, Any], Condition]]:
    edge = mapping(node.get(kind))
    return [(edge, _SPECIAL[kind])] if edge.get("destination_node_id") else []


def _globally(condition: object) -> list[AskCondition | EquationCondition]:
    if isinstance(condition, str):
        return [AskCondition(condition)] if condition.strip() else []
    written = mapping(condition)
    if written["type"] != "equation_prompt":
        one = condition_of(written)
        return [one] if one is not None else []
    equations, joined = _equations(written), _joined(written)
    prompt = str(mapping(written.get("prompt_condition")).get("prompt") or "").strip()
    if joined == "and" and equations:
        return [EquationCondition(equations, joined, prompt)]
    found: list[AskCondition | EquationCondition] = [EquationCondition(equations, joined)] if equations else []
    return [*found, AskCondition(prompt)] if prompt else found


def _equations(written: Mapping[str, Any]) -> tuple[Equation, ...]:
    return tuple(
        Equation(one["left"], _relation(one["operator"]), one.get("right") or "") for one in written["equations"]
    )


def _relation(operator: str) -> Relation:
    return cast("Relation", "not_exists" if operator == "not_exist" else operator)


def _joined(written: Mapping[str, Any]) -> Literal["and", "or"]:
    return "and" if written["operator"] == "&&" else "or"
