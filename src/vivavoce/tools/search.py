"""Finding passages: by the words they share with a query (BM25), or by the nearness of their vectors. Pure."""

import math
import re
import sys
import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

# Scripts that put no spaces between words: each sign counts as one.
_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
_WORD = re.compile(f"[^\\W_{_SPACELESS}]+|[{_SPACELESS}]")
_K1, _B = 1.5, 0.75  # the usual choice

Found = tuple[int, float]
"""The place of a passage, and how well it fits; higher is better."""


def words(text: str) -> list[str]:
    """The words of a text, so that spellings which mean the same are the same."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True, slots=True)
class Index:
    """``postings`` are by word, one after the other, the passages that it is in and how often: small, since there are
    many. ``lengths`` are the passages' numbers of words."""

    postings: "dict[str, array[int]]"
    lengths: list[int]


def index(texts: Sequence[str]) -> Index:
    """An index of passages; a passage's place is its number in ``texts``."""
    postings: dict[str, array[int]] = {}
    lengths: list[int] = []
    for place, text in enumerate(texts):
        counted = Counter(words(text))
        lengths.append(counted.total())
        for word, times in counted.items():
            postings.setdefault(word, array("I")).extend((place, times))
    return Index(postings, lengths)


def by_words(index: Index, query: str, most: int) -> list[Found]:
    """The passages that share words with the query, best first, at most so many; equals in their own order."""
    total = len(index.lengths)
    average = sum(index.lengths) / total if total else 0.0
    scores: dict[int, float] = {}
    for word in dict.fromkeys(words(query)):
        held = index.postings.get(word, array("I"))
        many = len(held) // 2
        rarity = math.log(1 + (total - many + 0.5) / (many + 0.5))
        for place, times in zip(held[::2], held[1::2], strict=True):
            length = _K1 * (1 - _B + _B * index.lengths[place] / average)
            scores[place] = scores.get(place, 0.0) + rarity * times * (_K1 + 1) / (times + length)
    return _best(list(scores.items()), most)


def by_vectors(vectors: Sequence["array[float]"], query: "array[float]", most: int) -> list[Found]:
    """The passages whose vectors point where the query's does, best first; all of them are of unit length.

    A passage whose vector has another size is passed over.
    """
    near = [(place, sum(map(mul, one, query))) for place, one in enumerate(vectors) if len(one) == len(query)]
    return _best(near, most)


def packed(vector: Sequence[float]) -> bytes:
    """The vector at unit length, as it is kept: little-endian 32-bit floats."""
    length = math.hypot(*vector) or 1.0
    return _little(array("f", (each / length for each in vector))).tobytes()


def unpacked(kept: bytes) -> "array[float]":
    """The vector that was kept. Raises ``ValueError`` where it is none."""
    return _little(array("f", kept))


def _little(vector: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def _best(found: list[Found], most: int) -> list[Found]:
    return sorted(found, key=lambda each: (-each[1], each[0]))[:most]
