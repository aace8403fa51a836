"""Insights asked of a conversation when it is over, and what came of it (contract, sections 5.16 and 6.7)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from vivavoce.assistant.variables import render
from vivavoce.core.assistant import Form, Version
from vivavoce.core.conversation import Conversation
from vivavoce.core.event import Millis, ToolReturned
from vivavoce.core.filter import Field, Filter
from vivavoce.core.insight import FINAL, Finding, FindingStatus, Found, Insight, InsightGroup, Tally, schema_of, tally
from vivavoce.core.model import Model, ModelFailure, Trouble
from vivavoce.core.run import Priority
from vivavoce.core.telemetry import plainly
from vivavoce.core.transcript import Transcript
from vivavoce.core.waiting import urgent
from vivavoce.engine.duties import TRIES
from vivavoce.examination.insight import ask_all
from vivavoce.examination.tasks import InsightTask
from vivavoce.services import deliveries
from vivavoce.services.context import Context
from vivavoce.services.errors import NotFound, Rejected
from vivavoce.storage import assistants, conversations, duties, findings, insights, runs
from vivavoce.storage.database import Tx
from vivavoce.storage.duties import Duty, Wanted
from vivavoce.storage.insisting import insist
from vivavoce.storage.page import Page, Window
from vivavoce.tools.arguments import mismatch

KIND = "insights"
EVENT = "conversation.insights.completed"
"""What a webhook is told (contract, section 6.7)."""
MOST = 50_000
"""The most answers that are counted at once."""

log = structlog.get_logger(__name__)


class NotAnswered(Exception):
    """The model could not be reached; it is worth trying again."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The body of the duty: all that is to be known of the version, which may be gone or changed by then."""

    conversation_id: str
    group_id: str
    assistant_id: str
    version_id: str
    prefix: str
    model: str | None


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is asked of what."""

    finding: Finding
    group: InsightGroup
    tasks: tuple[InsightTask, ...]
    """One for each insight of ``missing``."""
    missing: tuple[Insight, ...]


def prepared(ctx: Context, org: str, conversation_id: str, version: Version) -> Wanted | None:
    """The duty that asks the version's insights of a conversation that is over, for whoever keeps duties; its subject
    is the id that the finding will have. None where the version has no group, or keeps nothing."""
    if not version.insight_group or not version.keeps:
        return None
    body = {
        "conversation_id": conversation_id,
        "group_id": version.insight_group,
        "assistant_id": version.assistant_id,
        "version_id": version.id,
        "prefix": version.templating.prefix,
        "model": version.insight_model,
    }
    return Wanted(ctx.new_id(), org, KIND, ctx.new_id(), ctx.clock.now(), json.dumps(body))


def wanted(ctx: Context, tx: Tx, org: str, conversation_id: str, version: Version) -> str:
    """Keep a pending finding and the duty that answers it; returns the finding's id. Whoever calls wakes the duties
    after the commit.

    Nothing is kept, and the id is empty, where there is nothing to ask: no group, an unknown or an empty one, no
    history, or a conversation in which nobody said anything.
    """
    duty = prepared(ctx, org, conversation_id, version)
    if duty is None:
        return ""
    finding = _new(ctx, tx, org, duty.subject, conversation_id, version.insight_group or "", FindingStatus.PENDING)
    if finding is None:
        return ""
    duties.want(tx, duty)
    return finding.id


async def get_page(ctx: Context, org: str, conversation_id: str, window: Window) -> Page[Finding]:
    """A page of what was found in a conversation, newest first. Raises ``NotFound``."""

    def work(tx: Tx) -> Page[Finding]:
        if conversations.get(tx, org, conversation_id) is None:
            raise NotFound("conversation", conversation_id)
        return findings.get_page(tx, org, conversation_id, window)

    return await ctx.database.read(work)


async def get_newest(
    ctx: Context, org: str, most: int, behind: tuple[Millis, str] | None = None
) -> tuple[Finding, ...]:
    """At most so many findings of all conversations, newest first; ``behind`` the one with this time and id."""
    return await ctx.database.read(lambda tx: findings.get_newest(tx, org, most, behind))


async def get_tally(
    ctx: Context, org: str, wanted: Filter, insight_id: str | None, fields: Sequence[Field]
) -> tuple[Tally, ...]:
    """The answers that match, counted by the values of the fields. Raises ``Rejected`` where they are too many."""
    found = await ctx.database.read(lambda tx: findings.get_results(tx, org, wanted, insight_id, MOST + 1))
    if len(found) > MOST:
        raise Rejected(f"More than {MOST} answers match; narrow them down, for example by created_at.", "created_at")
    return tally(found, fields)


async def perform(ctx: Context, duty: Duty) -> None:
    """Ask the group's insights of the conversation; ``duty.subject`` is the finding's id.

    Each insight is one model call. One that is not answered fails the finding, and the others are kept all the same.
    Raises ``NotAnswered`` where the model is out of reach and it should be tried again; what was answered by then is
    not asked again.
    """
    asked = _Asked(**json.loads(duty.body))
    begun = await ctx.database.write(lambda tx: _begin(ctx, tx, duty, asked))
    if begun is None:
        return
    try:
        model = _model(ctx, asked.model)
    except ModelFailure as failure:
        outcomes: tuple[str | ModelFailure, ...] = (failure,) * len(begun.tasks)
    else:
        with urgent(Priority.BATCH):  # the conversation is over, and nobody waits
            outcomes = await ask_all(begun.tasks, model, mismatch)
    answered = {one.insight_id: one for one in begun.finding.results}
    failures: dict[str, ModelFailure] = {}
    for insight, outcome in zip(begun.missing, outcomes, strict=True):
        if isinstance(outcome, ModelFailure):
            failures[insight.name or insight.id] = outcome
        else:
            answered[insight.id] = Found(insight.id, insight.name, outcome)
    results = tuple(answered[one.id] for one in begun.group.insights if one.id in answered)
    told = "; ".join(f"{name}: {failure}" for name, failure in failures.items())
    again = duty.attempts < TRIES and any(one.trouble is Trouble.UNAVAILABLE for one in failures.values())
    status = FindingStatus.FAILED if failures else FindingStatus.COMPLETED
    finding = replace(begun.finding, reason=told, results=results)
    if not again:
        finding = replace(finding, status=status, completed_at=ctx.clock.now())
    await insist(ctx.database, lambda tx: _keep(ctx, tx, duty.org, finding, begun.group, asked.prefix))
    if failures:
        log.warning(
            "insights were not answered",
            finding=finding.id,
            conversation=finding.conversation_id,
            reasons=sorted({plainly(one) for one in failures.values()}),
        )
    if again:
        raise NotAnswered(told)
    ctx.wake()


def _new(
    ctx: Context, tx: Tx, org: str, finding_id: str, conversation_id: str, group_id: str, status: FindingStatus
) -> Finding | None:
    group = insights.get_group(tx, org, group_id)
    if group is None or not group.insights or conversations.get(tx, org, conversation_id, lock=True) is None:
        return None
    if not _anything_said(conversations.get_transcript(tx, conversation_id)):
        return None
    finding = Finding(finding_id, conversation_id, group_id, status, ctx.clock.now())
    findings.add(tx, org, finding)
    return finding


def _begin(ctx: Context, tx: Tx, duty: Duty, asked: _Asked) -> _Begun | None:
    """None where there is nothing to do, or not any more."""
    finding = findings.get(tx, duty.org, duty.subject, lock=True)
    if finding is None:
        finding = _new(
            ctx, tx, duty.org, duty.subject, asked.conversation_id, asked.group_id, FindingStatus.IN_PROGRESS
        )
    if finding is None or finding.status in FINAL:
        return None
    finding = replace(finding, status=FindingStatus.IN_PROGRESS)
    group = insights.get_group(tx, duty.org, finding.group_id)
    conversation = conversations.get(tx, duty.org, finding.conversation_id)
    transcript = conversations.get_transcript(tx, finding.conversation_id)
    if group is None or conversation is None or not _anything_said(transcript):
        gone = "The insight group was deleted." if group is None else "Nothing of the conversation was kept."
        findings.put(
            tx,
            duty.org,
            replace(finding, status=FindingStatus.FAILED, reason=gone, completed_at=ctx.clock.now()),
        )
        return None
    findings.put(tx, duty.org, finding)
    variables = _variables(conversation, transcript)
    version = _version(tx, duty.org, asked)
    instructions = render(version.instructions, variables) if version else ""
    known = {one.insight_id for one in finding.results}
    missing = tuple(one for one in group.insights if one.id not in known)
    tasks = tuple(_task(one, variables, transcript, instructions) for one in missing)
    return _Begun(finding, group, tasks, missing)


def _task(insight: Insight, variables: Mapping[str, Any], transcript: Transcript, instructions: str) -> InsightTask:
    question = render(insight.instructions, variables)
    return InsightTask(question, transcript, schema_of(insight.schema), instructions if insight.informed else "")


def _version(tx: Tx, org: str, asked: _Asked) -> Version | None:
    """The version as a run froze it or else as it is kept, also of an assistant that was deleted softly meanwhile; None
    where it is gone."""
    run_id = runs.holder(tx, asked.conversation_id)
    frozen = runs.get_frozen(tx, run_id) if run_id else None
    if frozen is not None and frozen.version is not None:
        for one in (frozen.version, *frozen.others):
            if one.id == asked.version_id:
                return one
    id_, forms = asked.assistant_id, tuple(Form)
    known = assistants.get(tx, org, id_, forms=forms) or assistants.get(tx, org, id_, forms=forms, deleted=True)
    return assistants.get_version(tx, known.id, asked.version_id) if known else None


def _variables(conversation: Conversation, transcript: Transcript) -> Mapping[str, Any]:
    """What the conversation started with, and what its tools set after that (contract, section 6.3)."""
    variables: dict[str, Any] = dict(conversation.opening.variables) if conversation.opening else {}
    for event in transcript.events:
        if isinstance(event, ToolReturned):
            variables |= event.variables
    return variables


def _anything_said(transcript: Transcript) -> bool:
    return any(message.text.strip() for _, message in transcript.messages())


def _model(ctx: Context, name: str | None) -> Model:
    """The model that the version names where it is served here, or else the judge's. Raises ``ModelFailure``."""
    if name:
        try:
            return ctx.models.resolve(name, "judge")
        except ModelFailure:
            log.info("the model for insights is not served here; the judge's answers", model=name)
    return ctx.models.resolve(None, "judge")


def _keep(ctx: Context, tx: Tx, org: str, finding: Finding, group: InsightGroup, prefix: str) -> None:
    now = findings.get(tx, org, finding.id, lock=True)
    if now is None or now.status in FINAL:
        return  # deleted with its conversation, or somebody else was quicker
    findings.put(tx, org, finding)
    if finding.status not in FINAL or not finding.results:
        return
    if group.webhook:
        payload = _payload(finding, group, finding.results)
        deliveries.want(ctx, tx, org, f"insights/{finding.id}", group.webhook, prefix, payload)
    by_id = {one.insight_id: one for one in finding.results}
    for insight in group.insights:
        if insight.webhook and insight.id in by_id:
            payload = _payload(finding, group, [by_id[insight.id]])
            subject = f"insights/{finding.id}/{insight.id}"
            deliveries.want(ctx, tx, org, subject, insight.webhook, prefix, payload)


def _payload(finding: Finding, group: InsightGroup, results: Sequence[Found]) -> dict[str, Any]:
    return {
        "event_type": EVENT,
        "conversation_id": finding.conversation_id,
        "insight_group_id": group.id,
        "insight_group_name": group.name,
        "insights": [
            {"insight_id": one.insight_id, "insight_name": one.insight_name, "result": one.result} for one in results
        ],
    }
