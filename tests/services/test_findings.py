"""Insights are asked when a conversation is over, once, and what came of it is kept and told."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from sqlalchemy import select
from tests.support.players import ListModel
from tests.support.store import (
    NOW,
    ORG,
    Hand,
    a_conversation,
    a_run,
    a_scenario,
    a_version,
    an_assistant,
    said,
)

from vivavoce.core.assistant import Templating, Version
from vivavoce.core.conversation import Conversation, Opening
from vivavoce.core.event import Ending, Event, Left, Speaker, ToolReturned
from vivavoce.core.filter import Field, Filter
from vivavoce.core.insight import MANAGED, Finding, FindingStatus, Insight, InsightGroup, Tally
from vivavoce.core.model import ModelFailure, Trouble
from vivavoce.engine.duties import TRIES
from vivavoce.examination.tasks import InsightTask, Record, Remark
from vivavoce.models.resolve import Models
from vivavoce.services import deliveries, findings, insights
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.services.findings import NotAnswered
from vivavoce.storage import assistants, conversations, duties, runs, scenarios, search
from vivavoce.storage import findings as kept_findings
from vivavoce.storage import insights as kept_insights
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.page import Window
from vivavoce.storage.runs import Order
from vivavoce.storage.tables import duties as duty_rows

TALK: tuple[Event, ...] = (
    said("Hello", Speaker.ASSISTANT),
    said("Bye"),
    Left(Ending.GOODBYE, NOW, Speaker.CALLER),
)
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
HOOK, OWN_HOOK = "https://hooks.example/group", "https://hooks.example/insight"


@dataclass
class Woken:
    """How often somebody woke the duties."""

    times: int = 0

    def __call__(self) -> None:
        self.times += 1


@dataclass
class Served:
    """Serves one model under these names, and nothing else; None is the judge's own."""

    model: Any
    names: tuple[str | None, ...] = (None,)
    asked: list[tuple[str | None, str]] = field(default_factory=list[tuple[str | None, str]])

    def resolve(self, name: str | None, role: str) -> Any:
        self.asked.append((name, role))
        if name not in self.names:
            raise ModelFailure(Trouble.UNRESOLVED, f"model {name!r}: nobody serves it")
        return self.model


def serving(ctx: Context, *answers: object, names: tuple[str | None, ...] = (None,)) -> tuple[Context, ListModel]:
    """The context with a model that gives these answers."""
    model = ListModel(list(answers))
    return replace(ctx, models=cast("Models", Served(model, names)), wake=Woken()), model


@dataclass
class Scene:
    """A conversation that is over, its assistant, and a group that is to be asked of it."""

    conversation: Conversation
    version: Version
    group: InsightGroup


async def scene(
    ctx: Context, *asked: Insight, events: Sequence[Event] = TALK, webhook: str = "", managed: bool = False
) -> Scene:
    """Everything is in the database."""
    conversation = a_conversation(opening=Opening({"shop": "Birch", "tone": "flat"}), metadata={"desk": "a"})
    group = InsightGroup(ctx.new_id(), "after", NOW, webhook=webhook, managed=(MANAGED[0].id,) if managed else ())
    assistant = an_assistant(
        instructions="Be kind at {{shop}}.", insight_group=group.id, templating=Templating("acme_"), insight_model="big"
    )

    def work(tx: Tx) -> None:
        conversations.add(tx, ORG, [conversation])
        conversations.append(tx, conversation.id, events, NOW)
        assistants.add(tx, ORG, assistant)
        kept_insights.add_group(tx, ORG, group)
        for one in asked:
            kept_insights.add(tx, ORG, one)
            kept_insights.join(tx, group.id, one.id)

    await ctx.database.write(work)
    return Scene(conversation, assistant.main, group)


def question(ctx: Context, name: str, **given: Any) -> Insight:
    return replace(Insight(ctx.new_id(), name, f"Was it {name} at {{{{shop}}}}?", NOW), **given)


async def kept(ctx: Context) -> list[Duty]:
    """The duties that wait, as if they were taken for the first time."""
    rows = await ctx.database.read(lambda tx: tx.execute(select(duty_rows).order_by(duty_rows.c.subject)).all())
    return [Duty(row.id, row.org, row.kind, row.subject, row.body, 1, "t") for row in rows]


async def want(ctx: Context, where: Scene, version: Version | None = None) -> str:
    return await ctx.database.write(
        lambda tx: findings.wanted(ctx, tx, ORG, where.conversation.id, version or where.version)
    )


async def found(ctx: Context, finding_id: str) -> Finding:
    finding = await ctx.database.read(lambda tx: kept_findings.get(tx, ORG, finding_id))
    assert finding is not None
    return finding


def duty_of(wanted: Wanted | None) -> Duty:
    assert wanted is not None
    return Duty(wanted.id, wanted.org, wanted.kind, wanted.subject, wanted.body, 1, "t")


# --- what is asked at all -------------------------------------------------------------------------------------------


async def test_rule_6_7_a_finding_is_pending_until_the_duty_is_done(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"))
    finding_id = await want(ctx, where)
    finding = await found(ctx, finding_id)
    assert finding == Finding(finding_id, where.conversation.id, where.group.id, FindingStatus.PENDING, NOW)
    [duty] = await kept(ctx)
    assert (duty.org, duty.kind, duty.subject) == (ORG, findings.KIND, finding_id)


@pytest.mark.parametrize(
    "change",
    [{"insight_group": None}, {"insight_group": ""}, {"insight_group": "unknown"}, {"keeps": False}],
    ids=lambda change: next(iter(change)),
)
async def test_rule_6_7_nothing_is_asked_without_a_known_group_and_without_history(
    ctx: Context, change: dict[str, Any]
) -> None:
    where = await scene(ctx, question(ctx, "short"))
    assert await want(ctx, where, replace(where.version, **change)) == ""
    assert await kept(ctx) == []
    assert (await findings.get_page(ctx, ORG, where.conversation.id, Window())).total == 0


async def test_nothing_is_asked_of_nothing_and_with_nothing(ctx: Context) -> None:
    silent = await scene(ctx, question(ctx, "short"), events=(said(" "), TALK[-1]))
    empty = await scene(ctx)
    assert await want(ctx, silent) == await want(ctx, empty) == ""
    assert await kept(ctx) == []
    assert findings.prepared(ctx, ORG, "c", a_version()) is None


async def test_a_group_of_another_organisation_is_unknown(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"))
    wanted = await ctx.database.write(
        lambda tx: findings.wanted(ctx, tx, "org-b", where.conversation.id, where.version)
    )
    assert wanted == ""


async def test_a_prepared_duty_makes_the_finding_itself(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"))
    ctx, _ = serving(ctx, Remark("yes"))
    prepared = findings.prepared(ctx, ORG, where.conversation.id, where.version)
    await findings.perform(ctx, duty_of(prepared))
    assert prepared is not None
    finding = await found(ctx, prepared.subject)
    assert (finding.status, finding.results[0].result) == (FindingStatus.COMPLETED, "yes")
    assert finding.id == prepared.subject


async def test_a_prepared_duty_asks_nothing_where_there_is_nothing_to_ask(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"), events=())
    served, model = serving(ctx)
    for version in (where.version, replace(where.version, insight_group="unknown")):
        await findings.perform(served, duty_of(findings.prepared(ctx, ORG, where.conversation.id, version)))
    await findings.perform(served, duty_of(findings.prepared(ctx, ORG, "unknown", where.version)))
    assert model.prompts == []
    assert (await findings.get_page(ctx, ORG, where.conversation.id, Window())).total == 0


# --- asking ---------------------------------------------------------------------------------------------------------


async def test_rule_6_3_questions_are_templates_of_the_conversation_s_variables(ctx: Context) -> None:
    returned = ToolReturned("1", "find", "{}", ok=True, at=NOW, variables={"tone": "warm"})
    where = await scene(
        ctx, question(ctx, "x", instructions="{{shop}} {{tone}} {{unknown}}"), events=(*TALK[:2], returned)
    )
    ctx, model = serving(ctx, Remark("yes"))
    await want(ctx, where)
    [duty] = await kept(ctx)
    await findings.perform(ctx, duty)
    task = model.prompts[0].subject
    assert isinstance(task, InsightTask)
    assert (task.question, task.assistant, task.schema) == ("Birch warm {{unknown}}", "", None)
    assert task.transcript.events == (*TALK[:2], returned)


async def test_answers_are_words_or_json_and_stand_in_the_group_s_order(ctx: Context) -> None:
    first, second = question(ctx, "short"), question(ctx, "good", schema=json.dumps(SCHEMA))
    where = await scene(ctx, first, second)
    ctx, model = serving(ctx, Remark("yes"), Record({"score": 3}))
    finding_id = await want(ctx, where)
    [duty] = await kept(ctx)
    await findings.perform(ctx, duty)
    finding = await found(ctx, finding_id)
    assert finding.status is FindingStatus.COMPLETED
    assert (finding.completed_at, finding.reason) == (NOW, "")
    assert [(one.insight_id, one.insight_name, one.result) for one in finding.results] == [
        (first.id, "short", "yes"),
        (second.id, "good", '{"score": 3}'),
    ]
    assert len(model.prompts) == 2


async def test_whoever_rates_obedience_is_shown_the_assistant_s_instructions(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"), managed=True)
    ctx, model = serving(ctx, Record({"score": "Good", "explanation": "It did."}), Remark("yes"))
    await want(ctx, where)
    [duty] = await kept(ctx)
    await findings.perform(ctx, duty)
    tasks = [cast("InsightTask", one.subject) for one in model.prompts]
    assert [task.assistant for task in tasks] == ["Be kind at Birch.", ""]


async def test_a_run_is_rated_by_the_instructions_that_it_froze(ctx: Context) -> None:
    """A version that is not main is edited in its place, and the edited instructions used to be shown."""
    where = await scene(ctx, managed=True)
    scenario = a_scenario(target=where.version.assistant_id)
    run = a_run(scenario, conversation_id=where.conversation.id, version_id=where.version.id)

    def work(tx: Tx) -> None:
        scenarios.add(tx, ORG, scenario)
        runs.add(tx, ORG, [Order(run, scenario, where.version)])
        assistants.put_version(tx, replace(where.version, instructions="Be rude."))

    await ctx.database.write(work)
    asking, model = serving(ctx, Record({"score": "Good", "explanation": "It was kind."}), names=("big",))
    await want(ctx, where)
    (duty,) = await kept(ctx)
    await findings.perform(asking, duty)
    assert "Be kind at Birch." in model.prompts[0].lines[-1].text
    stranger = json.dumps({**json.loads(duty.body), "version_id": "another", "assistant_id": "nobody"})
    version = await ctx.database.read(lambda tx: findings._version(tx, ORG, findings._Asked(**json.loads(stranger))))
    assert version is None


async def test_the_scripted_model_answers(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short", instructions='How?\nanswer "{{shop}} was quick"'), managed=True)
    finding_id = await want(ctx, where)
    [duty] = await kept(ctx)
    await findings.perform(ctx, duty)
    finding = await found(ctx, finding_id)
    assert finding.status is FindingStatus.COMPLETED
    assert json.loads(finding.results[0].result)["score"] == "N/A"
    assert finding.results[1].result == "Birch was quick"


async def test_rule_2_1_the_version_s_model_answers_where_it_is_served_and_else_the_judge_s(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"))
    for names, expected in (
        (("big", None), [("big", "judge")]),
        ((None,), [("big", "judge"), (None, "judge")]),
    ):
        served, _ = serving(ctx, Remark("yes"), names=names)
        await findings.perform(served, duty_of(findings.prepared(ctx, ORG, where.conversation.id, where.version)))
        assert cast("Served", served.models).asked == expected
    plain = replace(where.version, insight_model=None)
    served, _ = serving(ctx, Remark("yes"))
    await findings.perform(served, duty_of(findings.prepared(ctx, ORG, where.conversation.id, plain)))
    assert cast("Served", served.models).asked == [(None, "judge")]


# --- failing --------------------------------------------------------------------------------------------------------


async def test_one_failed_insight_fails_the_finding_and_the_other_answers_stay(ctx: Context) -> None:
    first, second = question(ctx, "short"), question(ctx, "good", schema=SCHEMA)
    where = await scene(ctx, first, second, webhook=HOOK)
    ctx, _ = serving(ctx, Remark("yes"), Record({}), Record({"score": "x"}))
    finding_id = await want(ctx, where)
    await findings.perform(ctx, (await kept(ctx))[0])
    finding = await found(ctx, finding_id)
    assert finding.status is FindingStatus.FAILED
    assert finding.reason.startswith("good: the answer does not fit the schema: score: 'x' is not of type")
    assert [one.result for one in finding.results] == ["yes"]


async def test_a_model_that_nobody_serves_fails_the_finding_and_nobody_is_told(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"), webhook=HOOK)
    ctx, _ = serving(ctx, names=())
    finding_id = await want(ctx, where)
    await findings.perform(ctx, (await kept(ctx))[0])
    finding = await found(ctx, finding_id)
    assert (finding.status, finding.results) == (FindingStatus.FAILED, ())
    assert "nobody serves it" in finding.reason
    assert [duty.kind for duty in await kept(ctx)] == [findings.KIND]


async def test_a_model_out_of_reach_is_asked_again_later_and_only_for_what_is_missing(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"), question(ctx, "good"), webhook=HOOK)
    away = ModelFailure(Trouble.UNAVAILABLE, "away")
    ctx, model = serving(ctx, Remark("yes"), away, Remark("no"))
    finding_id = await want(ctx, where)
    [duty] = await kept(ctx)
    with pytest.raises(NotAnswered, match="good: away"):
        await findings.perform(ctx, duty)
    finding = await found(ctx, finding_id)
    assert (finding.status, finding.completed_at) == (FindingStatus.IN_PROGRESS, None)
    assert [one.kind for one in await kept(ctx)] == [findings.KIND]
    await findings.perform(ctx, replace(duty, attempts=2))
    finding = await found(ctx, finding_id)
    assert (finding.status, finding.reason) == (FindingStatus.COMPLETED, "")
    assert [one.result for one in finding.results] == ["yes", "no"]
    assert len(model.prompts) == 3


async def test_at_some_time_it_is_given_up(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"))
    ctx, _ = serving(ctx, ModelFailure(Trouble.UNAVAILABLE, "away"))
    finding_id = await want(ctx, where)
    [duty] = await kept(ctx)
    await findings.perform(ctx, replace(duty, attempts=TRIES))
    finding = await found(ctx, finding_id)
    assert (finding.status, finding.reason) == (FindingStatus.FAILED, "short: away")


async def test_what_was_deleted_meanwhile_is_not_asked(ctx: Context) -> None:
    served, model = serving(ctx)
    gone = await scene(ctx, question(ctx, "short"))
    finding_id = await want(ctx, gone)
    await ctx.database.write(lambda tx: kept_insights.drop_group(tx, ORG, gone.group.id))
    [duty] = await kept(ctx)
    await findings.perform(served, duty)
    finding = await found(ctx, finding_id)
    assert (finding.status, finding.reason) == (FindingStatus.FAILED, "The insight group was deleted.")

    forgotten = await scene(ctx, question(ctx, "short"))
    finding_id = await want(ctx, forgotten)
    await ctx.database.write(lambda tx: conversations.forget(tx, forgotten.conversation.id))
    await findings.perform(served, (await kept(ctx))[1])
    assert (await found(ctx, finding_id)).reason == "Nothing of the conversation was kept."
    await ctx.database.write(lambda tx: conversations.drop(tx, ORG, forgotten.conversation.id))
    for one in await kept(ctx):
        await findings.perform(served, one)
    assert model.prompts == []


@dataclass
class Meddling:
    """Answers, and meanwhile something happens to the finding."""

    ctx: Context
    meddle: Callable[[Tx], object]
    name: str = "meddling"

    async def decide(self, prompt: object, shape: object) -> Any:
        await self.ctx.database.write(self.meddle)
        return await ListModel([Remark("too late")]).decide(cast("Any", prompt), Remark)


async def test_what_happens_to_the_finding_meanwhile_wins(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"), webhook=HOOK)
    finding_id = await want(ctx, where)
    [duty] = await kept(ctx)
    finding = await found(ctx, finding_id)
    quicker = replace(finding, status=FindingStatus.COMPLETED, completed_at=NOW)
    meddling: list[Callable[[Tx], object]] = [
        lambda tx: kept_findings.put(tx, ORG, quicker),
        lambda tx: conversations.drop(tx, ORG, where.conversation.id),
    ]
    for meddle in meddling:
        await ctx.database.write(lambda tx: kept_findings.put(tx, ORG, finding))
        model = Meddling(ctx, meddle)
        await findings.perform(replace(ctx, models=cast("Models", Served(model))), duty)
        assert [one.kind for one in await kept(ctx)] == [findings.KIND]
    page = await ctx.database.read(lambda tx: kept_findings.get_page(tx, ORG, where.conversation.id, Window()))
    assert page.items == ()


# --- telling --------------------------------------------------------------------------------------------------------


async def test_rule_6_7_webhooks_hear_of_the_answers(ctx: Context) -> None:
    first, second = question(ctx, "short", webhook=OWN_HOOK), question(ctx, "good")
    where = await scene(ctx, first, second, webhook=HOOK)
    ctx, _ = serving(ctx, Remark("yes"), Remark("no"))
    finding_id = await want(ctx, where)
    await findings.perform(ctx, (await kept(ctx))[0])
    sent = [json.loads(duty.body) for duty in await kept(ctx) if duty.kind == deliveries.KIND]
    about: dict[str, Any] = {
        "event_type": "conversation.insights.completed",
        "conversation_id": where.conversation.id,
        "insight_group_id": where.group.id,
        "insight_group_name": "after",
    }
    one = {"insight_id": first.id, "insight_name": "short", "result": "yes"}
    other = {"insight_id": second.id, "insight_name": "good", "result": "no"}
    assert sent == [
        {"url": HOOK, "prefix": "acme_", "payload": {**about, "insights": [one, other]}},
        {"url": OWN_HOOK, "prefix": "acme_", "payload": {**about, "insights": [one]}},
    ]
    assert cast("Woken", ctx.wake).times == 1
    assert (await found(ctx, finding_id)).status is FindingStatus.COMPLETED


async def test_done_twice_nothing_is_asked_or_told_twice(ctx: Context) -> None:
    where = await scene(ctx, question(ctx, "short"), webhook=HOOK)
    ctx, model = serving(ctx, Remark("yes"))
    finding_id = await want(ctx, where)
    [duty] = await kept(ctx)
    await findings.perform(ctx, duty)
    before = await found(ctx, finding_id)
    delivery = next(one for one in await kept(ctx) if one.kind == deliveries.KIND)
    await ctx.database.write(lambda tx: duties.forget(tx, deliveries.KIND, delivery.subject))
    await findings.perform(ctx, duty)
    assert await found(ctx, finding_id) == before
    assert len(model.prompts) == 1
    assert [one.kind for one in await kept(ctx)] == [findings.KIND]


# --- reading --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def told(ctx: Context) -> tuple[Context, str]:
    """Three conversations with scores, two of them 3; and the insight's id."""
    insight = question(ctx, "good", schema=SCHEMA)
    where = await scene(ctx, insight)
    for score in (3, 5, 3):
        served, _ = serving(ctx, Record({"score": score}))
        await findings.perform(served, duty_of(findings.prepared(ctx, ORG, where.conversation.id, where.version)))
    return ctx, insight.id


async def test_answers_are_counted(told: tuple[Context, str]) -> None:
    ctx, insight_id = told
    score, desk = Field("score"), Field("desk", metadata=True)
    assert await findings.get_tally(ctx, ORG, Filter(), insight_id, [score, desk]) == (
        Tally((3, "a"), 2),
        Tally((5, "a"), 1),
    )
    assert await findings.get_tally(ctx, ORG, Filter(), None, []) == (Tally((), 3),)
    assert await findings.get_tally(ctx, ORG, Filter(), "another", [score]) == ()
    assert await findings.get_tally(ctx, "org-b", Filter(), None, [score]) == ()


async def test_too_many_answers_are_not_counted_wrongly(
    told: tuple[Context, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, _ = told
    monkeypatch.setattr(findings, "MOST", 3)
    assert (await findings.get_tally(ctx, ORG, Filter(), None, []))[0].count == 3
    monkeypatch.setattr(findings, "MOST", 2)
    with pytest.raises(Rejected, match="More than 2"):
        await findings.get_tally(ctx, ORG, Filter(), None, [])


async def test_findings_are_those_of_a_known_conversation(told: tuple[Context, str], hand: Hand) -> None:
    ctx, insight_id = told
    await insights.delete(ctx, ORG, insight_id)
    conversation = (await ctx.database.read(lambda tx: search.get_filtered(tx, ORG, Filter(), 5)))[0]
    page = await findings.get_page(ctx, ORG, conversation.id, Window(1, 2))
    assert (len(page.items), page.total) == (2, 3)
    assert {one.results[0].insight_id for one in page.items} == {insight_id}
    for org, id_ in (("org-b", conversation.id), (ORG, "none")):
        with pytest.raises(NotFound):
            await findings.get_page(ctx, org, id_, Window())
