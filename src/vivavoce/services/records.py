"""Everything about one run, as whoever wants to understand it reads it."""

from dataclasses import dataclass, replace

from vivavoce.core.assistant import Version
from vivavoce.core.event import Usage
from vivavoce.core.insight import Finding
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Scenario
from vivavoce.core.transcript import Transcript
from vivavoce.core.verdict import Decision, Quote, Verdict
from vivavoce.examination.story import retold, tell
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.prices import cost, usages
from vivavoce.storage import conversations, findings, lately, runs, scenarios
from vivavoce.storage.budgets import Spent
from vivavoce.storage.database import Tx
from vivavoce.storage.page import Window

_FINDINGS = 10
_URGENT = (Decision.UNMET, Decision.INCONCLUSIVE, None, Decision.MET)


@dataclass(frozen=True, slots=True)
class Record:
    """A run with what it froze and what came of it so far. ``kept`` says that its test is still there, and ``before``
    is the id of the run of the same test that ended before it was triggered, outside its own batch. ``spent`` is None
    without prices; ``findings`` are those of insights, newest first."""

    run: Run
    scenario: Scenario
    version: Version | None
    transcript: Transcript
    kept: bool
    before: str | None
    spent: Spent | None
    findings: tuple[Finding, ...]

    @property
    def rubric(self) -> tuple[tuple[str, Criterion | None, Verdict | None], ...]:
        """Each criterion by its name, what it says, and what was decided of it (None while nothing is): what did not
        pass first, else in the order of the test. Verdicts answer criteria by position, for two can have one name."""
        said = (*self.scenario.criteria, *[None] * len(self.run.criteria))
        decided = (*self.run.verdicts, *[None] * len(self.run.criteria))
        rows = zip(self.run.criteria, said, decided, strict=False)
        return tuple(sorted(rows, key=lambda row: _URGENT.index(row[2].decision if row[2] else None)))

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """What the verdicts quote."""
        return tuple(one.quote for one in self.run.verdicts if one.quote is not None)


async def retrieve(ctx: Context, org: str, run_id: str) -> Record:
    """One run. While it goes on, its story is told and its conversation read as far as they are recorded. Raises
    ``NotFound``."""

    def work(tx: Tx) -> Record:
        frozen = runs.get_frozen(tx, run_id)
        if frozen is None or frozen.org != org:
            raise NotFound("test run", run_id)
        run = frozen.run
        transcript = conversations.get_transcript(tx, run.conversation_id)
        if not run.story and run.started_at is not None:
            title = f"run {run.id}: {frozen.scenario.name}"
            run = replace(run, story=tell(title, run.started_at, retold(run.setbacks), transcript, run.verdicts))
        previous = lately.run_before(tx, org, run.scenario_id, run.id, run.batch_id) if run.status.final else None
        return Record(
            run,
            frozen.scenario,
            frozen.version,
            transcript,
            scenarios.get(tx, org, run.scenario_id) is not None,
            previous,
            _spent(ctx, run, transcript),
            findings.get_page(tx, org, run.conversation_id, Window(1, _FINDINGS)).items,
        )

    return await ctx.database.read(work)


def _spent(ctx: Context, run: Run, transcript: Transcript) -> Spent | None:
    if not ctx.prices:
        return None
    total = run.usage
    if total is None:
        return cost(ctx.prices, "", usages(transcript.events))
    known = transcript.tokens_by_model(total).items()
    return cost(ctx.prices, "", [Usage(name, *spent) for name, spent in known])
