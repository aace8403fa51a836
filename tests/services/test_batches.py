from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event
from tests.support.store import NOW, ORG, Hand, a_scenario, a_version, set_row

from vivavoce.core.assistant import Assistant, Form, Plays, Version
from vivavoce.core.batch import Batch
from vivavoce.core.event import Ending, Event
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.status import Status
from vivavoce.core.tool import FunctionTool, ToolMock
from vivavoce.services import assistants, batches, engines, runs, scenarios
from vivavoce.services.batches import Elsewhere, Unknown
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound
from vivavoce.services.examinations import conduct
from vivavoce.services.runs import Record
from vivavoce.storage import batches as kept_batches
from vivavoce.storage import runs as kept_runs
from vivavoce.storage import scenarios as kept_scenarios
from vivavoce.storage.journal import Lease
from vivavoce.storage.page import Span, Window
from vivavoce.storage.runs import RunFilter

OTHER = "org-b"
DESK = """on hear "order": say "What is your order number?"
on hear /(A-\\d+)/: call find {"number": "$1"}
on result find: say "It arrives ${arrives}."
"""
CALLER = """on start: say "Where is my order?"
on hear "number": say "It is A-1001."
on hear "Friday": hang up
"""
RUBRIC = (Criterion("asks", 'says "order number"'), Criterion("warm", 'says "welcome"'))
MOCKS = (ToolMock("find", '{"arrives": "Friday"}', {"number": "A-1001"}),)


async def an_engine(ctx: Context, form: Form = Form.PROMPTS, **given: Any) -> Assistant:
    draft = a_version(**{"instructions": DESK, "tools": (FunctionTool("find"),), **given})
    return await ctx.database.write(lambda tx: engines.create(ctx, tx, ORG, form, draft))


async def a_test(ctx: Context, target: str, **given: Any) -> Scenario:
    draft = a_scenario(**{"target": target, "brief": CALLER, "criteria": RUBRIC, "mocks": MOCKS, **given})
    return await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))


async def trigger(
    ctx: Context, assistant: Assistant, *wanted: Scenario, number: int | None = None, org: str = ORG
) -> tuple[Batch, tuple[Run, ...]]:
    ids = [one.id for one in wanted]
    return await ctx.database.write(lambda tx: batches.trigger(ctx, tx, org, assistant.id, number, ids))


async def conducted(ctx: Context, run: Run) -> Record:
    """The run after somebody conducted it, with all that is known of it."""
    lease = Lease(run.id, f"token of {run.id}")
    await ctx.database.write(lambda tx: set_row(tx, run.id, status="starting", lease_token=lease.token, started_at=NOW))
    await conduct(ctx, lease, lambda: False)
    return await runs.recall(ctx, ORG, run.id)


async def listed(ctx: Context, batch: Batch, span: Span | None = None) -> tuple[Record, ...]:
    return (await batches.get_runs(ctx, ORG, batch.id, span or Span(1000, ascending=True))).items


# --- made -----------------------------------------------------------------------------------------------------------


async def test_section_2_4_a_batch_answers_before_any_run_starts(ctx: Context, hand: Hand) -> None:
    engine = await an_engine(ctx)
    test = await a_test(ctx, engine.id)
    hand.turn(9)
    batch, made = await trigger(ctx, engine, test)
    assert batch == Batch(batch.id, engine.id, engine.main.id, 0, 1, NOW + 9000, NOW + 9000)
    assert not batch.over
    [run] = made
    assert (run.status, run.batch_id, run.scenario_id, run.version_id) == (
        Status.PENDING,
        batch.id,
        test.id,
        engine.main.id,
    )
    assert (await batches.retrieve(ctx, ORG, batch.id)).batch == batch


async def test_section_2_4_one_run_for_each_entry_in_the_order_of_the_list(ctx: Context) -> None:
    engine = await an_engine(ctx)
    one, two, three = [await a_test(ctx, engine.id, name=name) for name in ("one", "two", "three")]
    batch, made = await trigger(ctx, engine, three, one, three, two)
    assert [run.scenario_id for run in made] == [three.id, one.id, three.id, two.id]
    assert [run.id for run in made] == sorted(run.id for run in made)
    assert [record.frozen.run for record in await listed(ctx, batch)] == list(made)
    assert batch.total == 4


async def test_section_3_7_a_draft_that_is_edited_meanwhile_does_not_leak_into_a_run(ctx: Context) -> None:
    engine = await an_engine(ctx)
    test = await a_test(ctx, engine.id)
    batch, _ = await trigger(ctx, engine, test)
    await engines.edit(ctx, ORG, engine.id, (Form.PROMPTS,), lambda one: replace(one, instructions="new"))
    await scenarios.update(ctx, ORG, test.id, lambda one: replace(one, brief="new"))
    [record] = await listed(ctx, batch)
    assert record.frozen.version is not None
    assert (record.frozen.version.instructions, record.frozen.scenario.brief) == (DESK, CALLER)


async def test_section_2_4_the_batchs_version_wins_and_the_newest_stands_for_none(ctx: Context) -> None:
    engine = await an_engine(ctx)
    test = await a_test(ctx, engine.id)
    await engines.branch(ctx, ORG, engine.id, (Form.PROMPTS,), 0)
    for number, examined in ((None, 1), (0, 0), (1, 1)):
        batch, made = await trigger(ctx, engine, test, number=number)
        [record] = await listed(ctx, batch)
        assert record.frozen.version is not None
        assert (batch.number, record.frozen.version.number) == (examined, examined)
        assert (batch.version_id, made[0].version_id) == (record.frozen.version.id, record.frozen.version.id)


async def test_what_does_not_exist_is_refused_and_nothing_is_kept(ctx: Context) -> None:
    engine, other = await an_engine(ctx), await an_engine(ctx, Form.FLOW)
    agent = await an_engine(ctx, Form.VOICE_AGENT, plays=Plays(engine.id))
    here, there = await a_test(ctx, engine.id), await a_test(ctx, other.id)
    elsewhere, gone = await a_test(ctx, "https://example.com"), await a_test(ctx, engine.id)
    await scenarios.retire(ctx, ORG, gone.id)
    nobody = replace(here, id="none")
    with pytest.raises(Unknown) as unknown:
        await trigger(ctx, engine, here, nobody, gone, nobody)
    assert unknown.value.ids == ("none", gone.id)
    assert "none" in str(unknown.value)
    for stranger in (there, elsewhere):
        with pytest.raises(Elsewhere) as failure:
            await trigger(ctx, engine, here, stranger, elsewhere)
        assert failure.value.id == stranger.id
    with pytest.raises(NotFound):
        await trigger(ctx, engine, here, number=1)
    with pytest.raises(NotFound):
        await trigger(ctx, agent, here)
    with pytest.raises(NotFound):
        await trigger(ctx, engine, here, org=OTHER)
    assert (await batches.get_slice(ctx, ORG, engine.id, 0, Span())).items == ()
    assert (await runs.get_page(ctx, ORG, RunFilter(), Window())).total == 0


async def test_a_scenario_of_somebody_else_is_unknown(ctx: Context) -> None:
    engine = await an_engine(ctx)
    theirs = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, OTHER, a_scenario(target=engine.id)))
    with pytest.raises(Unknown):
        await trigger(ctx, engine, theirs)


async def test_a_mapped_number_is_its_assistant(ctx: Context) -> None:
    engine = await an_engine(ctx)
    mapped = replace(ctx, numbers={"+15550100": engine.id, "+15550199": "assistant-other"})
    called, direct = await a_test(ctx, "+15550100"), await a_test(ctx, engine.id)
    batch, _ = await trigger(mapped, engine, called)
    assert batch.total == 1
    with pytest.raises(Elsewhere):
        await trigger(ctx, engine, called)
    page = await scenarios.get_slice(mapped, ORG, engine.id, Span())
    assert [one.scenario.id for one in page.items] == [direct.id, called.id]
    assert [one.target.id if one.target else None for one in page.items] == [engine.id, engine.id]
    assert [one.scenario.id for one in (await scenarios.get_slice(ctx, ORG, engine.id, Span())).items] == [direct.id]


@contextmanager
def statements(ctx: Context) -> Generator[list[str]]:
    """What is asked of the database while the block lasts."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    pools = {ctx.database._writers, ctx.database._readers}
    for pool in pools:
        event.listen(pool, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for pool in pools:
            event.remove(pool, "before_cursor_execute", note)


async def test_section_2_4_a_thousand_tests_ask_no_more_of_the_database_than_one(ctx: Context) -> None:
    engine = await an_engine(ctx)
    made = [replace(a_scenario(target=engine.id), id=ctx.new_id()) for _ in range(1000)]
    await ctx.database.write(lambda tx: [kept_scenarios.add(tx, ORG, one) for one in made])
    with statements(ctx) as for_one:
        batch, _ = await trigger(ctx, engine, made[0])
        await listed(ctx, batch)
    with statements(ctx) as for_all:
        batch, triggered = await trigger(ctx, engine, *made)
        records = await listed(ctx, batch)
    assert (batch.total, len(triggered)) == (1000, 1000)
    assert [one.frozen.scenario.id for one in records] == [one.id for one in made]
    assert len(for_all) == len(for_one)


# --- seen -----------------------------------------------------------------------------------------------------------


async def test_section_2_3_batches_are_of_the_newest_version_unless_another_is_named(ctx: Context) -> None:
    engine, other = await an_engine(ctx), await an_engine(ctx)
    test = await a_test(ctx, engine.id)
    first, _ = await trigger(ctx, engine, test)
    await trigger(ctx, other, await a_test(ctx, other.id))
    await engines.branch(ctx, ORG, engine.id, (Form.PROMPTS,), 0)

    async def ids(number: int | None, org: str = ORG) -> list[str]:
        return [one.batch.id for one in (await batches.get_slice(ctx, org, engine.id, number, Span())).items]

    assert await ids(None) == []
    assert await ids(0) == [first.id]
    assert await ids(0, OTHER) == []
    second, _ = await trigger(ctx, engine, test)
    assert await ids(None) == [second.id]
    assert await ids(1) == [second.id]


async def test_section_17_deleting_engine_and_definition_leaves_batch_and_runs(ctx: Context) -> None:
    engine = await an_engine(ctx, Form.FLOW)
    one, two = await a_test(ctx, engine.id), await a_test(ctx, engine.id)
    batch, made = await trigger(ctx, engine, one, two)
    before = await listed(ctx, batch)
    await engines.delete(ctx, ORG, engine.id, (Form.FLOW,), force=True)
    for test in (one, two):
        await scenarios.retire(ctx, ORG, test.id)
    after = await listed(ctx, batch)
    assert [record.frozen for record in after] == [record.frozen for record in before]
    assert [record.target for record in after] == [None, None]
    standing = await batches.retrieve(ctx, ORG, batch.id)
    assert (standing.batch, standing.target, standing.sample) == (batch, None, one)
    [found] = (await batches.get_slice(ctx, ORG, engine.id, None, Span())).items
    assert found == standing
    assert (await runs.recall(ctx, ORG, made[1].id)).frozen.scenario == two
    with pytest.raises(NotFound):
        await trigger(ctx, engine, one)


async def test_a_batch_whose_runs_went_with_their_scenarios_is_over(ctx: Context) -> None:
    engine = await an_engine(ctx)
    one, two = await a_test(ctx, engine.id), await a_test(ctx, engine.id)
    batch, made = await trigger(ctx, engine, one, two)
    await ctx.database.write(lambda tx: set_row(tx, made[0].id, status="passed"))
    await scenarios.delete(ctx, ORG, two.id)
    standing = (await batches.retrieve(ctx, ORG, batch.id)).batch
    assert (standing.passed, standing.errors, standing.total, standing.over) == (1, 1, 2, True)
    assert [record.frozen.run.id for record in await listed(ctx, batch)] == [made[0].id]


async def test_what_does_not_exist_is_not_found(ctx: Context) -> None:
    engine = await an_engine(ctx)
    test = await a_test(ctx, engine.id, suite="s")
    batch, made = await trigger(ctx, engine, test)
    [loose] = await ctx.database.write(lambda tx: runs.trigger_suite(ctx, tx, ORG, "s", None))
    assert loose.batch_id is not None
    for org, id_ in ((ORG, "none"), (OTHER, batch.id), (ORG, loose.batch_id)):
        with pytest.raises(NotFound):
            await batches.retrieve(ctx, org, id_)
        with pytest.raises(NotFound):
            await batches.get_runs(ctx, org, id_, Span())
    for org, id_ in ((ORG, "none"), (OTHER, made[0].id)):
        with pytest.raises(NotFound):
            await runs.recall(ctx, org, id_)


async def test_section_1_3_walking_one_by_one_visits_every_run_once(ctx: Context) -> None:
    engine = await an_engine(ctx)
    batch, made = await trigger(ctx, engine, *[await a_test(ctx, engine.id) for _ in range(3)])
    seen: list[str] = []
    more = True
    while more:
        page = await batches.get_runs(ctx, ORG, batch.id, Span(1, seen[-1] if seen else None, ascending=True))
        seen += [record.frozen.run.id for record in page.items]
        more = page.more
    assert seen == [run.id for run in made]


# --- the same through both APIs -------------------------------------------------------------------------------------


def timeless(record: Record) -> list[Event]:
    """What happened, without what two conversations cannot share."""
    return [replace(one, at=0) for one in record.transcript.events]


@pytest.mark.parametrize("form", [Form.PROMPTS, Form.FLOW, Form.ASSISTANT])
async def test_a_scenario_gives_the_same_run_whichever_way_it_is_triggered(ctx: Context, form: Form) -> None:
    if form is Form.ASSISTANT:
        draft = a_version(instructions=DESK, tools=(FunctionTool("find"),))
        engine = await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))
    else:
        engine = await an_engine(ctx, form)
    test = await a_test(ctx, engine.id, suite="s")
    alone = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, test.id, None))
    [in_suite] = await ctx.database.write(lambda tx: runs.trigger_suite(ctx, tx, ORG, "s", None))
    _, [in_batch] = await trigger(ctx, engine, test)
    records = [await conducted(ctx, run) for run in (alone, in_suite, in_batch)]
    assert len({record.frozen.scenario.id for record in records}) == 1
    first = records[0]
    for record in records:
        assert (record.frozen.scenario, record.frozen.cast) == (first.frozen.scenario, first.frozen.cast)
        assert record.target is not None
        assert record.target.form is form
        assert timeless(record) == timeless(first)
        run, other = record.frozen.run, first.frozen.run
        assert (run.status, run.ending, run.fault, run.reason, run.verdicts, run.criteria, run.version_id) == (
            Status.FAILED,
            Ending.GOODBYE,
            other.fault,
            "unmet: warm",
            other.verdicts,
            ("asks", "warm"),
            engine.main.id,
        )
        # What the other API sees of it.
        assert replace(await runs.retrieve(ctx, ORG, test.id, run.id), story="") == replace(run, story="")
    page = await runs.get_page(ctx, ORG, RunFilter(scenario_id=test.id), Window())
    assert [run.id for run in page.items] == [in_batch.id, in_suite.id, alone.id]


async def test_what_a_run_holds_is_read_when_it_is_over(ctx: Context) -> None:
    engine = await an_engine(ctx, variables={"shop": "Birch", "order": "B-1"})
    test = await a_test(ctx, engine.id, variables={"order": "A-1001"})
    batch, [run] = await trigger(ctx, engine, test)
    [pending] = await listed(ctx, batch)
    assert (pending.transcript.events, pending.variables) == ((), {})
    record = await conducted(ctx, run)
    assert record.transcript.ending is Ending.GOODBYE
    assert (record.variables["shop"], record.variables["order"]) == ("Birch", "A-1001")
    assert await listed(ctx, batch) == (record,)
    standing = (await batches.retrieve(ctx, ORG, batch.id)).batch
    assert (standing.failed, standing.over, standing.updated_at) == (1, True, record.frozen.run.updated_at)


# --- scenarios ------------------------------------------------------------------------------------------------------


async def test_section_15_an_engine_is_written_to_where_only_agents_for_chats_speak_as_it(ctx: Context) -> None:
    engine = await an_engine(ctx)

    async def medium() -> Medium:
        return await ctx.database.read(lambda tx: scenarios.medium_of(tx, ORG, engine.id))

    assert await medium() is Medium.WEB_CALL
    await an_engine(ctx, Form.CHAT_AGENT, plays=Plays(engine.id))
    assert await medium() is Medium.WEB_CHAT
    await an_engine(ctx, Form.VOICE_AGENT, plays=Plays(engine.id))
    assert await medium() is Medium.WEB_CALL


async def test_a_retired_scenario_is_not_found_and_retired_once(ctx: Context) -> None:
    engine = await an_engine(ctx)
    test = await a_test(ctx, engine.id)
    assert (await scenarios.retrieve_aimed(ctx, ORG, test.id)).scenario == test
    with pytest.raises(NotFound):
        await scenarios.retire(ctx, OTHER, test.id)
    await scenarios.retire(ctx, ORG, test.id)
    for attempt in (scenarios.retire, scenarios.retrieve_aimed):
        with pytest.raises(NotFound):
            await attempt(ctx, ORG, test.id)


async def test_many_runs_of_one_version_share_what_they_froze(ctx: Context) -> None:
    engine = await an_engine(ctx)
    batch, _ = await trigger(ctx, engine, *[await a_test(ctx, engine.id)] * 3)
    page = await ctx.database.read(lambda tx: kept_runs.get_slice(tx, ORG, batch.id, Span()))
    versions: list[Version | None] = [one.version for one in page.items]
    assert versions[0] is versions[1] is versions[2]
    assert (await ctx.database.read(lambda tx: kept_batches.get(tx, ORG, batch.id))) == batch
