"""A run from the claim to the settled row, on a real database, with the scripted model."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.store import NOW, ORG, Hand, a_scenario, a_version, commits, row_of, set_row

from vivavoce.core.assistant import Assistant
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Ending, Event, Left, Message, Speaker, ToolCall, ToolCalled
from vivavoce.core.run import Run
from vivavoce.core.scenario import Criterion, Medium
from vivavoce.core.status import Status
from vivavoce.core.tool import FunctionTool, ToolMock
from vivavoce.core.verdict import Decision, Fault, Verdict
from vivavoce.engine import leases
from vivavoce.models.config import ModelSettings, Provider
from vivavoce.models.resolve import Models
from vivavoce.services import assistants, conversations, openings, runs, scenarios
from vivavoce.services.context import Context
from vivavoce.services.examinations import conduct
from vivavoce.storage import conversations as kept_talks
from vivavoce.storage.codec import verdicts_codec
from vivavoce.storage.journal import Lease, LeaseLost

ASSISTANT = """on hear "order": say "What is your order number?"
on hear /(A-\\d+)/: call find {"number": "$1"}
on result find: say "It arrives ${arrives}."
"""
CALLER = """on start: say "Where is my order?"
on hear "number": say "It is A-1001."
on hear "Friday": hang up
"""
RUBRIC = (Criterion("asks", 'says "order number"'), Criterion("finds", 'calls `find` with {"number": "A-1001"}'))
MOCKS = (ToolMock("find", '{"arrives": "Friday"}', {"number": "A-1001"}),)


async def an_assistant(ctx: Context, **given: Any) -> Assistant:
    draft = a_version(**{"instructions": ASSISTANT, "tools": (FunctionTool("find"),), **given})
    return await ctx.database.write(lambda tx: assistants.create(ctx, tx, ORG, draft, lambda _: None))


async def a_run(ctx: Context, **given: Any) -> Run:
    draft = a_scenario(**{"brief": CALLER, "criteria": RUBRIC, "mocks": MOCKS, **given})
    scenario = await ctx.database.write(lambda tx: scenarios.create(ctx, tx, ORG, draft))
    return await ctx.database.write(lambda tx: runs.trigger(ctx, tx, ORG, scenario.id, None))


async def claimed(ctx: Context, run: Run, token: str = "t") -> Lease:
    """The lease of the run, which is the oldest that waits."""
    (lease,) = await ctx.database.write(lambda tx: leases.take(tx, "worker", token, 1))
    assert lease.run_id == run.id
    return lease


def going_on() -> bool:
    """Nobody stops the worker."""
    return False


async def conducted(ctx: Context, run: Run) -> Run:
    """The run as it is after somebody conducted it."""
    await conduct(ctx, await claimed(ctx, run), going_on)
    return await runs.retrieve(ctx, ORG, run.scenario_id, run.id)


async def recorded(ctx: Context, run: Run) -> Sequence[Event]:
    return (await conversations.get_transcript(ctx, ORG, run.conversation_id)).events


async def test_from_hello_to_verdict(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    done = await conducted(ctx, run)
    assert (done.status, done.ending, done.fault) == (Status.PASSED, Ending.GOODBYE, None)
    assert done.reason == "every criterion is met"
    assert [(one.criterion, one.decision) for one in done.verdicts] == [
        ("asks", Decision.MET),
        ("finds", Decision.MET),
    ]
    assert (done.completed_at, done.updated_at) == (NOW, NOW)
    assert [type(one).__name__ for one in await recorded(ctx, run)] == [
        "Message",
        "Message",
        "Message",
        "ToolCalled",
        "ToolReturned",
        "Message",
        "Left",
    ]
    assert "What is your order number?" in done.story
    assert "tester: scripted, judge: scripted" in done.story
    row = await row_of(ctx.database, run.id)
    assert (row.lease_token, row.lease_until) == (None, None)


async def test_an_unmet_criterion_fails_the_run(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id, criteria=(*RUBRIC, Criterion("warm", 'says "welcome"')))
    done = await conducted(ctx, run)
    assert (done.status, done.fault, done.reason) == (Status.FAILED, Fault.ASSISTANT, "unmet: warm")


async def test_what_the_judge_cannot_decide_is_an_error(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id, criteria=(Criterion("warm", "is warm and patient"),))
    done = await conducted(ctx, run)
    assert (done.status, done.fault) == (Status.ERROR, Fault.JUDGE)


async def test_the_same_run_always_comes_out_the_same(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    first, second = [await a_run(ctx, target=assistant.id) for _ in range(2)]
    done = [await conducted(ctx, run) for run in (first, second)]
    assert await recorded(ctx, first) == await recorded(ctx, second)
    assert done[0].verdicts == done[1].verdicts


class Crash(BaseException):
    """The process dies here: nothing after it is done."""


async def conduct_until(ctx: Context, run: Run, entries: int) -> None:
    """A worker that dies when it has written so many entries, and whose run is then taken back."""
    written = 0
    journal = ctx.journal

    class Dying:
        async def write(self, entry: Any) -> None:
            nonlocal written
            if written == entries:
                raise Crash
            await journal.write(entry)
            written += 1

    lease = await claimed(ctx, run, f"dies after {entries}")
    with pytest.raises(Crash):
        await conduct(replace(ctx, journal=Dying()), lease, going_on)  # type: ignore[arg-type]
    await ctx.database.write(lambda tx: set_row(tx, run.id, lease_until=1))
    await ctx.database.write(leases.take_back)


ENTRIES = 10
"""An undisturbed run: the open line, seven steps, the verdicts, the end."""


async def test_the_number_of_entries_is_as_the_next_test_says(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    with pytest.raises(pytest.fail.Exception):
        await conduct_until(ctx, run, ENTRIES)
    assert (await runs.retrieve(ctx, ORG, run.scenario_id, run.id)).status is Status.PASSED


@pytest.mark.parametrize("entries", range(ENTRIES))
async def test_wherever_a_worker_died_the_next_goes_on_from_there(ctx: Context, entries: int) -> None:
    assistant = await an_assistant(ctx)
    undisturbed, run = [await a_run(ctx, target=assistant.id) for _ in range(2)]
    expected = await conducted(ctx, undisturbed)
    await conduct_until(ctx, run, entries)
    before = await recorded(ctx, run)
    done = await conducted(ctx, run)
    after = await recorded(ctx, run)
    assert list(after[: len(before)]) == list(before)
    assert after == await recorded(ctx, undisturbed)
    assert (done.status, done.verdicts, done.usage) == (expected.status, expected.verdicts, expected.usage)
    assert (f"resumed at turn {len(before)}" in done.story) == bool(before)


async def test_a_run_that_was_half_talked_goes_on_with_what_was_said(ctx: Context) -> None:
    """What was recorded stands, also where the model would say something else today."""
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    half = [
        Message(Speaker.CALLER, "Good morning, where is my order?", NOW - 9000),
        Message(Speaker.ASSISTANT, "Which order number, please?", NOW - 8000),
    ]
    await ctx.database.write(lambda tx: kept_talks.append(tx, run.conversation_id, half, NOW))
    done = await conducted(ctx, run)
    assert done.status is Status.PASSED
    events = await recorded(ctx, run)
    assert list(events[:2]) == half
    assert [event for event in events if isinstance(event, Message)][2].text == "It is A-1001."


async def test_verdicts_that_are_known_are_not_asked_for_again(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    ended = [Left(Ending.GOODBYE, NOW, Speaker.CALLER, "done")]
    known = tuple(Verdict(one.name, Decision.UNMET, "known", "somebody") for one in RUBRIC)
    await ctx.database.write(lambda tx: kept_talks.append(tx, run.conversation_id, ended, NOW))
    await ctx.database.write(lambda tx: set_row(tx, run.id, verdicts=verdicts_codec.dumps(known)))
    done = await conducted(ctx, run)
    assert (done.status, done.verdicts) == (Status.FAILED, known)
    assert await recorded(ctx, run) == tuple(ended)


async def test_a_call_without_an_answer_is_made_again(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    asked = [
        Message(Speaker.CALLER, "It is A-1001.", NOW),
        ToolCalled(ToolCall("call_1", "find", {"number": "A-1001"}), NOW),
    ]
    await ctx.database.write(lambda tx: kept_talks.append(tx, run.conversation_id, asked, NOW))
    await conducted(ctx, run)
    transcript = await conversations.get_transcript(ctx, ORG, run.conversation_id)
    result = transcript.result_of("call_1")
    assert result is not None
    assert (result.output, result.mocked) == (MOCKS[0].output, True)
    assert len(transcript.tool_calls()) == 1


@pytest.mark.parametrize(
    ("settings", "model", "named"),
    [
        (ModelSettings(), "openai/gpt-4o", "OPENAI_API_KEY"),
        (ModelSettings(), "nowhere/model", "VIVA_MODEL_ALIASES"),
        (ModelSettings(tester_model="anthropic/claude"), "scripted", "ANTHROPIC_API_KEY"),
        (ModelSettings(judge_model="nowhere/model"), "scripted", "VIVA_PROVIDERS"),
    ],
)
async def test_a_model_that_nobody_serves_is_an_error_that_names_the_setting(
    ctx: Context, settings: ModelSettings, model: str, named: str
) -> None:
    assistant = await an_assistant(ctx, model=model)
    run = await a_run(ctx, target=assistant.id)
    done = await conducted(replace(ctx, models=Models(settings)), run)
    assert (done.status, done.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
    assert done.reason.startswith("it could not start: ")
    assert named in done.reason
    assert named in done.story
    assert await recorded(ctx, run) == ()


@pytest.mark.parametrize("target", ["+15550100", "assistant-none", "sip:bot@example.com", "", "ftp://example.com/x"])
async def test_a_target_that_cannot_be_reached_is_an_error(ctx: Context, target: str) -> None:
    run = await a_run(ctx, target=target)
    done = await conducted(ctx, run)
    assert (done.status, done.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
    assert "is not an assistant of this server" in done.reason
    assert "VIVA_NUMBERS" in done.reason


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/bot", "http://127.0.0.1:9/v1/chat/completions"])
async def test_an_address_that_is_not_allowed_is_an_error(ctx: Context, target: str) -> None:
    done = await conducted(ctx, await a_run(ctx, target=target))
    assert done.status is Status.ERROR
    assert done.ending in (Ending.INFRASTRUCTURE_FAULT, Ending.ASSISTANT_FAULT)
    assert [one.decision for one in done.verdicts] == [Decision.INCONCLUSIVE] * 2


async def test_a_deleted_run_ends_without_a_word(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    lease = await claimed(ctx, run)
    await scenarios.delete(ctx, ORG, run.scenario_id)
    with pytest.raises(LeaseLost):
        await conduct(ctx, lease, going_on)


async def test_a_run_that_is_deleted_while_it_begins_ends_without_a_word(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = await a_run(ctx, target=(await an_assistant(ctx)).id)
    find = openings.found

    async def found(*given: Any, **more: Any) -> Conversation:
        await scenarios.delete(ctx, ORG, run.scenario_id)
        return await find(*given, **more)

    monkeypatch.setattr(openings, "found", found)
    with pytest.raises(LeaseLost):
        await conduct(ctx, await claimed(ctx, run), going_on)
    assert "a reason of ours" not in "".join(capsys.readouterr())


async def test_a_run_that_was_deleted_or_taken_over_in_the_middle_stops_there(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    lease = await claimed(ctx, run)
    journal, written = ctx.journal, 0

    class Interrupted:
        async def write(self, entry: Any) -> None:
            nonlocal written
            written += 1
            if written == 3:
                await ctx.database.write(lambda tx: set_row(tx, run.id, lease_token="another"))
            await journal.write(entry)

    with pytest.raises(LeaseLost):
        await conduct(replace(ctx, journal=Interrupted()), lease, going_on)  # type: ignore[arg-type]
    assert written == 3
    assert len(await recorded(ctx, run)) == 1
    assert (await row_of(ctx.database, run.id)).status == "running"


async def test_without_limits_of_its_own_a_test_has_the_servers(ctx: Context) -> None:
    endless = 'on start: say "one"\non hear /(.*)/: say "again $1"'
    assistant = await an_assistant(ctx, instructions='on hear /(.*)/: say "and $1"')
    done = await conducted(ctx, await a_run(ctx, target=assistant.id, brief=endless))
    assert (done.status, done.ending, done.fault) == (Status.ERROR, Ending.TURN_LIMIT, Fault.TESTER)
    assert sum(isinstance(one, Message) and one.speaker is Speaker.CALLER for one in await recorded(ctx, done)) == 5
    own = await conducted(ctx, await a_run(ctx, target=assistant.id, brief=endless, turn_limit=2))
    assert sum(isinstance(one, Message) and one.speaker is Speaker.CALLER for one in await recorded(ctx, own)) == 2


async def test_section_3_4_messages_of_both_have_a_limit_of_the_tests_or_the_servers(ctx: Context) -> None:
    endless = 'on start: say "one"\non hear /(.*)/: say "again $1"'
    assistant = await an_assistant(ctx, instructions='on hear /(.*)/: say "and $1"')
    few = replace(ctx, limits=replace(ctx.limits, turn_limit=50, utterance_limit=6))
    done = await conducted(few, await a_run(few, target=assistant.id, brief=endless))
    assert (done.status, done.ending, done.fault) == (Status.ERROR, Ending.TURN_LIMIT, Fault.TESTER)
    assert "caller and assistant said 6 messages without coming to an end; the limit is 6" in done.reason
    own = await conducted(few, await a_run(few, target=assistant.id, brief=endless, utterance_limit=8))
    assert "said 8 messages" in own.reason


async def test_section_3_4_how_often_somebody_may_repeat_itself_is_the_servers_to_say(ctx: Context) -> None:
    assistant = await an_assistant(ctx, instructions='on hear /(.*)/: say "Well?"')
    brief = 'else: say "Where is my order?"'
    patient = replace(ctx, limits=replace(ctx.limits, turn_limit=50, repeat_limit=4))
    done = await conducted(patient, await a_run(patient, target=assistant.id, brief=brief))
    assert (done.status, done.ending) == (Status.ERROR, Ending.LOOP)
    assert "the caller said the same thing 4 times in a row" in done.reason


async def test_section_2_2_a_test_may_name_the_model_of_its_caller(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    served = replace(ctx, models=Models(ModelSettings(aliases={"gpt-4.1": "scripted"}, tester_model="nowhere/model")))
    done = await conducted(served, await a_run(served, target=assistant.id, tester_model="gpt-4.1"))
    assert done.status is Status.PASSED
    run = await a_run(ctx, target=assistant.id, tester_model="gpt-4.1")
    refused = await conducted(ctx, run)
    assert (refused.status, refused.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
    assert refused.reason.startswith("it could not start: the test's caller is to be played by 'gpt-4.1': ")
    assert await recorded(ctx, run) == ()


async def test_a_story_says_what_was_different_from_what_was_asked_for(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id, medium=Medium.PHONE_CALL, brief=f"{CALLER}on hear: nonsense\n")
    story = (await conducted(ctx, run)).story
    assert "phone_call is carried as text" in story
    assert "the tester's script, line 4" in story
    assert "the judge is scripted" in story


async def test_a_judge_that_is_away_is_an_infrastructure_error(ctx: Context) -> None:
    """The conversation stands; only the verdict is missing."""
    provider = Provider("away", "http://127.0.0.1:9/v1", max_attempts=1)
    models = Models(ModelSettings({"away": provider}, judge_model="away/judge"))
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id, criteria=(Criterion("warm", "is warm and patient"),))
    try:
        hopeless = replace(ctx, models=models, limits=replace(ctx.limits, run_retries=0))
        done = await conducted(hopeless, run)
    finally:
        await models.close()
    assert (done.status, done.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
    assert "the judge's model" in done.reason
    assert done.ending is Ending.GOODBYE


async def test_every_event_is_durable_before_the_next_is_asked_for(ctx: Context) -> None:
    assistant = await an_assistant(ctx)
    run = await a_run(ctx, target=assistant.id)
    lease = await claimed(ctx, run)
    with commits(ctx.database) as seen:
        await conduct(ctx, lease, going_on)
    # The variables that the conversation starts with are kept with the entry that says that it begins.
    assert seen.count == ENTRIES


async def test_many_runs_at_once_do_not_disturb_each_other(ctx: Context, hand: Hand) -> None:
    assistant = await an_assistant(ctx)
    made = [await a_run(ctx, target=assistant.id) for _ in range(30)]
    held = [await claimed(ctx, run, f"t{place}") for place, run in enumerate(made)]
    await asyncio.gather(*(conduct(ctx, lease, going_on) for lease in held))
    first = await recorded(ctx, made[0])
    for run in made:
        assert (await runs.retrieve(ctx, ORG, run.scenario_id, run.id)).status is Status.PASSED
        assert await recorded(ctx, run) == first
    assert hand.now() == NOW


async def test_an_address_that_is_none_ends_the_run_with_a_reason(ctx: Context) -> None:
    done = await conducted(ctx, await a_run(ctx, target="http://["))
    assert (done.status, done.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
    assert "is no URL" in done.reason


async def test_a_defect_of_ours_ends_the_run_and_says_so(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def defect(*_given: object, **_named: object) -> None:
        raise RuntimeError("what nobody should read")

    monkeypatch.setattr("vivavoce.services.examinations.examine", defect)
    assistant = await an_assistant(ctx)
    done = await conducted(ctx, await a_run(ctx, target=assistant.id))
    assert (done.status, done.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
    assert done.reason == "a defect of this server (RuntimeError); its log says more"
    assert "what nobody should read" not in done.story
