"""What happens in one run, from the claim to the settled row."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from vivavoce.assistant.state import active
from vivavoce.core.event import Ending, Event, Left, Millis, Usage
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.status import Status
from vivavoce.core.telemetry import RunWork
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Fault, Outcome, Verdict, unexamined
from vivavoce.core.waiting import RunClock, Stopwatch, measured, urgent
from vivavoce.engine.worker import Halted, Halting, TryAgain
from vivavoce.examination.course import Limits, next_speaker
from vivavoce.examination.examine import NOTHING, Book, Examined, examine
from vivavoce.examination.rehearsal import Away
from vivavoce.examination.story import retold, tell
from vivavoce.models.resolve import SCRIPTED
from vivavoce.models.scripted import problems
from vivavoce.services import budgets, closing
from vivavoce.services.context import Context
from vivavoce.services.lines import Unreachable, channel
from vivavoce.services.prices import cost, usages
from vivavoce.storage import conversations, hooks, runs
from vivavoce.storage.beginnings import Beginning
from vivavoce.storage.budgets import Spent
from vivavoce.storage.database import DatabaseFailure, Tx
from vivavoce.storage.duties import Wanted
from vivavoce.storage.journal import BudgetSpent, Entry, Lease, LeaseLost, decided, running, settled
from vivavoce.storage.runs import Frozen

_DELAYS_S = (5.0, 20.0, 60.0)
"""How long a run waits before its second attempt, its third, and every one after that, more or less."""

_BROKEN_OFF: Mapping[type[Exception], str] = {Halted: "handed over", TryAgain: "tried again"}

log = structlog.get_logger(__name__)


async def conduct(ctx: Context, lease: Lease, halting: Halting) -> None:
    """Examine the run that the lease is for and settle it. ``halting`` says whether to stop at the next record.

    Raises ``LeaseLost`` when it is somebody else's by now, or cancelled, ``Halted``, ``TryAgain`` where something that
    it needs is away for now and it has attempts left, and what the database raises. An attempt that takes longer than
    the limits say ends the run with an error. Any other failure is a defect of ours: it ends the run with an error that
    says so, since another worker would come no further.
    """
    begun = await ctx.beginnings(ctx.database, lease.run_id)
    if begun is None or begun.frozen.run.status.final:  # deleted or cancelled before it began
        raise LeaseLost(lease.run_id)
    frozen = begun.frozen
    work = _work(frozen, begun.transcript)
    with ctx.telemetry.run(work):
        try:
            outcome = await _attempt(ctx, lease, halting, begun)
        except (Halted, TryAgain, DatabaseFailure) as failure:
            work.outcome = _BROKEN_OFF.get(type(failure), "database away")
            raise
        work.outcome, work.settled = outcome.status.value, True
        work.fault = outcome.fault.value if outcome.fault else None
        work.took_s = (ctx.clock.now() - (frozen.run.started_at or frozen.run.created_at)) / 1000


def _work(frozen: Frozen, transcript: Transcript) -> RunWork:
    """The attempt as those see it who watch."""
    run = frozen.run
    first = run.started_at is not None and run.attempts == 1 and not transcript.events
    return RunWork(
        run.id,
        run.scenario_id,
        run.conversation_id,
        run.batch_id,
        run.priority.name.lower(),
        run.attempts,
        (run.started_at - run.created_at) / 1000 if first and run.started_at is not None else None,
    )


async def _attempt(ctx: Context, lease: Lease, halting: Halting, begun: Beginning) -> Outcome:
    frozen, account = begun.frozen, begun.account
    if account is not None and account.exhausted_at is not None:
        await budgets.stop_run(ctx, frozen.org, frozen.run)
    # Whoever waits for a limit of ours takes no time: not the assistant's, and not the run's.
    stopwatch = Stopwatch(ctx.clock.ticks)
    ctx = replace(ctx, clock=RunClock(ctx.clock, stopwatch))
    limit: asyncio.Timeout | None = None
    try:
        with measured(stopwatch), urgent(frozen.run.priority):
            async with stopwatch.deadline(ctx.limits.run_timeout_s) as limit:
                return await _conduct(ctx, lease, halting, begun)
    except (LeaseLost, Halted, TryAgain, DatabaseFailure):
        raise
    except Exception as failure:
        if isinstance(failure, TimeoutError) and limit is not None and limit.expired():
            return await _run_out(ctx, lease)
        log.exception("a run failed for a reason of ours", run=lease.run_id)
        reason = f"a defect of this server ({type(failure).__name__}); its log says more"
        _, transcript = await ctx.database.read(lambda tx: _look_up(tx, lease))
        outcome = Outcome(Status.ERROR, Fault.INFRASTRUCTURE, reason)
        return await _settle(ctx, lease, frozen, (), Examined(transcript, frozen.run.verdicts, outcome))


def _look_up(tx: Tx, lease: Lease) -> tuple[Frozen, Transcript]:
    found = runs.get_frozen(tx, lease.run_id)
    if found is None or found.run.status.final:  # deleted or cancelled before it began
        raise LeaseLost(lease.run_id)
    return found, conversations.get_transcript(tx, found.run.conversation_id)


async def _conduct(ctx: Context, lease: Lease, halting: Halting, begun: Beginning) -> Outcome:
    frozen, transcript = begun.frozen, begun.transcript
    notes = retold(frozen.run.setbacks)
    notes += [f"resumed at turn {len(transcript.events)}"] if transcript.events else []
    log.info("run starts", run=lease.run_id, test=frozen.scenario.name, turns=len(transcript.events))
    try:
        line, opening = await channel(ctx, frozen, lease, begun.conversation)
        # Who only reads lines out needs no model, and none has to be there.
        tester = _tester(ctx, frozen) if frozen.scenario.free else ctx.models.resolve(SCRIPTED, "tester")
        judging = ctx.models.resolve(None, "judge")
    except (Unreachable, ModelFailure) as failure:
        refused = Outcome(Status.ERROR, Fault.INFRASTRUCTURE, f"it could not start: {failure}")
        return await _settle(ctx, lease, frozen, notes, Examined(transcript, frozen.run.verdicts, refused))
    notes += [f"tester: {tester.name}, judge: {judging.name}", *line.notes]
    if frozen.scenario.medium.spoken:
        notes.append(f"{frozen.scenario.medium.value} is carried as text: this server does not speak yet")
    if tester.name == SCRIPTED:
        notes += [f"the tester's script, {problem}" for problem in problems(frozen.scenario.brief, side="tester")]
    if judging.name == SCRIPTED:
        notes.append("the judge is scripted: it computes over the transcript and understands nothing else")
    book = _Book(ctx, lease, halting, frozen, len(transcript.events), budgeted=begun.account is not None)
    await ctx.journal.write(running(lease, ctx.clock.now(), frozen.run.conversation_id, opening))
    try:
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
                # A script is heard to its end, however long it is, unless its test says otherwise.
                frozen.scenario.turn_limit or max(ctx.limits.turn_limit, len(frozen.scenario.lines) + 1),
                ctx.limits.repeat_limit,
                utterance_limit=frozen.scenario.utterance_limit or ctx.limits.utterance_limit,
            ),
            again=frozen.run.attempts <= ctx.limits.run_retries,
        )
    except Away as failure:
        raise TryAgain(str(failure), _delay_ms(ctx, frozen.run.attempts)) from failure
    return await _settle(ctx, lease, frozen, notes, examined)


def _delay_ms(ctx: Context, attempts: int) -> Millis:
    """How long a run waits that was begun so often. Not all by the same, or all runs of a provider that is back would
    fall upon it in one moment."""
    delay_s = _DELAYS_S[min(attempts, len(_DELAYS_S)) - 1]
    return round(delay_s * 1000 * (0.75 + ctx.draw() / 2))


async def _run_out(ctx: Context, lease: Lease) -> Outcome:
    """The attempt took longer than an attempt may; what was waited for is told."""
    # What was on its way into the journal is there, or never will be, when this is.
    await ctx.journal.write(Entry(lease, ctx.clock.now()))
    frozen, transcript = await ctx.database.read(lambda tx: _look_up(tx, lease))
    verdicts, now = frozen.run.verdicts, ctx.clock.now()
    over = transcript.ending is not None
    turn = next_speaker(transcript)
    reached = f"after {len(transcript.events)} recorded events" if transcript.events else "before anything was said"
    reason = (
        f"timeout: the run took longer than {ctx.limits.run_timeout_s:g} s; it was waiting for "
        f"{'the judge' if over else f'the {turn.value}'}, {reached}"
    )
    if not over:
        left = Left(Ending.INFRASTRUCTURE_FAULT, now, turn, reason)
        entry = Entry(lease, now, frozen.run.conversation_id, len(transcript.events), (left,))
        await ctx.journal.write(entry)
        transcript = transcript.plus((left,))
        verdicts = unexamined(frozen.run.criteria, left.ending)
        await ctx.journal.write(decided(lease, now, verdicts, NOTHING))
    log.warning("a run took too long", run=lease.run_id, reason=reason)
    outcome = Outcome(Status.ERROR, Fault.INFRASTRUCTURE, reason)
    return await _settle(ctx, lease, frozen, retold(frozen.run.setbacks), Examined(transcript, verdicts, outcome))


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
    """Writes a run's events where they belong, under its lease. What is recorded can be gone on with by others, so this
    is where a worker that stops lets go. Where the run's batch is ``budgeted``, what was spent is written with them."""

    def __init__(
        self, ctx: Context, lease: Lease, halting: Halting, frozen: Frozen, turn: int, *, budgeted: bool
    ) -> None:
        self._ctx, self._lease, self._halting = ctx, lease, halting
        self._frozen, self._turn, self._budgeted = frozen, turn, budgeted

    def _spent(self, usages: Iterable[Usage]) -> Spent | None:
        batch_id = self._frozen.run.batch_id
        return cost(self._ctx.prices, batch_id, usages) if self._budgeted and batch_id else None

    async def events(self, events: Sequence[Event]) -> None:
        first = self._turn
        self._turn += len(events)
        run, now = self._frozen.run, self._ctx.clock.now()
        spent = self._spent(usages(events))
        entry = Entry(self._lease, now, run.conversation_id, first, tuple(events), spent=spent)
        try:
            await self._ctx.journal.write(entry)
        except BudgetSpent:
            await budgets.stop_run(self._ctx, self._frozen.org, run)
        if self._halting():
            raise Halted

    async def verdicts(self, verdicts: Sequence[Verdict], usage: Usage) -> None:
        entry = decided(self._lease, self._ctx.clock.now(), verdicts, usage, self._spent((usage,)))
        # What is decided is paid for, and settling costs nothing.
        with suppress(BudgetSpent):
            await self._ctx.journal.write(entry)


async def _settle(ctx: Context, lease: Lease, frozen: Frozen, notes: Sequence[str], examined: Examined) -> Outcome:
    run, outcome = frozen.run, examined.outcome
    if outcome.status is Status.ERROR and run.attempts > 1:
        outcome = replace(outcome, reason=f"{outcome.reason} (after {run.attempts} attempts at the run)")
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
    # Asked now, and not when it began: a hook that was made meanwhile waits for the end of its batch.
    if await ctx.hooked(ctx.database, frozen.org):
        duties += (hooks.wanted(frozen.org, run.id, run.batch_id, now),)
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
    return outcome
