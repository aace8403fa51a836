"""A run, a tool call and the journal, through everybody who watches."""

import asyncio
from dataclasses import replace

import pytest
from tests.services.test_attempts import a_talk, playing
from tests.services.test_examinations import a_run, an_assistant, claimed, conducted, going_on
from tests.support.store import Hand, ids, leased_run, only_sqlite, row_of, said
from tests.telemetry.seen import Memory, Notes, attributes, read, samples

from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.core.status import Status
from vivavoce.engine.duties import Duties
from vivavoce.engine.worker import Halted, TryAgain
from vivavoce.models.config import ModelSettings
from vivavoce.models.resolve import Models
from vivavoce.services.context import Context
from vivavoce.services.examinations import conduct
from vivavoce.storage import duties
from vivavoce.storage.database import Database
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.journal import Entry, Journal, LeaseLost
from vivavoce.telemetry.joined import Joined
from vivavoce.telemetry.metrics import Metrics

pytestmark = only_sqlite


async def test_a_run_is_seen_by_all(ctx: Context, hand: Hand) -> None:
    metrics, memory, notes = Metrics("1.0"), Memory(), Notes()
    telemetry = Joined((metrics, memory.traces, notes))
    watched = replace(
        ctx,
        telemetry=telemetry,
        models=Models(ModelSettings(), telemetry=telemetry),
        journal=Journal(ctx.database, telemetry=telemetry),
    )
    assistant = await an_assistant(ctx)
    run = await a_run(watched, target=assistant.id)
    done = await conducted(watched, run)
    assert done.status is Status.PASSED
    [work] = notes.runs
    assert (work.run_id, work.attempt, work.priority) == (run.id, 1, "interactive")
    assert (work.outcome, work.settled, work.fault) == ("passed", True, None)
    assert work.waited_s is not None
    roles = [call.role for call in notes.calls]
    assert (set(roles), roles[-1]) == ({"assistant", "tester", "judge"}, "judge")
    assert {(use.name, use.kind, use.outcome) for use in notes.tools} == {("find", "mock", "ok")}
    assert sum(notes.commits) > len(notes.calls)

    root = memory.one(f"examine {run.scenario_id}")
    assert root.context is not None
    children = [span for span in memory.spans if span is not root]
    assert {span.parent and span.parent.span_id for span in children} == {root.context.span_id}
    assert {span.name for span in children} == {"chat scripted", "execute_tool find"}
    assert attributes(root)["viva.run.status"] == "passed"

    assert read(metrics, "runs_total", status="passed", fault="") == 1
    calls = {
        dict(labels)["role"]: value
        for (name, labels), value in samples(metrics.exposition(None, ())).items()
        if name == "viva_model_calls_total"
    }
    assert calls == {role: roles.count(role) for role in set(roles)}
    assert read(metrics, "tool_calls_total", kind="mock", outcome="ok") == 1
    assert read(metrics, "journal_entries_total") == sum(notes.commits)


async def test_attempts_that_end_without_a_verdict_say_how(ctx: Context) -> None:
    notes = Notes()
    async with playing(replace(ctx, telemetry=notes)) as (played, endpoint):
        endpoint.faults = [{"kind": "status", "status": 503, "times": -1}]
        run = await a_talk(played)
        lease = await claimed(played, run)
        with pytest.raises(TryAgain):
            await conduct(played, lease, going_on)
        endpoint.faults = []
        with pytest.raises(Halted):
            await conduct(played, lease, lambda: True)
        with pytest.raises(LeaseLost):
            await conduct(played, replace(lease, token="lost"), going_on)
    assert [(one.outcome, one.settled) for one in notes.runs] == [
        ("tried again", False),
        ("handed over", False),
        ("lost", False),
    ]


async def test_a_run_that_goes_on_did_not_wait_again(ctx: Context) -> None:
    notes = Notes()
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    lease = await claimed(ctx, run)
    with pytest.raises(Halted):
        await conduct(replace(ctx, telemetry=notes), lease, lambda: True)
    await conduct(replace(ctx, telemetry=notes), lease, going_on)
    assert [one.waited_s is None for one in notes.runs] == [False, True]


async def test_duties_are_seen(database: Database, hand: Hand) -> None:
    notes, done = Notes(), asyncio.Event()

    async def perform(duty: Duty) -> None:
        if duty.subject == "fails":
            raise ModelFailure(Trouble.REFUSED, "no")
        done.set()

    worker = Duties(database, hand, ids(), perform, notes)
    wanted = [Wanted(f"{number}", "org", "k", subject, 0) for number, subject in enumerate(("fails", "works"))]
    await database.write(lambda tx: [duties.want(tx, one) for one in wanted])
    worker.start()
    try:
        async with asyncio.timeout(20):
            await done.wait()
            while await database.read(duties.next_due) in (None, 0):
                await asyncio.sleep(0)
    finally:
        await worker.stop()
    assert sorted((one.kind, one.attempt, one.outcome) for one in notes.duties) == [
        ("k", 1, "ModelFailure"),
        ("k", 1, "ok"),
    ]


async def test_what_a_group_writes_is_one_commit(database: Database) -> None:
    notes = Notes()
    journal = Journal(database, telemetry=notes)
    (run, lease), (other, second) = await leased_run(database), await leased_run(database)
    await asyncio.gather(
        journal.write(Entry(lease, 1, run.conversation_id, 0, (said("a"),))),
        journal.write(Entry(second, 1, other.conversation_id, 0, (said("b"),))),
    )
    assert notes.commits == [2]
    assert (await row_of(database, run.id)).id == run.id
