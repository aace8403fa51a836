"""What a criterion can claim that is decided from the record alone."""

from dataclasses import dataclass
from typing import Any, Literal

from vivavoce.core.event import Speaker
from vivavoce.examination.checks.literals import Words
from vivavoce.examination.checks.patterns import Pattern

Item = Words | Pattern
"""Something to be found in what was said."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Every response, or the first only, took at most ``limit_ms`` (less than it where ``strict``)."""

    limit_ms: float
    strict: bool
    first: bool


@dataclass(frozen=True, slots=True)
class ToolName:
    """A tool as the criterion names it. Not ``certain`` where a plain word may describe a tool instead of naming it."""

    name: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Calls:
    """The tool was called at least ``low`` and at most ``high`` times with these arguments, by dotted path."""

    tool: ToolName
    low: int = 1
    high: int | None = None
    arguments: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Says:
    """The speaker said any or all of the items; with ``never``, none of them."""

    speaker: Speaker
    items: tuple[Item, ...]
    every: bool = False
    never: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """The first happened before the second."""

    first: Calls | Says
    second: Calls | Says


@dataclass(frozen=True, slots=True)
class Leaves:
    """This speaker ended the conversation, or did not."""

    speaker: Speaker
    never: bool


@dataclass(frozen=True, slots=True)
class Ends:
    """The conversation ended within so many turns (messages of the caller), messages (of both) or milliseconds."""

    limit: float
    unit: Literal["turns", "messages", "ms"]
    strict: bool


Claim = Pace | Calls | Says | Order | Leaves | Ends
