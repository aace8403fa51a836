"""The conversation between a tester and a line, written down event by event."""

from collections.abc import Awaitable, Callable, Sequence

from vivavoce.core.clock import Clock
from vivavoce.core.event import Ending, Event, Left, Message, Speaker
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault
from vivavoce.core.waiting import deadline
from vivavoce.examination.channel import Line, LineBroken
from vivavoce.examination.course import Limits, first_to_act, is_waited_for, stop
from vivavoce.examination.tasks import Part
from vivavoce.examination.tester import next_move, scripted, words

Record = Callable[[Sequence[Event]], Awaitable[None]]
"""Makes events durable; returns when they are. Nothing else is asked for before it returns."""


class Away(Exception):
    """What the examination needs is away for now, and may be back for another attempt; none of this was recorded."""


_ENDINGS = {
    Fault.ASSISTANT: Ending.ASSISTANT_FAULT,
    Fault.TESTER: Ending.TESTER_FAULT,
    Fault.INFRASTRUCTURE: Ending.INFRASTRUCTURE_FAULT,
}


async def rehearse(
    part: Part,
    line: Line,
    tester: Model,
    transcript: Transcript,
    record: Record,
    *,
    clock: Clock,
    limits: Limits,
    again: bool = False,
) -> Transcript:
    """Talk until somebody leaves or a limit is reached, going on from what was recorded.

    Returns the transcript, which always ends with ``Left``. Failures of the tester, the assistant and the
    infrastructure are endings, told apart; only what ``record`` raises comes through. ``again`` says that there can be
    another attempt: what is only away for now is no ending then, and raises ``Away``.
    """
    turn = first_to_act(transcript)
    left_s = limits.max_duration_s - transcript.talked_ms / 1000
    while transcript.ending is None:
        events: tuple[Event, ...]
        halt = stop(transcript, limits, turn, part.lines)
        if halt is not None:
            events = (Left(halt.ending, clock.now(), halt.speaker, halt.reason),)
        else:
            started = clock.ticks()
            try:
                async with deadline(left_s):
                    if turn is Speaker.ASSISTANT:
                        events, turn = await _listen(line, transcript, clock, started)
                    else:
                        events, turn = await _speak(part, tester, transcript, clock, started), Speaker.ASSISTANT
            except TimeoutError:
                events = (_late(turn, clock, started, limits),)
            except (LineBroken, ModelFailure) as failure:
                events = (broken(failure, turn, clock, again=again),)
        if not events:
            continue
        await record(events)
        transcript = transcript.plus(events)
        left_s -= sum(event.took_ms for event in events) / 1000
        first = events[0]
        if isinstance(first, Message) and first.speaker is Speaker.CALLER:
            # Last words are worth no other attempt.
            undelivered = await _say(first, line, left_s, clock, limits, again=again and transcript.ending is None)
            if undelivered is not None and transcript.ending is None:
                await record((undelivered,))
                transcript = transcript.plus((undelivered,))
    return transcript


async def _say(
    message: Message, line: Line, left_s: float, clock: Clock, limits: Limits, *, again: bool
) -> Left | None:
    started = clock.ticks()
    try:
        async with deadline(left_s):
            await line.say(message)
    except TimeoutError:
        return _late(Speaker.ASSISTANT, clock, started, limits)
    except LineBroken as failure:
        return broken(failure, Speaker.ASSISTANT, clock, again=again)
    return None


async def _listen(
    line: Line, transcript: Transcript, clock: Clock, started: float
) -> tuple[tuple[Event, ...], Speaker]:
    heard = await line.listen()
    events = heard.events
    if events and not heard.rests:  # whoever does nothing rests, or the conversation would never end
        return events, Speaker.ASSISTANT
    if is_waited_for(transcript) and not any(isinstance(event, Message | Left) for event in events):
        # It was spoken to and said nothing: silence is written down, so that it can be seen and counted.
        silence = Message(Speaker.ASSISTANT, "", clock.now(), round((clock.ticks() - started) * 1000))
        events = (*events, silence)
    return events, Speaker.CALLER


async def _speak(part: Part, tester: Model, transcript: Transcript, clock: Clock, started: float) -> tuple[Event, ...]:
    move, usage = scripted(part, transcript), None
    if move is not None and move.action == "say":
        return (Message(Speaker.CALLER, move.message, clock.now()),)  # word for word, also the space around it
    if move is None:
        answer = await next_move(part, transcript, tester)
        move, usage = answer.value, answer.usage
    took_ms = round((clock.ticks() - started) * 1000)
    now = clock.now()
    said = words(move, now, took_ms, usage)
    reason = move.reason or "the caller was done"
    if said is None:
        return (Left(Ending.GOODBYE, now, Speaker.CALLER, reason, took_ms, usage),)
    return (said,) if move.action == "say" else (said, Left(Ending.GOODBYE, now, Speaker.CALLER, reason))


def _late(turn: Speaker, clock: Clock, started: float, limits: Limits) -> Left:
    took_ms = round((clock.ticks() - started) * 1000)
    reason = f"timeout: the {turn.value} was still busy after {limits.max_duration_s:g} s of conversation"
    return Left(Ending.MAX_DURATION, clock.now(), turn, reason, took_ms)


def broken(failure: LineBroken | ModelFailure, turn: Speaker, clock: Clock, *, again: bool = False) -> Left:
    """How a conversation ends that broke off while it was this speaker's turn. Where there can be another attempt,
    ``again``, it does not end for what may be back by then: that raises ``Away``."""
    if again and isinstance(failure, LineBroken) and failure.passing:
        raise Away(str(failure)) from failure
    if again and isinstance(failure, ModelFailure) and failure.trouble is Trouble.UNAVAILABLE:
        raise Away(f"the tester's model: {failure}") from failure
    if isinstance(failure, LineBroken):
        ending = _ENDINGS.get(failure.fault, Ending.INFRASTRUCTURE_FAULT)
    elif failure.trouble is Trouble.GARBLED:
        ending = Ending.TESTER_FAULT
    else:
        ending = Ending.INFRASTRUCTURE_FAULT
    return Left(ending, clock.now(), turn, str(failure))
