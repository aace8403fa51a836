"""Finding words in what was said: case, typography and spacing do not matter, the edges of words do."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

Span = tuple[int, int]
"""Start and end in the original text."""

_LONGEST_QUOTE = 300
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʼ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
    }
)
_PLAIN_SPACES = re.compile(r"[^\S ]|  ")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？]|\n")
# Scripts that write no space between words, or (Hangul) attach particles: there every place is the edge of a word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class _Folded:
    """The text as it is compared; character k stands for ``[starts[k], ends[k])`` of the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


@lru_cache(maxsize=2048)
def _fold(text: str) -> _Folded:
    if text.isascii() and not _PLAIN_SPACES.search(text):
        return _Folded(text.lower(), range(len(text)), range(1, len(text) + 1))
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        normal = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text[start:end]).casefold())
        for char in normal.translate(_TYPOGRAPHY):
            if unicodedata.category(char) == "Cf":
                continue
            if char.isspace() and chars and chars[-1] == " ":
                continue
            chars.append(" " if char.isspace() else char)
            starts.append(start)
            ends.append(end)
    return _Folded("".join(chars), starts, ends)


def _clusters(text: str) -> Iterator[Span]:
    # Characters that normalisation may put together stay together, so that places can be mapped back.
    start = 0
    for at in range(1, len(text) + 1):
        joined = at < len(text) and (unicodedata.combining(text[at]) or "\u1160" <= text[at] <= "\u11ff")
        if not joined:
            yield start, at
            start = at


def folded(words: str) -> str:
    """The words as they are compared, trimmed."""
    return _fold(words).text.strip()


def find(words: str, text: str) -> Span | None:
    """Where the words stand in the text for the first time, as whole words, or None."""
    needle = folded(words)
    if not needle:
        return None
    heap = _fold(text)
    at = heap.text.find(needle)
    while at >= 0:
        end = at + len(needle)
        if not _joined(heap.text[max(at - 1, 0) : at], needle[0]) and not _joined(needle[-1], heap.text[end : end + 1]):
            return heap.starts[at], heap.ends[end - 1]
        at = heap.text.find(needle, at + 1)
    return None


def _joined(left: str, right: str) -> bool:
    return _in_word(left) and _in_word(right) and not (_UNSPACED.match(left) or _UNSPACED.match(right))


def _in_word(char: str) -> bool:
    return char != "" and (char.isalnum() or char == "_" or unicodedata.category(char).startswith("M"))


def sentence_spans(text: str) -> list[Span]:
    """The text cut after each sentence; blank ones are left out."""
    cuts = [0, *(mark.end() for mark in _SENTENCE_END.finditer(text)), len(text)]
    return [trimmed for start, end in pairwise(cuts) if (trimmed := _trim(text, start, end)) is not None]


def sentences(text: str) -> list[str]:
    """The sentences of the text."""
    return [text[start:end] for start, end in sentence_spans(text)]


def quoted(text: str, span: Span) -> str:
    """The sentence or sentences around the span, verbatim; of a very long one what stands around the span."""
    around = [
        (start, end) for start, end in sentence_spans(text) if end > span[0] and start < max(span[1], span[0] + 1)
    ]
    start, end = (around[0][0], around[-1][1]) if around else span
    if end - start > _LONGEST_QUOTE:
        start = max(start, span[0] - _LONGEST_QUOTE // 3)
        end = max(span[1], min(end, start + _LONGEST_QUOTE))
    return text[start:end].strip()


def _trim(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    inner = piece.strip()
    if not inner:
        return None
    start += piece.index(inner)
    return start, start + len(inner)
