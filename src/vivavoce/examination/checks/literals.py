"""Quoted words, patterns and JSON inside a line: what an author wrote for the machine, taken out of the prose."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vivavoce.examination.checks.patterns import Pattern, PatternError, compile_pattern

_CLOSING = {'"': '"', "“": "”", "„": "”“", "«": "»", "'": "'", "‘": "’'", "`": "`"}
_MAX_BRACKETS = 100
_APOSTROPHES = "'‘"
_ESCAPES = {"n": "\n", "t": "\t"}


class LiteralError(Exception):
    """A quotation, pattern or JSON object that does not end, or does not parse; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words in quotation marks; ``code`` where the marks were backticks."""

    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """A JSON object."""

    value: Mapping[str, Any]


Literal = Words | Pattern | Data


@dataclass(frozen=True, slots=True)
class Masked:
    """A text whose literals are replaced by marks such as ``\\x00w0\\x00``: w words, c code, p pattern, d data."""

    text: str
    literals: tuple[Literal, ...]

    def literal(self, mark: str) -> Literal:
        """What the mark stands for."""
        return self.literals[int(mark[2:-1])]


def opens_literal(text: str, at: int) -> bool:
    """Whether a literal begins here. Apostrophes and slashes begin one only where a word could begin."""
    char = text[at]
    fresh = at == 0 or text[at - 1] in " \t(:,"
    if char == "/":
        return fresh and text[at + 1 : at + 2].strip() != ""
    if char in _APOSTROPHES:
        return fresh and _end_of_words(text, at) is not None
    return char in _CLOSING or char == "{"


def read_literal(text: str, at: int) -> tuple[Literal, int]:
    """The literal that begins here and the place after it. Raises ``LiteralError``."""
    char = text[at]
    if char == "/":
        return _read_pattern(text, at)
    if char == "{":
        return _read_data(text, at)
    end = _end_of_words(text, at)
    if end is None:
        raise LiteralError(f"the {char} is not closed")
    return Words(_unescaped(text[at + 1 : end]), char == "`"), end + 1


def mask(text: str) -> Masked:
    """The text with its literals taken out. Raises ``LiteralError``."""
    if "\x00" in text:
        raise LiteralError("the text holds a null character")
    prose: list[str] = []
    literals: list[Literal] = []
    at = 0
    while at < len(text):
        if not opens_literal(text, at):
            prose.append(text[at])
            at += 1
            continue
        literal, at = read_literal(text, at)
        prose.append(f"\x00{_mark(literal)}{len(literals)}\x00")
        literals.append(literal)
    return Masked("".join(prose), tuple(literals))


def _mark(literal: Literal) -> str:
    match literal:
        case Words(code=code):
            return "c" if code else "w"
        case Pattern():
            return "p"
        case _:
            return "d"


def _end_of_words(text: str, at: int) -> int | None:
    closing = _CLOSING[text[at]]
    apostrophe = text[at] in _APOSTROPHES
    place = at + 1
    while place < len(text):
        if text[place] == "\\":
            place += 2
            continue
        # In 'it isn't' the second apostrophe stands inside a word and closes nothing.
        if text[place] in closing and not (apostrophe and text[place + 1 : place + 2].isalnum()):
            return place
        place += 1
    return None


def _unescaped(text: str) -> str:
    plain: list[str] = []
    at = 0
    while at < len(text):
        following = text[at + 1 : at + 2]
        if text[at] == "\\" and (following in _ESCAPES or following in ("\\", '"', "'", "`", "”", "’", "»")):
            plain.append(_ESCAPES.get(following, following))
            at += 2
        else:
            plain.append(text[at])
            at += 1
    return "".join(plain)


def _read_pattern(text: str, at: int) -> tuple[Pattern, int]:
    end = at + 1
    while end < len(text) and text[end] != "/":
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise LiteralError("the pattern is not closed by a /")
    after = end + 1
    while after < len(text) and text[after].isalnum():
        after += 1
    flags = text[end + 1 : after]
    if flags not in ("", "i"):
        raise LiteralError(f"unknown pattern flags '{flags}', only i is known")
    try:
        return compile_pattern(text[at + 1 : end], ignore_case=flags == "i"), after
    except PatternError as refused:
        raise LiteralError(f"pattern refused: {refused}") from refused


def _read_data(text: str, at: int) -> tuple[Data, int]:
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise LiteralError("what stands in braces is not a JSON object") from error
    if text.count("{", at, end) + text.count("[", at, end) > _MAX_BRACKETS:
        raise LiteralError(f"a JSON object has at most {_MAX_BRACKETS} brackets")
    return Data(value), end
