"""Ways between nodes, and what they depend on (contract, section 7.4)."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.support.retell_flows import node, way

from vivavoce.api.retell.wire.edges import edges_of, globals_of, unique
from vivavoce.api.retell.wire.nodes import FlowNode
from vivavoce.api.shape import sent
from vivavoce.core.equation import Equation
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

NODE: TypeAdapter[FlowNode] = TypeAdapter(FlowNode)


def conditions(**edges: Any) -> list[Condition]:
    return [edge.condition for edge in edges_of(sent(NODE.validate_python(node("conversation", **edges))))]


def test_section_7_4_edges_come_in_their_order_and_the_default_last() -> None:
    equation = {
        "type": "equation",
        "operator": "||",
        "equations": [{"left": "{{a}}", "operator": "not_exist"}, {"left": "{{b}}", "operator": ">", "right": "2"}],
    }
    edges = [way("e1"), {"id": "e2", "destination_node_id": "y", "transition_condition": equation}]
    written = sent(NODE.validate_python(node("conversation", edges=edges, else_edge=way("e3", "z"))))
    assert list(edges_of(written)) == [
        Edge("e1", "n", AskCondition("it holds"), NodeTarget("x")),
        Edge(
            "e2",
            "n",
            EquationCondition((Equation("{{a}}", "not_exists"), Equation("{{b}}", ">", "2")), "or"),
            NodeTarget("y"),
        ),
        Edge("e3", "n", DefaultCondition(), NodeTarget("z")),
    ]


def test_section_7_4_an_edge_without_a_destination_leads_nowhere() -> None:
    assert conditions(edges=[way(to=None)], else_edge=way(to=None), skip_response_edge=way(to=None)) == []


def test_what_asks_nothing_and_compares_nothing_is_never_taken() -> None:
    nothing: dict[str, Any] = {"type": "equation", "operator": "&&", "equations": []}
    edges = [way(prompt=" "), {"id": "e", "destination_node_id": "x", "transition_condition": nothing}]
    assert conditions(edges=edges) == []


def test_section_7_4_skip_response_replaces_all_other_edges() -> None:
    assert conditions(edges=[way()], always_edge=way("a"), skip_response_edge=way("s")) == [SpokenCondition()]


def test_section_7_4_always_is_taken_after_the_next_words() -> None:
    assert conditions(always_edge=way("a")) == [HeardCondition()]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("transfer_call", [ResultCondition(False)]),
        ("agent_swap", [ResultCondition(False)]),
        ("sms", [ResultCondition(True), ResultCondition(False)]),
        ("branch", [DefaultCondition()]),
    ],
)
def test_section_7_4_special_edges_depend_on_what_they_are(kind: str, expected: list[Condition]) -> None:
    assert [edge.condition for edge in edges_of(sent(NODE.validate_python(node(kind))))] == expected


# --- global nodes ---------------------------------------------------------------------------------------------------


def everywhere(condition: Any, **more: Any) -> list[Global]:
    setting = {"condition": condition, **more}
    return list(globals_of(sent(NODE.validate_python(node("conversation", global_node_setting=setting)))))


EQUATIONS: list[dict[str, Any]] = [{"left": "{{a}}", "operator": "==", "right": "1"}]
EQUATED = EquationCondition((Equation("{{a}}", "==", "1"),))
ASKED = {"type": "prompt", "prompt": "angry"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("angry", [AskCondition("angry")]),
        (" ", []),
        (ASKED, [AskCondition("angry")]),
        ({"type": "prompt", "prompt": ""}, []),
        ({"type": "equation", "operator": "&&", "equations": EQUATIONS}, [EQUATED]),
        (
            {"type": "equation_prompt", "operator": "&&", "equations": EQUATIONS, "prompt_condition": ASKED},
            [EquationCondition(EQUATED.equations, "and", "angry")],
        ),
        (
            {"type": "equation_prompt", "operator": "||", "equations": EQUATIONS, "prompt_condition": ASKED},
            [EquationCondition(EQUATED.equations, "or"), AskCondition("angry")],
        ),
        ({"type": "equation_prompt", "operator": "&&", "equations": EQUATIONS}, [EQUATED]),
        (
            {"type": "equation_prompt", "operator": "&&", "equations": [], "prompt_condition": ASKED},
            [AskCondition("angry")],
        ),
        ({"type": "equation_prompt", "operator": "||", "equations": [], "prompt_condition": None}, []),
    ],
)
def test_section_7_4_a_global_node_has_a_condition_of_any_shape(condition: Any, expected: list[Condition]) -> None:
    assert [one.condition for one in everywhere(condition)] == expected


def test_section_7_4_a_global_node_cools_down_and_leads_back() -> None:
    assert everywhere("angry", cool_down=3) == [Global("global:n", "n", AskCondition("angry"), 3)]
    setting = {"condition": "angry", "go_back_conditions": [way("b", None, "calm"), way("c", None, "")]}
    written = node("conversation", global_node_setting=setting, else_edge=way("e"))
    assert [(edge.id, edge.target) for edge in edges_of(sent(NODE.validate_python(written)))] == [
        ("e", NodeTarget("x")),
        ("b", BackTarget()),
    ]


def test_edges_of_the_same_id_are_told_apart() -> None:
    def some() -> Iterator[Edge]:
        for start in ("a", "b", "b"):
            yield Edge("e", start, DefaultCondition(), BackTarget())
        yield Edge("global:a", "a", DefaultCondition(), BackTarget())

    assert [edge.id for edge in unique(some(), {"global:a"})] == ["e", "b:e", "b:e:2", "a:global:a"]
