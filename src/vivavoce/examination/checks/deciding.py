"""Decides claims from the record."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

from vivavoce.core.event import Ending, Event, Message, Speaker, ToolCall
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Quote
from vivavoce.examination.checks.claims import Calls, Claim, Ends, Item, Leaves, Order, Pace, Says
from vivavoce.examination.checks.patterns import Pattern, search
from vivavoce.examination.checks.texts import Span, find, quoted, sentence_spans
from vivavoce.examination.quotes import text_of


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim decided."""

    decision: Decision
    reason: str
    quote: Quote | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something was said."""

    turn: int
    span: Span
    text: str

    @property
    def sentence(self) -> Quote | None:
        words = quoted(self.text, self.span)
        return Quote(self.turn, words) if words else None

    @property
    def words(self) -> Quote | None:
        words = self.text[slice(*self.span)]
        return Quote(self.turn, words) if words else None


def decide(claim: Claim, transcript: Transcript) -> Finding | None:
    """What the record says of the claim; None where the sentence leaves open what is right in such a conversation.

    Raises ``PatternError`` where a message is too long for a pattern of the claim.
    """
    match claim:
        case Pace():
            return _pace(claim, transcript)
        case Calls():
            return _calls(claim, transcript)
        case Says():
            return _says(claim, transcript)
        case Order():
            return _order(claim, transcript)
        case Leaves():
            return _leaves(claim, transcript)
        case _:
            return _ends(claim, transcript)


def _decided(met: bool, reason: str, quote: Quote | None = None) -> Finding:
    return Finding(Decision.MET if met else Decision.UNMET, reason, quote)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


# --- times ----------------------------------------------------------------------------------------------------------


def _pace(claim: Pace, transcript: Transcript) -> Finding:
    times = transcript.response_times()[: 1 if claim.first else None]
    if not times:
        return Finding(Decision.INCONCLUSIVE, "the assistant was never waited for, so no response was timed")
    limit = f"the limit is {'less than ' if claim.strict else ''}{_duration(claim.limit_ms)}"
    for turn, took in times:
        if _silent(transcript, turn):
            return _decided(
                False, f"the assistant stayed silent when it was spoken to (turn {turn}, {_duration(took)})"
            )
    turn, slowest = max(times, key=lambda time: time[1])
    which = "the first response" if claim.first else f"the slowest of {len(times)} response{_s(len(times))}"
    met = slowest < claim.limit_ms if claim.strict else slowest <= claim.limit_ms
    return _decided(met, f"{which} took {_duration(slowest)} (turn {turn}); {limit}", _opening(transcript, turn))


def _silent(transcript: Transcript, turn: int) -> bool:
    # A stretch of messages none of which has words is no response, however quick.
    stretch = takewhile(lambda event: not _of_caller(event), reversed(transcript.events[: turn + 1]))
    return not any(isinstance(event, Message) and event.text.strip() and not event.fills for event in stretch)


def _of_caller(event: Event) -> bool:
    return isinstance(event, Message) and event.speaker is Speaker.CALLER


def _opening(transcript: Transcript, turn: int) -> Quote | None:
    text = dict(transcript.messages())[turn].text
    spans = sentence_spans(text)
    return _Place(turn, spans[0], text).sentence if spans else None


def _duration(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1000 else f"{round(ms / 1000, 3):g} s"


# --- tools ----------------------------------------------------------------------------------------------------------


def _calls(claim: Calls, transcript: Transcript) -> Finding | None:
    name = claim.tool.name
    if _doubtful(claim, transcript):
        return None
    named = [(turn, call) for turn, call in transcript.tool_calls() if call.name == name]
    matching = [(turn, call) for turn, call in named if _matches(claim.arguments, call)]
    count = len(matching)
    met = claim.low <= count <= (math.inf if claim.high is None else claim.high)
    times = f"called {_times(count)}" if count else "never called"
    reason = f"{name} was {times}{_turns([turn for turn, _ in matching])}"
    if claim.arguments:
        reason += " with these arguments"
        others = [f"turn {turn}: {dict(call.arguments)!r}" for turn, call in named if (turn, call) not in matching]
        if others:
            reason += f"; and with others: {'; '.join(others)}"[:500]
    shown = next(iter(matching or named), None)
    return _decided(met, reason, _call(shown[0], transcript) if shown else None)


def _call(turn: int, transcript: Transcript) -> Quote:
    return Quote(turn, text_of(transcript.events[turn]))


def _doubtful(claim: Calls | Says, transcript: Transcript) -> bool:
    # A plain word may describe a tool. Where no tool was called, or one of this very name, that makes no difference.
    if not isinstance(claim, Calls) or claim.tool.certain:
        return False
    called = {call.name for _, call in transcript.tool_calls()}
    return bool(called) and claim.tool.name not in called


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count) or f"{count} times"


def _turns(turns: Sequence[int]) -> str:
    return f" (turn{_s(len(turns))} {', '.join(map(str, turns))})" if turns else ""


def _matches(wanted: Sequence[tuple[str, Any]], call: ToolCall) -> bool:
    return all(_equal(value, _at_path(call.arguments, key)) for key, value in wanted)


_ABSENT = object()


def _at_path(data: Mapping[str, Any], path: str) -> object:
    if path in data:
        return data[path]
    value: object = data
    for key in path.split("."):
        value = _entry(value, key)
    return value


def _entry(value: object, key: str) -> object:
    return cast("Mapping[str, Any]", value).get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT


def _equal(wanted: object, given: object) -> bool:
    # A model may write the number 5 as "5", and an author may quote it; both mean the same call.
    if isinstance(wanted, Mapping):
        if not isinstance(given, Mapping):
            return False
        theirs = cast("Mapping[str, Any]", given)
        return all(_equal(value, theirs.get(key, _ABSENT)) for key, value in cast("Mapping[str, Any]", wanted).items())
    if isinstance(wanted, list):
        mine, theirs = cast("list[object]", wanted), cast("list[object]", given)
        return isinstance(given, list) and len(mine) == len(theirs) and all(map(_equal, mine, theirs))
    return _scalar(wanted) == _scalar(given)


def _scalar(value: object) -> object:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


# --- words ----------------------------------------------------------------------------------------------------------


def locate(item: Item, text: str) -> Span | None:
    """Where the item stands in the text first. Raises ``PatternError``."""
    if isinstance(item, Pattern):
        found = search(item, text)
        return found.span if found else None
    return find(item.text, text)


def described(item: Item) -> str:
    """The item as a person wrote it."""
    return f"/{item.source}/" if isinstance(item, Pattern) else f'"{item.text}"'


def _first(item: Item, speaker: Speaker, transcript: Transcript) -> _Place | None:
    for turn, message in transcript.said(speaker):
        span = locate(item, message.text)
        if span is not None:
            return _Place(turn, span, message.text)
    return None


def _says(claim: Says, transcript: Transcript) -> Finding:
    places = [(item, _first(item, claim.speaker, transcript)) for item in claim.items]
    found = [(item, place) for item, place in places if place is not None]
    missing = [item for item, place in places if place is None]
    who = f"the {claim.speaker.value}"
    if claim.never:
        if not found:
            return _decided(True, f"{who} never said {_list(missing, 'or')}")
        item, place = min(found, key=lambda pair: pair[1].turn)
        return _decided(False, f"{who} said {described(item)} (turn {place.turn})", place.words)
    if not found or (claim.every and missing):
        return _decided(False, f"{who} never said {_list(missing, 'or')}")
    if not claim.every:
        found = [min(found, key=lambda pair: pair[1].turn)]
    said = ", ".join(f"{described(item)} (turn {place.turn})" for item, place in found)
    return _decided(True, f"{who} said {said}", found[0][1].sentence)


def _list(items: Sequence[Item], joint: str) -> str:
    return f" {joint} ".join(map(described, items))


# --- order ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Moment:
    """When something happened first: the turn, and the place in its words."""

    at: tuple[int, int]
    told: str
    quote: Quote | None = None


def _order(claim: Order, transcript: Transcript) -> Finding | None:
    if any(_doubtful(part, transcript) for part in (claim.first, claim.second)):
        return None
    first, second = _moment(claim.first, transcript), _moment(claim.second, transcript)
    if second is None:
        return None  # whether the first is right without the second, the sentence does not say
    if first is None:
        return _decided(False, f"{second.told}, and the other did not happen", second.quote)
    met = first.at < second.at
    quote = first.quote or second.quote or _call(first.at[0], transcript)
    return _decided(met, f"{first.told}, {second.told}", quote)


def _moment(claim: Calls | Says, transcript: Transcript) -> _Moment | None:
    if isinstance(claim, Calls):
        for turn, call in transcript.tool_calls():
            if call.name == claim.tool.name and _matches(claim.arguments, call):
                return _Moment((turn, 0), f"{call.name} was called in turn {turn}")
        return None
    said = [(place, item) for item in claim.items if (place := _first(item, claim.speaker, transcript))]
    if not said:
        return None
    place, item = min(said, key=lambda pair: (pair[0].turn, pair[0].span))
    told = f"the {claim.speaker.value} said {described(item)} in turn {place.turn}"
    return _Moment((place.turn, place.span[0]), told, place.sentence)


# --- endings --------------------------------------------------------------------------------------------------------

_LEAVERS = {Ending.GOODBYE: Speaker.CALLER, Ending.HANGUP: Speaker.ASSISTANT}


def _leaves(claim: Leaves, transcript: Transcript) -> Finding | None:
    if transcript.end is None:
        return Finding(Decision.INCONCLUSIVE, "the conversation has not ended")
    turn, left = transcript.end
    if left.ending is Ending.TRANSFER and claim.speaker is Speaker.ASSISTANT:
        return None  # whether putting somebody through is hanging up, the sentence does not say
    leaver = _LEAVERS.get(left.ending)
    who = f"the {leaver.value} ended the conversation" if leaver else f"the conversation ended by {left.ending.value}"
    return _decided((leaver is claim.speaker) is not claim.never, f"{who} (turn {turn})")


def _ends(claim: Ends, transcript: Transcript) -> Finding:
    spoken = [message for _, message in transcript.messages() if message.text.strip() and not message.fills]
    match claim.unit:
        case "ms":
            size, told = transcript.talked_ms, _duration(transcript.talked_ms)
        case "messages":
            size, told = len(spoken), f"{len(spoken)} message{_s(len(spoken))}"
        case _:
            size = sum(message.speaker is Speaker.CALLER for message in spoken)
            told = f"{size} message{_s(size)} of the caller"
    within = size < claim.limit if claim.strict else size <= claim.limit
    if within and transcript.ending is None:
        return Finding(Decision.INCONCLUSIVE, f"the conversation has not ended after {told}")
    return _decided(within, f"the conversation took {told}")
