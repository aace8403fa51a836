from dataclasses import replace

import pytest
from sqlalchemy import func, select
from tests.support.store import NOW, ORG, Hand, a_scenario, a_version, row_of, said, set_row

from vivavoce.core.assistant import Assistant, Version
from vivavoce.core.event import Speaker
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Medium, Scenario
from vivavoce.core.status import Status
from vivavoce.services import assistants, chat, conversations, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import conversations as talks
from vivavoce.storage.page import Window
from vivavoce.storage.runs import Frozen, RunFilter, get_frozen
from vivavoce.storage.tables import snapshots

OTHER = "org-b"
RUBRIC = (Criterion("kind", "is kind"), Criterion("quick", "is quick"))


async def an_assistant(ctx: Context, **given: object) -> Assistant:
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, a_version(**given), lambda _: None))


async def a_test(ctx: Context, **given: object) -> Scenario:
    draft = a_scenario(**{"criteria": RUBRIC, **given})
    return await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))


async def beside(ctx: Context, assistant: Assistant, name: str) -> Version:
    changed = await assistants.update(
        ctx, ORG, assistant.id, lambda main: replace(main, name=name), lambda _: None, promote=False
    )
    return changed.main


async def trigger(ctx: Context, scenario: Scenario, version_id: str | None = None) -> Run:
    return await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, version_id))


async def trigger_suite(ctx: Context, suite: str, version_id: str | None = None, org: str = ORG) -> tuple[Run, ...]:
    return await ctx.database.write(lambda tx: runs.trigger_suite(ctx, tx, org, suite, version_id))


async def frozen(ctx: Context, run: Run) -> Frozen:
    found = await ctx.database.read(lambda tx: get_frozen(tx, run.id))
    assert found is not None
    return found


async def test_a_triggered_run_waits_with_all_it_needs(ctx: Context, hand: Hand) -> None:
    assistant = await an_assistant(ctx)
    scenario = await a_test(ctx, target=assistant.id, name="where is it", medium=Medium.SMS_CHAT)
    hand.turn(9)
    run = await trigger(ctx, scenario)
    assert run == Run(
        id=run.id,
        scenario_id=scenario.id,
        status=Status.PENDING,
        trigger="manual",
        created_at=NOW + 9000,
        updated_at=NOW + 9000,
        conversation_id=run.conversation_id,
        version_id=assistant.main.id,
        criteria=("kind", "quick"),
    )
    assert await runs.retrieve(ctx, ORG, scenario.id, run.id) == run
    assert await frozen(ctx, run) == Frozen(ORG, run, scenario, assistant.main)
    talk = await conversations.retrieve(ctx, ORG, run.conversation_id)
    assert (talk.name, talk.created_at) == ("where is it", NOW + 9000)
    assert talk.metadata == {
        "conversation_channel": "sms_chat",
        "agent_target": assistant.id,
        "assistant_id": assistant.id,
        "assistant_version_id": assistant.main.id,
        "run_id": run.id,
    }


async def test_later_edits_and_deletions_do_not_change_what_a_run_works_on(ctx: Context) -> None:
    assistant = await an_assistant(ctx, instructions="before")
    scenario = await a_test(ctx, target=assistant.id, brief="before")
    run = await trigger(ctx, scenario)
    for number in range(12):
        await assistants.update(
            ctx,
            ORG,
            assistant.id,
            lambda main, n=number: replace(main, instructions=f"{n}"),
            lambda _: None,
            promote=True,
        )
    await scenarios.update(ctx, ORG, scenario.id, lambda one: replace(one, brief="after", criteria=()))
    await assistants.delete(ctx, ORG, assistant.id, hard=True)
    assert await frozen(ctx, run) == Frozen(ORG, run, scenario, assistant.main)
    assert (await runs.retrieve(ctx, ORG, scenario.id, run.id)).criteria == ("kind", "quick")


async def test_a_named_version_is_the_one_that_is_examined(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    candidate = await beside(ctx, assistant, "candidate")
    scenario = await a_test(ctx, target=assistant.id)
    run = await trigger(ctx, scenario, candidate.id)
    assert run.version_id == candidate.id
    assert (await frozen(ctx, run)).version == candidate


async def test_a_version_that_does_not_exist_is_refused_and_nothing_is_kept(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    here = await a_test(ctx, target=assistant.id, suite="s")
    elsewhere = await a_test(ctx, target="https://example.com/bot", suite="s")
    with pytest.raises(Rejected, match="has no version 'none'") as failure:
        await trigger(ctx, here, "none")
    assert failure.value.part == "version_id"
    with pytest.raises(Rejected, match="no assistant of this server") as failure:
        await trigger(ctx, elsewhere, assistant.main.id)
    assert failure.value.part == "version_id"
    with pytest.raises(Rejected):
        await trigger_suite(ctx, "s", assistant.main.id)
    assert (await runs.get_page(ctx, ORG, RunFilter(), Window())).total == 0


async def test_a_target_elsewhere_has_no_version(ctx: Context) -> None:
    scenario = await a_test(ctx, target="https://example.com/bot")
    run = await trigger(ctx, scenario)
    assert (run.version_id, (await frozen(ctx, run)).version) == (None, None)
    talk = await conversations.retrieve(ctx, ORG, run.conversation_id)
    assert "assistant_id" not in talk.metadata


async def test_a_mapped_number_reaches_its_assistant(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    mapped = replace(ctx, numbers={"+15550100": assistant.id})
    scenario = await a_test(ctx, target="+15550100", medium=Medium.PHONE_CALL)
    run = await trigger(mapped, scenario)
    assert (await frozen(ctx, run)).version == assistant.main
    talk = await conversations.retrieve(ctx, ORG, run.conversation_id)
    assert talk.metadata["agent_target"] == "+15550100"
    assert (await trigger(ctx, scenario)).version_id is None


async def test_an_assistant_of_somebody_else_is_no_target(ctx: Context) -> None:
    theirs = await ctx.database.write(lambda tx: assistants.create(ctx, tx, OTHER, a_version(), lambda _: None))
    scenario = await a_test(ctx, target=theirs.id)
    assert (await frozen(ctx, await trigger(ctx, scenario))).version is None
    with pytest.raises(Rejected):
        await trigger(ctx, scenario, theirs.main.id)


async def test_a_suite_is_one_batch(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    wanted = [
        await a_test(ctx, target=target, suite="s") for target in (assistant.id, "https://x.example", assistant.id)
    ]
    await a_test(ctx, target=assistant.id, suite="other")
    made = await trigger_suite(ctx, "s")
    again = await trigger_suite(ctx, "s")
    assert [run.scenario_id for run in made] == [one.id for one in wanted]
    assert [run.version_id for run in made] == [assistant.main.id, None, assistant.main.id]
    assert len({run.batch_id for run in made}) == 1
    assert made[0].batch_id not in (None, again[0].batch_id)
    assert len({run.conversation_id for run in (*made, *again)}) == 6
    page = await runs.get_page(ctx, ORG, RunFilter(suite="s", batch_id=made[0].batch_id), Window())
    assert (page.items, page.total) == (tuple(reversed(made)), 3)


async def test_a_suite_without_tests_is_not_found(ctx: Context) -> None:
    await a_test(ctx, suite="s")
    for suite, org in (("none", ORG), ("S", ORG), ("s", OTHER)):
        with pytest.raises(NotFound) as failure:
            await trigger_suite(ctx, suite, org=org)
        assert (failure.value.noun, failure.value.id) == ("test suite", suite)


async def test_what_does_not_exist_is_not_found(ctx: Context) -> None:
    scenario, other = await a_test(ctx), await a_test(ctx)
    run = await trigger(ctx, scenario)
    for org, scenario_id, run_id in (
        (ORG, scenario.id, "none"),
        (ORG, other.id, run.id),
        (OTHER, scenario.id, run.id),
    ):
        with pytest.raises(NotFound):
            await runs.retrieve(ctx, org, scenario_id, run_id)
    with pytest.raises(NotFound):
        await ctx.database.write(lambda tx: runs.trigger(ctx, tx, OTHER, scenario.id, None))
    for org, scenario_id in ((ORG, "none"), (OTHER, scenario.id)):
        with pytest.raises(NotFound):
            await runs.get_page(ctx, org, RunFilter(scenario_id=scenario_id), Window())


async def test_while_a_run_goes_on_its_story_is_told_as_far_as_it_is_recorded(ctx: Context) -> None:
    scenario = await a_test(ctx)
    run = await trigger(ctx, scenario)
    assert (await runs.retrieve(ctx, ORG, scenario.id, run.id)).story == ""
    await ctx.database.write(lambda tx: set_row(tx, run.id, status="running", started_at=NOW))
    words = [said("where is it"), said("in the post", Speaker.ASSISTANT, NOW + 1500)]
    await ctx.database.write(lambda tx: talks.append(tx, run.conversation_id, words, NOW))
    story = (await runs.retrieve(ctx, ORG, scenario.id, run.id)).story
    assert "00:00.000  caller: where is it" in story
    assert "00:01.500  assistant: in the post" in story
    assert (await row_of(ctx.database, run.id)).story == ""
    await ctx.database.write(lambda tx: set_row(tx, run.id, status="passed", story="the end"))
    assert (await runs.retrieve(ctx, ORG, scenario.id, run.id)).story == "the end"


async def test_a_deleted_test_takes_its_runs_along(ctx: Context) -> None:
    scenario = await a_test(ctx)
    run = await trigger(ctx, scenario)
    await scenarios.delete(ctx, ORG, scenario.id)
    with pytest.raises(NotFound):
        await runs.retrieve(ctx, ORG, scenario.id, run.id)
    with pytest.raises(NotFound):
        await conversations.retrieve(ctx, ORG, run.conversation_id)
    with pytest.raises(NotFound):
        await conversations.get_transcript(ctx, ORG, run.conversation_id)


async def test_nobody_else_can_speak_in_the_conversation_of_a_run(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await trigger(ctx, await a_test(ctx, target=assistant.id))
    with pytest.raises(Rejected, match="belongs to a test run"):
        await chat.begin(ctx, ORG, assistant.id, run.conversation_id)


async def test_what_only_its_runs_had_frozen_goes_with_a_test(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    one, two = await a_test(ctx, target=assistant.id), await a_test(ctx, target=assistant.id, name="two")
    await trigger(ctx, one)
    kept = await trigger(ctx, two)
    assert await ctx.database.read(lambda tx: tx.execute(select(func.count()).select_from(snapshots)).scalar_one()) == 3
    await scenarios.delete(ctx, ORG, one.id)
    assert await ctx.database.read(lambda tx: tx.execute(select(func.count()).select_from(snapshots)).scalar_one()) == 2
    assert (await frozen(ctx, kept)).version == assistant.main
    await scenarios.delete(ctx, ORG, two.id)
    assert await ctx.database.read(lambda tx: tx.execute(select(func.count()).select_from(snapshots)).scalar_one()) == 0
