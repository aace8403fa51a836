"""A conversation as a page tells it: what happened in order, each call with its result, quoted words marked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from vivavoce.core.event import Ending, Event, Left, Millis, ToolCalled, ToolReturned
from vivavoce.core.run import Run
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Quote
from vivavoce.examination.quotes import text_of


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text, and whether somebody quoted it."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened. ``turn`` is its place, counted from 0; ``after_ms`` the time since the conversation
    began. ``pieces`` are the words that can be quoted; ``quoted`` says that some were, ``whole`` that they cannot be
    shown in their place, so that all of it is meant. ``result`` is what a call returned. ``behind`` the end nobody
    heard it any more. A call is ``pending`` that returned nothing and after which it went on."""

    turn: int
    event: Event
    after_ms: Millis
    pieces: tuple[Piece, ...]
    quoted: bool = False
    whole: bool = False
    result: "Told | None" = None
    behind: bool = False
    pending: bool = False

    @property
    def kind(self) -> str:
        """What happened: the event's kind."""
        return self.event.kind


ENDINGS: Mapping[Ending, str] = {
    Ending.GOODBYE: "The caller was done and left.",
    Ending.HANGUP: "The assistant hung up.",
    Ending.TRANSFER: "The assistant put the caller through to somebody else.",
    Ending.IDLE: "Nobody said anything for too long.",
    Ending.MAX_DURATION: "It took too long and was cut off.",
    Ending.TURN_LIMIT: "The caller had no more turns.",
    Ending.LOOP: "Somebody said the same thing over and over.",
    Ending.SILENCE: "The assistant did not answer.",
    Ending.TESTER_FAULT: "The caller's model failed.",
    Ending.ASSISTANT_FAULT: "The assistant failed.",
    Ending.INFRASTRUCTURE_FAULT: "Something that the conversation needs was away.",
    Ending.CANCELLED: "It was stopped.",
}
"""How a conversation ended, in words."""


def told(transcript: Transcript, quotes: Iterable[Quote] = ()) -> tuple[Told, ...]:
    """Everything that happened, oldest first. A result stands with its call."""
    by_turn: dict[int, list[str]] = {}
    for quote in quotes:
        by_turn.setdefault(quote.turn, []).append(quote.text)
    began = transcript.events[0].at if transcript.events else 0
    end = transcript.end
    last = end[0] if end is not None else len(transcript.events)
    calls: dict[str, int] = {}
    found: dict[int, Told] = {}
    for turn, event in enumerate(transcript.events):
        given = by_turn.get(turn, [])
        pieces, whole = marked(_readable(event, given), given)
        one = Told(turn, event, max(0, event.at - began), pieces, bool(given), whole, behind=turn > last)
        if isinstance(event, ToolCalled):
            calls[event.call.id] = turn
            then = transcript.events[turn + 1] if turn + 1 < len(transcript.events) else None
            one = replace(one, pending=not isinstance(then, Left))
        place = calls.pop(event.call_id, None) if isinstance(event, ToolReturned) else None
        if place is None:
            found[turn] = one
        else:
            found[place] = replace(found[place], result=one, pending=False)
    return tuple(found.values())


def _readable(event: Event, quotes: Sequence[str]) -> str:
    """The words that can be quoted; what a tool returned is laid out, where the quotes can be found in that as well."""
    text = text_of(event)
    laid_out = pretty(text) if isinstance(event, ToolReturned) and quotes else text
    return laid_out if all(quote in laid_out for quote in quotes) else text


def marked(text: str, quotes: Sequence[str]) -> tuple[tuple[Piece, ...], bool]:
    """The text in pieces, those marked that are quoted, and whether some quote does not stand in it word for word.
    Quotes that overlap or touch are one piece."""
    spans: list[tuple[int, int]] = []
    missing = False
    for quote in quotes:
        at = text.find(quote) if quote else -1
        if at < 0:
            missing = True
        else:
            spans.append((at, at + len(quote)))
    merged: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((first, end))
    pieces: list[Piece] = []
    done = 0
    for first, end in merged:
        if first > done:
            pieces.append(Piece(text[done:first]))
        pieces.append(Piece(text[first:end], marked=True))
        done = end
    if done < len(text):
        pieces.append(Piece(text[done:]))
    return tuple(pieces), missing


def pretty(value: Any) -> str:
    """JSON as people read it; a text that is none stays as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def answer(result: str) -> tuple[tuple[str, str], ...]:
    """What an insight was answered, as (field, value); plain text has one, without a name."""
    try:
        told = json.loads(result)
    except (ValueError, RecursionError):
        return (("", result),)
    if not isinstance(told, dict):
        return (("", result),)
    return tuple((name, word(value)) for name, value in cast("dict[str, Any]", told).items())


def word(value: Any) -> str:
    """A value of an answer."""
    if value is None:
        return "not answered"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def ending(left: Left) -> str:
    """How it ended, in words."""
    return ENDINGS[left.ending]


def reason(left: Left) -> str:
    """What else is known of it; empty where that says the same."""
    same = left.reason.strip(" .").casefold() == ENDINGS[left.ending].strip(" .").casefold()
    return "" if same else left.reason


def why(run: Run) -> str:
    """Why a run came out as it did. How a conversation broke off is told in words."""
    rest = because(run)
    if run.ending is None or rest == run.reason:
        return run.reason
    return f"{ENDINGS[run.ending].removesuffix('.')}: {rest}" if rest else ENDINGS[run.ending]


def because(run: Run) -> str:
    """The same where it is told already how the conversation broke off."""
    known = f"the conversation ended by {run.ending.value}" if run.ending else ""
    return run.reason.removeprefix(known).removeprefix(": ") if known else run.reason
