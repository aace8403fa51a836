"""What differs between two versions, for people: texts line by line with the changed words marked.

However much differs, telling it takes less than about half a second: what is beyond that is told less finely, or not.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from vivavoce.services.differing import Difference
from vivavoce.web.aligning import Effort, aligned
from vivavoce.web.plainly import is_secret, masked
from vivavoce.web.telling import Piece

AROUND = 2
"""How many unchanged lines stand around a change."""
_LONGEST = 60
_MOST_LINES = 20_000
"""So many lines of a text are looked at."""
MOST_ROWS = 2_000
"""So many rows are shown of all fields together."""
_EACH_CHARACTER = 10
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Row:
    """Lines beside each other; None where a side has none. ``folded`` counts unchanged lines that are left out."""

    kind: Literal["same", "changed", "folded"]
    left: tuple[Piece, ...] | None = None
    right: tuple[Piece, ...] | None = None
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """A field that differs: as ``rows`` of text, or as two values where both are short.

    Where there is too much, ``rough`` says that in some rows more is marked than differs, and ``cut`` that rows are
    missing at the end.
    """

    path: str
    left: str | None
    right: str | None
    rows: tuple[Row, ...] = ()
    rough: bool = False
    cut: bool = False


@dataclass(slots=True)
class Budget:
    """What may still be spent on a page: on finding the lines that are the same, and then the words; and on rows."""

    lines: Effort = field(default_factory=lambda: Effort(20_000_000))
    words: Effort = field(default_factory=lambda: Effort(30_000_000))
    rows: int = MOST_ROWS
    rough: bool = False


def told(fields: Sequence[Difference]) -> tuple[Field, ...]:
    """The differences as people read them. To be run in a thread: it may take a while."""
    budget = Budget()
    return tuple(_field(one, budget) for one in fields)


def _field(one: Difference, budget: Budget) -> Field:
    secret = is_secret(one.path)
    left, right = _text(masked(one.left, secret=secret)), _text(masked(one.right, secret=secret))
    longest = max(len(left or ""), len(right or ""))
    if longest <= _LONGEST and "\n" not in (left or "") + (right or ""):
        return Field(one.path, left, right)
    if not budget.rows:
        return Field(one.path, left, right, cut=True)
    budget.rough = False
    found = tuple(islice(rows(left or "", right or "", budget), budget.rows + 1))
    shown = found[: budget.rows]
    budget.rows -= len(shown)
    cut = len(shown) < len(found) or max((left or "").count("\n"), (right or "").count("\n")) >= _MOST_LINES
    return Field(one.path, left, right, shown, budget.rough, cut)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def rows(left: str, right: str, budget: Budget) -> Iterator[Row]:
    """Two texts line by line; unchanged lines far from any change are folded."""
    mine, theirs = _lines(left), _lines(right)
    same, whole = aligned(mine, theirs, budget.lines)
    budget.rough |= not whole
    a1 = b1 = 0
    for a, b, many in (*same, (len(mine), len(theirs), 0)):
        yield from _changed(mine[a1:a], theirs[b1:b], budget)
        a1, b1 = a + many, b + many
        if many:
            last = (a1, b1) == (len(mine), len(theirs))
            yield from _same(mine[a:a1], first=(a, b) == (0, 0), last=last)


def _lines(text: str) -> list[str]:
    return text.split("\n", _MOST_LINES)[:_MOST_LINES] if text else []


def _same(lines: Sequence[str], *, first: bool, last: bool) -> Iterator[Row]:
    before, behind = 0 if first else AROUND, 0 if last else AROUND
    many = len(lines) - before - behind
    if many <= 1:
        yield from (_both(line) for line in lines)
        return
    yield from (_both(line) for line in lines[:before])
    yield Row("folded", folded=many)
    yield from (_both(line) for line in lines[len(lines) - behind :])


def _both(line: str) -> Row:
    return Row("same", (Piece(line),), (Piece(line),))


def _changed(mine: Sequence[str], theirs: Sequence[str], budget: Budget) -> Iterator[Row]:
    for place in range(max(len(mine), len(theirs))):
        left = mine[place] if place < len(mine) else None
        right = theirs[place] if place < len(theirs) else None
        if left is None or right is None:
            alone = (Piece(left if left is not None else right or "", marked=True),)
            yield Row("changed", alone, None) if right is None else Row("changed", None, alone)
        else:
            yield Row("changed", *words(left, right, budget))


def words(left: str, right: str, budget: Budget) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Two lines in pieces; the words that differ are marked, or all of them where there are too many."""
    if not budget.words.spend((len(left) + len(right)) * _EACH_CHARACTER):
        budget.rough = True
        return (Piece(left, marked=True),), (Piece(right, marked=True),)
    mine, theirs = _WORDS.findall(left), _WORDS.findall(right)
    same, whole = aligned(mine, theirs, budget.words, str.isspace)
    budget.rough |= not whole
    ours: list[Piece] = []
    other: list[Piece] = []
    a1 = b1 = 0
    for a, b, many in (*same, (len(mine), len(theirs), 0)):
        for pieces, part in ((ours, mine[a1:a]), (other, theirs[b1:b])):
            if part:
                pieces.append(Piece("".join(part), marked=True))
        a1, b1 = a + many, b + many
        if many:
            both = Piece("".join(mine[a:a1]))
            ours.append(both)
            other.append(both)
    return tuple(ours), tuple(other)
