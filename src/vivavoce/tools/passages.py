"""From a file to passages: its text, and the text in pieces that overlap. Pure."""

import re

from vivavoce.tools.page import words_of

LARGEST = 10 * 1024 * 1024
"""Bytes of one file."""

LENGTH = 1200
"""Characters of a passage, at most."""

OVERLAP = 200
"""About so many characters of a passage are at the beginning of the next one, too."""

TEXTS = (".txt", ".text", ".md", ".markdown", ".csv", ".tsv", ".json")
PAGES = (".html", ".htm")

_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?。！？][\"'”’)\]]*\s"), re.compile(r"\s"))


class Unreadable(ValueError):
    """There is no text in this file; the message says why."""


def text_of(name: str, data: bytes) -> str:
    """The text of a file; its name says what it is. Raises ``Unreadable``."""
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix not in TEXTS + PAGES:
        raise Unreadable(f"{name}: only text ({', '.join(TEXTS)}) and pages ({', '.join(PAGES)}) can be read")
    if len(data) > LARGEST:
        raise Unreadable(f"{name}: it is larger than {LARGEST // (1024 * 1024)} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise Unreadable(f"{name}: it is not UTF-8 (byte {failure.start})") from None
    if "\x00" in text:
        raise Unreadable(f"{name}: it holds NUL characters, which no text does")
    text = words_of(text) if suffix in PAGES else text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise Unreadable(f"{name}: there is no text in it")
    return text


def cut(text: str, length: int = LENGTH, overlap: int = OVERLAP) -> list[str]:
    """The text in passages of at most ``length`` characters, cut at the end of a paragraph, line, sentence or word
    where there is one in their last third; a passage begins where a word does, ``overlap`` characters or less before
    the end of the last one."""
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = _end(text, start, length)
        if piece := text[start:end].strip():
            pieces.append(piece)
        if end == len(text):
            break
        start = _next_start(text, start, end, overlap)
    return pieces


def _end(text: str, start: int, length: int) -> int:
    last = start + length
    if last >= len(text):
        return len(text)
    first = start + length * 2 // 3
    for border in _BREAKS:
        found = [match.end() for match in border.finditer(text, first, last)]
        if found:
            return found[-1]
    return last


def _next_start(text: str, start: int, end: int, overlap: int) -> int:
    # Never as far back as the last one began, or it would not come to an end.
    wished = max(end - overlap, start + 1)
    word = re.compile(r"\s\S").search(text, wished - 1, end)
    return word.start() + 1 if word else end
