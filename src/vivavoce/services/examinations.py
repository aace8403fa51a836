"""What happens in one run, from the claim to the settled row."""

from collections.abc import Sequence

import structlog

from vivavoce.assistant.state import active
from vivavoce.core.event import Event, Usage
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.status import Status
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault, Outcome, Verdict
from vivavoce.examination.course import Limits
from vivavoce.examination.examine import Book, Examined, examine
from vivavoce.examination.story import tell
from vivavoce.models.resolve import SCRIPTED
from vivavoce.models.scripted import problems
from vivavoce.services import closing
from vivavoce.services.context import Context
from vivavoce.services.lines import Unreachable, channel
from vivavoce.storage import conversations, runs
from vivavoce.storage.database import DatabaseFailure, Tx
from vivavoce.storage.duties import Wanted
from vivavoce.storage.journal import Entry, Lease, LeaseLost, decided, running, settled
from vivavoce.storage.runs import Frozen

log = structlog.get_logger(__name__)


async def conduct(ctx: Context, lease: Lease) -> None:
    """Examine the run that the lease is for and settle it.

    Raises ``LeaseLost`` when it is somebody else's by now, and what the database raises. Any other failure is a defect
    of ours: it ends the run with an error that says so, since another worker would come no further.
    """
    frozen, transcript = await ctx.database.read(lambda tx: _look_up(tx, lease))
    try:
        await _conduct(ctx, lease, frozen, transcript)
    except (LeaseLost, DatabaseFailure):
        raise
    except Exception as failure:
        log.exception("a run failed for a reason of ours", run=lease.run_id)
        reason = f"a defect of this server ({type(failure).__name__}); its log says more"
        _, transcript = await ctx.database.read(lambda tx: _look_up(tx, lease))
        outcome = Outcome(Status.ERROR, Fault.INFRASTRUCTURE, reason)
        await _settle(ctx, lease, frozen, (), Examined(transcript, frozen.run.verdicts, outcome))


def _look_up(tx: Tx, lease: Lease) -> tuple[Frozen, Transcript]:
    found = runs.get_frozen(tx, lease.run_id)
    if found is None:
        raise LeaseLost(lease.run_id)
    return found, conversations.get_transcript(tx, found.run.conversation_id)


async def _conduct(ctx: Context, lease: Lease, frozen: Frozen, transcript: Transcript) -> None:
    notes = [f"resumed at turn {len(transcript.events)}"] if transcript.events else []
    log.info("run starts", run=lease.run_id, test=frozen.scenario.name, turns=len(transcript.events))
    try:
        line = await channel(ctx, frozen)
        tester = _tester(ctx, frozen)
        judging = ctx.models.resolve(None, "judge")
    except (Unreachable, ModelFailure) as failure:
        refused = Outcome(Status.ERROR, Fault.INFRASTRUCTURE, f"it could not start: {failure}")
        await _settle(ctx, lease, frozen, notes, Examined(transcript, frozen.run.verdicts, refused))
        return
    notes += [f"tester: {tester.name}, judge: {judging.name}", *line.notes]
    if frozen.scenario.medium.spoken:
        notes.append(f"{frozen.scenario.medium.value} is carried as text: this server does not speak yet")
    if tester.name == SCRIPTED:
        notes += [f"the tester's script, {problem}" for problem in problems(frozen.scenario.brief, side="tester")]
    if judging.name == SCRIPTED:
        notes.append("the judge is scripted: it computes over the transcript and understands nothing else")
    book = _Book(ctx, lease, frozen.run.conversation_id, len(transcript.events))
    await ctx.journal.write(running(lease, ctx.clock.now()))
    examined = await examine(
        frozen.scenario,
        line,
        tester,
        judging,
        transcript,
        frozen.run.verdicts,
        Book(book.events, book.verdicts),
        clock=ctx.clock,
        limits=Limits(
            frozen.scenario.max_duration_s or ctx.limits.max_duration_s,
            frozen.scenario.turn_limit or ctx.limits.turn_limit,
            ctx.limits.repeat_limit,
            utterance_limit=frozen.scenario.utterance_limit or ctx.limits.utterance_limit,
        ),
    )
    await _settle(ctx, lease, frozen, notes, examined)


def _tester(ctx: Context, frozen: Frozen) -> Model:
    """The model that plays the caller. Where nobody serves the one that the test names, the server's tester does, if
    the settings allow stand-ins; the run's story names who it was."""
    named = frozen.scenario.tester_model
    try:
        return ctx.models.resolve(named, "tester")
    except ModelFailure as failure:
        if named is None:
            raise
        if ctx.models.has_stand_in and failure.trouble is Trouble.UNRESOLVED:
            return ctx.models.resolve(None, "tester")
        raise ModelFailure(failure.trouble, f"the test's caller is to be played by {named!r}: {failure}") from failure


class _Book:
    """Writes a run's events where they belong, under its lease."""

    def __init__(self, ctx: Context, lease: Lease, conversation_id: str, turn: int) -> None:
        self._ctx, self._lease = ctx, lease
        self._conversation_id, self._turn = conversation_id, turn

    async def events(self, events: Sequence[Event]) -> None:
        first = self._turn
        self._turn += len(events)
        entry = Entry(self._lease, self._ctx.clock.now(), self._conversation_id, first, tuple(events))
        await self._ctx.journal.write(entry)

    async def verdicts(self, verdicts: Sequence[Verdict], usage: Usage) -> None:
        await self._ctx.journal.write(decided(self._lease, self._ctx.clock.now(), verdicts, usage))


async def _settle(ctx: Context, lease: Lease, frozen: Frozen, notes: Sequence[str], examined: Examined) -> None:
    run, outcome = frozen.run, examined.outcome
    now = ctx.clock.now()
    # Verdicts that were recorded before a restart were paid for then; what they cost was recorded with them.
    judging = examined.judging if examined.judging.attempts else frozen.run.usage or examined.judging
    usage = examined.transcript.usage.plus(judging)
    story = tell(
        f"run {run.id}: {frozen.scenario.name}",
        run.started_at or now,
        notes,
        examined.transcript,
        examined.verdicts,
        outcome,
        usage,
    )
    duties: tuple[Wanted, ...] = ()
    if frozen.cast is not None and examined.transcript.events:
        speaker = active(frozen.cast, examined.transcript)
        duties = closing.following(ctx, frozen.org, run.conversation_id, speaker)
    finding_id = closing.finding(duties)
    await ctx.journal.write(settled(lease, now, outcome, examined.transcript, usage, story, duties, finding_id))
    if duties:
        ctx.wake()
    log.info(
        "run ends",
        run=run.id,
        test=frozen.scenario.name,
        status=outcome.status.value,
        fault=outcome.fault.value if outcome.fault else None,
        seconds=round(examined.transcript.talked_ms / 1000, 2),
    )
