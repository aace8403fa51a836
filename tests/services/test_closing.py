"""What follows when a conversation is over: one more turn, insights, forgetting."""

import asyncio
import threading
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from sqlalchemy import select, update
from tests.support.store import NOW, ORG, PATIENCE_S, Hand, a_conversation, a_scenario, a_version, waits

from vivavoce.core.assistant import Assistant
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.event import Ending, Left, Message, Speaker, ToolCall, ToolCalled, ToolReturned
from vivavoce.core.insight import FindingStatus, Insight, InsightGroup
from vivavoce.core.model import ModelFailure, Reply, Trouble
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion
from vivavoce.core.tool import FunctionTool, HandoffTarget, HandoffTool, HangupTool, ToolMock
from vivavoce.engine import leases
from vivavoce.models.resolve import Models
from vivavoce.services import assistants, chat, closing, conversations, findings, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.duties import perform
from vivavoce.services.errors import Broken
from vivavoce.services.examinations import conduct
from vivavoce.storage import conversations as kept_talks
from vivavoce.storage import duties
from vivavoce.storage import insights as kept_insights
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty
from vivavoce.storage.page import Window
from vivavoce.storage.tables import duties as duty_rows
from vivavoce.storage.tables import runs as run_rows

LEAVES = 'on hear "bye": say "Goodbye."; hang up\non hear /(.*)/: say "You said $1"'
IDLE_S = 30 * 60


async def an_assistant(ctx: Context, **given: Any) -> Assistant:
    draft = a_version(**{"instructions": LEAVES, "model": "scripted", "tools": (HangupTool(),), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))


async def a_group(ctx: Context) -> str:
    group = InsightGroup(ctx.new_id(), "after", NOW)
    insight = Insight(ctx.new_id(), "mood", 'answer "calm"', NOW)

    def work(tx: Tx) -> None:
        kept_insights.add_group(tx, ORG, group)
        kept_insights.add(tx, ORG, insight)
        kept_insights.join(tx, group.id, insight.id)

    await ctx.database.write(work)
    return group.id


async def a_talk(ctx: Context) -> Conversation:
    return await ctx.database.write(lambda tx: conversations.create(ctx, tx, ORG, a_conversation()))


async def say(ctx: Context, assistant: Assistant, talk: Conversation, words: str) -> str:
    return await chat.reply(ctx, await chat.begin(ctx, ORG, assistant.id, talk.id), words)


async def waiting(ctx: Context) -> list[str]:
    """The kinds of the duties that are kept."""
    return await ctx.database.read(lambda tx: list(tx.execute(select(duty_rows.c.kind)).scalars()))


async def work_off(ctx: Context) -> list[str]:
    """Do what is due until nothing is; the kinds, in order."""
    done: list[str] = []
    while True:
        taken = await ctx.database.write(
            lambda tx: duties.take(tx, ctx.clock.now(), leases.database_now(tx), "mine", 60_000, 10)
        )
        for duty in taken:
            await perform(ctx, duty)
            await ctx.database.write(lambda tx, duty=duty: duties.finish(tx, duty))
            done.append(duty.kind)
        if not taken:
            return done


async def taken(ctx: Context) -> Duty:
    """The only duty, taken away from whoever does it, as if that one had died."""
    now = leases.database_now

    def work(tx: Tx) -> Duty:
        tx.execute(update(duty_rows).values(lease_token=None, lease_until=None))
        (duty,) = duties.take(tx, ctx.clock.now(), now(tx), "another's", 60_000, 10)
        return duty

    return await ctx.database.write(work)


async def found(ctx: Context, talk_id: str) -> list[tuple[FindingStatus, list[str]]]:
    page = await findings.get_page(ctx, ORG, talk_id, Window())
    return [(one.status, [result.result for result in one.results]) for one in page.items]


async def events(ctx: Context, talk_id: str) -> list[type]:
    transcript = await ctx.database.read(lambda tx: kept_talks.get_transcript(tx, talk_id))
    return [type(event) for event in transcript.events]


async def ended_at(ctx: Context, talk: Conversation) -> int | None:
    return (await conversations.retrieve(ctx, ORG, talk.id)).ended_at


async def test_nothing_follows_where_nothing_is_wanted(ctx: Context) -> None:
    assistant, talk = await an_assistant(ctx), await a_talk(ctx)
    await say(ctx, assistant, talk, "hello")
    assert await ended_at(ctx, talk) is None
    await say(ctx, assistant, talk, "bye")
    assert await ended_at(ctx, talk) == NOW
    assert await waiting(ctx) == []


async def test_insights_run_when_the_assistant_left(ctx: Context) -> None:
    assistant, talk = await an_assistant(ctx, insight_group=await a_group(ctx)), await a_talk(ctx)
    await say(ctx, assistant, talk, "bye")
    assert await found(ctx, talk.id) == [(FindingStatus.PENDING, [])]
    assert await work_off(ctx) == [findings.KIND]
    assert await found(ctx, talk.id) == [(FindingStatus.COMPLETED, ["calm"])]


async def test_silence_ends_a_conversation_of_messages_and_words_begin_it_again(ctx: Context, hand: Hand) -> None:
    assistant, talk = await an_assistant(ctx, insight_group=await a_group(ctx)), await a_talk(ctx)
    await say(ctx, assistant, talk, "hello")
    hand.turn(IDLE_S - 1)
    assert await work_off(ctx) == []
    await say(ctx, assistant, talk, "still here")
    hand.turn(IDLE_S - 1)
    assert await work_off(ctx) == []
    hand.turn(1)
    assert await work_off(ctx) == [closing.IDLE, findings.KIND]
    assert await ended_at(ctx, talk) == hand.now()
    assert (await ctx.database.read(lambda tx: kept_talks.get_transcript(tx, talk.id))).ending is Ending.IDLE
    assert await say(ctx, assistant, talk, "back again") == "You said back again"
    assert await ended_at(ctx, talk) is None
    hand.turn(IDLE_S)
    assert await work_off(ctx) == [closing.IDLE, findings.KIND]
    assert [status for status, _ in await found(ctx, talk.id)] == [FindingStatus.COMPLETED] * 2


async def test_an_assistant_may_set_its_own_patience(ctx: Context, hand: Hand) -> None:
    assistant = await an_assistant(ctx, insight_group=await a_group(ctx), idle_minutes=1)
    await say(ctx, assistant, await a_talk(ctx), "hello")
    hand.turn(60)
    assert await work_off(ctx) == [closing.IDLE, findings.KIND]


async def test_without_retention_what_was_said_is_forgotten(ctx: Context) -> None:
    assistant = await an_assistant(ctx, keeps=False, insight_group=await a_group(ctx))
    talk = await a_talk(ctx)
    await say(ctx, assistant, talk, "hello")
    assert await events(ctx, talk.id) == [Message, Message]
    await say(ctx, assistant, talk, "bye")
    assert await events(ctx, talk.id) == []
    assert await work_off(ctx) == []
    assert await found(ctx, talk.id) == []


@dataclass
class Played:
    """A model that answers from a list."""

    answers: list[Reply | ModelFailure]
    name: str = "played"

    async def reply(self, _prompt: object) -> Reply:
        answer = self.answers.pop(0)
        if isinstance(answer, ModelFailure):
            raise answer
        return answer


@dataclass
class OnlyModel:
    """Serves one model to assistants, and the server's own to everybody else."""

    model: Played
    others: Models

    def resolve(self, name: str | None, role: str) -> Any:
        return self.model if role == "assistant" else self.others.resolve(name, cast("Any", role))


def playing(ctx: Context, *answers: Reply | ModelFailure) -> Context:
    return replace(ctx, models=cast("Models", OnlyModel(Played(list(answers)), ctx.models)))


HANGS_UP = Reply("Goodbye.", (ToolCall("a", "hangup", {}),))
FILES = Reply("", (ToolCall("b", "file", {"mood": "calm"}),))
AWAY = ModelFailure(Trouble.UNAVAILABLE, "the provider is away")
REPORTED = [Message, Message, ToolCalled, Left, ToolCalled, ToolReturned, Message]


async def reporting(ctx: Context, **given: Any) -> tuple[Assistant, Conversation]:
    tools = (HangupTool(), FunctionTool("file"))
    return await an_assistant(ctx, reports=True, tools=tools, **given), await a_talk(ctx)


async def test_the_last_turn_comes_before_the_insights(ctx: Context) -> None:
    ctx = playing(ctx, HANGS_UP, FILES, Reply("done"))
    assistant, talk = await reporting(ctx, insight_group=await a_group(ctx))
    await say(ctx, assistant, talk, "bye")
    assert await waiting(ctx) == [closing.REPORT]
    assert await work_off(ctx) == [closing.REPORT, findings.KIND]
    assert await events(ctx, talk.id) == REPORTED
    assert await found(ctx, talk.id) == [(FindingStatus.COMPLETED, ["calm"])]


async def test_a_last_turn_that_broke_off_goes_on(ctx: Context) -> None:
    ctx = playing(ctx, HANGS_UP, FILES, AWAY, Reply("done"))
    assistant, talk = await reporting(ctx, keeps=False)
    await say(ctx, assistant, talk, "bye")
    with pytest.raises(ModelFailure):
        await work_off(ctx)
    assert await events(ctx, talk.id) == REPORTED[:-1]
    await perform(ctx, await taken(ctx))
    assert await events(ctx, talk.id) == []


async def test_a_last_turn_whose_model_stays_away_is_given_up(ctx: Context) -> None:
    ctx = playing(ctx, HANGS_UP, AWAY)
    assistant, talk = await reporting(ctx, insight_group=await a_group(ctx))
    await say(ctx, assistant, talk, "bye")
    await perform(ctx, replace(await taken(ctx), attempts=3))
    assert await waiting(ctx) == [findings.KIND]


async def test_duties_of_what_is_gone_do_nothing(ctx: Context) -> None:
    assistant, talk = await an_assistant(ctx), await a_talk(ctx)
    for kind in (closing.IDLE, closing.REPORT):
        for subject in ("nowhere", talk.id):  # the second belongs to no assistant yet
            await perform(ctx, Duty("d", ORG, kind, subject, "", 1, "t"))
    await say(ctx, assistant, talk, "bye")
    before = await events(ctx, talk.id)
    await perform(ctx, Duty("d", ORG, closing.IDLE, talk.id, "", 1, "t"))
    assert await events(ctx, talk.id) == before
    with pytest.raises(LookupError):
        await perform(ctx, Duty("d", ORG, "nonsense", talk.id, "", 1, "t"))


async def examined(ctx: Context, assistant: Assistant, **given: Any) -> Run:
    draft = a_scenario(
        target=assistant.id,
        brief='on start: say "bye"',
        criteria=(Criterion("polite", 'says "Goodbye"'),),
        **given,
    )
    scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))
    run = await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, None))
    (lease,) = await ctx.database.write(lambda tx: leases.take(tx, "worker", "token", 1))
    assert lease.run_id == run.id
    await conduct(ctx, lease, lambda: False)
    return await runs.retrieve(ctx, ORG, scenario.id, run.id)


async def test_a_runs_insights_are_known_by_its_row(ctx: Context) -> None:
    run = await examined(ctx, await an_assistant(ctx, insight_group=await a_group(ctx)))
    assert run.finding_id
    assert (await conversations.retrieve(ctx, ORG, run.conversation_id)).ended_at == NOW
    assert await work_off(ctx) == [findings.KIND]
    page = await findings.get_page(ctx, ORG, run.conversation_id, Window())
    assert [one.id for one in page.items] == [run.finding_id]


async def test_a_runs_last_turn_has_its_mocks_and_stays_evidence(ctx: Context) -> None:
    playing_ctx = playing(ctx, HANGS_UP, FILES, Reply("done"))
    assistant, _ = await reporting(ctx, keeps=False)
    run = await examined(playing_ctx, assistant, mocks=(ToolMock("file", "filed"),))
    assert await work_off(playing_ctx) == [closing.REPORT]
    transcript = await ctx.database.read(lambda tx: kept_talks.get_transcript(tx, run.conversation_id))
    [returned] = [event for event in transcript.events if isinstance(event, ToolReturned)]
    assert (returned.output, returned.mocked) == ("filed", True)
    assert run.finding_id is None


async def test_a_runs_insights_after_its_last_turn_are_known_too(ctx: Context) -> None:
    playing_ctx = playing(ctx, HANGS_UP, FILES, Reply("done"))
    assistant, _ = await reporting(ctx, insight_group=await a_group(ctx))
    run = await examined(playing_ctx, assistant)
    assert run.finding_id is None
    assert await work_off(playing_ctx) == [closing.REPORT, findings.KIND]
    assert (await runs.retrieve(ctx, ORG, run.scenario_id, run.id)).finding_id


async def test_a_runs_last_turn_takes_the_run_before_its_conversation(ctx: Context) -> None:
    """Whoever drops the test does, and both could wait for each other."""
    playing_ctx = playing(ctx, HANGS_UP, FILES, Reply("done"))
    assistant, _ = await reporting(ctx, insight_group=await a_group(ctx))
    run = await examined(playing_ctx, assistant)
    holds, go_on = threading.Event(), threading.Event()

    def drop(tx: Tx) -> Conversation | None:
        tx.execute(select(run_rows.c.id).where(run_rows.c.id == run.id).with_for_update())
        holds.set()
        assert go_on.wait(PATIENCE_S)
        return kept_talks.get(tx, ORG, run.conversation_id, lock=True)

    try:
        dropping = asyncio.create_task(ctx.database.write(drop))
        assert await asyncio.to_thread(holds.wait, PATIENCE_S)
        working = asyncio.create_task(work_off(playing_ctx))
        await waits(ctx.database, working)
    finally:
        go_on.set()
    assert await dropping is not None
    assert await working == [closing.REPORT, findings.KIND]


async def opening(ctx: Context, talk: Conversation) -> Opening | None:
    return (await conversations.retrieve(ctx, ORG, talk.id)).opening


async def test_nothing_that_it_started_with_is_kept_without_retention(ctx: Context) -> None:
    """The variables of a person, and what was remembered of earlier conversations, used to stay."""
    assistant, talk = await an_assistant(ctx, keeps=False, variables={"name": "Ada"}), await a_talk(ctx)
    await say(ctx, assistant, talk, "hello")
    assert await opening(ctx, talk) is not None
    await say(ctx, assistant, talk, "bye")
    assert await opening(ctx, talk) is None


async def test_a_conversation_that_was_never_answered_ends_too(ctx: Context, hand: Hand) -> None:
    """Only an answer used to start the wait for its end, so what was said before a failure was kept for ever."""
    ctx = playing(ctx, AWAY)
    assistant, talk = await an_assistant(ctx, keeps=False), await a_talk(ctx)
    with pytest.raises(Broken):
        await say(ctx, assistant, talk, "my secret")
    assert await events(ctx, talk.id) == [Message]
    hand.turn(IDLE_S)
    assert await work_off(ctx) == [closing.IDLE]
    assert await events(ctx, talk.id) == []


async def test_silence_does_not_end_a_conversation_while_somebody_speaks(ctx: Context, hand: Hand) -> None:
    """The wait from before the message used to run out under it: all that was said was forgotten in mid-turn."""
    assistant, talk = await an_assistant(ctx, keeps=False), await a_talk(ctx)
    await say(ctx, assistant, talk, "hello")
    hand.turn(IDLE_S)
    (due,) = await ctx.database.write(lambda tx: duties.take(tx, hand.now(), leases.database_now(tx), "t", 60_000, 10))
    await say(ctx, assistant, talk, "still here")
    await perform(ctx, due)
    assert await events(ctx, talk.id) == [Message] * 4
    async with ctx.turns.of(talk.id):
        hand.turn(IDLE_S)
        ending = asyncio.create_task(work_off(ctx))
        await asyncio.wait({ending}, timeout=0.05)
        assert await events(ctx, talk.id) == [Message] * 4
    assert await ending == [closing.IDLE]
    assert await events(ctx, talk.id) == []


@pytest.mark.parametrize("reports", [False, True])
async def test_what_is_not_kept_is_forgotten_also_where_the_assistant_is_gone(
    ctx: Context, hand: Hand, *, reports: bool
) -> None:
    ctx = playing(ctx, HANGS_UP if reports else Reply("Hello."))
    tools = (HangupTool(), FunctionTool("file"))
    assistant, talk = await an_assistant(ctx, keeps=False, reports=reports, tools=tools), await a_talk(ctx)
    await say(ctx, assistant, talk, "hello")
    await assistants.delete(ctx, ORG, assistant.id, hard=True)
    hand.turn(IDLE_S)
    assert await work_off(ctx) == [closing.REPORT if reports else closing.IDLE]
    assert await events(ctx, talk.id) == []
    assert await ended_at(ctx, talk) is not None


async def test_what_follows_the_last_turn_follows_once(ctx: Context) -> None:
    """A worker that died after it, and before its duty was finished, used to have the insights asked twice."""
    ctx = playing(ctx, HANGS_UP, FILES, Reply("done"))
    assistant, talk = await reporting(ctx, insight_group=await a_group(ctx))
    await say(ctx, assistant, talk, "bye")
    duty = await taken(ctx)
    for _ in range(2):
        await perform(ctx, duty)
    assert await waiting(ctx) == [findings.KIND]
    assert len(await found(ctx, talk.id)) == 1


async def test_a_last_turn_is_not_done_in_a_conversation_that_goes_on(ctx: Context, hand: Hand) -> None:
    """It used to forget what was said, or to ask insights, under the hands of whoever spoke."""
    ctx = playing(ctx, Reply("Hello."), Reply("Yes?"))
    assistant, talk = await reporting(ctx, keeps=False)
    await say(ctx, assistant, talk, "hello")
    hand.turn(IDLE_S)
    idle = await taken(ctx)
    await perform(ctx, idle)
    await ctx.database.write(lambda tx: duties.finish(tx, idle))
    report = await taken(ctx)
    await say(ctx, assistant, talk, "back again")
    await perform(ctx, report)
    assert await events(ctx, talk.id) == [Message, Message, Left, Message, Message]


async def test_what_follows_does_not_follow_where_somebody_spoke_meanwhile(ctx: Context) -> None:
    """On another server: here whoever speaks waits."""
    ctx = playing(ctx, HANGS_UP, Reply("done"))
    assistant, talk = await reporting(ctx, keeps=False)
    await say(ctx, assistant, talk, "bye")
    duty = await taken(ctx)
    keep, heard = closing._keep, Message(Speaker.CALLER, "wait", NOW)

    async def and_somebody_speaks(*args: Any) -> None:
        await keep(*args)
        await ctx.database.write(lambda tx: kept_talks.append(tx, talk.id, (heard,), NOW))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "_keep", and_somebody_speaks)
        await perform(ctx, duty)
    assert await events(ctx, talk.id) == [Message, Message, ToolCalled, Left, Message, Message]


async def test_what_was_said_to_an_assistant_that_keeps_nothing_is_not_kept_by_the_next(ctx: Context) -> None:
    """Only the assistant that spoke last used to be asked."""
    ctx = playing(ctx, Reply("", (ToolCall("h", "handoff", {}),)), HANGS_UP)
    second = await an_assistant(ctx, insight_group=await a_group(ctx))
    handoff = HandoffTool((HandoffTarget(second.id, "next"),))
    assistant, talk = await an_assistant(ctx, keeps=False, tools=(handoff,)), await a_talk(ctx)
    await say(ctx, assistant, talk, "my secret")
    assert await events(ctx, talk.id) == []
    assert await waiting(ctx) == []
