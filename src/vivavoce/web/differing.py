"""What differs between two versions, for people: texts line by line with the changed words marked."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from vivavoce.services.differing import Difference
from vivavoce.web.plainly import is_secret, masked
from vivavoce.web.telling import Piece

AROUND = 2
"""How many unchanged lines stand around a change."""
_LONGEST = 60
_MOST_LINES = 2_000
"""Of longer texts lines that come often are not looked for: it would take too long."""
_MOST_WORDS = 400
"""Lines of more words are not compared word by word."""


@dataclass(frozen=True, slots=True)
class Row:
    """Lines beside each other; None where a side has none. ``folded`` counts unchanged lines that are left out."""

    kind: Literal["same", "changed", "folded"]
    left: tuple[Piece, ...] | None = None
    right: tuple[Piece, ...] | None = None
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """A field that differs: as ``rows`` of text, or as two values where both are short."""

    path: str
    left: str | None
    right: str | None
    rows: tuple[Row, ...] = ()


def told(fields: Sequence[Difference]) -> tuple[Field, ...]:
    """The differences as people read them."""
    return tuple(_field(one) for one in fields)


def _field(one: Difference) -> Field:
    secret = is_secret(one.path)
    left, right = _text(masked(one.left, secret=secret)), _text(masked(one.right, secret=secret))
    longest = max(len(left or ""), len(right or ""))
    if longest <= _LONGEST and "\n" not in (left or "") + (right or ""):
        return Field(one.path, left, right)
    return Field(one.path, left, right, rows(left or "", right or ""))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def rows(left: str, right: str) -> tuple[Row, ...]:
    """Two texts line by line; unchanged lines far from any change are folded."""
    mine, theirs = left.split("\n") if left else [], right.split("\n") if right else []
    found: list[Row] = []
    matcher = SequenceMatcher(None, mine, theirs, autojunk=len(mine) + len(theirs) > _MOST_LINES)
    groups = matcher.get_opcodes()
    for place, (tag, a1, a2, b1, b2) in enumerate(groups):
        if tag == "equal":
            found += _same(mine[a1:a2], first=place == 0, last=place == len(groups) - 1)
        else:
            found += _changed(mine[a1:a2], theirs[b1:b2])
    return tuple(found)


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


def _changed(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[Row]:
    for place in range(max(len(mine), len(theirs))):
        left = mine[place] if place < len(mine) else None
        right = theirs[place] if place < len(theirs) else None
        if left is None or right is None:
            alone = (Piece(left if left is not None else right or "", marked=True),)
            yield Row("changed", alone, None) if right is None else Row("changed", None, alone)
        else:
            yield Row("changed", *words(left, right))


def words(left: str, right: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Two lines in pieces; the words that differ are marked."""
    mine, theirs = re.findall(r"\s+|\w+|[^\w\s]", left), re.findall(r"\s+|\w+|[^\w\s]", right)
    if len(mine) + len(theirs) > _MOST_WORDS:
        return (Piece(left, marked=True),), (Piece(right, marked=True),)
    ours: list[Piece] = []
    other: list[Piece] = []
    for tag, a1, a2, b1, b2 in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        for pieces, part in ((ours, "".join(mine[a1:a2])), (other, "".join(theirs[b1:b2]))):
            if part:
                pieces.append(Piece(part, marked=tag != "equal"))
    return tuple(ours), tuple(other)
