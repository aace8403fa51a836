"""Bodies as large as the server takes them are read in one pass: no work grows with the square of their parts."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.retell_flows import end, part, through

from vivavoce.api.retell.wire import flex
from vivavoce.api.retell.wire.edges import unique
from vivavoce.api.retell.wire.flows import to_version
from vivavoce.core.flow import DefaultCondition, Edge, NodeTarget

MANY = 300


class Asked(set[str]):
    """Ids that count how often one is looked for."""

    times = 0

    def __contains__(self, one: object) -> bool:
        self.times += 1
        return super().__contains__(one)


class Read(list[dict[str, Any]]):
    """A list that counts how often it is gone through."""

    times = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.times += 1
        return super().__iter__()


def test_edges_of_one_id_are_not_numbered_anew_each_time() -> None:
    taken = Asked()
    edges = [Edge("e", "n", DefaultCondition(), NodeTarget("n"))] * MANY
    named = [one.id for one in unique(edges, taken)]
    assert named == ["e", "n:e", *(f"n:e:{number}" for number in range(2, MANY))]
    assert taken.times < 4 * MANY


@pytest.mark.parametrize("flexible", [False, True])
def test_components_are_not_looked_for_node_by_node(flexible: bool) -> None:
    nodes = [through(f"n{number}", f"part{number}", "local", "x") for number in range(MANY)]
    parts = Read(part(f"part{number}") for number in range(MANY))
    to_version({"start_speaker": "agent", "nodes": [*nodes, end()], "components": parts, "flex_mode": flexible})
    assert parts.times < 50


def test_section_7_4_tasks_are_not_compared_with_every_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    times = 0
    plain = getattr(flex, "_awaited")  # noqa: B009  # its own, counted here

    def counted(tool: Any) -> Any:
        nonlocal times
        times += 1
        return plain(tool)

    monkeypatch.setattr(flex, "_awaited", counted)
    nodes = [
        {"id": f"n{number}", "type": "function", "tool_id": f"t{number}", "tool_type": "local", "wait_for_result": True}
        for number in range(MANY)
    ]
    tools = [
        {"type": "custom", "tool_id": f"t{number}", "name": f"t{number}", "url": "https://a.example"}
        for number in range(MANY)
    ]
    made = to_version({"start_speaker": "agent", "nodes": nodes, "tools": tools, "flex_mode": True})
    assert f"Call t{MANY - 1}." in made.instructions
    assert times <= 3 * MANY
