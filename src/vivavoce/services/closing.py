"""What follows when a conversation is over: the assistant's last turn, then insights, then forgetting.

A call or an examination ends. A conversation of messages has no end that anybody could see: it counts as over when
nobody has said anything for a while, and goes on when somebody does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from vivavoce.assistant.report import report as last_turn
from vivavoce.assistant.state import State, active, in_cast
from vivavoce.core.assistant import Cast, Version
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.event import Ending, Event, HandedOver, Left, Millis
from vivavoce.core.model import ModelFailure
from vivavoce.core.telemetry import plainly
from vivavoce.core.tool import ToolMock
from vivavoce.core.transcript import Transcript
from vivavoce.services import findings, threads
from vivavoce.services.assistants import cast
from vivavoce.services.context import Context
from vivavoce.services.minds import Minds
from vivavoce.services.tooling import ToolsOf
from vivavoce.storage import conversations, duties, runs, texts
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted

IDLE = "idle"
REPORT = "report"
FORGETS = "forgets"
"""The body of a duty in a conversation whose assistant keeps no history."""

_PATIENCE = 3
"""How often the last turn is tried when its model fails."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Over:
    """A conversation, and who spoke in it; ``examined`` where it is a run's, so that it is evidence."""

    conversation: Conversation
    transcript: Transcript
    cast: Cast
    mocks: tuple[ToolMock, ...]
    examined: bool

    @property
    def speaker(self) -> Version:
        return speaker(self.cast, self.transcript)


def speaker(cast: Cast, transcript: Transcript) -> Version:
    """Who speaks now. It keeps history only where everybody who spoke before does: what was said to one that keeps
    none is not kept because another took over."""
    now = active(cast, transcript)
    before = (in_cast(cast, event.assistant_id) for event in transcript.events if isinstance(event, HandedOver))
    keeps = all(version.keeps for version in (cast.first, *before) if version is not None)
    return now if keeps or not now.keeps else replace(now, keeps=False)


def rested(
    ctx: Context, tx: Tx, org: str, conversation_id: str, version: Version, *, over: bool, always: bool = False
) -> None:
    """The assistant has said what it had to say; ``over`` where somebody left; ``always`` is as in ``waits``. Whoever
    calls wakes the duties."""
    now = ctx.clock.now()
    if over:
        conversations.set_ended(tx, conversation_id, now)
        duties.forget(tx, IDLE, conversation_id)
        if version.reports:
            duties.want(tx, _report(ctx, org, conversation_id, version))
        else:
            findings.wanted(ctx, tx, org, conversation_id, version)
        if forgets(version):
            _forget(tx, org, conversation_id)
    else:
        waits(ctx, tx, org, conversation_id, version, always=always)


def waits(ctx: Context, tx: Tx, org: str, conversation_id: str, version: Version, *, always: bool = False) -> None:
    """Somebody spoke in a conversation of messages: it is over when nobody does any more, if anything follows then, or
    ``always``."""
    if always or follows(version):
        duties.want(tx, _idle(ctx, org, conversation_id, version, ctx.clock.now()))


def _idle(ctx: Context, org: str, conversation_id: str, version: Version, last: Millis) -> Wanted:
    due_at = last + (version.idle_minutes or ctx.limits.idle_minutes) * 60_000
    return Wanted(ctx.new_id(), org, IDLE, conversation_id, due_at, _body(version))


def _body(version: Version) -> str:
    """Kept with the duty, for the assistant may be gone by then."""
    return "" if version.keeps else FORGETS


def follows(version: Version) -> bool:
    """Whether anything happens when one of its conversations is over."""
    return version.reports or version.insight_group is not None or not version.keeps


def forgets(version: Version) -> bool:
    """Whether there is nothing left to do before what was said is forgotten."""
    return not version.keeps and not version.reports


def following(ctx: Context, org: str, conversation_id: str, version: Version) -> tuple[Wanted, ...]:
    """The duties that follow the end of a conversation: the last turn first, and what comes after it later. For whoever
    keeps them beside other things."""
    if version.reports:
        return (_report(ctx, org, conversation_id, version),)
    prepared = findings.prepared(ctx, org, conversation_id, version)
    return (prepared,) if prepared else ()


def _report(ctx: Context, org: str, conversation_id: str, version: Version) -> Wanted:
    return Wanted(ctx.new_id(), org, REPORT, conversation_id, ctx.clock.now(), _body(version))


def finding(wanted: Sequence[Wanted]) -> str | None:
    """The id that what insights find will have, where they are wanted."""
    return next((duty.subject for duty in wanted if duty.kind == findings.KIND), None)


async def end_idle(ctx: Context, duty: Duty) -> None:
    """Take a conversation of messages for over; ``duty.subject`` is its id. It can go on: what is said later ends once
    more."""

    def work(tx: Tx) -> None:
        found = _look_up(tx, duty.org, duty.subject)
        if found is None:
            _forget_orphan(tx, duty)
            return
        if found.conversation.ended_at is not None:
            return
        again = _idle(ctx, duty.org, duty.subject, found.speaker, found.conversation.last_message_at)
        if again.due_at > ctx.clock.now():  # somebody spoke since this became due
            duties.want(tx, again)
            return
        left = Left(Ending.IDLE, ctx.clock.now(), reason="nobody said anything any more")
        at, turn = found.conversation.last_message_at, len(found.transcript.events)
        conversations.append(tx, duty.subject, (left,), at, turn=turn)
        rested(ctx, tx, duty.org, duty.subject, found.speaker, over=True)

    # Whoever speaks is waited for: nothing may be forgotten under its hands.
    async with ctx.turns.of(duty.subject):
        await ctx.database.write(work)
    ctx.wake()


async def report(ctx: Context, duty: Duty) -> None:
    """Give the assistant one more turn, in which it can call webhooks; ``duty.subject`` is the conversation's id.

    Every event is kept before the next call goes out, so a turn that broke off is gone on with. What follows is wanted
    when it is done. A conversation that goes on meanwhile waits for it; one that has gone on already is left alone,
    since it will end once more. Raises ``ModelFailure`` and ``TurnTaken`` where it is worth trying again.
    """
    async with ctx.turns.of(duty.subject):
        found = await ctx.database.read(lambda tx: _look_up(tx, duty.org, duty.subject))
        if found is None:
            await ctx.database.write(lambda tx: _forget_orphan(tx, duty))
        elif found.transcript.end is not None:
            await _report_on(ctx, duty, found)
    ctx.wake()


async def _report_on(ctx: Context, duty: Duty, found: _Over) -> None:
    opening = found.conversation.opening or Opening({})
    state = State(found.transcript, opening.variables, f"{duty.subject}:report", False, opening.memory)
    prefix = found.cast.first.templating.prefix
    tools = ToolsOf(ctx, duty.org, prefix, conversation_id=duty.subject, mocks=found.mocks)
    minds = Minds(ctx, duty.org)
    while True:
        try:
            done = await last_turn(found.cast, state, models=minds, tools=tools, clock=ctx.clock)
        except ModelFailure as failure:
            if duty.attempts >= _PATIENCE:
                log.warning(
                    "the last turn of a conversation failed", conversation=duty.subject, reason=plainly(failure)
                )
                break
            raise
        await _keep(ctx, duty.subject, state.transcript, done.events)
        state = done.state
        if done.rests:
            break

    def follow(tx: Tx) -> None:
        if found.examined:
            # Before its conversation, which the finding locks: so does everybody, or they could wait for each other.
            runs.holder(tx, duty.subject, lock=True)
        conversations.get(tx, duty.org, duty.subject, lock=True)
        # Finished together with what follows from it, or a worker that dies in between would have it follow twice.
        if not duties.finish(tx, duty) or len(conversations.get_transcript(tx, duty.subject).events) != len(
            state.transcript.events
        ):
            return
        finding_id = findings.wanted(ctx, tx, duty.org, duty.subject, found.speaker)
        if found.examined and finding_id:
            runs.set_finding(tx, duty.subject, finding_id)
        if not found.speaker.keeps and not found.examined:
            _forget(tx, duty.org, duty.subject)

    await ctx.database.write(follow)


def _forget(tx: Tx, org: str, conversation_id: str) -> None:
    conversations.forget(tx, conversation_id)
    texts.forget(tx, org, conversation_id)


def _forget_orphan(tx: Tx, duty: Duty) -> None:
    """Nobody is left who could do anything with the conversation; what must not be kept goes all the same."""
    conversation = conversations.get(tx, duty.org, duty.subject, lock=True)
    if conversation is not None and duty.body == FORGETS and not runs.holds(tx, duty.subject):
        conversations.set_ended(tx, duty.subject, conversation.last_message_at)
        _forget(tx, duty.org, duty.subject)


async def _keep(ctx: Context, conversation_id: str, before: Transcript, events: Sequence[Event]) -> None:
    turn = len(before.events)
    await ctx.database.write(lambda tx: conversations.append(tx, conversation_id, events, ctx.clock.now(), turn=turn))


def _look_up(tx: Tx, org: str, conversation_id: str) -> _Over | None:
    """None where the conversation, or its assistant, is gone."""
    conversation = conversations.get(tx, org, conversation_id)
    if conversation is None:
        return None
    transcript = conversations.get_transcript(tx, conversation_id)
    run_id = runs.holder(tx, conversation_id)
    frozen = runs.get_frozen(tx, run_id) if run_id else None
    if frozen is not None:
        held = frozen.cast
        return _Over(conversation, transcript, held, frozen.scenario.mocks, True) if held else None
    assistant = threads.assistant_of(tx, org, conversation)
    if assistant is None:
        return None
    version = threads.version_of(tx, assistant, conversation)
    return _Over(conversation, transcript, cast(tx, org, version), (), False)
