"""What two sequences have in common, in order, for an amount of work that is limited before it is begun."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

Stretch = tuple[int, int, int]
"""The same items on both sides: where they begin on the left and on the right, and how many they are."""

_EACH = 2_000
"""What a comparison costs, however small it is."""


@dataclass(slots=True)
class Effort:
    """How much work may still be done; a million of it takes some hundredths of a second at worst."""

    left: int

    def spend(self, cost: int) -> bool:
        """Whether there is enough left for this; if so, it is taken."""
        if cost > self.left:
            return False
        self.left -= cost
        return True


def aligned(
    left: Sequence[str], right: Sequence[str], effort: Effort, empty: Callable[[str], bool] | None = None
) -> tuple[tuple[Stretch, ...], bool]:
    """The stretches that are the same, none of them empty, and whether ``effort`` was enough to look for all of them.

    Where it is not, items that stand once on each side still hold the sequences together (patience diff). ``empty``
    tells the items that mean nothing by themselves.
    """
    first, end = _common(left, right)
    a2, b2 = len(left) - end, len(right) - end
    found: list[Stretch] = [(0, 0, first)]
    matched, whole = _matched(left, right, (first, a2, first, b2), effort, empty), True
    if matched is None:
        a1 = b1 = first
        matched = list[Stretch]()
        for a, b in (*_anchors(left, right, (first, a2, first, b2)), (a2, b2)):
            inner = _between(left, right, (a1, a, b1, b), effort, empty)
            matched += inner[0]
            whole = whole and inner[1]
            if a < a2:
                matched.append((a, b, 1))
            a1, b1 = a + 1, b + 1
    found += [*matched, (a2, b2, end)]
    return tuple(_joined(found)), whole


_Bounds = tuple[int, int, int, int]
"""A part of both: from and to on the left, from and to on the right."""


def _between(
    left: Sequence[str], right: Sequence[str], at: _Bounds, effort: Effort, empty: Callable[[str], bool] | None
) -> tuple[list[Stretch], bool]:
    a1, a2, b1, b2 = at
    first, end = _common(left[a1:a2], right[b1:b2])
    inner = _matched(left, right, (a1 + first, a2 - end, b1 + first, b2 - end), effort, empty)
    return [(a1, b1, first), *(inner or []), (a2 - end, b2 - end, end)], inner is not None


def _common(left: Sequence[str], right: Sequence[str]) -> tuple[int, int]:
    """How many items are the same at the beginning, and how many of the others at the end."""
    most = min(len(left), len(right))
    first = next((place for place in range(most) if left[place] != right[place]), most)
    most -= first
    return first, next((place for place in range(most) if left[-1 - place] != right[-1 - place]), most)


def _matched(
    left: Sequence[str], right: Sequence[str], at: _Bounds, effort: Effort, empty: Callable[[str], bool] | None
) -> list[Stretch] | None:
    """What is the same there, or None where finding it is too much."""
    mine, theirs = left[at[0] : at[1]], right[at[2] : at[3]]
    if not mine or not theirs:
        return []
    many, others = Counter(mine), Counter(theirs)
    pairs = sum(count * others[item] for item, count in many.items() if not (empty and empty(item)))
    # The matcher looks through all pairs for the longest stretch, and again on both sides of it.
    cost = (len(mine) + len(theirs) + pairs) * (1 + min(len(mine), len(theirs), pairs))
    if not effort.spend(_EACH + cost):
        return None
    matcher = SequenceMatcher(empty, mine, theirs, autojunk=False)
    return [(at[0] + a, at[2] + b, many) for a, b, many in matcher.get_matching_blocks()]


def _anchors(left: Sequence[str], right: Sequence[str], at: _Bounds) -> list[tuple[int, int]]:
    """The places of items that stand once on each side: as many of them as stand in the same order on both."""
    mine, theirs = _once(left, at[0], at[1]), _once(right, at[2], at[3])
    pairs = [(place, theirs[item]) for item, place in mine.items() if item in theirs]
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [number]
    found: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _once(items: Sequence[str], first: int, end: int) -> dict[str, int]:
    many = Counter(items[first:end])
    return {items[place]: place for place in range(first, end) if many[items[place]] == 1}


def _joined(found: Sequence[Stretch]) -> Iterator[Stretch]:
    """Without the empty ones, and those joined that touch each other."""
    a1 = b1 = many = 0
    for a, b, more in found:
        if more and (a, b) == (a1 + many, b1 + many):
            many += more
        elif more:
            if many:
                yield a1, b1, many
            a1, b1, many = a, b, more
    if many:
        yield a1, b1, many
