"""One examination from hello to verdict."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from vivavoce.core.clock import Clock
from vivavoce.core.event import Event, Speaker, Usage
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.scenario import Scenario
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import JUDGED_ENDINGS, Fault, Outcome, Verdict, outcome, unexamined
from vivavoce.examination.channel import Channel, LineBroken
from vivavoce.examination.course import Limits
from vivavoce.examination.judge import judge
from vivavoce.examination.rehearsal import Away, broken, rehearse
from vivavoce.examination.tasks import Part

NOTHING = Usage(attempts=0)


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of it; ``judging`` is what the judge cost in this attempt."""

    transcript: Transcript
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    judging: Usage = NOTHING


@dataclass(frozen=True, slots=True)
class Book:
    """Where an examination writes itself down. Each call returns when its entry is durable."""

    events: Callable[[Sequence[Event]], Awaitable[None]]
    verdicts: Callable[[Sequence[Verdict], Usage], Awaitable[None]]


async def examine(
    scenario: Scenario,
    channel: Channel,
    tester: Model,
    judging: Model,
    transcript: Transcript,
    known: Sequence[Verdict],
    book: Book,
    *,
    clock: Clock,
    limits: Limits,
    again: bool = False,
) -> Examined:
    """Rehearse and judge, going on from what was recorded of both.

    Only what the book raises comes through (a lost lease, a database that is gone); every other failure is an
    outcome that says whose it was. ``again`` says that there can be another attempt: where a model or the way to the
    assistant is only away for now, ``Away`` is raised, and the next attempt goes on from the record.
    """
    if transcript.ending is None:
        part = Part(scenario.brief, scenario.persona, scenario.lines, scenario.hangs_up)
        try:
            async with channel.open(transcript) as line:
                transcript = await rehearse(
                    part, line, tester, transcript, book.events, clock=clock, limits=limits, again=again
                )
        except LineBroken as failure:
            if transcript.ending is None:
                unopened = broken(failure, Speaker.ASSISTANT, clock, again=again)
                await book.events((unopened,))
                transcript = transcript.plus((unopened,))
    assert transcript.end is not None, "a rehearsal ends with somebody leaving"
    left = transcript.end[1]
    if left.ending not in JUDGED_ENDINGS:
        verdicts = unexamined([one.name for one in scenario.criteria], left.ending)
        await book.verdicts(verdicts, NOTHING)
        return Examined(transcript, verdicts, outcome(scenario.criteria, verdicts, left))
    try:
        # Whoever reported one call reports them all.
        seen = channel.shows_tools or bool(transcript.tool_calls())
        verdicts, usage = await judge(transcript, scenario.criteria, judging, known, tools_recorded=seen)
    except ModelFailure as failure:
        reason = f"the judge's model: {failure}"
        if again and failure.trouble is Trouble.UNAVAILABLE:
            raise Away(reason) from failure
        return Examined(transcript, tuple(known), Outcome(Status.ERROR, Fault.INFRASTRUCTURE, reason))
    if len(known) != len(verdicts):
        await book.verdicts(verdicts, usage)
    return Examined(transcript, verdicts, outcome(scenario.criteria, verdicts, left), usage)
