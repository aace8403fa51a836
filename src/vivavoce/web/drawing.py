"""A flow as a drawing: nodes in rows by how far they are from the start, and the ways between them."""

from collections.abc import Mapping
from dataclasses import dataclass

from vivavoce.core.flow import Flow, NodeTarget
from vivavoce.web.plainly import title

MOST = 30
"""A flow of more nodes is not drawn: nobody could read it."""
WIDTH, HEIGHT = 160, 44
_GAP_X, _GAP_Y, _EDGE = 28, 46, 48
_LONGEST = 20


@dataclass(frozen=True, slots=True)
class Box:
    """A node; ``x`` and ``y`` are of its upper left corner."""

    x: int
    y: int
    title: str
    kind: str
    start: bool
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """``lines`` are the ``d`` of SVG paths."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]


def drawn(flow: Flow) -> Drawing | None:
    """The drawing, or None where there is too much to draw."""
    if not 0 < len(flow.nodes) <= MOST:
        return None
    rows: dict[int, list[str]] = {}
    for id_, row in _rows(flow).items():
        rows.setdefault(row, []).append(id_)
    widest = max(map(len, rows.values()))
    inner = widest * WIDTH + (widest - 1) * _GAP_X
    at: dict[str, tuple[int, int]] = {}
    for row, ids in rows.items():
        left = _EDGE + (inner - len(ids) * WIDTH - (len(ids) - 1) * _GAP_X) // 2
        for column, id_ in enumerate(ids):
            at[id_] = left + column * (WIDTH + _GAP_X), 8 + row * (HEIGHT + _GAP_Y)
    boxes = tuple(
        Box(*at[node.id], _short(title(node)), node.kind, node.id == flow.start, f"node-{place}")
        for place, node in enumerate(flow.nodes)
    )
    ways = dict.fromkeys((edge.start, edge.target.node) for edge in flow.edges if isinstance(edge.target, NodeTarget))
    lines = tuple(_line(at[start], at[end]) for start, end in ways if start in at and end in at)
    return Drawing(inner + 2 * _EDGE, 16 + len(rows) * (HEIGHT + _GAP_Y) - _GAP_Y, boxes, lines)


def _rows(flow: Flow) -> Mapping[str, int]:
    """The row of each node: how many ways lead to it from the start; what nothing leads to comes below all others."""
    found = {flow.start: 0} if any(node.id == flow.start for node in flow.nodes) else {}
    waiting = list(found)
    while waiting:
        id_ = waiting.pop(0)
        for edge in flow.leaving(id_):
            if isinstance(edge.target, NodeTarget) and edge.target.node not in found:
                found[edge.target.node] = found[id_] + 1
                waiting.append(edge.target.node)
    below = max(found.values(), default=-1) + 1
    return {node.id: found.get(node.id, below) for node in flow.nodes}


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = start, end
    if y2 > y1:
        a, b = x1 + WIDTH // 2, x2 + WIDTH // 2
        return f"M{a} {y1 + HEIGHT}C{a} {y1 + HEIGHT + 30} {b} {y2 - 30} {b} {y2 - 4}"
    # Up, or within a row: around the right side, so that it does not run through what is between.
    right, to = x1 + WIDTH, x2 + WIDTH
    out = max(right, to) + _EDGE - 12
    return f"M{right} {y1 + HEIGHT // 2}C{out} {y1 + HEIGHT // 2} {out} {y2 + HEIGHT // 2} {to + 4} {y2 + HEIGHT // 2}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
