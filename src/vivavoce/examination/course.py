"""The course of a conversation: whose turn it is, and which limit it has run into. Pure rules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vivavoce.core.event import Ending, HandedOver, Message, Moved, Speaker, ToolReturned
from vivavoce.core.transcript import Transcript

SHORT = 3
"""A message of fewer words than these can be repeated twice as often before it is a loop."""

BUSY = 3
"""An assistant whose tools work may be silent so many times as often as one that does nothing at all."""

_NO_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_duration_s`` seconds of conversation, ``turn_limit`` messages of the caller, ``repeats`` equal messages
    of one speaker in a row that make a loop (twice as many for a word or two), ``silences`` empty answers in a row
    that end it (``BUSY`` times as many where its tools worked), ``utterance_limit`` messages of both with words in them
    (contract, section 3.4; None sets no limit)."""

    max_duration_s: float
    turn_limit: int
    repeats: int = 3
    silences: int = 2
    utterance_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The conversation must end here, and why."""

    ending: Ending
    reason: str
    speaker: Speaker | None = None


def next_speaker(transcript: Transcript) -> Speaker:
    """Who speaks next in a recorded conversation. An empty one begins with the assistant, which may greet.

    Movements in a flow change nothing of it, and words that fill the time are no answer.
    """
    last = transcript.last_act
    if isinstance(last, Message) and last.speaker is Speaker.ASSISTANT:
        return Speaker.CALLER
    return Speaker.ASSISTANT


def is_waited_for(transcript: Transcript) -> bool:
    """Whether somebody waits for the assistant to speak: nobody does before anything has happened."""
    return transcript.last_act is not None and next_speaker(transcript) is Speaker.ASSISTANT


def first_to_act(transcript: Transcript) -> Speaker:
    """Who acts first when a recorded conversation goes on. An assistant that has spoken may have more to do where it
    moves in a flow or was handed over to: whoever goes on finds out by listening."""
    if any(isinstance(event, Moved | HandedOver) for event in transcript.events):
        return Speaker.ASSISTANT
    return next_speaker(transcript)


def stop(
    transcript: Transcript, limits: Limits, turn: Speaker | None = None, lines: Sequence[str | None] = ()
) -> Stop | None:
    """The limit that the conversation has run into, or None. ``turn`` is whose turn it is, where that is known better
    than the record tells it; ``lines`` are those of the caller's script, which is played whatever is said."""
    spent = transcript.talked_ms / 1000
    if spent >= limits.max_duration_s:
        reason = f"it took {spent:.1f} s; the limit is {limits.max_duration_s:g} s"
        return Stop(Ending.MAX_DURATION, reason, _last_active(transcript))
    spoken = [message for _, message in transcript.messages() if not message.fills]
    idle, silent = _silences(transcript)
    if idle >= limits.silences:
        return Stop(Ending.SILENCE, f"the assistant stayed silent {idle} times in a row")
    if silent >= BUSY * limits.silences:
        return Stop(Ending.SILENCE, f"the assistant stayed silent {silent} times in a row, whatever its tools did")
    played = _played(spoken, lines) if lines else ()
    callers: list[int] = []
    assistants: list[int] = []
    caller = Speaker.CALLER
    for place, message in enumerate(spoken):
        (callers if message.speaker is caller else assistants).append(place)
    for speaker, places in ((caller, callers), (Speaker.ASSISTANT, assistants)):
        if len(places) < limits.repeats:
            continue
        own = spoken[places[-1]].text
        # "Yes." may well be the answer to three questions.
        times = limits.repeats if len(own.split()) >= SHORT else 2 * limits.repeats
        if len(places) < times or (played and any(played[place] for place in places[-times:])):
            continue
        last = _folded(own)
        if last and all(_folded(spoken[place].text) == last for place in places[-times:-1]):
            return Stop(Ending.LOOP, f"the {speaker.value} said the same thing {times} times in a row", speaker)
    speaks = turn or next_speaker(transcript)
    if len(callers) >= limits.turn_limit and speaks is Speaker.CALLER:
        return Stop(Ending.TURN_LIMIT, f"the caller spoke {len(callers)} times without coming to an end")
    if limits.utterance_limit is not None:
        said = sum(bool(message.text.strip()) for message in spoken)
        # Whoever answers the last message that may be said can still end it without a word.
        if said > limits.utterance_limit or (said == limits.utterance_limit and speaks is Speaker.CALLER):
            reason = f"caller and assistant said {said} messages without coming to an end"
            return Stop(Ending.TURN_LIMIT, f"{reason}; the limit is {limits.utterance_limit}")
    return None


def _played(spoken: Sequence[Message], lines: Sequence[str | None]) -> list[bool]:
    """Which of the messages are lines of the script, or the first answer to one: a script has an end, and whoever is
    asked the same again may say the same again."""
    found: list[bool] = []
    said, line = 0, False
    for message in spoken:
        if message.speaker is Speaker.CALLER:
            line = said < len(lines) and lines[said] is not None
            said += 1
            found.append(line)
        else:
            found.append(line)
            line = False
    return found


def _silences(transcript: Transcript) -> tuple[int, int]:
    """(how many of the assistant's last answers were empty and no work either, how many were empty at all).

    An assistant has not stopped answering where a tool of its own has worked since the caller spoke: some are told to
    say nothing then (contract, sections 5 and 7.3).
    """
    idle = silent = 0
    acted = False
    for event in transcript.events[_last_said(transcript) :]:
        if isinstance(event, ToolReturned):
            acted = acted or event.ok
        elif not isinstance(event, Message):
            continue
        elif event.speaker is Speaker.CALLER:
            acted = False
        elif event.text and not event.fills:
            idle = silent = 0
        elif not event.fills:
            idle, silent = 0 if acted else idle + 1, silent + 1
    return idle, silent


def _last_said(transcript: Transcript) -> int:
    """Where the caller spoke before the last words of the assistant: what was before that says nothing of silences."""
    heard = False
    for turn in range(len(transcript.events) - 1, -1, -1):
        event = transcript.events[turn]
        if isinstance(event, Message):
            if event.speaker is Speaker.CALLER:
                if heard:
                    return turn
            else:
                heard = heard or bool(event.text and not event.fills)
    return 0


def _last_active(transcript: Transcript) -> Speaker:
    last = transcript.events[-1] if transcript.events else None
    # Whatever is no message is the assistant's: calls, results, movements in its flow.
    return last.speaker if isinstance(last, Message) else Speaker.ASSISTANT


def _folded(text: str) -> str:
    # What has no letters at all, such as an emoji, can be repeated as well.
    return _NO_WORD.sub(" ", text).strip().casefold() or text.strip()
