"""Secrets in templates: ``{{#integration_secret}}identifier{{/integration_secret}}`` (contract, section 3).

A section is found in what the tool's author wrote, never in what fills it: neither a variable nor a model's argument
can ask for a secret, and a secret's value is never read as a template.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from vivavoce.assistant.templating import Filling, fill
from vivavoce.tools.reach import Reach

HIDDEN = "REDACTED"
"""What is shown in the place of a secret's value."""

_SPELLED = 1000
"""The longest value, in characters, that is looked for in every spelling; the pattern of a longer one takes long."""

_REPEATED = 16
"""How much of a value may be repeated in itself, in characters, before it is looked for like a long one: a text that
goes on repeating it would be compared with most of the value at every place."""

_SECTION = re.compile(r"\{\{\s*#\s*integration_secret\s*\}\}([^{}]{0,300})\{\{\s*/\s*integration_secret\s*\}\}")


class NoSecret(Exception):
    """A template names a secret that is not to be had; the message names it and is for the model."""


def section(identifier: str) -> str:
    """The template of this secret's value."""
    return f"{{{{#integration_secret}}}}{identifier}{{{{/integration_secret}}}}"


def filled(template: str, filling: Filling, secrets: Mapping[str, str]) -> str:
    """The template with its variables and its secrets, all of which must be known."""
    # Odd pieces are identifiers, since the pattern has one group.
    pieces = _SECTION.split(template)
    return "".join(secrets[piece.strip()] if place % 2 else fill(piece, filling) for place, piece in enumerate(pieces))


async def opened(templates: Iterable[Any], reach: Reach) -> dict[str, str]:
    """The values of all secrets that are named in these, which may be JSON values with templates at any depth.

    Raises ``NoSecret`` for the first that is not to be had.
    """
    found: dict[str, str] = {}
    for identifier in dict.fromkeys(name.strip() for each in templates for name in _named(each)):
        value = await reach.secret(identifier) if reach.secret else None
        if value is None:
            raise NoSecret(f"there is no secret {identifier!r} here")
        found[identifier] = value
    return found


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _SECTION.findall(value)
    elif isinstance(value, Mapping):
        for each in cast("Mapping[str, Any]", value).values():
            yield from _named(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[Any]", value):
            yield from _named(each)


def hidden(text: str, secrets: Mapping[str, str]) -> str:
    """The text without the values of these secrets: whoever is called may answer with what it was sent, and spell it
    as URLs or JSON do, wholly or in part."""
    for value in sorted(filter(None, secrets.values()), key=len, reverse=True):
        if len(value) > _SPELLED or _repeated(value) > _REPEATED:
            for way in (value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1]):
                text = text.replace(way, HIDDEN)
            continue
        # Atomic groups never try a sign twice; hence both orders, for signs that escape others.
        for plain_first in (False, True):
            text = re.sub("".join(_spellings(sign, plain_first=plain_first) for sign in value), HIDDEN, text)
    return text


def _repeated(value: str) -> int:
    """The length of the longest piece that some beginning of the value both begins and ends with."""
    borders, longest = [0], 0
    for sign in value[1:]:
        length = borders[-1]
        while length and value[length] != sign:
            length = borders[length - 1]
        borders.append(length + 1 if value[length] == sign else 0)
        longest = max(longest, borders[-1])
    return longest


def _spellings(sign: str, *, plain_first: bool) -> str:
    """A pattern of all ways in which one character may be written."""
    percent = "".join(f"%{byte:02x}" for byte in sign.encode(errors="replace"))
    other = (json.dumps(sign)[1:-1], *{"/": ("\\/",), " ": ("+",)}.get(sign, ()))
    written = [
        f"(?i:{re.escape(percent)}|{re.escape(_escaped(sign))})",
        *(re.escape(way) for way in other if way != sign),
    ]
    ways = [re.escape(sign), *written] if plain_first else [*written, re.escape(sign)]
    return f"(?>{'|'.join(ways)})"


def _escaped(sign: str) -> str:
    """The character by its number, as JSON may write any."""
    units = sign.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
