"""Plays a script. The machine keeps nothing: what has already fired is found by playing the transcript again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vivavoce.assistant.offer import TRANSITION, as_name
from vivavoce.core.event import (
    Event,
    HandedOver,
    Left,
    Message,
    Moved,
    Recalled,
    Speaker,
    ToolCall,
    ToolCalled,
    ToolReturned,
)
from vivavoce.core.transcript import Transcript
from vivavoce.examination.checks.claims import Item
from vivavoce.examination.checks.patterns import Pattern, PatternError, search
from vivavoce.examination.checks.texts import find
from vivavoce.models.scripted.references import Matched, fill, fill_all
from vivavoce.models.scripted.script import Call, Else, Enter, Hear, Result, Rule, Say, Script, Start, Told


@dataclass(frozen=True, slots=True)
class Move:
    """What the script does next. ``lines`` are those of the rules that fired; none where no rule fits."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    hangs_up: bool = False
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Moment:
    """Something to react to: the opening, words, both (a caller who was greeted), or one tool's answer. ``entered``:
    nothing was said or called yet at the node of a flow."""

    opening: bool = False
    entered: bool = False
    heard: str | None = None
    result: ToolReturned | None = None


def next_move(script: Script, transcript: Transcript, me: Speaker) -> Move:
    """What this side of the conversation does after all that happened. Never raises."""
    calls = {call.id: call for _, call in transcript.tool_calls()}
    fired: set[int] = set()
    pending: list[Event] = []
    acted = entered = False
    node = ""
    for turn, event in enumerate(transcript.events):
        if isinstance(event, Moved):
            entered = entered or bool(event.edge) or event.node != node
            node = event.node
        if isinstance(event, HandedOver) and me is Speaker.ASSISTANT:
            # Another script begins, with the words of the caller that nobody has answered yet.
            pending, acted = _unanswered(transcript.events[:turn]), False
            fired.clear()
        if _is_passed_over(event, me):
            continue
        if not _is_mine(event, me):
            pending.append(event)
            continue
        if pending or not acted or entered:
            _rules(script, _moments(pending, acted, me, entered=entered), calls, fired)
        pending, acted, entered = [], True, False
    text: list[str] = []
    wanted: list[tuple[str, dict[str, Any]]] = []
    hangs_up = False
    rules = _rules(script, _moments(pending, acted, me, entered=entered), calls, fired)
    for rule, matched in rules:
        for action in rule.actions:
            match action:
                case Say(words):
                    text.append(fill(words, matched))
                case Call(tool, arguments):
                    wanted.append((tool, fill_all(arguments, matched)))
                case _:
                    hangs_up = True
    return Move(" ".join(text), tuple(wanted), hangs_up, tuple(rule.line for rule, _ in rules))


def _is_passed_over(event: Event, me: Speaker) -> bool:
    """The way through a flow is nothing to react to, nor are an assistant's own words that only filled the time."""
    match event:
        case Moved() | HandedOver() | Recalled():
            return True
        case Message(fills=fills):
            return fills and me is Speaker.ASSISTANT
        case ToolCalled(call=ToolCall(name=name)) | ToolReturned(name=name):
            return name.startswith(TRANSITION)
        case _:
            return False


def _unanswered(events: Sequence[Event]) -> list[Event]:
    heard: list[Event] = []
    for event in events:
        if isinstance(event, Message) and not event.fills:
            heard = [*heard, event] if event.speaker is Speaker.CALLER else []
    return heard


def _is_mine(event: Event, me: Speaker) -> bool:
    if isinstance(event, Message | Left):
        return event.speaker is me
    return me is Speaker.ASSISTANT and isinstance(event, ToolCalled)


def told(script: Script, wish: str) -> str:
    """What is said by somebody who was told to say this: what the script has for it, or the wish itself."""
    for rule in script.rules:
        matched = _heard(rule.trigger.items, wish) if isinstance(rule.trigger, Told) else None
        if matched is not None:
            return " ".join(fill(action.text, matched) for action in rule.actions if isinstance(action, Say))
    return wish


def arguments_for(script: Script, tool: str, transcript: Transcript) -> dict[str, Any]:
    """What this tool, by the name that a model knows it by, is called with where a flow calls it: the first line for it
    that fits. Words are looked for in what the caller said last, then in what was said before."""
    calls = {call.id: call for _, call in transcript.tool_calls()}
    results = [event for event in reversed(transcript.events) if isinstance(event, ToolReturned)]
    data: list[object] = []
    for one in results:
        data += [_parsed(one.output), calls[one.call_id].arguments if one.call_id in calls else {}]
    said = [message.text for _, message in reversed(transcript.said(Speaker.CALLER))]
    for line in script.fills:
        if as_name(line.tool) != tool:
            continue
        if line.items is None:
            return fill_all(line.arguments, Matched(tuple(said[:1]), tuple(data)))
        for words in said:
            matched = _heard(line.items, words)
            if matched is not None:
                return fill_all(line.arguments, Matched(matched.groups, tuple(data)))
    return {}


def _moments(pending: Sequence[Event], acted: bool, me: Speaker, *, entered: bool) -> list[_Moment]:
    heard = [event.text for event in pending if isinstance(event, Message)]
    results: list[_Moment] = []
    if me is Speaker.ASSISTANT:
        results = [_Moment(entered=entered, result=event) for event in pending if isinstance(event, ToolReturned)]
    if results and not heard:
        return results
    # A caller opens with the first words of its own, whether it was greeted or not; an assistant that was spoken
    # to does not open any more.
    opening = not acted and (me is Speaker.CALLER or not heard)
    return [*results, _Moment(opening, entered, "\n".join(heard) if heard or not opening else None)]


def _rules(
    script: Script, moments: Sequence[_Moment], calls: dict[str, ToolCall], fired: set[int]
) -> list[tuple[Rule, Matched]]:
    chosen: list[tuple[Rule, Matched]] = []
    for moment in moments:
        found = _first_rule(script, moment, calls, fired)
        if found is not None:
            chosen.append(found)
            fired.add(found[0].line)
    return chosen


def _first_rule(
    script: Script, moment: _Moment, calls: dict[str, ToolCall], fired: set[int]
) -> tuple[Rule, Matched] | None:
    ready = [rule for rule in script.rules if not (rule.once and rule.line in fired)]
    for rule in sorted(ready, key=lambda rule: isinstance(rule.trigger, Else)):  # else is last, wherever it is written
        matched = _matched(rule, moment, calls)
        if matched is not None:
            return rule, matched
    return None


def _matched(rule: Rule, moment: _Moment, calls: dict[str, ToolCall]) -> Matched | None:
    match rule.trigger:
        case Start():
            return Matched() if moment.opening else None
        case Enter():
            return Matched() if moment.entered else None
        case Told():
            return None
        case Hear(items):
            return None if moment.heard is None else _heard(items, moment.heard)
        case Result(tool, failed):
            result = moment.result
            if result is None or result.ok is failed or tool not in (None, result.name):
                return None
            call = calls.get(result.call_id)
            return Matched((result.output,), (_parsed(result.output), call.arguments if call else {}))
        case _:
            return Matched((moment.heard or "",)) if moment.result is None else None


def _heard(items: Sequence[Item], heard: str) -> Matched | None:
    for item in items:
        if not isinstance(item, Pattern):
            span = find(item.text, heard)
            if span is not None:
                return Matched((heard[slice(*span)],))
            continue
        try:
            found = search(item, heard)
        except PatternError:
            continue  # too much was said for this pattern
        if found is not None:
            return Matched(tuple(None if span is None else heard[slice(*span)] for span in found.spans))
    return None


def _parsed(output: str) -> object:
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return None
